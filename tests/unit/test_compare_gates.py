from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import ScenarioError
from bench.paired.gates import gates_of
from bench.scenario.scenario import load_scenario


def gates(folder: Path, load: str, named: str = "") -> list[tuple[str, str, float]]:
    path = folder / "scenario.yaml"
    path.write_text(f"load: [{load}]\nservers: {{a: {{kind: echo}}}}\n{named}\n")
    return [(gate.metric, gate.load, gate.delta) for gate in gates_of(load_scenario(path))]


BUSY = "{profile: poisson, arrival_rate: 100, duration: 30s}"
QUIET = "{profile: poisson, arrival_rate: 2, duration: 30s}"
CLOSED = "{profile: closed, users: [1, 8], duration: 5s}"
CAPACITY = "{profile: capacity, duration: 5s}"


def test_an_open_loop_gates_its_tail_and_its_errors(tmp_path: Path) -> None:
    assert gates(tmp_path, BUSY) == [("p95", "poisson-100", 0.05), ("error_rate", "poisson-100", 0.0)]


def test_few_requests_gate_only_the_percentile_that_they_carry(tmp_path: Path) -> None:
    assert gates(tmp_path, QUIET)[0][0] == "p50"


def test_a_percentile_is_chosen_only_where_a_trial_that_falls_short_still_carries_it(tmp_path: Path) -> None:
    def chosen(rate: int) -> str:
        return gates(tmp_path, f"{{profile: poisson, arrival_rate: {rate}, duration: 2s}}")[0][0]

    assert (chosen(300), chosen(350)) == ("p50", "p95")  # 600 requests: 30 beyond p95 on average, fewer in every other


def test_a_capacity_is_gated_before_the_throughput_of_a_closed_loop(tmp_path: Path) -> None:
    assert [gate[0] for gate in gates(tmp_path, f"{CLOSED}, {BUSY}, {CAPACITY}")] == ["p95", "capacity", "error_rate"]
    assert [gate[:2] for gate in gates(tmp_path, f"{CLOSED}, {BUSY}")] == [
        ("p95", "poisson-100"),
        ("throughput", "closed-8"),
        ("error_rate", "poisson-100"),
    ]


def test_a_scenario_names_its_own_gates(tmp_path: Path) -> None:
    named = "gates: [p99, poisson-2.p50, {metric: startup, delta: 20%}]"
    assert gates(tmp_path, f"{BUSY}, {QUIET}", named) == [
        ("p99", "poisson-100", 0.1),
        ("p50", "poisson-2", 0.05),
        ("startup", "", pytest.approx(0.2)),
    ]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("gates: [p50, p95, p99, error_rate]", "at most 3"),
        ("gates: [p98]", "must be one of"),
        ("gates: [poisson-3.p95]", "unknown load point 'poisson-3'"),
        ("gates: [capacity]", "no load point finds a capacity"),
        ("gates: [{metric: p95, delta: 0%}]", "greater than 0"),
        ("gates: [{metric: error_rate, delta: 5%}]", "an error rate has no delta"),
        ("gates: [poisson-100.memory]", "memory belongs to the whole start"),
        ("gates: [poisson-100.capacity]", "found by the load point 'capacity' only"),
        ("gates: [throughput]", "an open loop offers a throughput"),
    ],
)
def test_a_gate_that_cannot_be_is_told_with_its_line(tmp_path: Path, named: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said) as failure:
        gates(tmp_path, BUSY, named)
    assert "scenario.yaml:3" in str(failure.value)


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("cost", "no server has a price"),
        ("p95, p95", "this gate is there twice"),
        ("p50, p95, p99, goodput", "must hold at most 3, got"),
    ],
)
def test_gates_that_would_judge_nothing_or_twice_are_refused(tmp_path: Path, named: str, says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        gates(tmp_path, BUSY, f"gates: [{named}]")
