from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.profiles import (
    PROFILES,
    Capacity,
    Closed,
    Constant,
    Gamma,
    OpenLoop,
    Poisson,
    Ramp,
    Replay,
    Spike,
    Steps,
    Swap,
    has_schedule,
)
from bench.units import UnitError

rates = st.floats(0.1, 200)
seconds = st.floats(0.05, 5)
warmups = st.just(0.0) | st.floats(0.01, 3)
seeds = st.integers(0, 2**32)

Intensity = Callable[[float], float]
"""Requests to expect until so many seconds after the end of the warm-up; linear before it."""


def _spike(low: float, extra: float, duration: float, at: float, length: float) -> Spike:
    return Spike(
        arrival_rate=low,
        peak_rate=low + extra,
        duration=duration,
        spike_at=at * duration,
        spike_duration=length * (1 - at) * duration,
    )


random_ones = st.one_of(
    st.builds(Poisson, arrival_rate=rates, duration=seconds),
    st.builds(Steps, arrival_rates=st.lists(rates, min_size=1, max_size=4).map(tuple), step=seconds),
    st.builds(Ramp, from_rate=rates, to_rate=rates, duration=seconds),
    st.builds(_spike, rates, rates, seconds, st.floats(0, 0.9), st.floats(0.01, 1)),
)
open_loops = st.one_of(
    random_ones,
    st.builds(Constant, arrival_rate=rates, duration=seconds),
    st.builds(Swap, arrival_rate=rates, duration=seconds),
    st.builds(Gamma, arrival_rate=rates, burstiness=st.floats(0.01, 10), duration=seconds),
)


def _times(point: OpenLoop, warmup: float = 0.0, seed: int = 1) -> list[float]:
    return list(point.send_times(warmup, Random(seed)))


def _window(point: OpenLoop, warmup: float, seed: int) -> list[float]:
    return [at - warmup for at in _times(point, warmup, seed) if at >= warmup]


def _tail(count: int, expected: float) -> float:
    """Probability that a Poisson count is as far out as this one, on its side of the mean."""
    share = [math.exp(n * math.log(expected) - expected - math.lgamma(n + 1)) for n in range(int(3 * expected) + 60)]
    return math.fsum(share[: count + 1] if count < expected else share[count:])


def _distance_from_exponential(values: NDArray[np.float64]) -> float:
    """Largest difference between the values' distribution and the exponential one of mean 1 (Kolmogorov-Smirnov)."""
    expected, n = 1 - np.exp(-np.sort(values)), len(values)
    above, below = np.arange(1, n + 1) / n - expected, expected - np.arange(n) / n
    return float(max(above.max(), below.max()))


def test_several_users_or_rates_are_several_load_points() -> None:
    closed = Closed(users=(1, 8), duration=5.0)
    assert [point.label for point in closed.points()] == ["closed-1", "closed-8"]
    assert [point.label for point in Poisson(arrival_rate=(1.0, 2.5), duration=5.0).points()] == [
        "poisson-1",
        "poisson-2.5",
    ]
    assert [point.label for point in Constant(arrival_rate=(4.0,), duration=5.0).points()] == ["constant-4"]
    assert [point.label for point in Gamma(arrival_rate=(1.0, 2.0), burstiness=3, duration=5.0).points()] == [
        "gamma-1-cv-3",
        "gamma-2-cv-3",
    ]
    assert [point.label for point in Capacity(duration=1.0).points()] == ["capacity"]
    assert {point.duration for point in closed.points()} == {5.0}


def test_what_changes_over_time_is_one_load_point_with_a_name_that_says_how() -> None:
    steps = Steps(arrival_rates=(1.0, 2.5, 4.0), step=10.0)
    assert ([point.label for point in steps.points()], steps.duration) == (["steps-1-2.5-4"], 30.0)
    assert Ramp(from_rate=1, to_rate=10, duration=5).label == "ramp-1-10"
    assert Spike(arrival_rate=2, peak_rate=20, duration=9, spike_at=3, spike_duration=1).label == "spike-2-20"


def test_a_long_list_of_steps_still_has_a_name_of_its_own_that_fits_a_folder() -> None:
    labels = {Steps(arrival_rates=tuple(range(1, last)), step=1.0).label for last in range(2, 60)}
    assert len(labels) == 58
    assert max(map(len, labels)) <= 48


def test_a_swap_comes_after_a_quarter_of_the_window_and_never_after_it() -> None:
    assert Swap(arrival_rate=2, duration=40).moment == 10
    assert Swap(arrival_rate=2, duration=40, swap_at=0.0).moment == 0
    assert Swap(arrival_rate=(2, 2.5), duration=40).points()[1].label == "swap-2.5"
    with pytest.raises(UnitError, match="before the end of the window"):
        Swap(arrival_rate=2, duration=40, swap_at=40)


