"""What serving the traffic costs with each server, what that stands on, and what would turn the choice."""

from __future__ import annotations

from collections.abc import Mapping

from bench.report import view
from bench.report.page import Page, Section


def _values(page: Page) -> Mapping[str, object] | None:
    if not view.priced(page.summary):
        return None
    bills = view.bills(page.summary)
    shown = view.bill_columns(bills)
    return {
        "head": [view.BILL_HEAD[at] for at in shown],
        "shown": shown,
        "bills": bills,
        "texts": view.money_texts(page.summary),
        "doubts": view.money_doubts(page.summary),
        "networks": tuple(view.network_bases(page.summary)),
        "note": view.BILL_NOTE,
        "basis": (view.BASIS_HEAD, [bill.basis for bill in bills]),
    }


SECTION = Section("money", "Cost", _values)
