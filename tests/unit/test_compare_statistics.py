"""Known answers from scipy.stats and from tables, and what must hold for any values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats

from bench.compare import statistics as st

DIFFERENCES = np.array([0.031, -0.012, 0.054, 0.022, 0.013, 0.041, -0.003, 0.028, 0.019, 0.066])


def test_the_paired_interval_and_its_p_value_are_those_of_scipy() -> None:
    known: Any = stats.ttest_1samp(DIFFERENCES, 0.0)
    interval = known.confidence_interval(0.95)
    ours = st.paired_t(DIFFERENCES)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), rel=1e-12)
    assert ours.p == pytest.approx(known.pvalue, rel=1e-9)
    assert ours.p_above == pytest.approx(stats.ttest_1samp(DIFFERENCES, 0.0, alternative="greater").pvalue, rel=1e-9)
    assert (ours.mean, ours.sd, ours.n) == pytest.approx((DIFFERENCES.mean(), DIFFERENCES.std(ddof=1), 10))


def test_the_unpaired_interval_is_welchs_as_scipy_has_it() -> None:
    other = DIFFERENCES[:7] * 3 + 0.1
    known: Any = stats.ttest_ind(other, DIFFERENCES, equal_var=False)
    interval = known.confidence_interval(0.95)
    ours = st.welch(DIFFERENCES, other)
    assert (ours.low, ours.high, ours.p) == pytest.approx((interval.low, interval.high, known.pvalue), rel=1e-9)


def test_the_slope_is_that_of_scipy() -> None:
    places = np.arange(10.0)
    known: Any = stats.linregress(places, DIFFERENCES)
    ours = st.slope(places, DIFFERENCES)
    assert (ours.mean, ours.p) == pytest.approx((known.slope, known.pvalue), rel=1e-9)


@pytest.mark.parametrize("n", [6, 7, 8, 10, 12, 20, 25, 50, 60])
def test_the_rank_interval_rejects_zero_exactly_when_the_signed_rank_test_does(n: int) -> None:
    rng = np.random.default_rng(n)
    for shift in np.linspace(-1.2, 1.2, 25):
        values = rng.normal(shift, 1.0, n)
        p = float(stats.wilcoxon(values, method="exact" if n <= 50 else "approx").pvalue)
        _, low, high = st.hodges_lehmann(values)
        if n <= 50 or abs(p - 0.05) > 0.005:  # above 50 values both are approximations
            assert (low > 0 or high < 0) == (p <= 0.05)


def test_the_pseudo_median_is_the_median_of_all_pairwise_means() -> None:
    middle, _, _ = st.hodges_lehmann([1.0, 2.0, 6.0])
    assert middle == 2.75  # of 1, 1.5, 2, 3.5, 4, 6


def test_fewer_than_six_pairs_give_no_rank_interval() -> None:
    assert st.hodges_lehmann(DIFFERENCES[:5])[1:] == (-math.inf, math.inf)
    assert (st.minimum_p(5), st.minimum_p(6)) == (0.0625, 0.03125)


@pytest.mark.parametrize(
    ("change", "needed"),
    [
        (0.02, (11, 21, 34, 63, 101, 203, 395)),
        (0.05, (4, 6, 8, 13, 19, 35, 67)),
        (0.10, (3, 4, 4, 5, 7, 11, 19)),
    ],
)
def test_pairs_for_a_power_of_80_percent_are_those_of_the_table(change: float, needed: tuple[int, ...]) -> None:
    sds = (0.02, 0.03, 0.04, 0.055, 0.07, 0.10, 0.14)
    assert tuple(st.pairs_for(math.log1p(change), sd) for sd in sds) == needed


def test_power_counts_what_a_simulation_counts() -> None:
    draws = np.random.default_rng(3).normal(0.05, 0.055, (40_000, 10))
    _, low, _ = st.t_bounds(draws)
    assert float((low > 0).mean()) == pytest.approx(st.power(0.05, 0.055, 10), abs=0.01)


def test_ten_pairs_see_about_one_sd_and_twenty_two_thirds() -> None:
    assert [round(st.visible_sds(pairs), 2) for pairs in (10, 20)] == [1.0, 0.66]


@pytest.mark.parametrize(("sd", "pairs", "delta"), [(0.055, 10, 0.05), (0.02, 10, 0.05), (0.055, 20, 0.0)])
def test_the_smallest_visible_change_is_called_changed_in_four_of_five_sessions(
    sd: float, pairs: int, delta: float
) -> None:
    true = math.log1p(st.smallest_visible(sd, pairs, delta))
    mean, low, _ = st.t_bounds(np.random.default_rng(4).normal(true, sd, (40_000, pairs)))
    called = (low > 0) & (mean >= math.log1p(delta))
    assert 0.75 <= float(called.mean()) <= 0.85


@pytest.mark.parametrize(("pairs", "factor"), [(20, 1.46), (10, 1.83), (5, 2.87)])
def test_an_sd_from_few_pairs_is_widened_to_its_upper_bound(pairs: int, factor: float) -> None:
    assert round(st.sd_upper_factor(pairs), 2) == factor


def test_the_noise_floor_is_the_half_width_of_an_interval_with_that_upper_bound() -> None:
    assert st.noise_floor(0.03, 20, 10) == pytest.approx(math.expm1(2.2622 * 1.4606 * 0.03 / math.sqrt(10)), rel=1e-4)


def test_holm_rejects_step_by_step_and_stops_at_the_first_that_holds() -> None:
    assert st.holm([0.001, 0.02, 0.009, 0.8], alpha=0.025) == (True, False, False, False)
    assert st.holm([0.001, 0.012, 0.005, 0.02], alpha=0.025) == (True, True, True, True)
    assert st.holm([math.nan], alpha=0.025) == (False,)
    assert st.holm([]) == ()


def test_benjamini_hochberg_is_that_of_scipy() -> None:
    p = [0.001, 0.3, 0.04, 0.012, 0.9, 0.06]
    adjusted = stats.false_discovery_control(p)
    assert st.benjamini_hochberg(p, 0.10) == tuple(bool(value <= 0.10) for value in adjusted)


def test_no_event_among_sixty_bounds_its_share_below_five_percent() -> None:
    assert st.rule_of_three(60) == pytest.approx(0.0487, abs=1e-4) == st.binomial_upper(0, 60)
    assert [k for k in (4, 5) if st.binomial_upper(k, 200) <= 0.05] == [4]
    assert st.binomial_upper(3, 3) == 1.0


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 20), (20, 20)])
def test_the_exact_interval_of_a_share_is_that_of_scipy(k: int, n: int) -> None:
    known = stats.binomtest(k, n).proportion_ci(0.95, "exact")
    assert st.binomial_bounds(k, n) == pytest.approx((known.low, known.high), abs=1e-12)


@pytest.mark.parametrize("values", [[], [0.1], [0.1] * 10, [0.1, math.nan, 0.3], [0.1, math.inf, 0.3]])
def test_what_gives_no_interval_is_an_error_and_no_number(values: list[float]) -> None:
    with pytest.raises(ValueError, match="at least two finite values"):
        st.paired_t(values)
    with pytest.raises(ValueError, match="Welch"):
        st.welch(values, values)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: st.power(0.1, 0.0, 10), "power needs"),
        (lambda: st.pairs_for(0.0, 0.1), "above zero"),
        (lambda: st.sd_upper_factor(1), "two pairs"),
        (lambda: st.rule_of_three(0), "no trials"),
        (lambda: st.binomial_upper(3, 2), "no share"),
        (lambda: st.binomial_bounds(-1, 2), "no share"),
        (lambda: st.slope([1, 1, 1, 1], [1, 2, 3, 4]), "different places"),
        (lambda: st.slope([1, 2, 3, 4], [1, 2, 3, 4]), "no spread"),
    ],
)
def test_a_question_without_an_answer_is_an_error(call: Any, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        call()


def test_the_farthest_value_is_an_outlier_only_if_it_is_far() -> None:
    assert st.outlying_pair([0.01, 0.02, 0.015, 0.5, 0.012, 0.018]) == 3
    assert st.outlying_pair(DIFFERENCES) is None
    assert st.outlying_pair([0.0, 0.0, 0.0, 0.1]) == 3
    assert st.outlying_pair([0.2, 0.2]) is None


numbers = some.floats(-3, 3, allow_nan=False).map(lambda value: round(value, 6))


@settings(max_examples=100)
@given(some.lists(numbers, min_size=6, max_size=25))
def test_the_interval_encloses_its_mean_and_turns_with_the_signs(values: list[float]) -> None:
    if st.constant(np.asarray(values)):
        return
    one, mirrored = st.paired_t(values), st.paired_t([-value for value in values])
    assert one.low <= one.mean <= one.high
    assert (mirrored.low, mirrored.high) == pytest.approx((-one.high, -one.low))
    assert 0 <= one.p <= 1
    assert one.excludes_zero == (one.p < 0.05) or one.p == pytest.approx(0.05, abs=1e-9)


@settings(max_examples=60)
@given(some.floats(0.001, 0.5), some.floats(0.005, 0.3))
def test_the_pairs_that_are_needed_give_the_power_and_one_fewer_does_not(effect: float, sd: float) -> None:
    needed = st.pairs_for(effect, sd)
    if needed < st.MOST_PAIRS:
        assert st.power(effect, sd, needed) >= st.POWER
        assert needed == 2 or st.power(effect, sd, needed - 1) < st.POWER


@settings(max_examples=60)
@given(some.floats(0.001, 0.5), some.floats(0.005, 0.3))
def test_the_pairs_for_a_width_give_that_width(half_width: float, sd: float) -> None:
    needed = st.pairs_for_half_width(half_width, sd)
    if needed < st.MOST_PAIRS:
        assert st.t_quantile(needed - 1) * sd / math.sqrt(needed) <= half_width
    assert st.pairs_for_half_width(0.0, sd) == st.MOST_PAIRS


@settings(max_examples=60)
@given(some.lists(some.floats(0, 1), max_size=12))
def test_holm_never_rejects_what_alone_would_hold_and_always_what_all_would_reject(p: list[float]) -> None:
    for value, rejected in zip(p, st.holm(p), strict=True):
        assert not rejected or value <= st.FAMILY_ALPHA
        assert rejected or value > st.FAMILY_ALPHA / len(p)
