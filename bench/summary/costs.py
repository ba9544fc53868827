"""Rows, capacities and prices of a summary -> its costs: what serving the traffic within the SLO takes.

Every figure stands on the lower end of a capacity. Nothing here reads a file or asks a clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from bench import units
from bench.cost.basis import age, machine_of, machine_text, mismatches, priced_text
from bench.cost.choice import Contender, cheapest, flips, replicas_in_all, stretches
from bench.cost.figures import CheapestAt, Costs, Saturation, ServerCost
from bench.cost.network import Exchange, NetworkCost, network_cost, network_price
from bench.cost.steps import per_million, usable_rate
from bench.cost.traffic import Traffic
from bench.cost.words import break_even_text, listed, price_in
from bench.measures.capacity import capacity_text
from bench.measures.stats import Interval, values_needed
from bench.profiles import Capacity
from bench.results import Manifest, Outcome
from bench.summary.figures import Row, ServerSummary, Summary
from bench.summary.ties import levelled, slo_time
from bench.validity import Reason, Verdict, verdict_of

Key = tuple[str, str]
_EVEN = ("poisson", "constant")
_OTHER_PRICES = {"spot": "spot_per_hour_each", "reserved": "reserved_per_hour_each"}


@dataclass(frozen=True, slots=True)
class Basis:
    """Which machine one server was measured on, what it is priced as, and why that is in doubt."""

    measured_on: str
    priced_as: str
    reasons: tuple[Reason, ...]


def costs_of(summary: Summary, manifests: Sequence[Manifest]) -> Costs:
    """The costs of a summary; the traffic is that of the first run's scenario."""
    by_run = {manifest.run_id: manifest for manifest in manifests}
    bases = {
        (server.server, server.run_id): _basis(server, by_run[server.run_id])
        for server in summary.servers
        if server.run_id in by_run
    }
    traffic = traffic_of(manifests[0]) if manifests else Traffic()
    other = [manifest.run_id for manifest in manifests[1:] if traffic_of(manifest) != traffic]
    notes = [f"run {run} has another traffic; all servers are sized for the one of the first run" for run in other]
    return _costs(summary, traffic, bases, notes)


def costs_again(summary: Summary, traffic: Traffic | None = None) -> Costs | None:
    """The costs of a summary whose rows, capacities or prices were judged again, or for another traffic.

    What was said of machines and prices before is said again.
    """
    before = summary.costs
    if before is None:
        return None
    bases = {
        (one.server, one.run_id): Basis(one.measured_on, one.priced_as, one.reasons) for one in before.servers
    }  # fmt: skip
    notes = [note for note in before.notes if not note.endswith(_SEARCH)]
    return _costs(summary, before.traffic if traffic is None else traffic, bases, notes)


def traffic_of(manifest: Manifest) -> Traffic:
    """The traffic that a run's scenario states; the defaults where it states none."""
    given = manifest.scenario.get("traffic")
    known = {field.name for field in fields(Traffic)}
    return (
        Traffic(**{key: value for key, value in given.items() if key in known})
        if isinstance(given, dict)
        else Traffic()
    )


def _costs(summary: Summary, traffic: Traffic, bases: Mapping[Key, Basis], notes: Sequence[str]) -> Costs:
    names = _names(summary.servers)
    stand = {
        key: row
        for key in ((one.server, one.run_id) for one in summary.servers)
        if (row := _stands_on(key, summary)) is not None
    }
    level = _levels(stand.values())
    servers = tuple(
        _server_cost(
            server, name, summary, traffic, bases.get((server.server, server.run_id), Basis("", "", ())), level
        )
        for server, name in zip(summary.servers, names, strict=True)
    )
    running = [one for one in servers if one.contends]
    contenders = [_contender(one, stand.get((one.server, one.run_id))) for one in running]
    open_above = [one.name for one in running if one.capacity is not None and one.capacity.high is None]
    if open_above:
        notes = [*notes, f"more than was measured may be served by {listed(open_above)}, at less cost: {_SEARCH}"]
    chosen = cheapest(contenders, traffic)
    found = stretches(contenders, traffic)
    labels = [one.name for one in running]
    return Costs(
        traffic=traffic,
        servers=servers,
        chosen=None if chosen is None else (running[chosen].server, running[chosen].run_id),
        reason="" if chosen is not None else _nobody(summary, servers, traffic),
        stretches=tuple(
            CheapestAt(each.above, each.up_to, tuple(labels[place] for place in each.cheapest)) for each in found
        ),
        break_even=break_even_text(found, labels),
        flips=flips(contenders, traffic),
        notes=tuple(notes),
    )


