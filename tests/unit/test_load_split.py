"""A trial that is shared among workers is the trial that one would have driven."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bench.load.split import arrivals_of, most_in_flight, shares, users_for, worker_of, workers_needed, workers_wanted
from bench.profiles import Closed, Poisson

schedules = st.builds(
    lambda rate, seed: np.fromiter(Poisson(arrival_rate=rate, duration=2.0).send_times(0.5, Random(seed)), np.float64),
    st.floats(0.5, 300),
    st.integers(0, 2**32),
)
parts = st.integers(1, 9)


@given(schedule=schedules, parts=parts)
def test_every_arrival_goes_to_exactly_one_worker_and_keeps_its_number(schedule: np.ndarray, parts: int) -> None:
    again = np.full(len(schedule), np.nan)
    for index in range(parts):
        own = arrivals_of(schedule, index, parts)
        numbers = index + parts * np.arange(len(own))  # what the worker computes from `first` and `step`
        assert np.all(np.diff(own) > 0)
        assert np.all(np.isnan(again[numbers]))
        assert np.all(worker_of(numbers, parts) == index)
        again[numbers] = own
    assert np.array_equal(again, schedule)


@given(schedule=schedules, parts=parts, payloads=st.integers(1, 7))
def test_the_photos_are_those_that_one_worker_would_send(schedule: np.ndarray, parts: int, payloads: int) -> None:
    sent = [
        (at, (index + number * parts) % payloads)
        for index in range(parts)
        for number, at in enumerate(arrivals_of(schedule, index, parts))
    ]
    assert sorted(sent) == [(at, number % payloads) for number, at in enumerate(schedule)]


@given(users=st.integers(1, 10_000), parts=st.integers(1, 300))
def test_users_are_split_as_evenly_as_it_goes_and_no_worker_is_idle(users: int, parts: int) -> None:
    split = shares(users, parts)
    assert sum(split) == users
    assert max(split) - min(split) <= 1
    assert min(split) >= 1
    assert len(split) == min(users, parts)


@given(schedule=schedules, parts=parts, timeout=st.floats(0.01, 5))
def test_workers_together_hold_at_least_as_many_requests_as_one_would(
    schedule: np.ndarray, parts: int, timeout: float
) -> None:
    together = sum(users_for(arrivals_of(schedule, index, parts), timeout) for index in range(parts))
    assert together >= users_for(schedule, timeout)


@given(rate=st.floats(0, 1e6), ceiling=st.floats(1, 1e5), cores=st.integers(1, 256))
def test_a_worker_is_asked_for_half_its_ceiling_unless_the_cores_are_used_up(
    rate: float, ceiling: float, cores: int
) -> None:
    chosen, wanted = workers_needed(rate, ceiling, cores), workers_wanted(rate, ceiling)
    assert 1 <= chosen <= max(1, cores - 1)
    assert chosen == wanted or chosen == max(1, cores - 1) < wanted
    assert wanted * ceiling / 2 >= rate * (1 - 1e-9)
    assert wanted == 1 or (wanted - 1) * ceiling / 2 < rate


def test_workers_for_rates_that_people_ask_for() -> None:
    assert workers_needed(0, 20_000, 16) == 1
    assert workers_needed(10_000, 20_000, 16) == 1
    assert workers_needed(10_001, 20_000, 16) == 2
    assert workers_needed(95_000, 20_000, 16) == 10
    assert workers_needed(95_000, 20_000, 2) == 1
    assert workers_needed(95_000, 20_000, 1) == 1


def test_as_many_requests_are_in_flight_as_there_are_users_or_arrive_within_one_time_out() -> None:
    assert most_in_flight(Closed(users=8, duration=1.0), 10.0) == 8
    assert most_in_flight(Poisson(arrival_rate=5.0, duration=1.0), 10.0) == 50
    assert most_in_flight(Poisson(arrival_rate=1e5, duration=1.0), 10.0) == 4096
