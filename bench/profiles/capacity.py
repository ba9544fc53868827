"""A search, which chooses its own rates; how it does is in `bench.measures.capacity`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Le, Lt

from bench.profiles.profile import Rate, Seconds
from bench.units import UnitError


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
