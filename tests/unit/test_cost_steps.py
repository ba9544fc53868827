"""Whole replicas, their staircases, and the rates at which the choice flips: exact at every step."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cost import (
    Option,
    cheapest_by_rate,
    per_hour_at,
    per_million,
    replicas_for,
    stairs,
    usable_rate,
)
from bench.cost.steps import SAME, cheapest_at

RATES = st.floats(0.01, 5e4, allow_nan=False)
OPTIONS = st.builds(Option, usable=st.floats(0.1, 500), per_hour=st.floats(0.01, 20))
ROUND = st.builds(
    Option, usable=st.sampled_from([1.0, 2.5, 7.0, 10.0, 12.0, 100.0]), per_hour=st.sampled_from([0.1, 0.2, 0.3, 0.75])
)


def test_a_replica_is_given_its_capacity_less_the_headroom() -> None:
    assert usable_rate(100.0, 0.3) == pytest.approx(70.0)
    assert usable_rate(None, 0.3) is None
    assert usable_rate(0.0, 0.3) is None
    assert usable_rate(10.0, 1.0) is None


def test_whole_replicas_are_counted_up_and_exactly_at_the_step() -> None:
    assert [replicas_for(rate, 10.0) for rate in (0.1, 10.0, 10.000001, 20.0, 21.0)] == [1, 1, 2, 2, 3]
    assert replicas_for(3 * 0.1, 0.1) == 3


@pytest.mark.parametrize(
    ("rate", "usable"), [(1.0, 0.0), (0.0, 1.0), (math.inf, 1.0), (1e300, 1e-300), (math.nan, 1.0)]
)
def test_what_no_number_of_replicas_serves_is_refused(rate: float, usable: float) -> None:
    with pytest.raises(ValueError, match="no number of replicas"):
        replicas_for(rate, usable)


@given(rate=RATES, usable=st.floats(0.01, 1e4))
def test_replicas_reach_the_traffic_and_one_fewer_would_not(rate: float, usable: float) -> None:
    count = replicas_for(rate, usable)
    assert count * usable >= rate
    assert count == 1 or (count - 1) * usable < rate


@given(rates=st.lists(RATES, min_size=2, max_size=10), option=OPTIONS, spare=st.integers(0, 3))
def test_more_traffic_never_costs_less(rates: list[float], option: Option, spare: int) -> None:
    costs = [per_hour_at(rate, option, spare) for rate in sorted(rates)]
    assert costs == sorted(costs)


@given(option=OPTIONS, spare=st.integers(0, 3), steps=st.floats(0.1, 40))
def test_the_stairs_join_rise_by_one_replica_and_agree_with_the_cost_at_a_rate(
    option: Option, spare: int, steps: float
) -> None:
    found = stairs(option, spare, steps * option.usable)
    assert found[0].above == 0
    assert found[-1].up_to == steps * option.usable
    for one, other in pairwise(found):
        assert one.up_to == other.above
        assert other.replicas == one.replicas + 1
    for step in found:
        assert step.per_hour == pytest.approx(per_hour_at((step.above + step.up_to) / 2, option, spare))


@settings(max_examples=60)
@given(options=st.lists(OPTIONS | ROUND, min_size=1, max_size=4), spare=st.integers(0, 2), at=st.floats(0.001, 0.999))
def test_each_stretch_names_what_costs_least_on_all_of_it_and_the_choice_changes_exactly_at_its_ends(
    options: list[Option], spare: int, at: float
) -> None:
    found = cheapest_by_rate(options, spare)
    assert found[0].above == 0
    for one, other in pairwise(found):
        assert one.up_to == other.above
        assert one.cheapest != other.cheapest
    for stretch in found:
        end = stretch.up_to if stretch.up_to is not None else 3 * max(stretch.above, *(o.usable for o in options))
        middle = stretch.above + at * (end - stretch.above)
        step = min(abs(middle / o.usable - round(middle / o.usable)) for o in options)
        if step > 1e-6:  # on a step itself the roundings of two servers decide
            assert cheapest_at(middle, options, spare) == stretch.cheapest
        if stretch.up_to is not None:
            assert cheapest_at(stretch.up_to * (1 - 2 * SAME), options, spare) == stretch.cheapest
    for one, other in pairwise(found):
        if one.up_to is not None:
            assert cheapest_at(one.up_to * (1 + 2 * SAME), options, spare) == other.cheapest


@given(options=st.lists(OPTIONS, min_size=1, max_size=4), spare=st.integers(0, 2), far=st.floats(1, 50))
def test_beyond_the_last_flip_the_cheapest_in_the_long_run_stays_alone(
    options: list[Option], spare: int, far: float
) -> None:
    last = cheapest_by_rate(options, spare)[-1]
    if last.up_to is None:
        assert cheapest_at(far * max(1.0, last.above * (1 + 1e-6)), options, spare) == last.cheapest or far < 1.001
        assert len(last.cheapest) == 1


def test_a_small_server_wins_below_and_a_large_one_above() -> None:
    small, large = Option(usable=10, per_hour=1.0), Option(usable=100, per_hour=3.0)
    below, same, above = cheapest_by_rate([small, large], 0)
    assert (below.above, below.up_to, below.cheapest) == (0, 20, (0,))
    assert (same.up_to, same.cheapest) == (30, (0, 1))  # three small ones cost what a large one does
    assert (above.up_to, above.cheapest) == (None, (1,))


def test_servers_alike_cost_the_same_at_every_rate_that_was_looked_at() -> None:
    (only,) = cheapest_by_rate([Option(10, 1.0), Option(10, 1.0)], 1)
    assert only.cheapest == (0, 1)
    assert only.up_to is not None


def test_no_options_give_no_stretches() -> None:
    assert cheapest_by_rate([], 1) == ()


def test_a_million_requests_cost_the_hours_that_serve_them() -> None:
    assert per_million(3.6, 1000.0) == pytest.approx(1.0)
    assert per_million(3.6, 0.0) is None
    assert per_million(3.6, None) is None
