"""The end of a warm-up is found where it is, and a steady series has none."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measures.steady import PAIRS, Trace, change, settled, still_warming


def steady(n: int, seed: int, spread: float = 0.2) -> list[float]:
    rng = Random(seed)
    return [0.1 * math.exp(rng.gauss(0, spread)) for _ in range(n)]


def step(n: int, until: int, factor: float, seed: int = 1) -> list[float]:
    return [value * (factor if place < until else 1) for place, value in enumerate(steady(n, seed))]


@pytest.mark.parametrize("spread", [0.02, 0.2, 1.0])
def test_a_steady_series_is_hardly_ever_cut(spread: float) -> None:
    cut = [settled(steady(200, seed, spread)) for seed in range(300)]
    assert sum(place > 0 for place in cut) <= 3


def test_queues_that_come_and_go_are_cut_only_now_and_then() -> None:
    # One server at 50 %: waits hang together, so ranks find changes that are none; the checks look at others.
    cut = 0
    for seed in range(100):
        rng, wait, waits = Random(seed), 0.0, []
        for _ in range(200):
            wait = max(0.0, wait + rng.expovariate(1) - rng.expovariate(0.5))
            waits.append(wait + rng.expovariate(1))
        cut += settled(waits) > 0
    assert cut <= 25


@pytest.mark.parametrize("until", [10, 30, 60, 100])
@pytest.mark.parametrize("factor", [1.5, 3.0, 20.0])
def test_a_slow_beginning_ends_where_it_ends(until: int, factor: float) -> None:
    assert abs(settled(step(200, until, factor)) - until) <= 3


def test_a_decaying_beginning_is_cut_until_what_is_left_of_it_is_small() -> None:
    values = [value * (1 + 4 * math.exp(-place / 20)) for place, value in enumerate(steady(300, 4, 0.05))]
    cut = settled(values)
    assert 40 <= cut <= 120
    assert 1 + 4 * math.exp(-cut / 20) < 1.3


def test_the_first_few_requests_alone_are_cut_when_they_are_far_slower() -> None:
    values = steady(200, 5)
    assert settled([1.7, 1.7, 1.6, 1.7, *values]) == 4
    assert settled([1.7, *values]) == 0  # one slow request may come at any time


def test_a_server_that_gets_slower_has_no_warm_up_but_a_change() -> None:
    slower = [value * (1.5 if place >= 120 else 1) for place, value in enumerate(steady(200, 6))]
    assert settled(slower) == 0
    found = change(slower, slower_first=False)
    assert found is not None
    assert abs(found - 120) <= 3


@given(st.lists(st.floats(0, 1e6), max_size=80))
def test_a_cut_lies_inside_the_series_and_equal_values_have_none(values: list[float]) -> None:
    assert 0 <= settled(values) <= max(0, len(values) - 1)
    assert settled([1.0] * len(values)) == 0


def test_too_few_requests_prove_nothing() -> None:
    assert still_warming([(0.1 * n, 0.1) for n in range(19)])


def test_a_warm_up_ends_once_its_last_third_is_steady() -> None:
    def at(seconds: float) -> list[tuple[float, float]]:
        noise = steady(int(seconds * 20), 7)
        return [(n / 20, value * (4 if n / 20 < 5 else 1)) for n, value in enumerate(noise)]

    assert still_warming(at(4) + at(6)[80:])
    assert still_warming(at(6.5))
    assert not still_warming(at(8.5))
    assert not still_warming(list(reversed(at(8.5))))


def test_a_steady_server_needs_no_longer_warm_up() -> None:
    going_on = [still_warming([(n / 50, v) for n, v in enumerate(steady(150, seed))]) for seed in range(200)]
    assert sum(going_on) <= 2


@given(st.integers(0, 5000))
def test_a_trace_keeps_few_pairs_spread_evenly_over_all(n: int) -> None:
    trace = Trace()
    for number in range(n):
        trace.add(float(number), 0.1)
    kept = [at for at, _ in trace.pairs]
    assert len(kept) <= PAIRS
    assert len(kept) >= min(n, PAIRS // 2)
    assert len({b - a for a, b in pairwise(kept)}) <= 1
    assert not n or (kept[0] == 0 and kept[-1] > n - 1 - n / (PAIRS / 2))


def test_the_generator_can_ask_without_numpy() -> None:
    code = "import sys, bench.measures.steady; print('numpy' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
