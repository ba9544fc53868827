"""What a load balancer and the bytes that leave would cost: an estimate of its own, never part of the compute figure.

It follows bytes, not computing: 100 requests/s with images of 100 kB are 36 GB/h, about $0.29/h at AWS.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from bench import units

_GB = 1e9
_NUMBERS = (
    "load_balancer_usd_per_hour",
    "unit_usd_per_hour",
    "unit_gb_per_hour",
    "unit_connections_per_second",
    "processed_usd_per_gb",
    "egress_usd_per_gb",
)


@dataclass(frozen=True, slots=True)
class NetworkPrice:
    """One provider's load balancer and egress: per hour, per capacity unit or per GB that passes, per GB that leaves.

    A capacity unit covers `unit_gb_per_hour` and `unit_connections_per_second`; the larger need counts. First tiers,
    without free allowances and discounts for volume. None: the provider does not charge so, or the price is not known.
    """

    provider: str
    load_balancer_usd_per_hour: float | None
    unit_usd_per_hour: float | None
    unit_gb_per_hour: float | None
    unit_connections_per_second: float | None
    processed_usd_per_gb: float | None
    egress_usd_per_gb: float | None
    as_of: str
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as the network sees it: bytes there, bytes back, connections opened; None where not known."""

    request_bytes: float | None
    response_bytes: float | None
    connections: float | None


@dataclass(frozen=True, slots=True)
class NetworkCost:
    """Dollars per month beside the compute figure, None where not known; `basis` says what they stand on."""

    load_balancer: float | None
    egress: float | None
    gb_in: float | None
    gb_out: float | None
    basis: str


@lru_cache(maxsize=1)
def network_prices() -> tuple[NetworkPrice, ...]:
    """The load balancer and egress prices that come with bench."""
    text = files("bench").joinpath("data", "network-prices.csv").read_text(encoding="utf-8")
    return tuple(
        NetworkPrice(
            **{name: float(row[name]) if row[name] else None for name in _NUMBERS},
            provider=row["provider"],
            as_of=row["as_of"],
            source=row["source"],
            note=row["note"],
        )
        for row in csv.DictReader(text.splitlines())
    )


def network_price(provider: str | None) -> NetworkPrice | None:
    """That provider's prices; None where the book has none."""
    return next((price for price in network_prices() if price.provider == provider), None)


def network_cost(price: NetworkPrice, exchange: Exchange, rate: float, hours: float) -> NetworkCost:
    """What a month of `rate` requests per second on average would cost for its load balancer and its egress."""
    per_month = rate * 3600 * hours / _GB
    there = None if exchange.request_bytes is None else exchange.request_bytes * per_month
    back = None if exchange.response_bytes is None else exchange.response_bytes * per_month
    egress = None if back is None or price.egress_usd_per_gb is None else back * price.egress_usd_per_gb
    return NetworkCost(_load_balancer(price, exchange, rate, hours), egress, there, back, _basis(price, exchange, rate))


def _load_balancer(price: NetworkPrice, exchange: Exchange, rate: float, hours: float) -> float | None:
    if price.load_balancer_usd_per_hour is None or exchange.request_bytes is None or exchange.response_bytes is None:
        return None
    gb_per_hour = (exchange.request_bytes + exchange.response_bytes) * rate * 3600 / _GB
    hourly = price.load_balancer_usd_per_hour + (price.processed_usd_per_gb or 0) * gb_per_hour
    if price.unit_usd_per_hour and price.unit_gb_per_hour and price.unit_connections_per_second:
        opened = rate * (1.0 if exchange.connections is None else exchange.connections)
        needed = max(gb_per_hour / price.unit_gb_per_hour, opened / price.unit_connections_per_second)
        hourly += price.unit_usd_per_hour * needed
    return hourly * hours


def _basis(price: NetworkPrice, exchange: Exchange, rate: float) -> str:
    return (
        f"{units.bytes_text(exchange.request_bytes)} there and {units.bytes_text(exchange.response_bytes)} back per "
        f"request as measured, {units.rate_text(rate)} on average, {price.provider} prices of {price.as_of}, "
        "first tier, nothing free taken off"
    )
