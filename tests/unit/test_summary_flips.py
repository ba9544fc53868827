"""What would flip the choice is found by judging the same rows again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.results import Run
from bench.summary import Interval, Summary, summarise
from bench.summary.again import judged_again
from bench.summary.flips import flips
from bench.summary.ranking import ranking
from tests import report_cases as cases
from tests.judged import searched_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return searched_run(tmp_path_factory.mktemp("searched"))


@pytest.fixture(scope="module")
def summary(run: Run) -> Summary:
    return summarise([run])


def _chosen(summary: Summary) -> str | None:
    return next((row.server for row in ranking(summary.rows, summary.slo)), None)


def test_at_the_price_that_is_named_the_other_server_wins(summary: Summary) -> None:
    (said,) = [text for text in summary.flips if "/h or less" in text]
    assert said.startswith("flask would be chosen at $0.0875/h or less, 78.6 % below its $0.408/h")
    run_id = summary.run_ids[0]
    assert _chosen(judged_again(summary, per_hour={("flask", run_id): 0.088})) == "tfserving"
    assert _chosen(judged_again(summary, per_hour={("flask", run_id): 0.087})) == "flask"


def test_at_the_limit_that_is_named_the_choice_is_another_and_above_it_is_not(summary: Summary) -> None:
    assert "with a limit of 150 ms no server is chosen" in summary.flips
    assert _chosen(judged_again(summary, 0.15)) is None
    assert _chosen(judged_again(summary, 0.2)) == _chosen(summary)


def test_costs_whose_intervals_overlap_are_not_told_apart() -> None:
    rows = [
        cases.row("a", cases.POINTS[4], cost_per_million=Interval(10.0, 8.0, 12.0)),
        cases.row("b", cases.POINTS[4], cost_per_million=Interval(11.0, 9.0, 13.0)),
    ]
    made = cases.summary(rows, [cases.server("a"), cases.server("b")])
    assert flips(made)[0] == "the intervals of the cost of a and of b overlap: measure longer"


def test_nothing_chosen_means_nothing_to_flip() -> None:
    assert flips(cases.nothing()) == ()
    assert flips(replace(cases.typical(), slo={})) == ()
