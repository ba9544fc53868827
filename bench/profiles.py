"""Load profiles, one small frozen dataclass each; its fields are the YAML keys.

An open-loop profile yields send times, a closed-loop profile says how many users there are. Profiles know
nothing of pydantic, servers or clocks; the seed comes in as `rng`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Annotated, ClassVar, Protocol

from annotated_types import Gt, Le, MinLen

Seconds = Annotated[float, "duration", Gt(0)]
"""Float seconds here, written with a unit in a scenario: `20s`."""
Rate = Annotated[float, "rate", Gt(0), Le(1_000_000)]
"""Requests per second; a bare number or `30/min` in a scenario."""
Users = Annotated[int, Gt(0), Le(10_000)]


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
        return tuple(replace(self, users=count) for count in users)


@dataclass(frozen=True, kw_only=True)
class Poisson:
    """Open loop: independent arrivals at a mean rate, whatever the server does."""

    name: ClassVar[str] = "poisson"
    open_loop: ClassVar[bool] = True
    arrival_rate: Rate | Annotated[tuple[Rate, ...], MinLen(1)]
    duration: Seconds

    @property
    def label(self) -> str:
        """`poisson-2.5`."""
        return f"poisson-{self.arrival_rate:g}"

    def points(self) -> tuple[Poisson, ...]:
        """One profile per arrival rate."""
        rates = self.arrival_rate if isinstance(self.arrival_rate, tuple) else (self.arrival_rate,)
        return tuple(replace(self, arrival_rate=rate) for rate in rates)

    def send_times(self, seconds: float, rng: Random) -> Iterator[float]:
        """Seconds from the trial's start, ascending, all below `seconds`."""
        if isinstance(self.arrival_rate, tuple):
            raise TypeError("a schedule belongs to one load point; take points() first")
        at = rng.expovariate(self.arrival_rate)
        while at < seconds:
            yield at
            at += rng.expovariate(self.arrival_rate)


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """The highest arrival rate that still meets the SLO, found by a search."""

    name: ClassVar[str] = "capacity"
    open_loop: ClassVar[bool] = True
    duration: Seconds

    @property
    def label(self) -> str:
        """`capacity`."""
        return "capacity"

    def points(self) -> tuple[Capacity, ...]:
        """Itself: the search chooses its own rates."""
        return (self,)


PROFILES: dict[str, type[Closed | Poisson | Capacity]] = {
    profile.name: profile for profile in (Closed, Poisson, Capacity)
}
