from __future__ import annotations

import re

from bench.report import view
from bench.report.markdown import report_markdown
from tests import report_cases as cases
from tests.golden_files import check_golden

CHARTS = [("Latency by server", "charts/latency.png")]


def _tables(text: str) -> list[list[str]]:
    found = [[line for line in part.splitlines() if line.startswith("|")] for part in text.split("\n\n")]
    return [rows for rows in found if rows]


def test_every_row_has_as_many_cells_as_the_head_whatever_names_hold() -> None:
    tables = _tables(report_markdown(cases.hostile(), CHARTS))
    assert len(tables) == 4
    assert all(len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1 for rows in tables)


def test_no_markup_of_a_name_survives() -> None:
    text = report_markdown(cases.hostile(), CHARTS)
    assert "<" not in text
    assert "\x1b" not in text
    assert r"a\|b\`c\*d\_e" in text


def test_charts_are_linked_beside_the_file() -> None:
    assert "![Latency by server](charts/latency.png)" in report_markdown(cases.typical(), CHARTS)


def test_a_report_without_figures_still_says_why() -> None:
    text = report_markdown(cases.nothing(), [])
    assert "failed: port taken" in text
    assert "skipped: no GPU" in text


def test_the_markdown_is_the_golden_one() -> None:
    check_golden("report.md", report_markdown(cases.typical(), CHARTS))


def test_a_column_of_the_bill_that_says_nothing_of_any_server_is_left_out() -> None:
    bills = view.bills(cases.typical())
    shown = [view.BILL_HEAD[at] for at in view.bill_columns(bills)]
    assert "replicas" not in shown, "no traffic is stated"
    assert {"server", "capacity", "$ a month", "price fits"} <= set(shown)
