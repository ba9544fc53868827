"""Published figures beside the measured ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench import units
from bench.report import view
from bench.report.page import Page, Section
from bench.summary import PublishedFigure


@dataclass(frozen=True, slots=True)
class _Published:
    server: str
    metric: str
    published: str
    measured: str
    ratio: str
    source: str
    note: str


def _published(figure: PublishedFigure) -> _Published:
    return _Published(
        server=view.one_line(figure.server),
        metric=view.one_line(figure.metric.replace("_", " ")),
        published=units.duration_text(figure.published),
        measured=units.duration_text(figure.measured),
        ratio=units.ratio_text(figure.ratio),
        source=view.one_line(figure.source),
        note=view.one_line(figure.note),
    )


def _values(page: Page) -> Mapping[str, object] | None:
    found = [_published(figure) for figure in page.summary.references]
    return {"references": found} if found else None


SECTION = Section("published", "Published figures beside ours", _values)
