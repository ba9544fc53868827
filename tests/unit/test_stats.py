"""Percentiles are values that occurred, and their intervals hold the truth as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measures.stats import (
    median_interval,
    nearest_rank,
    percentile,
    percentile_interval,
    percentiles,
    values_needed,
)

VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=200).map(np.asarray)
SHARES = st.sampled_from([0.01, 0.5, 0.55, 0.9, 0.95, 0.99, 0.999, 1.0])


@given(values=VALUES, share=SHARES)
def test_a_percentile_is_one_of_the_values_and_enough_of_them_lie_at_or_below_it(
    values: np.ndarray[tuple[int], np.dtype[np.float64]], share: float
) -> None:
    found = percentile(values, share)
    assert found in values
    assert np.count_nonzero(values <= found) >= share * len(values) - 1e-6
    assert np.count_nonzero(values < found) < share * len(values)


def test_the_nearest_rank_is_that_of_exact_arithmetic() -> None:
    assert nearest_rank(0.55, 100) == 54  # 0.55 * 100 is above 55 in floating point
    for n in (1, 7, 100, 1000, 12345):
        for thousandths in (500, 550, 900, 950, 990, 999):
            assert nearest_rank(thousandths / 1000, n) == -(-thousandths * n // 1000) - 1


def test_a_percentile_of_nothing_is_not_a_number_and_one_of_lost_replies_is_infinite() -> None:
    assert math.isnan(percentile(np.zeros(0), 0.5))
    assert percentiles(np.asarray([1.0, math.inf]), (0.5, 0.95)) == (1.0, math.inf)


def test_percentiles_are_shown_from_the_numbers_of_requests_that_the_contract_names() -> None:
    assert [values_needed(share) for share in (0.5, 0.9, 0.95, 0.99, 0.999)] == [11, 64, 130, 662, 6636]


@pytest.mark.parametrize(("share", "n"), [(0.5, 40), (0.95, 130), (0.95, 700), (0.99, 2000)])
def test_the_interval_of_a_percentile_holds_the_true_one_in_at_least_95_of_100_draws(share: float, n: int) -> None:
    rng = np.random.default_rng(5)
    truth = -math.log(1 - share)  # of the exponential distribution
    draws = 1500
    held = 0
    for _ in range(draws):
        interval = percentile_interval(rng.exponential(1.0, n), share)
        low = -math.inf if interval.low is None else interval.low
        high = math.inf if interval.high is None else interval.high
        held += low <= truth <= high
    assert held / draws > 0.935  # three standard errors below 0.95
    assert held / draws < 0.995  # an interval that always holds says nothing


@given(values=VALUES, share=st.sampled_from([0.5, 0.9, 0.95]))
def test_an_interval_encloses_its_value(values: np.ndarray[tuple[int], np.dtype[np.float64]], share: float) -> None:
    interval = percentile_interval(values, share)
    assert interval.value == percentile(values, share)
    assert interval.low is None or interval.low <= percentile(values, share)
    assert interval.high is None or interval.high >= percentile(values, share)


def test_an_end_that_so_few_values_cannot_give_is_missing_and_the_basis_says_so() -> None:
    interval = percentile_interval(np.arange(50.0), 0.95)
    assert interval.low is not None
    assert interval.high is None
    assert "too few" in interval.basis


def test_a_median_of_five_trials_has_no_interval_and_one_of_six_is_their_range() -> None:
    five = median_interval(np.asarray([5.0, 1, 2, 3, 4]))
    assert (five.value, five.low, five.high) == (3, None, None)
    assert "need at least 6 trials" in five.basis
    six = median_interval(np.asarray([6.0, 5, 1, 2, 3, 4]))
    assert (six.value, six.low, six.high) == (3.5, 1, 6)
    with pytest.raises(ValueError, match="no median"):
        median_interval(np.zeros(0))
