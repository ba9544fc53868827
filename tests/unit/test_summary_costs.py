"""From rows to bills: sized by the lower end of a capacity, honest where an end is open, no winner made up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cost import Traffic
from bench.cost.figures import Costs, ServerCost
from bench.cost.prices import resolve_price
from bench.measures.stats import Interval
from bench.report.text import summary_text
from bench.report.view.standing import standings
from bench.results import Manifest, load_run
from bench.summary import Summary, Verdict, summarise, summary_json
from bench.summary.again import judged_again
from bench.summary.answer import answer
from bench.summary.costs import costs_again, costs_of, traffic_of
from bench.summary.flips import flips
from bench.summary.ranking import ranking
from tests import report_cases as cases
from tests.golden_files import check_golden
from tests.judged import searched_run

FOUND = Interval(10.0, 9.0, 12.0, "6 looks")
HERE: Mapping[str, Any] = {
    "cpu": {"model": "Example CPU", "logical_cores": 16, "physical_cores": 16, "usable_cores": 16},
    "architecture": "aarch64",
    "gpus": [],
}


def _searched(name: str, capacity: Interval | None, price: Mapping[str, Any] | None, **changes: Any) -> Summary:
    """One server whose capacity was searched."""
    rate = None if capacity is None else capacity.low or capacity.high
    met = capacity is not None and capacity.low is not None
    row = cases.row(name, ("capacity", None, rate), 0.02, capacity=capacity, slo_met=met, **changes)
    server = replace(cases.server(name), price=price, capacity=capacity)
    return cases.summary([row], [server], references=(), warnings=())


def _joined(
    *summaries: Summary, rate: float | None = None, environment: Mapping[str, Any] = HERE, **traffic: Any
) -> Summary:
    rows = [row for summary in summaries for row in summary.rows]
    servers = [server for summary in summaries for server in summary.servers]
    made = cases.summary(rows, servers, references=(), warnings=())
    given = {"rate": rate, **traffic}
    manifest = cases.manifest(environment=environment, scenario={"name": "x", "traffic": given})
    made = replace(made, costs=costs_of(made, [manifest]))
    return replace(made, answer=answer(made.rows, made.servers, made.slo, made.costs))


def _costs(summary: Summary) -> Costs:
    assert summary.costs is not None
    return summary.costs


def _bill(summary: Summary, name: str) -> ServerCost:
    return next(one for one in _costs(summary).servers if one.server == name)


SMALL = _searched("small", FOUND, resolve_price({"instance": "a1.4xlarge"}))
LARGE = _searched("large", Interval(40.0, 36.0, 44.0), {"per_hour": 1.0, "count": 1, "basis": "1 x $1/h"})


def test_whole_replicas_carry_the_traffic_from_the_lower_end_of_the_capacity() -> None:
    bill = _bill(_joined(SMALL, rate=40.0), "small")
    assert bill.usable_rate == pytest.approx(6.3)  # 9/s less 30 %
    assert bill.replicas == 8  # 7 serve 44.1/s, one stands by
    assert bill.per_month is not None
    assert bill.per_month.value == pytest.approx(8 * 0.408 * 730)
    assert bill.per_month.low == pytest.approx(6 * 0.408 * 730)  # at 12/s: 5 and a spare
    assert bill.per_million is not None
    assert bill.per_million.value == pytest.approx(1e6 * 8 * 0.408 / (3600 * 40))
    assert bill.at_capacity is not None
    assert bill.at_capacity.value == pytest.approx(1e6 * 0.408 / (3600 * 9))


def test_a_million_requests_are_counted_at_the_mean_and_replicas_at_the_peak() -> None:
    bill = _bill(_joined(SMALL, rate=40.0, mean_rate=10.0), "small")
    assert bill.replicas == 8
    assert bill.per_million is not None
    assert bill.per_million.value == pytest.approx(1e6 * 8 * 0.408 / (3600 * 10))


def test_without_a_traffic_figures_are_those_of_a_replica_kept_to_its_headroom() -> None:
    bill = _bill(_joined(SMALL), "small")
    assert bill.replicas is None
    assert bill.per_month is not None
    assert bill.per_month.value == pytest.approx(0.408 * 730)
    assert bill.per_million is not None
    assert bill.per_million.value == pytest.approx(1e6 * 0.408 / (3600 * 6.3))


def test_the_answer_chooses_for_the_stated_traffic_and_says_where_that_turns() -> None:
    little, much = _joined(SMALL, LARGE, rate=5.0), _joined(SMALL, LARGE, rate=100.0)
    assert _costs(little).chosen == ("small", cases.manifest().run_id)
    assert little.answer.startswith(
        "Choose small, the cheapest of those that meet a p95 of 1 s for 5/s: 2 replicas, $596 a month, $45.3 per "
        "million requests (one serves 10.0/s (9.00/s to 12.0/s) within it; 30 % headroom, 1 spare). "
        "large takes 2 replicas, $1,460 a month"
    )
    assert little.answer.endswith("small is cheapest up to 18.9/s, large above.") or "Cheapest:" in little.answer
    assert _costs(much).chosen == ("large", cases.manifest().run_id)
    assert next(row.server for row in ranking(much.rows, much.slo, much.costs)) == "large"


def test_a_capacity_open_above_is_at_most_that_dear() -> None:
    above = _searched("a", Interval(9.0, low=9.0, basis="above 9/s"), resolve_price({"instance": "a1.4xlarge"}))
    made = _joined(above, rate=40.0)
    bill = _bill(made, "a")
    assert bill.per_month is not None
    assert (bill.replicas, bill.per_month.low) == (8, None)
    assert "at most $2,383 a month" in made.answer
    assert "more than was measured may be served by a, at less cost" in _costs(made).notes[0]


def test_a_capacity_open_below_makes_no_winner() -> None:
    below = _searched("a", Interval(None, high=1.91), resolve_price({"instance": "a1.4xlarge"}))
    made = _joined(below, rate=40.0)
    bill = _bill(made, "a")
    assert (bill.contends, bill.replicas, bill.per_month) == (False, None, None)
    assert bill.absent == "capacity below 1.91/s: no rate was found at which it meets the SLO"
    assert _costs(made).chosen is None
    assert _costs(made).reason == "no server was found to meet the SLO at any arrival rate"
    assert made.answer.startswith("No server met a p95 of 1 s")


def test_without_a_search_the_highest_load_point_within_the_slo_is_what_a_server_does_at_least() -> None:
    made = _joined(cases.summary([cases.row("a", p, 0.1) for p in cases.POINTS], [cases.server("a")]), rate=10.0)
    bill = _bill(made, "a")
    assert bill.capacity is not None
    assert (bill.capacity.low, bill.capacity.high) == (4.0, None)
    assert bill.capacity.basis == "load point poisson-4, the highest that met the SLO"
    assert bill.saturation is not None
    assert bill.saturation.load == "closed-8"


def test_closed_loops_alone_size_nothing() -> None:
    bill = _bill(_joined(cases.summary([cases.row("a", cases.POINTS[1], 0.01)], [cases.server("a")])), "a")
    assert bill.absent == "measured in closed loop only, which tells no arrival rate"


def test_a_gpu_instance_priced_from_a_machine_without_one_ranks_nothing() -> None:
    gpu = _searched("gpu", Interval(90.0, 80.0, 99.0), resolve_price({"instance": "g4dn.xlarge"}))
    made = _joined(SMALL, gpu, rate=40.0)
    bill = _bill(made, "gpu")
    assert (bill.verdict, bill.contends) == (Verdict.INVALID, False)
    assert bill.replicas is not None  # shown, but of no weight
    assert [row.server for row in ranking(made.rows, made.slo, made.costs)] == ["small"]
    alone = _joined(gpu, rate=40.0)
    assert _costs(alone).chosen is None
    assert alone.answer == (
        "No server can be chosen for 40/s: no server that meets the SLO has a price that can be compared."
    )


def test_a_choice_that_stands_on_another_machine_says_so() -> None:
    other = {**HERE, "cpu": {**HERE["cpu"], "logical_cores": 2, "physical_cores": 2, "usable_cores": 2}}
    made = _joined(SMALL, rate=40.0, environment=other)
    assert "This is SUSPECT: measured on 2 physical cores, priced as a1.4xlarge with 16." in made.answer
    assert _bill(made, "small").measured_on == "Example CPU, 2 physical cores, arm64, no GPU"
    assert _bill(made, "small").priced_as == "1 x a1.4xlarge: 16 physical cores (16 vCPU), 32 GiB, arm64"


def test_a_price_of_more_than_a_year_before_the_run_is_flagged() -> None:
    old = _searched("a", FOUND, {**resolve_price({"per_hour": 0.5, "as_of": "2025-10"})})
    assert [reason.id for reason in _bill(_joined(old), "a").reasons] == ["price-old"]


def test_a_price_that_is_not_above_zero_is_none() -> None:
    free = _searched("a", FOUND, {"per_hour": 0.0, "count": 1})
    assert _bill(_joined(free, rate=1.0), "a").absent == "its price is not above zero"


def test_traffic_beyond_all_allowed_replicas_is_refused_in_words() -> None:
    made = _joined(SMALL, rate=1000.0, most_replicas=100)
    assert _bill(made, "small").absent == "1,000/s takes more than 100 replicas, the most allowed"
    assert made.answer == (
        "No server can be chosen for 1,000/s: no server reaches 1,000/s with 100 replicas, the most allowed."
    )


def test_no_server_is_marked_as_the_choice_where_the_traffic_is_refused() -> None:
    made = _joined(SMALL, rate=1000.0, most_replicas=100)
    assert ranking(made.rows, made.slo, made.costs), "it meets the SLO, and is ranked"
    assert not any(line.chosen for line in standings(made))
    assert "<- choice" not in summary_text(made)
    assert flips(made) == ()


def test_load_balancer_and_egress_stand_apart() -> None:
    bill = _bill(_joined(SMALL, rate=40.0), "small")
    assert bill.network is not None
    assert bill.network.gb_in == pytest.approx(61_000 * 40 * 3600 * 730 / 1e9)
    assert bill.per_month is not None
    assert bill.per_month.value == pytest.approx(8 * 0.408 * 730)  # and no cent of the network in it
    assert _bill(_joined(LARGE, rate=40.0), "large").network is None  # whose provider is not known


def test_servers_of_two_runs_are_billed_in_one_table() -> None:
    other = replace(SMALL, rows=tuple(replace(row, run_id="later") for row in SMALL.rows))
    servers = tuple(
        replace(server, run_id="later", price=resolve_price({"instance": "c5.xlarge"})) for server in SMALL.servers
    )
    made = cases.summary([*SMALL.rows, *other.rows], [*SMALL.servers, *servers])
    manifests = [
        cases.manifest(environment=HERE, scenario={"traffic": {"rate": 20.0}}),
        cases.manifest(environment={**HERE, "architecture": "x86_64"}, run_id="later", scenario={}),
    ]
    costs = costs_of(made, manifests)
    assert [one.name for one in costs.servers] == [f"small ({cases.manifest().run_id})", "small (later)"]
    assert costs.servers[1].measured_on.endswith("x86_64, no GPU")
    assert costs.chosen == ("small", "later")  # $0.17/h instead of $0.408/h
    assert costs.notes == ("run later has another traffic; all servers are sized for the one of the first run",)
    assert "small (later) is cheapest at every rate." in costs.break_even


def test_the_traffic_of_a_run_is_read_back_from_its_manifest() -> None:
    manifest: Manifest = cases.manifest(scenario={"traffic": {"rate": 3.0, "headroom": 0.1, "later_key": 1}})
    assert traffic_of(manifest) == Traffic(rate=3.0, headroom=0.1)
    assert traffic_of(cases.manifest(scenario={})) == Traffic()


def test_costs_follow_another_limit_and_another_traffic(tmp_path: Path) -> None:
    summary = summarise([load_run(searched_run(tmp_path).folder)])
    again = judged_again(summary, 0.5)
    before, after = _bill(summary, "tfserving"), _bill(again, "tfserving")
    assert before.capacity is not None
    assert after.capacity is not None
    assert (after.capacity.low or 0) < (before.capacity.low or 0)
    moved = costs_again(summary, Traffic(rate=100.0))
    assert moved is not None
    assert {one.server: one.replicas for one in moved.servers}["tfserving"] is not None
    assert costs_again(replace(summary, costs=None)) is None


def test_the_costs_are_a_section_of_the_json(tmp_path: Path) -> None:
    summary = summarise([searched_run(tmp_path)])
    found = json.loads(summary_json(summary))["costs"]
    assert found["traffic"] == {
        "rate": None, "mean_rate": None, "headroom": 0.3, "spare_replicas": 1, "most_replicas": 1000,
        "hours_per_month": 730.0,
    }  # fmt: skip
    bill = next(one for one in found["servers"] if one["server"] == "tfserving")
    assert bill["at_capacity"]["value"] == bill["at_capacity"]["high"]
    assert {"saturation", "network", "measured_on", "priced_as", "reasons", "verdict"} <= set(bill)
    assert found["break_even"]


def test_the_bill_in_a_terminal_is_the_golden_one() -> None:
    gpu = _searched("gpu", Interval(90.0, 80.0, 99.0), resolve_price({"instance": "g4dn.xlarge"}))
    slow = _searched("slow", Interval(None, high=1.91), resolve_price({"instance": "c5.xlarge"}))
    made = _joined(SMALL, LARGE, gpu, slow, rate=40.0)
    check_golden("report-cost.txt", summary_text(made))
