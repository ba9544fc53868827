"""The dated price book, and what a million requests cost at a served rate.

List prices in US dollars per hour, Linux, shared tenancy, without tax, disk, traffic or a load balancer. An
empty field of the book means not known, never zero. This module knows nothing of runs or reports.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from bench.errors import ScenarioError
from bench.names import nearest
from bench.units import rate_text

HOME = ("aws", "us-east-1")
"""Provider and region that an instance is looked up in where a scenario names none."""
KEYS = ("instance", "per_hour", "count", "region", "provider")
"""What `price:` in a scenario may hold."""


@dataclass(frozen=True, slots=True)
class Price:
    """One instance type in one region on one day; `as_of` dates `usd_per_hour`.

    `accelerators` counts devices (0.1667: a sixth of one), `accelerator_memory_gib` is per device. Spot prices
    are mostly estimates: good for a range, not for a ranking.
    """

    provider: str
    region: str
    instance: str
    vcpu: int | None
    memory_gib: float | None
    arch: str
    accelerator: str
    accelerators: float | None
    accelerator_memory_gib: float | None
    usd_per_hour: float | None
    spot_usd_per_hour: float | None
    as_of: str
    source: str
    note: str


@lru_cache(maxsize=1)
def price_book() -> tuple[Price, ...]:
    """Every price that comes with bench, in the order of its file."""
    text = files("bench").joinpath("data", "prices.csv").read_text(encoding="utf-8")
    return tuple(_price(row) for row in csv.DictReader(text.splitlines()))


def find_price(instance: str, region: str | None = None, provider: str | None = None) -> Price:
    """The instance's entry: in the region and at the provider named, else in aws us-east-1, else the first.

    Raises: ScenarioError naming the nearest entry if there is none, or if the book has no price for it.
    """
    entries = [price for price in price_book() if price.instance == instance]
    if not entries:
        near = nearest(instance, dict.fromkeys(price.instance for price in price_book()))
        raise ScenarioError(
            f"the price book has no instance {instance!r}",
            hint=(f"did you mean {near!r}? " if near else "")
            + "see `bench list prices`, or write price: {per_hour: 0.408}",
        )
    found = [
        price for price in entries if region in (None, price.region) and provider in (None, price.provider)
    ]  # fmt: skip
    if not found:
        places = ", ".join(f"{price.provider} {price.region}" for price in entries)
        wanted = " ".join(part for part in (provider, region) if part)
        raise ScenarioError(
            f"the price book has no price of {instance} in {wanted}",
            hint=f"it has {places}; or write price: {{per_hour: 0.408}}",
        )
    best = next((price for price in found if (price.provider, price.region) == HOME), found[0])
    if best.usd_per_hour is None:
        raise ScenarioError(
            f"the price book knows {instance} but no price of it: {best.note}",
            hint="write price: {per_hour: 0.408} with a price of your own",
        )
    return best


def resolve_price(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a server costs per hour, from `{instance, count}` or `{per_hour, count}` of a scenario.

    Shape: per_hour (all instances together), per_hour_each, count, instance, provider, region, source, as_of,
    note, basis (a sentence); instance, provider and region are None where the scenario gives the price itself.
    Raises: ScenarioError for an unknown instance, an unknown key, both or neither of the two, or what is not
    above zero.
    """
    given = {key: value for key, value in spec.items() if value is not None}
    _refuse_unknown(given)
    count = _above_zero("count", given.get("count", 1))
    if ("instance" in given) == ("per_hour" in given):
        raise ScenarioError(
            "price takes either instance or per_hour",
            hint="write price: {instance: a1.4xlarge} or price: {per_hour: 0.408}",
        )
    if "instance" in given:
        return _from_book(find_price(str(given["instance"]), given.get("region"), given.get("provider")), count)
    each = _above_zero("per_hour", given["per_hour"])
    return {
        "per_hour": each * count,
        "per_hour_each": each,
        "count": _whole(count),
        "instance": None,
        "provider": None,
        "region": None,
        "source": "the scenario",
        "as_of": "",
        "note": "",
        "basis": f"{count:g} x ${each:g}/h, as the scenario says",
    }


def cost_per_million(per_hour: float, count: float, rate: float | None) -> float | None:
    """Dollars per million requests on `count` machines of `per_hour` dollars that together serve `rate` per second.

    None where nothing was served.
    """
    if rate is None or not math.isfinite(rate) or rate <= 0:
        return None
    return 1e6 * per_hour * count / (3600 * rate)


def cost_basis(
    price: Mapping[str, Any], goodput: float, *, saturated: bool, at: str = "the goodput of this load point"
) -> str:
    """The sentence that stands beside a cost: what was priced, at which rate, and how full the machine was."""
    what = str(price.get("basis") or f"${price['per_hour']:g}/h")
    if saturated:
        return f"saturation figure: {what}, at the goodput of this closed loop ({rate_text(goodput)})"
    return f"{what}, at {at} ({rate_text(goodput)}), 100 % of it used"


def _from_book(price: Price, count: float) -> dict[str, Any]:
    each = price.usd_per_hour
    assert each is not None
    return {
        "per_hour": each * count,
        "per_hour_each": each,
        "count": _whole(count),
        "instance": price.instance,
        "provider": price.provider,
        "region": price.region,
        "source": price.source,
        "as_of": price.as_of,
        "note": price.note,
        "basis": f"{count:g} x {price.instance} at ${each:g}/h ({price.provider} {price.region}, {price.as_of})",
    }


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    for key in given:
        if key not in KEYS:
            near = nearest(key, KEYS)
            hint = f"did you mean {near!r}?" if near else f"known keys: {', '.join(KEYS)}"
            raise ScenarioError(f"unknown key {key!r} of price", hint=hint)


def _above_zero(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise ScenarioError(
            f"price.{key} must be a number greater than 0, got {value!r}", hint=f"for example {key}: {_EXAMPLES[key]}"
        )
    return value


_EXAMPLES = {"count": "2", "per_hour": "0.408"}


def _whole(count: float) -> int | float:
    return int(count) if float(count).is_integer() else count


def _price(row: Mapping[str, str]) -> Price:
    def number(key: str) -> float | None:
        return float(row[key]) if row[key] else None

    return Price(
        provider=row["provider"],
        region=row["region"],
        instance=row["instance"],
        vcpu=int(row["vcpu"]) if row["vcpu"] else None,
        memory_gib=number("memory_gib"),
        arch=row["arch"],
        accelerator=row["accelerator"],
        accelerators=number("accelerators"),
        accelerator_memory_gib=number("accelerator_memory_gib"),
        usd_per_hour=number("usd_per_hour"),
        spot_usd_per_hour=number("spot_usd_per_hour"),
        as_of=row["as_of"],
        source=row["source"],
        note=row["note"],
    )