def test_only_a_closed_loop_waits_for_replies_and_a_search_has_no_schedule() -> None:
    assert [name for name, profile in PROFILES.items() if not profile.open_loop] == ["closed"]
    assert not has_schedule(Closed(users=1, duration=1.0))
    assert not has_schedule(Capacity(duration=1.0))
    assert has_schedule(Poisson(arrival_rate=1.0, duration=1.0))
    assert set(PROFILES) == {
        "swap",
        "closed",
        "constant",
        "poisson",
        "gamma",
        "steps",
        "spike",
        "ramp",
        "replay",
        "capacity",
    }


@given(point=open_loops, warmup=warmups, seed=seeds)
def test_a_schedule_ascends_stays_inside_warm_up_and_window_and_repeats(
    point: OpenLoop, warmup: float, seed: int
) -> None:
    first, again = _times(point, warmup, seed), _times(point, warmup, seed)
    assert first == again
    assert all(at < later for at, later in pairwise(first))
    assert all(0 <= at < warmup + point.duration for at in first)


@given(point=random_ones, warmup=warmups, seed=seeds)
def test_requests_are_as_many_as_the_rates_promise(point: OpenLoop, warmup: float, seed: int) -> None:
    count, expected = len(_window(point, warmup, seed)), point.mean_rate * point.duration
    assert _tail(count, expected) > 1e-9


@pytest.mark.parametrize(
    ("point", "until"),
    [
        (Poisson(arrival_rate=40, duration=200), lambda t: 40 * t),
        (Ramp(from_rate=5, to_rate=80, duration=200), lambda t: 5 * t + 75 / 400 * t * t),
        (Ramp(from_rate=80, to_rate=5, duration=200), lambda t: 80 * t - 75 / 400 * t * t),
        (
            Steps(arrival_rates=(10, 50, 20), step=70),
            lambda t: 10 * t + 40 * max(0, t - 70) - 30 * max(0, t - 140),
        ),
        (
            Spike(arrival_rate=10, peak_rate=200, duration=200, spike_at=50, spike_duration=20),
            lambda t: 10 * t + 190 * min(20, max(0, t - 50)),
        ),
    ],
    ids=lambda it: it.label if hasattr(it, "label") else "",
)
def test_seen_on_the_clock_of_their_rate_arrivals_are_poisson(point: OpenLoop, until: Intensity) -> None:
    """Moved by the integral of the rate, the distances are exponential with mean 1, before and after every change."""
    for warmup in (0.0, 10.0):
        first_rate = until(1e-6) / 1e-6
        moved = [
            first_rate * at if at < warmup else first_rate * warmup + until(at - warmup) for at in _times(point, warmup)
        ]
        distances = np.diff([0.0, *moved])
        assert len(distances) == pytest.approx(first_rate * warmup + until(point.duration), rel=0.05)
        assert _distance_from_exponential(distances) < 1.63 / math.sqrt(len(distances))  # one in a hundred is above


def test_a_ramp_of_a_single_rate_is_poisson() -> None:
    level = Ramp(from_rate=7, to_rate=7, duration=50)
    assert _times(level, 5) == pytest.approx(_times(Poisson(arrival_rate=7, duration=50), 5), abs=1e-9)


@given(rate=rates, duration=seconds, longer=seconds, warmup=warmups, seed=seeds)
def test_a_longer_poisson_trial_begins_as_the_shorter_one(
    rate: float, duration: float, longer: float, warmup: float, seed: int
) -> None:
    short = _times(Poisson(arrival_rate=rate, duration=duration), warmup, seed)
    long = _times(Poisson(arrival_rate=rate, duration=duration + longer), warmup, seed)
    assert long[: len(short)] == short


def test_constant_arrivals_are_multiples_of_the_distance_to_the_last() -> None:
    times = _times(Constant(arrival_rate=3, duration=20_000), warmup=1)
    assert len(times) == 60_003
    assert times[0] == 0
    assert times[-1] == 60_002 / 3


@pytest.mark.parametrize("burstiness", [0.1, 0.5, 1, 2, 4])
def test_gamma_arrivals_vary_as_much_as_was_asked_and_come_at_the_rate(burstiness: float) -> None:
    times = _times(Gamma(arrival_rate=50, burstiness=burstiness, duration=2000), seed=3)
    distances = np.diff(times)
    assert np.std(distances) / np.mean(distances) == pytest.approx(burstiness, rel=0.05)
    assert len(times) / 2000 == pytest.approx(50, rel=4 * burstiness / math.sqrt(100_000))


@pytest.mark.parametrize("burstiness", [0.2, 1, 4])
def test_a_short_window_of_bursts_holds_no_more_requests_than_its_rate(burstiness: float) -> None:
    """A process that began with a burst would have 7.5 too many of 20 at burstiness 4."""
    counts = [len(_times(Gamma(arrival_rate=10, burstiness=burstiness, duration=2), seed=seed)) for seed in range(2000)]
    error = statistics.stdev(counts) / math.sqrt(len(counts))
    assert statistics.mean(counts) == pytest.approx(20, abs=4 * error)


