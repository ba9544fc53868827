from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.measures.capacity import Look, Result, Search, capacity_of, capacity_text, next_rate
from bench.measures.stats import Interval, percentile

MET, MISSED, UNTOLD = Result.MET, Result.MISSED, Result.UNTOLD
Answer = Callable[[float, int], Look]
"""What a server says to a look at a rate, the n-th one."""


def search(
    start: float = 10.0, *, low: float = 0.1, high: float = 1e4, precision: float = 0.05, looks: int = 12
) -> Search:
    return Search(start, low, high, precision, looks)


def looked(plan: Search, answer: Answer) -> list[Look]:
    looks: list[Look] = []
    while (rate := next_rate(plan, looks)) is not None:
        looks.append(answer(rate, len(looks)))
        assert len(looks) <= plan.most_looks
    return looks


def cliff(edge: float) -> Answer:
    """A server that meets the SLO below its edge, and misses it above, for a reason that has no ratio."""
    return lambda rate, _: Look(rate, MET if rate <= edge else MISSED)


def queue(rate: float, seconds: float, seed: str, *, service: float, workers: int) -> float:
    """p95 of response time of `workers` servers of fixed speed with one queue, after a second of warm-up."""
    rng, at, free = Random(seed), 0.0, [0.0] * workers
    times = []
    while (at := at + rng.expovariate(1.0) / rate) < seconds + 1:
        done = max(at, free[0]) + service
        heapq.heapreplace(free, done)
        if at >= 1:
            times.append(done - at)
    return percentile(np.array(times), 0.95)


def queueing(seed: int, seconds: float, *, service: float, workers: int, limit: float) -> Answer:
    def answer(rate: float, number: int) -> Look:
        ratio = queue(rate, seconds, f"{seed}/{number}", service=service, workers=workers) / limit
        return Look(rate, MET if ratio <= 1 else MISSED, ratio=ratio)

    return answer


@settings(max_examples=30)
@given(edge=st.floats(0.5, 2_000), start=st.floats(0.5, 2_000))
def test_a_sharp_edge_is_found_and_lies_within_the_interval(edge: float, start: float) -> None:
    found = capacity_of(looked(search(start, looks=30), cliff(edge)))
    assert found.value == pytest.approx(edge, rel=0.12)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= edge <= found.high


@settings(max_examples=30)
@given(edge=st.floats(0.2, 5_000), start=st.floats(0.2, 5_000), most=st.integers(2, 15))
def test_a_search_never_takes_more_looks_than_it_may(edge: float, start: float, most: int) -> None:
    assert len(looked(search(start, looks=most), cliff(edge))) <= most


def test_the_search_doubles_until_the_edge_is_enclosed_then_closes_in() -> None:
    rates = [look.rate for look in looked(search(10.0, looks=8), cliff(100.0))]
    assert rates[:5] == [10.0, 14.1, 28.2, 56.4, 113.0]
    assert all(50 < rate < 120 for rate in rates[5:])


def test_a_search_that_begins_too_high_goes_down() -> None:
    rates = [look.rate for look in looked(search(100.0, looks=6), cliff(20.0))]
    assert rates[:4] == [100.0, 70.7, 35.4, 17.7]


def test_a_search_ends_early_once_the_interval_is_tight_enough() -> None:
    def sharp(rate: float, _: int) -> Look:
        ratio = (rate / 50.0) ** 3
        return Look(rate, MET if ratio <= 1 else MISSED, ratio=ratio)

    looks = looked(search(40.0, precision=0.1, looks=40), sharp)
    found = capacity_of(looks)
    assert len(looks) < 15
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low >= 0.9 * found.value
    assert found.high <= 1.1 * found.value
    assert found.low <= 50 <= found.high


def test_a_capacity_above_the_range_is_said_to_be_above() -> None:
    looks = looked(search(10.0, high=50.0), cliff(1e9))
    assert [look.rate for look in looks][-2:] == [50.0, 50.0]
    assert capacity_of(looks) == Interval(50.0, 50.0, None, "above 50.0/s: 5 looks, met up to 50.0/s, none missed")
    assert capacity_text(capacity_of(looks)) == "above 50.0/s"


