from __future__ import annotations

from dataclasses import replace

import pytest

from bench.report.text import columns, summary_text
from bench.summary import Summary
from tests import report_cases as cases
from tests.golden_files import check_golden

ALL = [cases.typical(), cases.lone(), cases.dozen(), cases.nothing(), cases.hostile()]


@pytest.mark.parametrize("summary", ALL)
@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_line_is_wider_than_the_terminal(summary: Summary, width: int) -> None:
    assert max(columns(line) for line in summary_text(summary, width).splitlines()) <= width


def test_the_answer_comes_first() -> None:
    assert summary_text(cases.typical()).startswith("tfserving meets the SLO at the lowest cost")


def test_nothing_in_the_table_can_command_a_terminal() -> None:
    text = summary_text(cases.hostile())
    assert all(c.isprintable() or c == "\n" for c in text)


def test_a_wide_character_takes_two_columns() -> None:
    assert columns("模型 a") == 6


def test_columns_stay_aligned_below_a_name_of_wide_characters() -> None:
    lines = [line for line in summary_text(cases.hostile()).splitlines() if "closed-8" in line]
    assert len(lines) == 5
    assert len({columns(line[: line.index("closed-8")]) for line in lines}) == 1


def test_a_check_that_held_and_an_unfinished_run_are_said() -> None:
    text = summary_text(replace(cases.lone(), failed_checks=("echo.p95 > 10ms",), complete=False))
    assert "fail_if held: echo.p95 > 10ms" in text
    assert "did not finish" in text


def test_servers_that_share_a_reason_not_to_be_ranked_share_its_words() -> None:
    full = cases.dozen()
    missed = replace(full, rows=tuple(replace(row, slo_met=False) for row in full.rows))
    text = " ".join(summary_text(missed).split())
    assert text.count("misses the SLO at every load") == 1
    assert "(each: misses the SLO at every load)" in text


def test_the_table_is_the_golden_one() -> None:
    check_golden("report.txt", summary_text(cases.typical()))
