"""Load profiles, one small frozen dataclass each; its fields are the YAML keys.

An open-loop profile yields send times, a closed-loop profile says how many users there are. Profiles know
nothing of pydantic, servers or clocks; the seed comes in as `rng`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from random import Random
from typing import Annotated, ClassVar, Protocol, TypeGuard

from annotated_types import Ge, Gt, Le, Lt, MinLen

from bench.names import slug
from bench.recording import Recording, read_recording
from bench.units import UnitError

Seconds = Annotated[float, "duration", Gt(0)]
"""Float seconds here, written with a unit in a scenario: `20s`."""
Moment = Annotated[float, "duration", Ge(0)]
"""Seconds after the beginning of something; written like a duration."""
Rate = Annotated[float, "rate", Gt(0), Le(1_000_000)]
"""Requests per second; a bare number or `30/min` in a scenario."""
Rates = Rate | Annotated[tuple[Rate, ...], MinLen(1)]
"""One rate, or a list of them: as many load points."""
Users = Annotated[int, Gt(0), Le(10_000)]
FilePath = Annotated[str, "path"]
"""A file, in a scenario relative to the folder that the scenario is in."""


class Profile(Protocol):
    """The shape of load over time, as a scenario writes it."""

    name: ClassVar[str]
    open_loop: ClassVar[bool]

    @property
    def duration(self) -> float:
        """Seconds of the measured window."""
        ...

    @property
    def label(self) -> str:
        """Short name of a load point, fit for a folder name: `closed-8`, `poisson-2.5`."""
        ...

    def points(self) -> tuple[Profile, ...]:
        """One profile per load point that this one stands for."""
        ...


class OpenLoop(Profile, Protocol):
    """A load point whose requests are sent at times that were fixed before the trial, whatever the server does.

    The profile's own clock starts where the warm-up ends. During the warm-up requests come at the rate that
    the profile begins with, so that nothing changes at the moment from which on requests count.
    """

    @property
    def mean_rate(self) -> float:
        """Requests per second over the measured window."""
        ...

    def send_times(self, warmup: float, rng: Random) -> Iterator[float]:
        """Seconds since the trial began, strictly ascending, all in [0, warmup + duration)."""
        ...


def has_schedule(point: Profile) -> TypeGuard[OpenLoop]:
    """Whether a load point has send times of its own: a closed loop has none, nor has a search."""
    return hasattr(type(point), "send_times")


@dataclass(frozen=True, kw_only=True)
class Closed:
    """Closed loop: each of `users` waits for its reply before it sends again."""

    name: ClassVar[str] = "closed"
    open_loop: ClassVar[bool] = False
    users: Users | Annotated[tuple[Users, ...], MinLen(1)]
    duration: Seconds

    @property
    def label(self) -> str:
        """`closed-8`."""
        return f"closed-{self.users}"

    def points(self) -> tuple[Closed, ...]:
        """One profile per number of users."""
        users = self.users if isinstance(self.users, tuple) else (self.users,)
        return tuple(replace(self, users=number) for number in users)


@dataclass(frozen=True, kw_only=True)
class Constant:
    """Open loop: requests at equal distances."""

    name: ClassVar[str] = "constant"
    open_loop: ClassVar[bool] = True
    arrival_rate: Rates
    duration: Seconds

    @property
    def label(self) -> str:
        """`constant-2.5`."""
        return f"constant-{self.mean_rate:g}"

    @property
    def mean_rate(self) -> float:
        """The arrival rate."""
        return _only(self.arrival_rate)

    def points(self) -> tuple[Constant, ...]:
        """One profile per arrival rate."""
        return tuple(replace(self, arrival_rate=rate) for rate in _each(self.arrival_rate))

    def send_times(self, warmup: float, rng: Random) -> Iterator[float]:  # noqa: ARG002 -- nothing is left to chance
        """The first request at once, then one every `1 / arrival_rate` seconds."""
        rate = self.mean_rate
        return _until(warmup + self.duration, (number / rate for number in count()))


@dataclass(frozen=True, kw_only=True)
class Poisson:
    """Open loop: independent arrivals at a mean rate, whatever the server does."""

    name: ClassVar[str] = "poisson"
    open_loop: ClassVar[bool] = True
    arrival_rate: Rates
    duration: Seconds

    @property
    def label(self) -> str:
        """`poisson-2.5`."""
        return f"poisson-{self.mean_rate:g}"

    @property
    def mean_rate(self) -> float:
        """The arrival rate."""
        return _only(self.arrival_rate)

    def points(self) -> tuple[Poisson, ...]:
        """One profile per arrival rate."""
        return tuple(replace(self, arrival_rate=rate) for rate in _each(self.arrival_rate))

    def send_times(self, warmup: float, rng: Random) -> Iterator[float]:
        """Exponential distances."""
        end = warmup + self.duration
        return _until(end, _poisson((_Stretch(end, self.mean_rate, self.mean_rate),), rng))


@dataclass(frozen=True, kw_only=True)
class Gamma:
    """Open loop: arrivals in bursts; `burstiness` is the distances' coefficient of variation, 1 is poisson."""

    name: ClassVar[str] = "gamma"
    open_loop: ClassVar[bool] = True
    arrival_rate: Rates
    burstiness: Annotated[float, Ge(0.01), Le(10)]
    duration: Seconds

    @property
    def label(self) -> str:
        """`gamma-2.5-cv-3`."""
        return f"gamma-{self.mean_rate:g}-cv-{self.burstiness:g}"

    @property
    def mean_rate(self) -> float:
        """The arrival rate."""
        return _only(self.arrival_rate)

    def points(self) -> tuple[Gamma, ...]:
        """One profile per arrival rate."""
        return tuple(replace(self, arrival_rate=rate) for rate in _each(self.arrival_rate))

    def send_times(self, warmup: float, rng: Random) -> Iterator[float]:
        """Gamma-distributed distances of mean `1 / arrival_rate`.

        The trial begins at a random moment of a process that has always been going on: bursts would otherwise
        begin with it, and a short window would hold (burstiness**2 - 1) / 2 requests too many. That moment falls
        into a distance with a probability in proportion to its length, which again is gamma, its shape one more.
        """
        shape = self.burstiness**-2
        scale = 1 / (shape * self.mean_rate)
        first = rng.random() * rng.gammavariate(shape + 1, scale)
        distances = (rng.gammavariate(shape, scale) for _ in count())
        return _until(warmup + self.duration, _sums(first, distances))


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Open loop: poisson arrivals at one rate after the other, each for `step`, in one load point."""

    name: ClassVar[str] = "steps"
    open_loop: ClassVar[bool] = True
    arrival_rates: Annotated[tuple[Rate, ...], MinLen(1)]
    step: Seconds

    @property
    def duration(self) -> float:
        """All steps together."""
        return self.step * len(self.arrival_rates)

    @property
    def label(self) -> str:
        """`steps-1-2-4`."""
        return slug("-".join(["steps", *(f"{rate:g}" for rate in self.arrival_rates)]))

    @property
    def mean_rate(self) -> float:
        """Mean over all steps."""
        return math.fsum(self.arrival_rates) / len(self.arrival_rates)

    def points(self) -> tuple[Steps, ...]:
        """Itself: the steps are one load point."""
        return (self,)

    def send_times(self, warmup: float, rng: Random) -> Iterator[float]:
        """The warm-up comes at the rate of the first step."""
        stretches = (
            _Stretch(warmup, self.arrival_rates[0], self.arrival_rates[0]),
            *(_Stretch(self.step, rate, rate) for rate in self.arrival_rates),
        )
        return _until(warmup + self.duration, _poisson(stretches, rng))


@dataclass(frozen=True, kw_only=True)
class Spike:
    """Open loop: poisson arrivals, for `spike_duration` from `spike_at` on at `peak_rate`."""

    name: ClassVar[str] = "spike"
    open_loop: ClassVar[bool] = True
    arrival_rate: Rate
    peak_rate: Rate
    duration: Seconds
    spike_at: Moment
    spike_duration: Seconds

    def __post_init__(self) -> None:
        """Refuse a spike that is none, or that does not fit."""
        if self.peak_rate <= self.arrival_rate:
            raise UnitError(
                f"peak_rate must be greater than arrival_rate, got {self.peak_rate:g} and {self.arrival_rate:g}",
                "the spike is the time in which more requests come",
            )
        if self.spike_at + self.spike_duration > self.duration * (1 + 1e-9):  # 0.1 s + 0.2 s fit into 0.3 s
            raise UnitError(
                f"the spike ends {self.spike_at + self.spike_duration:g} s after the beginning, "
                f"the duration is {self.duration:g} s",
                "spike_at + spike_duration must be within duration; the warm-up is not part of it",
            )

    @property
    def label(self) -> str:
        """`spike-2-20`."""
        return f"spike-{self.arrival_rate:g}-{self.peak_rate:g}"

    @property
    def mean_rate(self) -> float:
        """Mean over the whole window."""
        return self.arrival_rate + (self.peak_rate - self.arrival_rate) * self.spike_duration / self.duration

    def points(self) -> tuple[Spike, ...]:
        """Itself."""
        return (self,)

    def send_times(self, warmup: float, rng: Random) -> Iterator[float]:
        """The warm-up comes at the rate before the spike."""
        after = max(0.0, self.duration - self.spike_at - self.spike_duration)
        stretches = (
            _Stretch(warmup + self.spike_at, self.arrival_rate, self.arrival_rate),
            _Stretch(self.spike_duration, self.peak_rate, self.peak_rate),
            _Stretch(after, self.arrival_rate, self.arrival_rate),
        )
        return _until(warmup + self.duration, _poisson(stretches, rng))


@dataclass(frozen=True, kw_only=True)
class Ramp:
    """Open loop: poisson arrivals at a rate that changes evenly from `from_rate` to `to_rate`."""

    name: ClassVar[str] = "ramp"
    open_loop: ClassVar[bool] = True
    from_rate: Rate
    to_rate: Rate
    duration: Seconds

    @property
    def label(self) -> str:
        """`ramp-1-10`."""
        return f"ramp-{self.from_rate:g}-{self.to_rate:g}"

    @property
    def mean_rate(self) -> float:
        """Half-way between both rates."""
        return (self.from_rate + self.to_rate) / 2

    def points(self) -> tuple[Ramp, ...]:
        """Itself."""
        return (self,)

    def send_times(self, warmup: float, rng: Random) -> Iterator[float]:
        """The warm-up comes at `from_rate`."""
        stretches = (
            _Stretch(warmup, self.from_rate, self.from_rate),
            _Stretch(self.duration, self.from_rate, self.to_rate),
        )
        return _until(warmup + self.duration, _poisson(stretches, rng))


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Open loop: requests as they once came, from a file with one timestamp in seconds per line.

    `time_scale: 2` is twice as fast. `start` leaves out the recording's first seconds, as they were recorded.
    `duration` is that of the window, by default until a mean distance after the last request.
    """

    name: ClassVar[str] = "replay"
    open_loop: ClassVar[bool] = True
    file: FilePath
    time_scale: Annotated[float, Gt(0), Le(1_000_000)] = 1.0
    start: Moment = 0.0
    duration: Seconds = math.inf
    digest: str = field(init=False)
    """SHA-256 of the file: what was replayed, whatever becomes of the file."""

    def __post_init__(self) -> None:
        """Read the file, and refuse to replay more than there is.   Raises: ScenarioError, UnitError."""
        recording = self._recording
        object.__setattr__(self, "digest", recording.digest)
        left = recording.span - self.start
        if left < 0 or (left == 0 and math.isinf(self.duration)):
            raise UnitError(
                f"there is nothing to replay {self.start:g} s after the beginning of {self.file}: "
                f"its last request came after {recording.span:g} s",
                "'start' is less than that, or 'duration' says how long the window is",
            )
        if math.isinf(self.duration):
            object.__setattr__(self, "duration", (left + recording.mean_gap) / self.time_scale)
        elif self.duration * self.time_scale > (left + recording.longest_gap) * (1 + 1e-9) and recording.span > 0:
            raise UnitError(
                f"the recording ends {left / self.time_scale:g} s after the window's beginning, "
                f"and duration is {self.duration:g} s",
                "make it shorter or leave it out; a recording is not repeated",
            )

    @cached_property
    def _recording(self) -> Recording:
        return read_recording(Path(self.file))

    @property
    def label(self) -> str:
        """`replay-trace`, `replay-trace-x2-from-30`."""
        scale = f"-x{self.time_scale:g}" if self.time_scale != 1 else ""
        start = f"-from-{self.start:g}" if self.start else ""
        return slug(f"replay-{Path(self.file).stem}{scale}{start}")

    @property
    def mean_rate(self) -> float:
        """Requests of the window per second."""
        return sum(1 for _ in self._replayed()) / self.duration

    def points(self) -> tuple[Replay, ...]:
        """Itself."""
        return (self,)

    def send_times(self, warmup: float, rng: Random) -> Iterator[float]:
        """As recorded from the end of the warm-up on; poisson arrivals at the mean rate before it."""
        before = _until(warmup, _poisson((_Stretch(warmup, self.mean_rate, self.mean_rate),), rng))
        return _until(warmup + self.duration, chain(before, (warmup + at for at in self._replayed())))

    def _replayed(self) -> Iterator[float]:
        """Seconds after the window's beginning, equal ones where requests came at the same time."""
        for at in self._recording.times:
            if at >= self.start:
                after = (at - self.start) / self.time_scale
                if after >= self.duration:
                    return
                yield after


