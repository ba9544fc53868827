"""Send times: the arithmetic that the open-loop profiles share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Stretch:
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


def poisson_times(stretches: Iterable[Stretch], rng: Random) -> Iterator[float]:
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


def sums(first: float, distances: Iterable[float]) -> Iterator[float]:
    """The first time, then each one that is such a distance after the one before it."""
    at = first
    yield at
    for distance in distances:
        at += distance
        yield at


def ascending(end: float, times: Iterable[float]) -> Iterator[float]:
    """The times below `end`; equal ones are moved apart by the least there is, as a row is told by its time."""
    before = -math.inf
    for time in times:
        at = time if time > before else math.nextafter(before, math.inf)
        if at >= end:
            return
        yield at
        before = at
