"""Servers that served one offered load alike are told apart by response time, not by the ends of the window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.measures.stats import Interval
from bench.summary import Row, Summary, summarise
from bench.summary.again import judged_again
from bench.summary.answer import answer
from bench.summary.ranking import ranking, tied_with_first
from bench.summary.ties import alike, levelled
from tests import report_cases as cases
from tests.recorded import PRICE_CPU, Fake, Point, recorded_run

LATE = Fake("late", "command", "Late", 0.09, lanes=4)
SOON = Fake("soon", "command", "Soon", 0.06, lanes=4)
PLAIN = Fake("plain", "command", "Plain", 0.12, lanes=4)
SLO = {"percentile": 95.0, "response_time": 1.0}


def _row(server: str, goodput: float, in_slo: int, tail: float, **changes: object) -> Row:
    made = cases.row(server, cases.POINTS[4], goodput=goodput, in_slo=in_slo, cost_per_million=None)
    assert made.spread is not None
    band = Interval(tail, tail * 0.9, tail * 1.1)
    return replace(made, spread=replace(made.spread, judged=tail, judged_interval=band), **changes)  # type: ignore[arg-type]


def _order(*rows: Row) -> list[str]:
    return [row.server for row in ranking(rows, SLO)]


def _said(*rows: Row) -> str:
    return answer(rows, [cases.server(row.server) for row in rows], SLO)


def test_at_one_offered_rate_that_both_serve_whole_the_lower_percentile_is_chosen() -> None:
    late, soon = _row("late", 4.02, 400, 0.5), _row("soon", 3.95, 400, 0.2)
    assert _order(late, soon) == ["soon", "late"]
    assert _said(late, soon).startswith("Choose soon, the lowest p95 of the 2 that serve the same within a p95 of 1 s:")
    assert "Next is late with a p95 of 500 ms." in _said(late, soon)


def test_percentiles_whose_intervals_overlap_are_a_tie_that_names_both() -> None:
    assert "b, with a p95 of 210 ms, comes too close to tell apart." in _said(
        _row("b", 4.02, 400, 0.21), _row("a", 4.0, 400, 0.2)
    )


def test_a_server_that_serves_a_smaller_share_within_the_slo_does_not_tie_however_fast_it_is() -> None:
    whole, most = _row("whole", 4.0, 400, 0.9), _row("most", 3.8, 380, 0.2)
    assert not alike(whole, most)
    assert _order(most, whole) == ["whole", "most"]
    assert "the highest goodput" in _said(whole, most)


@pytest.mark.parametrize("changes", [{"label": "poisson-5"}, {"users": 8}, {"profile": "capacity"}])
def test_only_one_offered_load_can_be_served_alike(changes: dict[str, object]) -> None:
    assert alike(_row("a", 4.0, 400, 0.2), _row("b", 3.9, 400, 0.2))
    assert not alike(_row("a", 4.0, 400, 0.2), _row("b", 3.9, 400, 0.2, **changes))


def test_rows_that_do_not_say_how_much_they_served_are_never_alike() -> None:
    bare = replace(_row("b", 3.9, 400, 0.2), in_slo=None)
    assert not alike(_row("a", 4.0, 400, 0.2), bare)


def test_those_alike_are_levelled_to_the_lowest_of_them_and_others_are_left() -> None:
    level = levelled([_row("a", 4.02, 400, 0.2), _row("b", 3.95, 399, 0.2), _row("c", 3.0, 300, 0.2)])
    assert {server: value for (server, _), value in level.items()} == {"a": 3.95, "b": 3.95, "c": 3.0}


@pytest.fixture(scope="module")
def unpriced(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    points = (Point(arrival_rate=4, duration=50.0),)
    folder = tmp_path_factory.mktemp("alike")
    return summarise([recorded_run(folder, servers=(PLAIN, LATE, SOON), points=points, capacity=False)])


def test_recorded_rows_say_how_many_requests_got_an_answer_within_the_slo(unpriced: Summary) -> None:
    assert [row.in_slo for row in unpriced.rows] == [row.n for row in unpriced.rows]
    strict = judged_again(unpriced, 0.1)
    assert all((row.in_slo or 0) < row.n for row in strict.rows if row.server == "plain")


def test_no_other_limit_turns_a_choice_between_servers_that_all_serve_the_load(unpriced: Summary) -> None:
    assert unpriced.answer.startswith("Choose soon, the lowest p95 of the 3")
    assert not any("is chosen" in said and "no server" not in said for said in unpriced.flips)


def test_at_equal_prices_the_same_load_costs_the_same_and_the_lower_percentile_is_chosen(tmp_path: Path) -> None:
    servers = [replace(each, price=PRICE_CPU) for each in (PLAIN, LATE, SOON)]
    points = (Point(arrival_rate=4, duration=50.0),)
    made = summarise([recorded_run(tmp_path, servers=servers, points=points, capacity=False)])
    assert made.answer.startswith("Choose soon, the cheapest")
    assert "Next at the same cost is late" in made.answer
    assert made.costs is not None
    assert made.costs.chosen is not None
    assert made.costs.chosen[0] == "soon"
    assert len({one.capacity.low for one in made.costs.servers if one.capacity}) == 1
    assert "cost the same at every rate" in made.costs.break_even
    assert len(tied_with_first(ranking(made.rows, made.slo, made.costs))) == 2


def test_a_server_that_met_the_slo_with_too_few_requests_is_not_said_to_have_missed_it() -> None:
    naive = cases.row("flask", cases.POINTS[0], n=8, slo_met=True, cost_per_million=None)
    other = cases.row("other", cases.POINTS[0], cost_per_million=None)
    said = answer([naive, other], [cases.server("flask"), cases.server("other")], SLO)
    assert "flask met the SLO at 1 user in closed loop, but with 8 requests, fewer than the 130 that p95 needs" in said
    assert "at no closed-loop load point" not in said
