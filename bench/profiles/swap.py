"""Open loop while the model is exchanged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import ClassVar

from bench.profiles.arrivals import ascending
from bench.profiles.profile import Moment, Rates, Seconds, each_rate, only_rate
from bench.units import UnitError


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
        return only_rate(self.arrival_rate)

    @property
    def moment(self) -> float:
        """Seconds after the window's beginning at which the new version begins to be copied."""
        return self.duration / 4 if self.swap_at is None else self.swap_at

    def points(self) -> tuple[Swap, ...]:
        """One profile per arrival rate."""
        return tuple(replace(self, arrival_rate=rate) for rate in each_rate(self.arrival_rate))

    def send_times(self, warmup: float, rng: Random) -> Iterator[float]:  # noqa: ARG002 -- nothing is left to chance
        """The first request at once, then one every `1 / arrival_rate` seconds."""
        rate = self.mean_rate
        return ascending(warmup + self.duration, (number / rate for number in count()))