_SEARCH = "a load point {profile: capacity} with room above finds out"


def _names(servers: Sequence[ServerSummary]) -> list[str]:
    """Names that tell servers of several runs apart."""
    names = [server.server for server in servers]
    return [f"{s.server} ({s.run_id})" if names.count(s.server) > 1 else s.server for s in servers]


def _nobody(summary: Summary, servers: Iterable[ServerCost], traffic: Traffic) -> str:
    """Why none can be chosen by what it costs."""
    if "response_time" not in summary.slo:
        return "no SLO is stated, so there is no capacity to size by"
    within = [one for one in servers if one.usable_rate is not None and not one.other_work]
    if not within:
        return "no server was found to meet the SLO at any arrival rate"
    if traffic.rate is not None and any(one.contends for one in within):
        most = f"{traffic.most_replicas:,} replicas, the most allowed"
        return f"no server reaches {units.rate_text(traffic.rate)} with {most}"
    return "no server that meets the SLO has a price that can be compared"


def _basis(server: ServerSummary, manifest: Manifest) -> Basis:
    share = manifest.budget.get("count")
    machine = machine_of(manifest.environment, usable=float(share) if isinstance(share, int | float) else None)
    price = server.price
    if price is None:
        return Basis(machine_text(machine), "", ())
    reasons = (*mismatches(machine, price, server.options), *age(price, manifest.started_at))
    return Basis(machine_text(machine), priced_text(price), reasons)


def _levels(stand: Iterable[Row]) -> dict[Key, float]:
    """What servers are sized by that have no search: the same for those of a kind that served one load alike."""
    rows = list(stand)
    same, other = ([row for row in rows if bool(row.other_work) is apart] for apart in (False, True))
    return levelled(same) | levelled(other)


def _contender(one: ServerCost, row: Row | None) -> Contender:
    assert one.capacity is not None
    assert one.capacity.low is not None
    assert one.per_hour is not None
    price = one.price or {}
    count = float(price.get("count") or 1)
    others = {name: float(price[key]) * count for name, key in _OTHER_PRICES.items() if price.get(key)}
    tail = math.inf if row is None else slo_time(row)
    return Contender(one.name, one.capacity.low, one.per_hour, one.capacity.high, others, tail)


def _server_cost(
    server: ServerSummary, name: str, summary: Summary, traffic: Traffic, basis: Basis, level: Mapping[Key, float]
) -> ServerCost:
    own = [row for row in summary.rows if (row.server, row.run_id) == (server.server, server.run_id)]
    row, capacity, absent = _capacity(server, own, summary, level)
    per_hour = price_in(server.price)
    low = None if capacity is None or absent else capacity.low
    usable = usable_rate(low, traffic.headroom)
    if not absent and per_hour is None:
        absent = "no price in the scenario" if server.price is None else "its price is not above zero"
    made = ServerCost(
        server=server.server,
        run_id=server.run_id,
        name=name,
        absent=absent,
        contends=False,
        capacity=capacity,
        price=server.price,
        per_hour=per_hour,
        usable_rate=usable,
        measured_on=basis.measured_on,
        priced_as=basis.priced_as,
        reasons=basis.reasons if server.price is not None else (),
        saturation=_saturation(own, per_hour),
        tail=_tail(row, summary.slo),
        other_work=server.other_work,
    )
    if absent or capacity is None or low is None or per_hour is None or usable is None:
        return made
    verdict = verdict_of(basis.reasons)
    contends = verdict is not Verdict.INVALID and not server.other_work
    return _billed(replace(made, verdict=verdict, contends=contends), row, capacity, traffic)


def _billed(made: ServerCost, row: Row | None, capacity: Interval, traffic: Traffic) -> ServerCost:
    """The bill of a server whose capacity and price are known."""
    per_hour = made.per_hour
    assert per_hour is not None
    assert made.usable_rate is not None
    full = Interval(
        per_million(per_hour, capacity.low), per_million(per_hour, capacity.high), per_million(per_hour, capacity.low)
    )
    if traffic.rate is None:
        spared = [per_million(per_hour, usable_rate(rate, traffic.headroom)) for rate in (capacity.low, capacity.high)]
        month = per_hour * traffic.hours_per_month
        return replace(
            made,
            per_month=Interval(month, month, month, "one replica"),
            per_million=Interval(spared[0], spared[1], spared[0]),
            at_capacity=full,
            network=_network(made, row, made.usable_rate, traffic),
        )
    count, fewest = (replicas_in_all(rate, traffic) for rate in (capacity.low, capacity.high))
    if count is None:
        rate, most = units.rate_text(traffic.rate), traffic.most_replicas
        return replace(made, at_capacity=full, absent=f"{rate} takes more than {most:,} replicas, the most allowed")
    hourly, least = count * per_hour, None if fewest is None else fewest * per_hour
    hours = traffic.hours_per_month
    return replace(
        made,
        replicas=count,
        per_month=Interval(hourly * hours, None if least is None else least * hours, hourly * hours),
        per_million=Interval(
            per_million(hourly, traffic.mean),
            None if least is None else per_million(least, traffic.mean),
            per_million(hourly, traffic.mean),
        ),
        at_capacity=full,
        network=_network(made, row, traffic.mean or traffic.rate, traffic),
    )


