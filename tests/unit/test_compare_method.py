"""The method against its rivals on simulated sessions: what a gate would have cried, and what it would have missed.

Seeded, so every figure is the same each time; the limits are those that the model's simulation error allows.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.compare import statistics as st
from bench.compare.cells import COMPARED, CellVerdict
from bench.compare.confirm import confirmed
from bench.compare.judge import judge_cell
from bench.compare.judge_unpaired import judge_unpaired
from tests import simulated as sim

COUNT = 4000


@pytest.fixture(scope="module")
def source() -> sim.Bank:
    return sim.bank(np.random.default_rng(1))


def false_alarms(ratios: sim.Floats) -> float:
    """Two-sided share of sessions in which the paired t interval excludes zero."""
    _, low, high = st.t_bounds(ratios)
    return float(((low > 0) | (high < 0)).mean())


@pytest.mark.parametrize("rig", [sim.QUIET, sim.TYPICAL, sim.NOISY], ids=lambda rig: rig.name)
@pytest.mark.parametrize("metric", ["p50", "p95", "p99"])
def test_paired_trials_cry_wolf_in_four_to_six_of_a_hundred_cells(rig: sim.Rig, metric: str, source: sim.Bank) -> None:
    rng = np.random.default_rng(2)
    logs = sim.sessions(rng, rig, COUNT, 10, source).logs(source, metric)
    baseline, candidate = sim.in_pairs(rng, logs)
    assert 0.04 <= false_alarms(candidate - baseline) <= 0.06


def test_trials_in_blocks_cry_wolf_far_more_often(source: sim.Bank) -> None:
    rng = np.random.default_rng(3)
    alarms = {
        rig.name: sim.welch_alarms(*sim.in_blocks(sim.sessions(rng, rig, COUNT, 10, source).logs(source, "p50")))
        for rig in (sim.TYPICAL, sim.NOISY)
    }
    assert alarms["typical"] > 0.25
    assert alarms["noisy"] > 0.30


def test_requests_pooled_over_trials_cry_wolf_most_of_the_time(source: sim.Bank) -> None:
    drawn = sim.sessions(np.random.default_rng(4), sim.TYPICAL, 100, 10, source)
    assert sim.pooled_alarms(drawn, source, 100) > 0.45


def test_bursty_errors_of_two_times_cry_wolf_seldom_by_trials_and_half_of_the_time_pooled() -> None:
    rng = np.random.default_rng(8)
    rates = 0.005 * rng.gamma(1.0, 1.0, (400, 2, 10))  # runs vary by as much as the rate itself
    alarms = {"trials": 0, "pooled": 0}
    for counts in rng.poisson(5000 * rates).astype(np.float64):
        cell = judge_unpaired(COMPARED["error_rate"], *counts, requests=([5000] * 10, [5000] * 10))
        alarms["trials"] += cell.p is not None and cell.p < 0.05
        one, two = counts.sum(axis=1) / 50_000
        error = math.sqrt((one + two) / 50_000)
        alarms["pooled"] += abs(one - two) > 1.96 * error
    assert 0.03 <= alarms["trials"] / 400 <= 0.07
    assert alarms["pooled"] / 400 > 0.5


def test_one_run_each_cries_wolf_on_p99_and_misses_what_is_there(source: sim.Bank) -> None:
    rng = np.random.default_rng(5)
    baseline, candidate = sim.in_pairs(rng, sim.sessions(rng, sim.TYPICAL, COUNT, 1, source).logs(source, "p99"))
    assert sim.one_run_alarms(baseline, candidate) > 0.06
    assert sim.one_run_alarms(baseline, candidate + math.log(1.05)) < 0.35


@pytest.mark.parametrize(("change", "least", "most"), [(0.0, 0.015, 0.04), (0.05, 0.65, 0.78), (0.10, 0.99, 1.0)])
def test_ten_pairs_see_what_the_tables_say(change: float, least: float, most: float, source: sim.Bank) -> None:
    rng = np.random.default_rng(6)
    baseline, candidate = sim.in_pairs(rng, sim.sessions(rng, sim.TYPICAL, COUNT, 10, source).logs(source, "p95"))
    _, low, _ = st.t_bounds(candidate + math.log1p(change) - baseline)
    assert least <= float((low > 0).mean()) <= most


def test_a_screened_cell_is_called_changed_far_less_often_than_its_interval_excludes_zero(source: sim.Bank) -> None:
    rng = np.random.default_rng(7)
    baseline, candidate = sim.in_pairs(rng, sim.sessions(rng, sim.TYPICAL, 600, 10, source).logs(source, "p50"))
    words = [
        judge_cell(COMPARED["p50"], *pair).verdict for pair in zip(np.exp(baseline), np.exp(candidate), strict=True)
    ]
    assert sum(word.changed for word in words) / len(words) < 0.02
    assert words.count(CellVerdict.NO_CHANGE) / len(words) > 0.8


@pytest.mark.parametrize(
    ("metric", "change", "right", "least"),
    [
        ("p50", 0.0, CellVerdict.NO_CHANGE, 0.95),
        ("p95", 0.0, CellVerdict.NO_CHANGE, 0.75),
        ("p50", 0.10, CellVerdict.REGRESSED, 0.99),
        ("p95", 0.10, CellVerdict.REGRESSED, 0.97),
    ],
)
def test_looking_after_six_twelve_and_twenty_pairs_is_seldom_wrong(
    metric: str, change: float, right: CellVerdict, least: float, source: sim.Bank
) -> None:
    rng = np.random.default_rng(8)
    baseline, candidate = sim.in_pairs(rng, sim.sessions(rng, sim.TYPICAL, 300, 20, source).logs(source, metric))
    last = [looked(metric, *pair) for pair in zip(np.exp(baseline), np.exp(candidate) * (1 + change), strict=True)]
    assert last.count(right) / len(last) >= least
    assert sum(word not in (right, CellVerdict.INCONCLUSIVE) for word in last) / len(last) <= 0.02


def looked(metric: str, baseline: sim.Floats, candidate: sim.Floats) -> CellVerdict:
    """The verdict of the look that ends a sequential session."""
    for pairs in st.SEQUENTIAL_LOOKS:
        cell = judge_cell(COMPARED[metric], baseline[:pairs], candidate[:pairs], confidence=1 - st.POCOCK_ALPHA)
        if cell.verdict is not CellVerdict.INCONCLUSIVE:
            break
    return cell.verdict


def test_three_looks_at_their_own_level_raise_five_in_a_hundred_alarms_and_peeking_many_more() -> None:
    draws = np.random.default_rng(9).standard_normal((20_000, 20))

    def any_alarm(looks: tuple[int, ...] | range, confidence: float) -> float:
        found = np.zeros(len(draws), dtype=bool)
        for pairs in looks:
            _, low, high = st.t_bounds(draws[:, :pairs], confidence)
            found |= (low > 0) | (high < 0)
        return float(found.mean())

    assert any_alarm(st.SEQUENTIAL_LOOKS, 1 - st.POCOCK_ALPHA) == pytest.approx(0.052, abs=0.006)
    assert any_alarm(st.SEQUENTIAL_LOOKS, 0.95) > 0.09
    assert any_alarm(range(5, 21), 0.95) > 0.16


@pytest.mark.parametrize(("servers", "uncorrected", "after"), [(1, 0.045, 0.004), (4, 0.17, 0.01)])
def test_a_family_of_cells_that_is_confirmed_on_fresh_pairs_fails_a_healthy_session_at_most_once_in_a_hundred(
    servers: int, uncorrected: float, after: float
) -> None:
    rng = np.random.default_rng(10)
    screen, fresh = (sim.correlated_cells(rng, COUNT, servers, 3, 10) for _ in range(2))
    _, low, _ = st.t_bounds(screen)
    assert float((low > 0).any(axis=1).mean()) > uncorrected
    assert fails(low > 0, fresh) <= after


def test_a_cell_that_is_slower_by_more_than_its_scatter_is_still_confirmed() -> None:
    rng = np.random.default_rng(11)
    screen, fresh = (sim.correlated_cells(rng, COUNT, 4, 3, 10) for _ in range(2))
    for cells in (screen, fresh):
        cells[:, 0] += 1.2
    _, low, _ = st.t_bounds(screen)
    assert 0.75 <= fails(low > 0, fresh) <= 0.90


def fails(flags: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], fresh: sim.Floats) -> float:
    """Share of sessions in which a flagged cell is confirmed on the fresh pairs."""
    failed = 0
    for session in np.flatnonzero(flags.any(axis=1)):
        cells = {
            int(place): judge_cell(
                COMPARED["p50"], np.ones(10), np.exp(0.05 * fresh[session, place]), delta=1e-9, min_pairs=6
            )
            for place in np.flatnonzero(flags[session])
        }
        failed += any(cell.verdict is CellVerdict.REGRESSED for cell in confirmed(cells).values())
    return failed / len(flags)
