"""The charts, each with its reading and a table of its data."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from bench.report.page import Page, Section


def _values(page: Page) -> Mapping[str, object] | None:
    drawn = [(picture, Markup(picture.svg)) for picture in page.pictures]  # noqa: S704 -- drawn and escaped by bench
    return {"pictures": drawn} if drawn else None


SECTION = Section("charts", "Charts", _values)
