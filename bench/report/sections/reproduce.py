"""How to run it again: command, seed, scenario."""

from __future__ import annotations

from collections.abc import Mapping

from bench.report.origins import origin
from bench.report.page import Page, Section


def _values(page: Page) -> Mapping[str, object]:
    return {"origins": [origin(source) for source in page.sources], "method": page.summary.method_version}


SECTION = Section("reproduce", "Reproduce", _values)
