"""What a summary says about money: one entry per server, the staircase's choice, and what would turn it.

Dollars, 1/s, months of `traffic.hours_per_month` hours. What is not known is None, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.cost.choice import Flip
from bench.cost.network import NetworkCost
from bench.cost.traffic import Traffic
from bench.measures.stats import Interval
from bench.validity import Reason, Verdict


@dataclass(frozen=True, slots=True)
class Saturation:
    """What vendors quote: all that a closed loop got done, nothing to spare, whatever the latency."""

    per_million: float
    rate: float
    load: str


@dataclass(frozen=True, slots=True)
class ServerCost:
    """One server's bill; `absent` says why it has none. Every figure stands on the lower end of `capacity`.

    `per_hour` is one replica: all instances of its price. `replicas` and `per_month` are for the traffic, spares
    included; where no traffic is stated `replicas` is None and `per_month` is that of one replica. `per_million`
    counts headroom and spares, `at_capacity` neither. Low ends of intervals come from the upper end of the capacity,
    and are None where that is not known: then the figure is "at most". `contends` tells that it can be chosen.
    """

    server: str
    run_id: str
    name: str
    absent: str
    contends: bool
    capacity: Interval | None = None
    price: Mapping[str, Any] | None = None
    per_hour: float | None = None
    usable_rate: float | None = None
    replicas: int | None = None
    per_month: Interval | None = None
    per_million: Interval | None = None
    at_capacity: Interval | None = None
    saturation: Saturation | None = None
    network: NetworkCost | None = None
    measured_on: str = ""
    priced_as: str = ""
    verdict: Verdict | None = None
    reasons: tuple[Reason, ...] = ()
    tail: float | None = None
    """The SLO's percentile of response time, in seconds, at the load point that the capacity stands on."""
    other_work: str = ""
    """How it rounds on purpose: it has a bill, and is never the choice."""

    @property
    def apart(self) -> bool:
        """Whether it would contend if it did the model's own work."""
        return bool(self.other_work) and not self.absent and self.verdict not in (None, Verdict.INVALID)


@dataclass(frozen=True, slots=True)
class CheapestAt:
    """Rates above `above` up to `up_to` (None: and beyond) at which these servers cost least, all of them the same."""

    above: float
    up_to: float | None
    cheapest: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Costs:
    """Money of one summary. `chosen` is a server and its run, None where none can be chosen, and `reason` says why."""

    traffic: Traffic
    servers: tuple[ServerCost, ...]
    chosen: tuple[str, str] | None = None
    reason: str = ""
    stretches: tuple[CheapestAt, ...] = ()
    break_even: str = ""
    flips: tuple[Flip, ...] = ()
    notes: tuple[str, ...] = ()

    def of(self, server: str, run_id: str) -> ServerCost | None:
        """One server's bill."""
        return next((one for one in self.servers if (one.server, one.run_id) == (server, run_id)), None)
