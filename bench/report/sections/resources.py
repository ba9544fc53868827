"""What a request uses, per server and load point, and how much of the machine is left on the table."""

from __future__ import annotations

from collections.abc import Mapping

from bench.report.page import Page, Section
from bench.report.used import (
    READY_HEAD,
    READY_NOTE,
    USED_TITLE,
    hardware_texts,
    lacks,
    peak_bars,
    ready_rows,
    used_note,
    used_table,
)

_WIDE = 160.0
"""Width of 100 % in the bars, as the template draws them."""


def _values(page: Page) -> Mapping[str, object] | None:
    head, rows = used_table(page.summary)
    if not rows:
        return None
    return {
        "note": used_note(head),
        "used": (head, rows),
        "lacks": lacks(page.summary),
        "hardware": hardware_texts(page.summary),
        "bars": [(name, load, _WIDE * min(1.0, share), text) for name, load, share, text in peak_bars(page.summary)],
        "wide": _WIDE,
        "ready": (READY_HEAD, ready_rows(page.summary)),
        "ready_note": READY_NOTE,
    }


SECTION = Section("resources", USED_TITLE, _values)
