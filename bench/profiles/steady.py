"""Open loop at one rate: at equal distances, at random ones, and in bursts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import Annotated, ClassVar

from annotated_types import Ge, Le

from bench.profiles.arrivals import Stretch, ascending, poisson_times, sums
from bench.profiles.profile import Rates, Seconds, each_rate, only_rate


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
        return only_rate(self.arrival_rate)

    def points(self) -> tuple[Constant, ...]:
        """One profile per arrival rate."""
        return tuple(replace(self, arrival_rate=rate) for rate in each_rate(self.arrival_rate))

    def send_times(self, warmup: float, rng: Random) -> Iterator[float]:  # noqa: ARG002 -- nothing is left to chance
        """The first request at once, then one every `1 / arrival_rate` seconds."""
        rate = self.mean_rate
        return ascending(warmup + self.duration, (number / rate for number in count()))


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
        return only_rate(self.arrival_rate)

    def points(self) -> tuple[Poisson, ...]:
        """One profile per arrival rate."""
        return tuple(replace(self, arrival_rate=rate) for rate in each_rate(self.arrival_rate))

    def send_times(self, warmup: float, rng: Random) -> Iterator[float]:
        """Exponential distances."""
        end = warmup + self.duration
        return ascending(end, poisson_times((Stretch(end, self.mean_rate, self.mean_rate),), rng))


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
        return only_rate(self.arrival_rate)

    def points(self) -> tuple[Gamma, ...]:
        """One profile per arrival rate."""
        return tuple(replace(self, arrival_rate=rate) for rate in each_rate(self.arrival_rate))

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
        return ascending(warmup + self.duration, sums(first, distances))
