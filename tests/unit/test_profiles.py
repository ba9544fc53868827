from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.profiles import PROFILES, Capacity, Closed, Poisson


def test_several_users_or_rates_are_several_load_points() -> None:
    closed = Closed(users=(1, 8), duration=5.0)
    poisson = Poisson(arrival_rate=(1.0, 2.5), duration=5.0)
    assert [point.label for point in closed.points()] == ["closed-1", "closed-8"]
    assert [point.label for point in poisson.points()] == ["poisson-1", "poisson-2.5"]
    assert [point.label for point in Capacity(duration=1.0).points()] == ["capacity"]
    assert {point.duration for point in closed.points()} == {point.duration for point in poisson.points()} == {5.0}


def test_only_a_closed_loop_waits_for_replies() -> None:
    assert {name: profile.open_loop for name, profile in PROFILES.items()} == {
        "closed": False,
        "poisson": True,
        "capacity": True,
    }


@given(rate=st.floats(0.1, 1e3), seed=st.integers(0, 2**32))
def test_the_schedule_ascends_stays_inside_the_window_and_repeats(rate: float, seed: int) -> None:
    first, again = (list(Poisson(arrival_rate=rate, duration=1.0).send_times(1.0, Random(seed))) for _ in range(2))
    assert first == again == sorted(first)
    assert all(0 <= at < 1.0 for at in first)


def test_arrivals_come_at_the_rate_that_was_asked() -> None:
    times = list(Poisson(arrival_rate=50.0, duration=400.0).send_times(400.0, Random(1)))
    assert len(times) / 400 == pytest.approx(50, rel=0.03)


def test_a_schedule_belongs_to_one_rate() -> None:
    with pytest.raises(TypeError, match="one load point"):
        list(Poisson(arrival_rate=(1.0, 2.0), duration=1.0).send_times(1.0, Random(1)))
