"""The bill of every server, in words and table cells; the same for text, Markdown, HTML and charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench import units
from bench.cost.figures import Costs, ServerCost
from bench.cost.words import traffic_text
from bench.measures.capacity import capacity_text
from bench.measures.stats import Interval
from bench.report.view.server import OTHER
from bench.report.view.words import one_line, plainly
from bench.summary import Summary, Verdict

BILL_HEAD = (
    "server",
    "capacity",
    "one replica",
    "replicas",
    "$ a month",
    "$ per million, sized",
    "at capacity, 100 % used",
    "at saturation",
    "load balancer + egress",
    "price fits",
)
BASIS_HEAD = ("server", "measured on", "priced as", "price", "in doubt")
BILL_NOTE = (
    "Sized by the lower end of each capacity within the SLO. “$ per million, sized” counts headroom and spares, “at "
    "capacity” neither; “at saturation” is what vendors quote: all that a closed loop got done, whatever its latency, "
    "with nothing to spare. Load balancer and egress follow bytes, not computing, and are in no other figure. “price "
    "fits”: whether the machine that is priced is like the one that was measured."
)


@dataclass(frozen=True, slots=True)
class Bill:
    """One line of the bill, as text; `absent` says why there is no figure. `value` is what to sort by."""

    server: str
    capacity: str
    replica: str
    replicas: str
    month: str
    million: str
    full: str
    saturation: str
    network: str
    verdict: str
    absent: str
    chosen: bool
    measured_on: str
    priced_as: str
    price: str
    doubts: tuple[str, ...]
    value: float | None
    apart: bool = False
    """Whether it does other work than the model, so that its bill is compared with those of its like only."""

    @property
    def cells(self) -> tuple[str, ...]:
        """As `BILL_HEAD` has them."""
        figures = (self.replica, self.replicas, self.month, self.million, self.full, self.saturation, self.network)
        return (self.server, self.capacity, *figures, self.verdict)

    @property
    def basis(self) -> tuple[str, ...]:
        """As `BASIS_HEAD` has them."""
        return self.server, self.measured_on, self.priced_as, self.price, "; ".join(self.doubts) or "-"


def bills(summary: Summary) -> tuple[Bill, ...]:
    """One line per server of the summary, the cheapest first, those without figures last."""
    costs = summary.costs
    if costs is None:
        return ()
    made = [_bill(one, costs) for one in costs.servers]
    order = sorted(made, key=lambda bill: (not bill.chosen, bool(bill.absent), bill.apart, bill.value or 0.0))
    return tuple(order)


def bill_columns(bills: Sequence[Bill]) -> tuple[int, ...]:
    """Which of `BILL_HEAD` say something of any server: without a traffic nobody has replicas."""
    known = [bill.cells for bill in bills if not bill.absent]
    return tuple(at for at in range(len(BILL_HEAD)) if not known or any(cells[at] != "-" for cells in known))


def priced(summary: Summary) -> bool:
    """Whether any server has a price: without one there is nothing to say about money."""
    return summary.costs is not None and any(one.price is not None for one in summary.costs.servers)


def money_texts(summary: Summary) -> tuple[str, ...]:
    """The traffic, where the choice turns, why none was made, and what is doubtful, each a sentence."""
    costs = summary.costs
    if costs is None or not priced(summary):
        return ()
    said = [f"Sized for: {traffic_text(costs.traffic)}."]
    if costs.reason:
        said.append(f"No server can be sized and compared: {costs.reason}.")
    if costs.break_even:
        rate = "" if costs.traffic.rate is None else f" (now {units.short(units.rate_text(costs.traffic.rate))})"
        said.append(f"Break-even by traffic{rate}: {one_line(costs.break_even)}")
    said += [f"{one_line(note)[:1].upper()}{one_line(note)[1:]}." for note in costs.notes]
    return tuple(said)


def money_doubts(summary: Summary) -> tuple[str, ...]:
    """`INVALID: priced as ... (gunicorn)`: every way in which a bill stands on another machine or an old price."""
    found: dict[tuple[Verdict, str], list[str]] = {}
    for one in summary.costs.servers if summary.costs is not None else ():
        if one.capacity is not None:
            for reason in one.reasons:
                found.setdefault((reason.verdict, one_line(reason.what)), []).append(one_line(one.name))
    ordered = sorted(found.items(), key=lambda item: item[0][0] is not Verdict.INVALID)
    return tuple(f"{verdict.value} cost: {what} ({', '.join(names)})" for (verdict, what), names in ordered)


def _bill(one: ServerCost, costs: Costs) -> Bill:
    chosen = (one.server, one.run_id) == costs.chosen
    month, million = one.per_month, one.per_million
    saturated = one.saturation
    return Bill(
        server=one_line(one.name) + (f" {OTHER}" if one.other_work else ""),
        capacity=capacity_text(one.capacity),
        replica="-" if one.per_hour is None else f"{units.dollars_text(one.per_hour)}/h",
        replicas=units.count_text(one.replicas),
        month=_money(month),
        million=_money(million),
        full=_money(one.at_capacity),
        saturation="-" if saturated is None else f"{units.dollars_text(saturated.per_million)} ({saturated.load})",
        network=_network(one),
        verdict=one.verdict.value if one.verdict is not None else "-",
        absent=one_line(plainly(one.absent)),
        chosen=chosen,
        measured_on=one_line(one.measured_on) or "-",
        priced_as=one_line(one.priced_as) or "-",
        price=one_line(str((one.price or {}).get("basis", ""))) or "-",
        doubts=tuple(f"{reason.verdict.value}: {one_line(reason.what)}" for reason in one.reasons),
        value=_to_sort_by(one, costs),
        apart=bool(one.other_work),
    )


def _to_sort_by(one: ServerCost, costs: Costs) -> float | None:
    """Dollars a month for the traffic; per million requests where none is stated."""
    band = one.per_million if costs.traffic.rate is None else one.per_month
    return None if band is None else band.value


def _money(band: Interval | None) -> str:
    """`$894 ($700 to $894)`, `at most $894` where only one end of the capacity is known."""
    if band is None or band.value is None:
        return "-"
    if band.low is None:
        return f"at most {units.dollars_text(band.value)}"
    if band.low == band.high:
        return units.dollars_text(band.value)
    return f"{units.dollars_text(band.value)} ({units.dollars_text(band.low)} to {units.dollars_text(band.high)})"


def _network(one: ServerCost) -> str:
    if one.network is None:
        return "-"
    parts = [one.network.load_balancer, one.network.egress]
    return " + ".join(units.dollars_text(part) for part in parts)


def network_bases(summary: Summary) -> Iterator[str]:
    """What the estimates of load balancer and egress stand on, each once."""
    found: dict[str, list[str]] = {}
    for one in summary.costs.servers if summary.costs is not None else ():
        if one.network is not None:
            found.setdefault(one_line(one.network.basis), []).append(one_line(one.name))
    for basis, names in found.items():
        yield f"Load balancer and egress of {', '.join(names)}: {basis}."