@dataclass(frozen=True, kw_only=True)
class Swap:
    """Open loop: requests at equal distances while, `swap_at` into the window, a new model version takes over.

    By default that is after a quarter of the window, so that there is something to compare with.
    """

    name: ClassVar[str] = "swap"
    open_loop: ClassVar[bool] = True
    arrival_rate: Rates
    duration: Seconds
    swap_at: Moment | None = None

    def __post_init__(self) -> None:
        """Refuse a moment outside of the window."""
        if self.swap_at is not None and self.swap_at >= self.duration:
            raise UnitError(
                f"swap_at must come before the end of the window, got {self.swap_at:g} s of {self.duration:g} s",
                "the new version takes seconds to load, and its answers are part of what is measured",
            )

    @property
    def label(self) -> str:
        """`swap-2.5`."""
        return f"swap-{self.mean_rate:g}"

    @property
    def mean_rate(self) -> float:
        """The arrival rate."""
        return _only(self.arrival_rate)

    @property
    def moment(self) -> float:
        """Seconds after the window's beginning at which the new version begins to be copied."""
        return self.duration / 4 if self.swap_at is None else self.swap_at

    def points(self) -> tuple[Swap, ...]:
        """One profile per arrival rate."""
        return tuple(replace(self, arrival_rate=rate) for rate in _each(self.arrival_rate))

    def send_times(self, warmup: float, rng: Random) -> Iterator[float]:  # noqa: ARG002 -- nothing is left to chance
        """The first request at once, then one every `1 / arrival_rate` seconds."""
        rate = self.mean_rate
        return _until(warmup + self.duration, (number / rate for number in count()))


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """The highest rate of poisson arrivals that still meets the SLO, found by a search.

    `duration` is that of one look at one rate, longer where the SLO's percentile needs more requests. The search
    ends with `most_looks`, or once the interval reaches no further than `precision` from the value to either side.
    It stays within `from_rate` and `to_rate`.
    """

    name: ClassVar[str] = "capacity"
    open_loop: ClassVar[bool] = True
    longest: ClassVar[float] = 6.0
    """A look at a low rate may last so many times its duration; what takes longer is not looked at."""
    duration: Seconds
    precision: Annotated[float, "share", Ge(0.01), Lt(1)] = 0.05
    most_looks: Annotated[int, Ge(2), Le(100)] = 12
    from_rate: Rate | None = None
    to_rate: Rate | None = None

    def __post_init__(self) -> None:
        """Refuse a range without room."""
        if self.from_rate is not None and self.to_rate is not None and self.from_rate >= self.to_rate:
            raise UnitError(
                f"from_rate must be less than to_rate, got {self.from_rate:g} and {self.to_rate:g}",
                "the search stays between them; leave both out to search everywhere",
            )

    @property
    def label(self) -> str:
        """`capacity`."""
        return "capacity"

    @property
    def most_seconds(self) -> float:
        """All looks as long as they may get, their warm-ups not counted."""
        return self.most_looks * self.longest * self.duration

    def points(self) -> tuple[Capacity, ...]:
        """Itself: the search chooses its own rates."""
        return (self,)


