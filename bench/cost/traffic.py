"""What is to be served, and with how much to spare: the `traffic:` of a scenario."""

from __future__ import annotations

from dataclasses import dataclass

HOURS_PER_MONTH = 730.0
"""A year of 365 days has 8,760 hours, a twelfth of them 730."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests per second to size for, and the spare on top; a `rate` of None is not stated.

    `rate` is the peak that the replicas must carry, `mean_rate` what they serve on average, the same where it is
    None; a million requests are counted at the mean. `headroom` is the share of a replica's capacity left free,
    `spare_replicas` stand by whatever the rate, and no more than `most_replicas` are run in all.
    """

    rate: float | None = None
    mean_rate: float | None = None
    headroom: float = 0.3
    spare_replicas: int = 1
    most_replicas: int = 1000
    hours_per_month: float = HOURS_PER_MONTH

    @property
    def mean(self) -> float | None:
        """Requests per second on average; None where no rate is stated."""
        return self.rate if self.mean_rate is None else self.mean_rate
