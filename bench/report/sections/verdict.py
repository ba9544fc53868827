"""Did it change? The verdict of a paired session with its table and charts; left out where there was none."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from bench.report.page import Page, Section
from bench.report.verdict_text import HEAD, cells, compared, diagnostics, remarks
from bench.report.view import one_line


def _values(page: Page) -> Mapping[str, object] | None:
    session = page.session
    if session is None:
        return None
    verdict = session.verdict
    return {
        "compared": [" ".join(one_line(line).split()) for line in compared(verdict)],
        "head": HEAD,
        "gated": [cells(line) for line in verdict.lines if line.gated],
        "rest": [cells(line) for line in verdict.lines if not line.gated],
        "remarks": [one_line(text) for text in (*remarks(verdict.lines), *diagnostics(verdict))],
        "pictures": [(picture, Markup(picture.svg)) for picture in session.pictures],  # noqa: S704 -- drawn by bench
    }


SECTION = Section("verdict", "Did it change?", _values)