AnyProfile = Closed | Constant | Poisson | Gamma | Steps | Spike | Ramp | Replay | Swap | Capacity
PROFILES: dict[str, type[AnyProfile]] = {
    profile.name: profile for profile in (Closed, Constant, Poisson, Gamma, Steps, Spike, Ramp, Replay, Swap, Capacity)
}


# Schedules


@dataclass(frozen=True, slots=True)
class _Stretch:
    """So many seconds in which the rate runs evenly from `first` to `last`, both above 0."""

    seconds: float
    first: float
    last: float

    @property
    def expected(self) -> float:
        """Requests to expect: the integral of the rate."""
        return (self.first + self.last) / 2 * self.seconds

    def reached(self, expected: float) -> float:
        """Seconds until so many requests are to be expected.

        The root of `first * t + (last - first) / (2 * seconds) * t**2 = expected`, in the form that loses no digits
        where both rates are nearly equal.
        """
        bend = (self.last - self.first) / self.seconds
        return 2 * expected / (self.first + math.sqrt(self.first**2 + 2 * bend * expected))


def _poisson(stretches: Iterable[_Stretch], rng: Random) -> Iterator[float]:
    """Poisson arrivals at a rate that varies: those of rate 1, each moved to where the integral of the rate reaches it.

    Nothing is drawn and thrown away, and each time is computed from the sum itself, so that errors do not add up.
    """
    due = rng.expovariate(1.0)
    begun = passed = 0.0
    for stretch in stretches:
        while due < passed + stretch.expected:
            yield begun + stretch.reached(due - passed)
            due += rng.expovariate(1.0)
        begun += stretch.seconds
        passed += stretch.expected


def _sums(first: float, distances: Iterable[float]) -> Iterator[float]:
    at = first
    yield at
    for distance in distances:
        at += distance
        yield at


def _until(end: float, times: Iterable[float]) -> Iterator[float]:
    """The times below `end`; equal ones are moved apart by the least there is, as a row is told by its time."""
    before = -math.inf
    for time in times:
        at = time if time > before else math.nextafter(before, math.inf)
        if at >= end:
            return
        yield at
        before = at


def _each(rates: Rates) -> tuple[float, ...]:
    return rates if isinstance(rates, tuple) else (rates,)


def _only(rates: Rates) -> float:
    if isinstance(rates, tuple):
        raise TypeError("a schedule belongs to one load point; take points() first")
    return rates
