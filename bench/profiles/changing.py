"""Open loop at a rate that changes: in steps, in a spike, evenly."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Annotated, ClassVar

from annotated_types import MinLen

from bench.names import slug
from bench.profiles.arrivals import Stretch, ascending, poisson_times
from bench.profiles.profile import Moment, Rate, Seconds
from bench.units import UnitError


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
            Stretch(warmup, self.arrival_rates[0], self.arrival_rates[0]),
            *(Stretch(self.step, rate, rate) for rate in self.arrival_rates),
        )
        return ascending(warmup + self.duration, poisson_times(stretches, rng))


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
            Stretch(warmup + self.spike_at, self.arrival_rate, self.arrival_rate),
            Stretch(self.spike_duration, self.peak_rate, self.peak_rate),
            Stretch(after, self.arrival_rate, self.arrival_rate),
        )
        return ascending(warmup + self.duration, poisson_times(stretches, rng))


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
            Stretch(warmup, self.from_rate, self.from_rate),
            Stretch(self.duration, self.from_rate, self.to_rate),
        )
        return ascending(warmup + self.duration, poisson_times(stretches, rng))
