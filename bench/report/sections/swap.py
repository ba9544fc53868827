"""What an exchange of the model cost, at the load points that made one."""

from __future__ import annotations

from collections.abc import Mapping

from bench.report.page import Page, Section
from bench.report.swaps import SWAP_HEAD, SWAP_NOTE, swaps


def _values(page: Page) -> Mapping[str, object] | None:
    found = swaps(page.summary)
    return {"table": (SWAP_HEAD, found), "note": SWAP_NOTE} if found else None


SECTION = Section("swap", "A new version while it serves", _values)
