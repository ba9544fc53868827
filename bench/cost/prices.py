"""The dated price book, and what a million requests cost at a served rate.

List prices in US dollars per hour, Linux, shared tenancy, without tax, disk, traffic or a load balancer. An
empty field of the book means not known, never zero. This module knows nothing of runs or reports.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from bench.errors import ScenarioError
from bench.names import nearest
from bench.units import rate_text

HOME = ("aws", "us-east-1")
"""Provider and region that an instance is looked up in where a scenario names none."""
KEYS = ("instance", "per_hour", "count", "region", "provider", "as_of")
"""What `price:` in a scenario may hold."""


@dataclass(frozen=True, slots=True)
class Price:
    """One instance type in one region on one day; `as_of` dates `usd_per_hour`.

    `vcpu_per_core` is 2 where a vCPU is a thread of a physical core, 1 where it is a core. `accelerators` counts
    devices (0.1667: a sixth of one), `accelerator_memory_gib` is per device. Spot prices and those reserved for a
    year (all upfront) are mostly estimates, as `note` says: good for a range, not for a ranking. `own` is a price of
    the person's, which is found before one that comes with bench.
    """

    provider: str
    region: str
    instance: str
    vcpu: int | None
    vcpu_per_core: int | None
    memory_gib: float | None
    arch: str
    accelerator: str
    accelerators: float | None
    accelerator_memory_gib: float | None
    usd_per_hour: float | None
    spot_usd_per_hour: float | None
    reserved_usd_per_hour: float | None
    as_of: str
    source: str
    note: str
    own: bool = False

    @property
    def cores(self) -> float | None:
        """Physical cores; None where the book does not know how many vCPU make one."""
        return None if self.vcpu is None or self.vcpu_per_core is None else self.vcpu / self.vcpu_per_core


@lru_cache(maxsize=1)
def price_book() -> tuple[Price, ...]:
    """Every price that comes with bench, in the order of its file."""
    text = files("bench").joinpath("data", "prices.csv").read_text(encoding="utf-8")
    return tuple(_price(row) for row in csv.DictReader(text.splitlines()))


def find_price(
    instance: str, region: str | None = None, provider: str | None = None, *, book: Sequence[Price] | None = None
) -> Price:
    """The instance's entry in that region, at that provider: one's own first, then aws us-east-1, then the first.

    Raises: ScenarioError naming the nearest entry if there is none, or if the book has no price for it.
    """
    book = price_book() if book is None else book
    entries = [price for price in book if price.instance == instance]
    if not entries:
        near = nearest(instance, dict.fromkeys(price.instance for price in book))
        raise ScenarioError(
            f"the price book has no instance {instance!r}",
            hint=(f"did you mean {near!r}? " if near else "")
            + "see `bench list prices`, or write price: {per_hour: 0.408}",
        )
    found = [
        price for price in entries if region in (None, price.region) and provider in (None, price.provider)
    ]  # fmt: skip
    if not found:
        places = ", ".join(f"{price.provider} {price.region}".strip() for price in entries)
        wanted = " ".join(part for part in (provider, region) if part)
        raise ScenarioError(
            f"the price book has no price of {instance} in {wanted}",
            hint=f"it has {places}; or write price: {{per_hour: 0.408}}",
        )
    best = min(found, key=lambda price: (not price.own, (price.provider, price.region) != HOME))
    if best.usd_per_hour is None:
        raise ScenarioError(
            f"the price book knows {instance} but no price of it{f': {best.note}' if best.note else ''}",
            hint="write price: {per_hour: 0.408} with a price of your own",
        )
    return best


def resolve_price(spec: Mapping[str, Any], *, book: Sequence[Price] | None = None) -> dict[str, Any]:
    """What a server costs per hour, from `{instance, count}` or `{per_hour, count}` of a scenario.

    Shape: per_hour (all instances together), per_hour_each, count, instance, provider, region, source, as_of,
    note, basis (a sentence), and of one instance vcpu, cores, memory_gib, arch, accelerator, accelerators,
    spot_per_hour_each, reserved_per_hour_each; all that is not known is None.
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
        price = find_price(str(given["instance"]), given.get("region"), given.get("provider"), book=book)
        return _from_book(price, count)
    each = _above_zero("per_hour", given["per_hour"])
    as_of = str(given.get("as_of", ""))
    said = f"as the scenario says, {as_of}" if as_of else "as the scenario says"
    return {
        "per_hour": each * count,
        "per_hour_each": each,
        "count": _whole(count),
        **dict.fromkeys(("instance", "provider", "region", *_SHAPE, *_OTHER_PRICES)),
        "source": "the scenario",
        "as_of": as_of,
        "note": "",
        "basis": f"{count:g} x ${each:g}/h, {said}",
    }


_SHAPE = ("vcpu", "cores", "memory_gib", "arch", "accelerator", "accelerators")
_OTHER_PRICES = ("spot_per_hour_each", "reserved_per_hour_each")


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
    place = ", ".join(part for part in (f"{price.provider} {price.region}".strip(), price.as_of) if part)
    return {
        "per_hour": each * count,
        "per_hour_each": each,
        "count": _whole(count),
        "instance": price.instance,
        "provider": price.provider,
        "region": price.region,
        **{name: getattr(price, name) for name in _SHAPE},
        "spot_per_hour_each": price.spot_usd_per_hour,
        "reserved_per_hour_each": price.reserved_usd_per_hour,
        "source": price.source,
        "as_of": price.as_of,
        "note": price.note,
        "basis": f"{count:g} x {price.instance} at ${each:g}/h" + (f" ({place})" if place else ""),
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

    fields: dict[str, Any] = {name: row[name] for name in TEXTS}
    fields |= {name: number(name) for name in NUMBERS}
    fields |= {name: int(row[name]) if row[name] else None for name in WHOLES}
    return Price(**fields)


TEXTS = ("provider", "region", "instance", "arch", "accelerator", "as_of", "source", "note")
WHOLES = ("vcpu", "vcpu_per_core")
NUMBERS = (
    "memory_gib",
    "accelerators",
    "accelerator_memory_gib",
    "usd_per_hour",
    "spot_usd_per_hour",
    "reserved_usd_per_hour",
)