def _network(made: ServerCost, row: Row | None, rate: float, traffic: Traffic) -> NetworkCost | None:
    """Load balancer and egress, where the bytes were measured and the provider's prices are known."""
    price = network_price(str((made.price or {}).get("provider") or ""))
    if price is None or row is None:
        return None
    exchange = Exchange(row.request_bytes, row.response_bytes, row.connections_per_request)
    return network_cost(price, exchange, rate, traffic.hours_per_month)


def _capacity(
    server: ServerSummary, own: Sequence[Row], summary: Summary, level: Mapping[Key, float]
) -> tuple[Row | None, Interval | None, str]:
    """The row that a capacity stands on, the capacity, and why there is none to size by.

    Without a search the highest open-loop load point within the SLO is what a server can do at least; of servers
    that served it alike each is sized by the one that was counted lowest.
    """
    if "response_time" not in summary.slo:
        return None, None, "no SLO is stated"
    searched = next((row for row in own if row.profile == Capacity.name and row.capacity is not None), None)
    if searched is not None and searched.capacity is not None and searched.verdict is not Verdict.INVALID:
        found = searched.capacity
        if found.low is not None:
            return searched, found, ""
        if found.high is not None:
            return searched, found, f"capacity {capacity_text(found)}: no rate was found at which it meets the SLO"
    key = (server.server, server.run_id)
    best = _stands_on(key, summary)
    if best is not None:
        rate = level.get(key, best.goodput or 0.0)
        return best, Interval(rate, low=rate, basis=f"load point {best.label}, the highest that met the SLO"), ""
    return None, None, _unsized(server, own)


def _stands_on(key: Key, summary: Summary) -> Row | None:
    """The highest open-loop load point that shows what a server serves; of no use where its search found a capacity."""
    share = summary.slo.get("percentile", 95.0) / 100
    own = [row for row in summary.rows if (row.server, row.run_id) == key]
    met = [row for row in own if _counts(row, values_needed(share))]
    return max(met, key=lambda row: row.arrival_rate or 0.0, default=None)


def _counts(row: Row, needed: int) -> bool:
    """Whether an open-loop load point shows that its rate is served within the SLO."""
    sound = row.outcome is Outcome.OK and row.verdict is not Verdict.INVALID and row.profile in _EVEN
    return sound and bool(row.slo_met) and row.n >= needed and bool(row.goodput)


def _unsized(server: ServerSummary, own: Sequence[Row]) -> str:
    measured = [row for row in own if row.outcome is Outcome.OK]
    if not measured:
        reason = server.reason or next((row.reason for row in own if row.reason), "not measured")
        return f"{server.outcome.value}: {reason}" if server.outcome is not Outcome.OK else reason
    if all(row.users is not None for row in measured):
        return "measured in closed loop only, which tells no arrival rate"
    if all(row.verdict is Verdict.INVALID for row in measured if row.users is None):
        return "no open-loop measurement of it is valid"
    return "no open-loop load point met the SLO"


def _saturation(own: Sequence[Row], per_hour: float | None) -> Saturation | None:
    """What the busiest closed loop of several users got done, at the price of 100 % use."""
    rows = [
        row
        for row in own
        if row.outcome is Outcome.OK and row.verdict is not Verdict.INVALID and (row.users or 0) > 1 and row.throughput
    ]
    if not rows or per_hour is None:
        return None
    best = max(rows, key=lambda row: row.throughput or 0.0)
    dollars = per_million(per_hour, best.throughput)
    return None if dollars is None else Saturation(dollars, best.throughput or 0.0, best.label)


def _tail(row: Row | None, slo: Mapping[str, Any]) -> float | None:
    """The SLO's percentile at the load point that a capacity stands on."""
    if row is None or row.response_time is None:
        return None
    name = f"p{slo.get('percentile', 95.0):g}".replace(".", "")
    value: float | None = getattr(row.response_time, name, None)
    return value
