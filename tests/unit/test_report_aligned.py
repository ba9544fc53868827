"""Columns of figures stand at the right, words at the left, and nobody has to say which are which."""

from __future__ import annotations

import pytest

from bench.report.aligned import figure_columns

AB = ("server", "figure")


@pytest.mark.parametrize(
    "cell",
    ["66", "100 %", "19.6 ms", "n < 130", "$5.76", "$5.76 ($4.11 to $6.67)", "1.79x to 2.23x", "3 of 3", "2.5e-06",
     "above 14.0/s", "1,234", "809 MFLOP/s", "at most $894"],
)  # fmt: skip
def test_a_figure_with_its_unit_its_interval_or_its_bound_stands_at_the_right(cell: str) -> None:
    assert figure_columns(AB, [("a", cell), ("b", "-")]) == (False, True)


@pytest.mark.parametrize("cell", ["2.19.1", "2 x flask", "20261123T034500Z", "poisson-4", "VALID", "2026-07-20", "-"])
def test_a_version_a_name_a_day_or_nothing_at_all_does_not(cell: str) -> None:
    assert figure_columns(AB, [("a", cell)]) == (False, False)


def test_one_word_among_figures_makes_a_column_of_words_and_short_rows_are_not_asked() -> None:
    assert figure_columns(AB, [("a", "1"), ("b", "none")]) == (False, False)
    assert figure_columns(AB, [("a", "1"), ("skipped",)]) == (False, True)
    assert figure_columns(AB, []) == (False, False)