def test_a_capacity_below_the_range_is_said_to_be_below() -> None:
    looks = looked(search(10.0, low=4.0), cliff(0.1))
    found = capacity_of(looks)
    assert (found.value, found.low, found.high) == (None, None, 4.0)
    assert capacity_text(found) == "below 4.00/s"
    assert found.basis.startswith("below 4.00/s: ")


def test_one_disturbed_look_at_the_end_of_the_range_does_not_decide() -> None:
    def disturbed(rate: float, number: int) -> Look:
        return Look(rate, MISSED if number == 0 or rate > 30 else MET)

    found = capacity_of(looked(search(10.0, low=10.0), disturbed))
    assert found.value is not None
    assert found.value > 10


def test_the_interval_holds_the_highest_rate_met_and_the_lowest_missed() -> None:
    looks = [Look(10.0, MET), Look(14.0, MISSED), Look(20.0, MET), Look(28.0, MISSED)]
    found = capacity_of(looks)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 14.0
    assert found.high >= 20.0


@given(
    st.permutations([Look(10.0, MET), Look(14.0, MISSED), Look(12.0, MET, ratio=0.9), Look(13.0, MISSED, ratio=1.1)])
)
def test_the_order_of_the_looks_changes_nothing(looks: list[Look]) -> None:
    found, same = capacity_of(looks), capacity_of(sorted(looks, key=lambda look: look.rate))
    assert found.value == pytest.approx(same.value)
    assert found.low == pytest.approx(same.low)
    assert found.high == pytest.approx(same.high)


def test_more_looks_that_agree_make_the_interval_narrower() -> None:
    few = [Look(9.0, MET, ratio=0.8), Look(11.0, MISSED, ratio=1.25)]
    widths = []
    for looks in (few, few * 4):
        found = capacity_of(looks)
        assert found.low is not None
        assert found.high is not None
        widths.append(found.high - found.low)
    assert widths[1] < widths[0]


def test_a_look_that_cannot_be_told_moves_no_estimate_and_is_not_asked_again() -> None:
    looks = [Look(10.0, MET), Look(20.0, UNTOLD, "the load generator was late")]
    rate = next_rate(search(), looks)
    assert rate is not None
    assert rate < 15
    assert capacity_of(looks).value == capacity_of(looks[:1]).value


def test_a_search_that_cannot_tell_anything_ends_and_says_why() -> None:
    looks = looked(search(), lambda rate, _: Look(rate, UNTOLD, "rows are missing"))
    assert len(looks) == 3
    assert capacity_of(looks) == Interval(None, basis="no look could be judged: rows are missing")
    assert capacity_text(capacity_of(looks)) == "-"


def test_a_generator_at_its_limit_leaves_a_capacity_above_what_it_could_send() -> None:
    looks = looked(search(10.0), lambda rate, _: Look(rate, MET if rate < 100 else UNTOLD, "late"))
    found = capacity_of(looks)
    assert found.high is None
    assert found.value is not None
    assert 50 < found.value < 100


def test_the_capacity_of_a_queue_is_found_with_noise_and_its_interval_holds_it() -> None:
    edge = 70.4  # of 2 workers of 20 ms: p95 of half a million requests is 60 ms there
    long = [queue(rate, 4_000.0, "long", service=0.02, workers=2) / 0.06 for rate in (0.98 * edge, 1.02 * edge)]
    assert long[0] < 1 < long[1]
    errors, covered = [], 0
    for seed in range(40):
        start = 70 * (0.7 + 0.6 * Random(seed).random())
        looks = looked(search(start), queueing(seed, 20.0, service=0.02, workers=2, limit=0.06))
        found = capacity_of(looks)
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        errors.append(abs(found.value / edge - 1))
        covered += found.low <= edge <= found.high
        assert (found.high - found.low) / found.value < 0.4
    assert sum(error <= 0.05 for error in errors) >= 36
    assert covered >= 36


def test_few_short_looks_give_a_wide_interval_rather_than_a_wrong_one() -> None:
    edge, covered, widths = 70.4, 0, []
    for seed in range(40):
        looks = looked(search(70.0, looks=4), queueing(seed, 5.0, service=0.02, workers=2, limit=0.06))
        found = capacity_of(looks)
        low, high = found.low or 0.0, found.high or math.inf
        covered += low <= edge <= high
        widths.append((high - low) / edge)
    assert covered >= 34
    assert sorted(widths)[20] > 0.15