def test_gamma_with_a_burstiness_of_one_is_poisson() -> None:
    distances = 10 * np.diff(_times(Gamma(arrival_rate=10, burstiness=1, duration=300)))
    assert _distance_from_exponential(distances) < 1.63 / math.sqrt(len(distances))


def test_a_schedule_belongs_to_one_rate() -> None:
    for point in (
        Poisson(arrival_rate=(1.0, 2.0), duration=1.0),
        Constant(arrival_rate=(1.0, 2.0), duration=1.0),
        Gamma(arrival_rate=(1.0, 2.0), burstiness=1, duration=1.0),
    ):
        with pytest.raises(TypeError, match="one load point"):
            _times(point)


def test_a_spike_may_end_with_the_window_whatever_decimals_do() -> None:
    spike = Spike(arrival_rate=1, peak_rate=500, duration=0.3, spike_at=0.1, spike_duration=0.2)
    times = _window(spike, 2.0, 1)
    assert 60 < sum(at > 0.1 for at in times) < 140
    assert sum(at <= 0.1 for at in times) < 5
    assert spike.mean_rate == pytest.approx((0.1 + 100) / 0.3)


@pytest.mark.parametrize("changes", [{"peak_rate": 2}, {"spike_at": 9.5}, {"spike_duration": 11}])
def test_a_spike_that_is_none_or_does_not_fit_is_refused(changes: dict[str, float]) -> None:
    good: dict[str, float] = {"arrival_rate": 2, "peak_rate": 4, "duration": 10, "spike_at": 1, "spike_duration": 1}
    Spike(**good)
    with pytest.raises(UnitError):
        Spike(**(good | changes))


# replay


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("traces") / "two servers.txt"
    path.write_text("# a recording\n100\n100.5\n102\n102\n106\n")
    return str(path)


def test_a_replay_is_the_recording_exactly(trace: str) -> None:
    replay = Replay(file=trace)
    assert _times(replay) == [0, 0.5, 2, math.nextafter(2, 3), 6]
    assert replay.duration == 7.5  # a mean distance after the last request
    assert replay.mean_rate == pytest.approx(5 / 7.5)


def test_a_replay_at_twice_the_speed_takes_half_the_time(trace: str) -> None:
    replay = Replay(file=trace, time_scale=2)
    assert _times(replay) == [0, 0.25, 1, math.nextafter(1, 2), 3]
    assert replay.duration == 3.75


@given(scale=st.floats(0.01, 100), warmup=st.floats(0, 100), seed=seeds)
def test_a_replay_starts_where_its_warm_up_ends(trace: str, scale: float, warmup: float, seed: int) -> None:
    times = [at for at in _times(Replay(file=trace, time_scale=scale), warmup, seed) if at >= warmup]
    expected = [warmup + at / scale for at in (0, 0.5, 2, 2, 6)]
    assert times == pytest.approx(expected, rel=1e-12)
    assert len(set(times)) == 5


def test_the_warm_up_of_a_replay_comes_at_its_mean_rate(trace: str) -> None:
    replay = Replay(file=trace)
    before = [at for at in _times(replay, warmup=3000.0) if at < 3000]
    assert len(before) / 3000 == pytest.approx(replay.mean_rate, rel=0.1)


def test_a_part_of_a_recording_can_be_replayed(trace: str) -> None:
    part = Replay(file=trace, start=0.5, duration=2.0, time_scale=0.5)
    assert _times(part) == [0]
    assert _times(Replay(file=trace, start=1.0, duration=4.0)) == [1, math.nextafter(1, 2)]


def test_a_recording_is_not_repeated_but_its_end_may_be_silent(trace: str, tmp_path: Path) -> None:
    assert Replay(file=trace, duration=10.0).mean_rate == 0.5
    with pytest.raises(UnitError, match="the recording ends 6 s after"):
        Replay(file=trace, duration=10.1)
    with pytest.raises(UnitError, match="nothing to replay"):
        Replay(file=trace, start=6.5)
    alone = tmp_path / "alone.txt"
    alone.write_text("5\n")
    with pytest.raises(UnitError, match="nothing to replay"):
        Replay(file=str(alone))
    assert Replay(file=str(alone), duration=2.0).mean_rate == 0.5


def test_replays_are_told_apart_by_file_speed_and_start(trace: str) -> None:
    labels = [
        Replay(file=trace).label,
        Replay(file=trace, time_scale=2).label,
        Replay(file=trace, start=0.5, time_scale=0.5).label,
    ]
    assert len(set(labels)) == 3
    assert all(label.startswith("replay-two-servers") and " " not in label for label in labels)


def test_a_replay_remembers_what_its_file_held(trace: str) -> None:
    assert Replay(file=trace) == Replay(file=trace)
    assert len(Replay(file=trace).digest) == 64
