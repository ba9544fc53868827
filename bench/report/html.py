"""Summary, its runs' manifests and the drawn charts -> report.html: one file, no network, no script but its controls.

Everything that comes from outside is escaped by Jinja2; only the charts' SVG, which bench drew, goes in as it is.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench.report import view
from bench.report.aligned import figure_columns
from bench.report.page import Page, Picture, Source
from bench.report.sections import SECTIONS
from bench.report.session import SessionView
from bench.summary import Summary

__all__ = ["Picture", "Source", "report_html"]


def report_html(
    summary: Summary, pictures: Sequence[Picture], sources: Sequence[Source], session: SessionView | None = None
) -> str:
    """The page; with what a paired session came to, where it was one."""
    page = Page(summary, pictures, sources, session)
    lead, rest = view.parted(view.one_line(_answer(page)))
    shown = ((section, section.values(page)) for section in SECTIONS)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=view.one_line(summary.question or summary.name),
            name=view.one_line(summary.name),
            lead=lead,
            rest=rest,
            flips=[view.one_line(flip) for flip in summary.flips] if session is None else [],
            slo=view.slo_text(summary),
            run_ids=[view.one_line(run) for run in summary.run_ids],
            complete=summary.complete,
            failed_checks=summary.failed_checks,
            script=Markup(script()),  # noqa: S704 -- ours, without a word of the summary's
            script_hash=_hash(script()),
            sections=[(section, it) for section, it in shown if it is not None],
        )
    )


def _answer(page: Page) -> str:
    """What the page says in one sentence: of a paired session whether something changed."""
    if page.session is None:
        return page.summary.answer
    said = page.session.verdict.sentence
    return said[:1].upper() + said[1:]


_SCRIPTS = ("units", "steps", "capacity", "judge", "costs", "answer", "table", "page")
"""Later ones use what earlier ones define; all but the last compute and know no document."""


@cache
def script(names: tuple[str, ...] = _SCRIPTS) -> str:
    """The page's own program: it computes and sorts what the page already holds, and asks nothing of any network."""
    folder = Path(__file__).parent / "templates" / "script"
    parts = [(folder / f"{name}.js").read_text(encoding="utf-8") for name in names]
    return '(() => {\n"use strict";\n' + "\n".join(parts) + "})();"


def _hash(text: str) -> str:
    """What the page's content security policy lets run: this script and no other."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["figure_columns"] = figure_columns
    return made
