"""What every load profile is, and the kinds of values that its fields take."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Annotated, ClassVar, Protocol, TypeGuard

from annotated_types import Ge, Gt, Le, MinLen

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


def each_rate(rates: Rates) -> tuple[float, ...]:
    """The rates, one or several."""
    return rates if isinstance(rates, tuple) else (rates,)


def only_rate(rates: Rates) -> float:
    """The rate of a load point.   Raises: TypeError if it still stands for several."""
    if isinstance(rates, tuple):
        raise TypeError("a schedule belongs to one load point; take points() first")
    return rates
