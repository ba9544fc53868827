"""One line per server, the choice first; below it every server at every load point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

from bench.report import view
from bench.report.apart import APART_NOTE, APART_TITLE
from bench.report.cores import cores_texts
from bench.report.page import Page, Section
from bench.report.view import Line


@dataclass(frozen=True, slots=True)
class _Group:
    title: str
    lines: tuple[Line, ...]


def _values(page: Page) -> Mapping[str, object]:
    lines = view.comparison(page.summary)
    standings = view.standings(page.summary)
    apart = [each for each in standings if each.apart and not each.absent]
    return {
        "columns": view.columns(page.summary),
        "standings": [[each for each in standings if each not in apart], *([apart] if apart else [])],
        "apart_title": APART_TITLE,
        "apart_note": APART_NOTE if apart else "",
        "tail": view.tail_text(page.summary),
        "cores": cores_texts(page.summary),
        "groups": [_Group(title, tuple(group)) for title, group in groupby(lines, lambda line: line.load_title)],
    }


SECTION = Section("comparison", "Comparison", _values)
