"""Summary, its runs' manifests and the drawn charts -> report.html: one file that needs no network and no script.

Everything that comes from outside is escaped by Jinja2; only the charts' SVG, which bench drew, goes in as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.report import view
from bench.report.page import Page, Picture, Source
from bench.report.sections import SECTIONS
from bench.summary import Summary

__all__ = ["Picture", "Source", "report_html"]


def report_html(summary: Summary, pictures: Sequence[Picture], sources: Sequence[Source]) -> str:
    """The page."""
    page = Page(summary, pictures, sources)
    shown = ((section, section.values(page)) for section in SECTIONS)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=view.one_line(summary.question or summary.name),
            name=view.one_line(summary.name),
            answer=view.one_line(summary.answer),
            flips=[view.one_line(flip) for flip in summary.flips],
            slo=view.slo_text(summary),
            run_ids=[view.one_line(run) for run in summary.run_ids],
            complete=summary.complete,
            failed_checks=summary.failed_checks,
            sections=[(section, it) for section, it in shown if it is not None],
        )
    )


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
