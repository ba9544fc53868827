"""Verdicts of cells: significance and size, and never a pass for what could not be computed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from bench.compare.cells import COMPARED, Cell, CellVerdict
from bench.compare.confirm import confirmed, exploratory, flagged
from bench.compare.diagnostics import null_control_failed, one_sided_flags, position_effect, session_slope
from bench.compare.judge import derived_cost, judge_cell, without_undeserved_gains
from bench.compare.judge_unpaired import capped, judge_unpaired

P95, ERRORS, CAPACITY, COST = (COMPARED[name] for name in ("p95", "error_rate", "capacity", "cost"))
WOBBLE = np.array([0.011, -0.02, 0.004, 0.017, -0.009, 0.013, -0.014, 0.002, 0.008, -0.012])
BASELINE = [0.1, 0.103, 0.098, 0.101, 0.105, 0.097, 0.1, 0.102, 0.099, 0.1]


def candidate(factor: float, spread: float = 1.0) -> list[float]:
    """Baseline times a factor, with a scatter of about 1.3 % whose mean is zero."""
    return [float(value) for value in np.array(BASELINE) * factor * np.exp((WOBBLE - WOBBLE.mean()) * spread)]


def p95(factor: float, spread: float = 1.0, **more: float) -> Cell:
    return judge_cell(P95, BASELINE, candidate(factor, spread), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("factor", "spread", "verdict"),
    [
        (1.10, 1, CellVerdict.REGRESSED),
        (0.90, 1, CellVerdict.IMPROVED),
        (1.00, 1, CellVerdict.NO_CHANGE),
        (1.02, 1, CellVerdict.NO_CHANGE),  # real, but smaller than what matters
        (1.048, 1, CellVerdict.INCONCLUSIVE),  # may lie on either side of 5 %
        (1.00, 8, CellVerdict.INCONCLUSIVE),  # cannot tell
        (1.06, 8, CellVerdict.INCONCLUSIVE),  # large, but may be chance
    ],
)
def test_a_verdict_needs_significance_and_size(factor: float, spread: float, verdict: CellVerdict) -> None:
    cell = p95(factor, spread)
    assert cell.verdict is verdict
    assert cell.change == pytest.approx(factor - 1)
    assert cell.low is not None
    assert cell.high is not None
    assert cell.low < factor - 1 < cell.high
    assert (cell.pairs_needed is not None) == (verdict is CellVerdict.INCONCLUSIVE)


def test_a_higher_rate_is_an_improvement_and_a_lower_one_a_regression() -> None:
    assert judge_cell(CAPACITY, BASELINE, candidate(1.1)).verdict is CellVerdict.IMPROVED
    cell = judge_cell(CAPACITY, BASELINE, candidate(0.9))
    assert cell.verdict is CellVerdict.REGRESSED
    assert cell.worse == pytest.approx(0.1)
    assert cell.p_worse is not None
    assert cell.p_worse < 0.001


def test_what_is_real_but_small_is_called_so() -> None:
    assert "real but below delta" in p95(1.02).note


def test_an_inconclusive_cell_says_how_many_pairs_would_decide() -> None:
    cell = p95(1.0, 8)
    assert cell.pairs_needed is not None
    assert cell.pairs_needed > 10
    assert f"needs about {cell.pairs_needed} pairs" in cell.note
    assert "too close" in p95(1.0499).note


@pytest.mark.parametrize(
    ("baseline", "other", "why"),
    [
        (BASELINE[:5], candidate(1)[:5], "needs at least 6 pairs, has 5"),
        ([], [], "needs at least 6 pairs, has 0"),
        (BASELINE, candidate(1)[:9], "are not pairs"),
        (BASELINE, [math.nan, *candidate(1)[1:]], "no value in pair 1"),
        (BASELINE, [*candidate(1)[:9], None], "no value in pair 10"),
        (BASELINE, [math.inf, *candidate(1)[1:]], "no value in pair 1"),
        (BASELINE, [0.0, *candidate(1)[1:]], "has no ratio"),
        ([0.0] * 10, [0.0] * 10, "has no ratio"),
        (BASELINE, BASELINE, "the same in every pair"),
        (BASELINE, [2 * value for value in BASELINE], "the same in every pair"),
    ],
)
def test_what_gives_no_statistic_is_not_comparable(baseline: list[float], other: list[float | None], why: str) -> None:
    cell = judge_cell(P95, baseline, other)
    assert cell.verdict is CellVerdict.NOT_COMPARABLE
    assert why in cell.note
    assert cell.change is cell.low is cell.high is None
    assert not cell.can_gate


def test_a_capacity_that_is_only_a_bound_is_inconclusive() -> None:
    cell = judge_cell(CAPACITY, BASELINE, candidate(0.8), censored=(2,))
    assert cell.verdict is CellVerdict.INCONCLUSIVE
    assert "only a bound in pair 3" in cell.note


def test_delta_is_raised_to_what_this_machine_can_tell_and_said_so() -> None:
    cell = p95(1.07, aa_sd=0.06)
    assert cell.noise_floor == cell.effective_delta == pytest.approx(0.0647, abs=1e-3)
    assert "raised from 5.0 % to the noise floor of 6.5 %" in cell.note
    assert cell.can_gate
    far = p95(1.07, aa_sd=0.15)
    assert not far.can_gate
    assert "cannot gate this metric" in far.note
    assert p95(1.07, aa_sd=0.01).effective_delta == 0.05


def test_a_restless_machine_makes_regressions_rarer_and_no_change_no_easier() -> None:
    unsure = p95(1.0, 5.5)
    assert unsure.verdict is CellVerdict.INCONCLUSIVE
    raised = p95(1.0, 5.5, aa_sd=0.2)  # the interval lies far inside the raised delta, and not inside 5 %
    assert raised.effective_delta > 0.2
    assert raised.verdict is CellVerdict.INCONCLUSIVE
    assert raised.pairs_needed is not None
    assert p95(1.1, aa_sd=0.2).verdict is CellVerdict.INCONCLUSIVE
    assert p95(1.0, aa_sd=0.2).verdict is CellVerdict.NO_CHANGE


def test_pairs_that_scatter_more_than_calibrated_are_pointed_out() -> None:
    assert "times as much as when this machine was calibrated" in p95(1.0, 4, aa_sd=0.01).note


def test_a_change_that_hangs_on_one_pair_names_it() -> None:
    ratios = [0.06, 0.07, 0.05, 0.065, 0.055, 0.06, 0.07, 0.05, 0.06, 0.9]
    cell = judge_cell(P95, BASELINE, [value * math.exp(ratio) for value, ratio in zip(BASELINE, ratios, strict=True)])
    assert cell.verdict is CellVerdict.INCONCLUSIVE
    assert "outlier-driven: see pair 10" in cell.note
    assert cell.hodges_lehmann == pytest.approx(math.expm1(0.06), abs=0.02)


def test_sizes_are_compared_without_a_test() -> None:
    model = COMPARED["model_bytes"]
    same, larger = judge_cell(model, [454e6] * 6, [454e6] * 6), judge_cell(model, [222e6] * 6, [454e6] * 6)
    assert (same.verdict, larger.verdict) == (CellVerdict.NO_CHANGE, CellVerdict.REGRESSED)
    assert "exact" in same.note
    varies = judge_cell(model, [454e6] * 6, [454e6] * 5 + [455e6])
    assert "varies between trials" in varies.note
    assert judge_cell(model, [0.0] * 6, [1.0] * 6).verdict is CellVerdict.NOT_COMPARABLE
    assert judge_cell(model, [0.0] * 6, [0.0] * 6).verdict is CellVerdict.NO_CHANGE


def errors(baseline: list[float], other: list[float], requests: int = 5000) -> Cell:
    return judge_cell(ERRORS, baseline, other, requests=([requests] * len(baseline), [requests] * len(other)))


def test_no_error_on_either_side_gives_the_bound_of_the_rule_of_three() -> None:
    cell = errors([0] * 10, [0] * 10)
    assert cell.verdict is CellVerdict.NO_CHANGE
    assert cell.high == pytest.approx(3 / 50_000, rel=0.01)
    assert "rule of three" in cell.note


def test_no_error_among_too_few_requests_says_nothing() -> None:
    cell = errors([0] * 10, [0] * 10, requests=100)
    assert cell.verdict is CellVerdict.INCONCLUSIVE
    assert cell.pairs_needed == 30


@pytest.mark.parametrize(
    ("other", "verdict"),
    [
        ([52, 47, 55, 49, 50, 44, 58, 51, 48, 53], CellVerdict.REGRESSED),  # 0.5 % -> 1 %
        ([31, 28, 30, 33, 27, 29, 32, 30, 26, 31], CellVerdict.NO_CHANGE),  # real, but only 1.2 times as many
        ([25, 27, 22, 26, 24, 23, 28, 25, 26, 24], CellVerdict.NO_CHANGE),
        ([5, 3, 6, 4, 2, 5, 4, 3, 6, 5], CellVerdict.IMPROVED),
        ([0, 140, 3, 25, 0, 190, 1, 60, 22, 2], CellVerdict.INCONCLUSIVE),  # bursts
    ],
)
def test_an_error_rate_has_to_rise_by_half_and_by_a_tenth_of_a_point(other: list[float], verdict: CellVerdict) -> None:
    assert errors([25, 22, 28, 24, 26, 25, 23, 27, 25, 24], other).verdict is verdict


def test_a_few_errors_more_among_none_are_below_a_tenth_of_a_point() -> None:
    assert errors([0] * 10, [1, 2, 1, 1, 2, 1, 1, 2, 1, 1]).verdict is CellVerdict.NO_CHANGE


@pytest.mark.parametrize(
    ("baseline", "requests"),
    [([1.0] * 6, [0] * 6), ([9.0] * 6, [5] * 6), ([-1.0] * 6, [5] * 6), ([1.0] * 6, [50] * 5)],
)
def test_errors_that_cannot_be_are_not_comparable(baseline: list[float], requests: list[int]) -> None:
    cell = judge_cell(ERRORS, baseline, [2.0] * 6, requests=(requests, requests))
    assert cell.verdict is CellVerdict.NOT_COMPARABLE
    assert judge_cell(ERRORS, baseline, [2.0] * 6).verdict is CellVerdict.NOT_COMPARABLE


def test_errors_of_sides_that_were_sent_different_numbers_are_scaled() -> None:
    baseline, other = [50.0, 49, 51, 52, 48, 50, 47, 53], [25.0, 26, 24, 25, 27, 23, 25, 26]
    cell = judge_cell(ERRORS, baseline, other, requests=([5000] * 8, [2500] * 8))
    assert cell.verdict is CellVerdict.NO_CHANGE
    assert (cell.baseline, cell.candidate) == pytest.approx((0.01, 0.01), rel=0.01)


def test_two_different_times_never_read_better_than_inconclusive_unless_asked() -> None:
    cell = judge_unpaired(P95, BASELINE, candidate(1.5))
    advice = capped(cell)
    assert (advice.verdict, advice.can_gate) == (CellVerdict.INCONCLUSIVE, False)
    assert "drift cannot be separated" in advice.note
    assert "would read: regressed" in advice.note
    assert capped(cell, gate_unpaired=True).verdict is CellVerdict.REGRESSED


def test_fewer_than_six_trials_of_each_never_gate() -> None:
    cell = capped(judge_unpaired(P95, BASELINE[:5], candidate(1.5)), gate_unpaired=True)
    assert (cell.verdict, cell.can_gate) == (CellVerdict.INCONCLUSIVE, False)
    assert "gating takes at least 6 trials of each, has 5" in cell.note


@pytest.mark.parametrize(
    ("other", "sent", "verdict"),
    [
        ([51.0, 49, 55, 47, 50, 52, 48], 5000, CellVerdict.REGRESSED),
        ([25.0, 26, 24, 25, 27, 23, 25], 5000, CellVerdict.NO_CHANGE),
        ([5.0, 4, 6, 5, 3, 5, 6], 5000, CellVerdict.IMPROVED),
        ([25.0, 90, 2, 140, 0, 3, 60], 5000, CellVerdict.INCONCLUSIVE),  # bursts
        ([50.0, 52, 48, 50, 54, 46, 50], 10_000, CellVerdict.NO_CHANGE),  # twice the errors of twice the requests
    ],
)
def test_error_rates_of_two_different_times_are_judged_by_trials(
    other: list[float], sent: int, verdict: CellVerdict
) -> None:
    baseline = [25.0, 24, 26, 27, 23, 25]
    cell = judge_unpaired(ERRORS, baseline, other, requests=([5000] * 6, [sent] * 7))
    assert cell.verdict is verdict
    assert cell.change_is == "difference"
    advice = capped(cell)
    assert advice.verdict is CellVerdict.INCONCLUSIVE
    assert ("would read" in advice.note) == (verdict is not CellVerdict.INCONCLUSIVE)


def test_no_error_at_two_different_times_is_bounded_by_the_rule_of_three() -> None:
    few, many = (judge_unpaired(ERRORS, [0.0] * 2, [0.0] * 2, requests=([n] * 2, [n] * 2)) for n in (100, 5000))
    assert (few.verdict, many.verdict) == (CellVerdict.INCONCLUSIVE, CellVerdict.NO_CHANGE)
    assert "rule of three" in many.note


@pytest.mark.parametrize(
    ("baseline", "requests"),
    [
        ([1.0, 2.0], None),
        ([1.0, 2.0], ([0, 0], [9, 9])),
        ([7.0, 9.0], ([5, 5], [9, 9])),
        ([3.0, 3.0], ([9, 9], [9, 9])),
    ],
)
def test_unpaired_errors_without_a_statistic_are_not_comparable(
    baseline: list[float], requests: tuple[list[int], list[int]] | None
) -> None:
    cell = judge_unpaired(ERRORS, baseline, [4.0, 4.0], requests=requests)
    assert capped(cell, gate_unpaired=True).verdict is CellVerdict.NOT_COMPARABLE


@pytest.mark.parametrize(
    ("baseline", "other"),
    [([0.1], [0.1]), ([0.1, math.nan], [0.1, 0.2]), ([0.1, 0.1], [0.1, 0.1]), ([0.0, 1.0], [1.0, 2.0])],
)
def test_unpaired_values_without_a_statistic_are_not_comparable(baseline: list[float], other: list[float]) -> None:
    assert capped(judge_unpaired(P95, baseline, other), gate_unpaired=True).verdict is CellVerdict.NOT_COMPARABLE


def test_a_run_compared_with_itself_never_differs() -> None:
    cell = judge_unpaired(P95, BASELINE, BASELINE)
    assert cell.change == 0
    assert not cell.verdict.changed


def test_a_faster_server_that_fails_more_is_not_faster() -> None:
    worse = errors([25, 22, 28, 24, 26, 25, 23, 27, 25, 24], [52, 47, 55, 49, 50, 44, 58, 51, 48, 53])
    slower = replace(p95(1.2), metric="p99")
    cells = without_undeserved_gains((worse, p95(0.8), slower))
    assert [cell.verdict for cell in cells] == [
        CellVerdict.REGRESSED,
        CellVerdict.NOT_COMPARABLE,
        CellVerdict.REGRESSED,
    ]
    assert "not credited (errors rose)" in cells[1].note
    assert without_undeserved_gains((p95(0.8),))[0].verdict is CellVerdict.IMPROVED


def test_cost_follows_from_the_rate_served_and_the_price() -> None:
    served = judge_cell(CAPACITY, BASELINE, candidate(0.8))
    same_price = derived_cost(COST, served, 0.4, 0.4)
    assert same_price.verdict is CellVerdict.REGRESSED
    assert same_price.change == pytest.approx(0.25)
    assert same_price.baseline == pytest.approx(1e6 * 0.4 / (3600 * 0.1), rel=0.01)
    assert derived_cost(COST, served, 0.4, 0.3).verdict is CellVerdict.IMPROVED
    assert "hourly price x0.75" in derived_cost(COST, served, 0.4, 0.3).note
    assert derived_cost(COST, served, 0.4, math.nan).verdict is CellVerdict.NOT_COMPARABLE
    nothing = judge_cell(CAPACITY, BASELINE, BASELINE)
    assert derived_cost(COST, nothing, 0.4, 0.4).verdict is CellVerdict.NOT_COMPARABLE
    bound = judge_cell(CAPACITY, BASELINE, candidate(0.8), censored=(1,))
    assert derived_cost(COST, bound, 0.4, 0.4).verdict is CellVerdict.INCONCLUSIVE


def test_only_fresh_pairs_confirm_and_all_flagged_cells_share_one_error_budget() -> None:
    sure, gone = p95(1.1), p95(1.0)
    barely = replace(p95(1.1), p_worse=0.02)
    assert flagged({"a": sure, "b": gone}) == ("a",)
    final = confirmed({"a": sure, "b": barely, "c": gone})
    assert final["a"].verdict is CellVerdict.REGRESSED
    assert final["a"].notes[0] == "confirmed on fresh pairs"
    assert final["b"].verdict is CellVerdict.INCONCLUSIVE
    assert final["c"].verdict is CellVerdict.NO_CHANGE
    assert final["c"].notes[0] == "not confirmed on fresh pairs"
    assert confirmed({"b": barely})["b"].verdict is CellVerdict.REGRESSED
    unknown = replace(sure, p_worse=None)
    assert confirmed({"a": unknown})["a"].verdict is CellVerdict.INCONCLUSIVE


def test_informational_cells_stand_out_only_beyond_the_chance_of_many_looks() -> None:
    cells = [replace(p95(1.0), p=p) for p in (0.001, 0.08, 0.5, None)]
    assert exploratory(cells) == (True, False, False, False)


def test_a_baseline_that_differs_from_itself_voids_the_session() -> None:
    assert null_control_failed([p95(1.0), replace(p95(0.9), metric="p99")]) == ("p99",)
    assert null_control_failed([judge_cell(P95, [], [])]) == ()


def test_the_place_in_a_pair_shows_where_servers_do_not() -> None:
    effect = position_effect(BASELINE, candidate(1.04))
    assert effect is not None
    assert effect.differs
    assert effect.change == pytest.approx(0.04)
    assert position_effect(BASELINE, BASELINE) is None
    assert position_effect(BASELINE, [0.0] * 10) is None


def test_a_drift_over_the_session_is_seen_and_a_slower_candidate_is_none() -> None:
    rng = np.random.default_rng(5)
    side = [bool(place % 2) for place in range(20)]
    rising = [math.exp(0.01 * place + 0.3 * side[place] + rng.normal(0, 0.005)) for place in range(20)]
    drift = session_slope(rising, side)
    assert drift is not None
    assert drift.differs
    assert drift.change == pytest.approx(math.expm1(0.19), abs=0.02)
    hours = np.linspace(0.0, 2.0, 20)
    at_times = session_slope(rising, side, list(hours))
    assert at_times is not None
    assert at_times.change == pytest.approx(drift.change)  # over the whole session, however long it took
    steady = session_slope([math.exp(0.3 * own + rng.normal(0, 0.005)) for own in side], side)
    assert steady is not None
    assert abs(steady.change) < 0.01
    assert session_slope([1.0, 2.0], [True, False]) is None
    assert session_slope([], []) is None
    assert session_slope([0.0] * 8, [True, False] * 4) is None


def test_flags_that_nearly_all_point_one_way_are_an_alarm() -> None:
    flat, worse, better = p95(1.0), p95(1.1), p95(0.9)
    assert one_sided_flags([flat] * 15 + [worse] * 6)
    assert not one_sided_flags([flat] * 15 + [worse] * 3 + [better] * 3)
    assert not one_sided_flags([worse] * 6)


any_value = some.one_of(some.none(), some.floats(allow_nan=True, allow_infinity=True), some.just(0.0))
any_values = some.lists(any_value, max_size=12)


@settings(max_examples=300)
@given(some.sampled_from(list(COMPARED.values())), any_values, any_values, some.integers(0, 100))
def test_whatever_the_values_a_verdict_stands_on_a_finite_interval_or_is_none(
    metric: object, baseline: list[float | None], other: list[float | None], requests: int
) -> None:
    cell = judge_cell(
        metric,  # type: ignore[arg-type]
        baseline,
        other,
        requests=([requests] * len(baseline), [requests] * len(other)),
    )
    if cell.verdict is not CellVerdict.NOT_COMPARABLE:
        assert len(baseline) == len(other) >= 6
        assert all(value is not None and math.isfinite(value) for value in (*baseline, *other))
        for number in (cell.change, cell.low, cell.high):
            assert number is not None
            assert math.isfinite(number)


positive = some.lists(some.tuples(some.floats(0.5, 2), some.floats(0.5, 2)), min_size=6, max_size=14)


@settings(max_examples=150)
@given(positive)
def test_what_is_worse_one_way_is_never_worse_the_other_way_too(pairs: list[tuple[float, float]]) -> None:
    forth = judge_cell(P95, [a for a, _ in pairs], [b for _, b in pairs])
    back = judge_cell(P95, [b for _, b in pairs], [a for a, _ in pairs])
    assert not (forth.verdict is back.verdict and forth.verdict.changed)
    if forth.verdict is CellVerdict.NOT_COMPARABLE:
        assert back.verdict is CellVerdict.NOT_COMPARABLE
