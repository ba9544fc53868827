"""What is to be served, and with how much to spare: the `traffic:` of a scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

from bench.units import UnitError

HOURS_PER_MONTH = 730.0
"""A year of 365 days has 8,760 hours, a twelfth of them 730."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests per second to size for, and the spare on top; a `rate` of None is not stated.

    `rate` is the peak that the replicas must carry, `mean_rate` what they serve on average, the same where it is
    None; a million requests are counted at the mean. `headroom` is the share of a replica's capacity left free,
    `spare_replicas` stand by whatever the rate, and no more than `most_replicas` are run in all.
    """

    rate: Annotated[float, "rate"] | None = None
    mean_rate: Annotated[float, "rate"] | None = None
    headroom: Annotated[float, "share", Ge(0), Lt(1)] = 0.3
    spare_replicas: Annotated[int, Ge(0), Le(1000)] = 1
    most_replicas: Annotated[int, Ge(1), Le(1_000_000)] = 1000
    hours_per_month: Annotated[float, Gt(0), Le(744)] = HOURS_PER_MONTH

    def __post_init__(self) -> None:
        if self.mean_rate is not None and (self.rate is None or self.mean_rate > self.rate):
            raise UnitError(
                "'mean_rate' is what is served on average, at most 'rate', the peak",
                "for example {rate: 40/s, mean_rate: 15/s}",
            )
        if self.spare_replicas >= self.most_replicas:
            raise UnitError("'spare_replicas' leaves none of 'most_replicas' to serve", "raise most_replicas")

    @property
    def mean(self) -> float | None:
        """Requests per second on average; None where no rate is stated."""
        return self.rate if self.mean_rate is None else self.mean_rate
