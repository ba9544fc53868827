"""The sentence that answers the scenario's question: which server to choose, or why the evidence does not say.

Only what was measured decides: an INVALID row never wins, and a percentile with too few requests behind it
names no winner. What does other work than the model on purpose is never the choice: it has a best of its own.
This module knows nothing of files or charts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench import units
from bench.cost.figures import Costs, ServerCost
from bench.cost.words import bill_text
from bench.measures.agreement import agreement_text
from bench.measures.capacity import capacity_text
from bench.measures.stats import values_needed
from bench.profiles import Capacity
from bench.results import Outcome
from bench.validity import Verdict

if TYPE_CHECKING:  # summary.py calls this module
    from bench.summary import Row, ServerSummary

EVEN = ("poisson", "constant")
"""Open-loop profiles whose one rate says everything about the load; of any other it is only the mean."""
Key = tuple[str, str]
"""Server and run: what tells servers apart when runs are merged."""


def answer(
    rows: Sequence[Row], servers: Sequence[ServerSummary], slo: Mapping[str, float], costs: Costs | None = None
) -> str:
    """Sentences with the choice, its latency and its price, or with what is missing to choose.

    Behind them the best of those that do other work than the model, with how far its answers lie from the model's.
    """
    same, other = ([row for row in rows if bool(row.other_work) is group] for group in (False, True))
    rounded = [row for row in other if row.outcome is Outcome.OK]
    if rounded and not any(row.outcome is Outcome.OK for row in same):
        said = "Nothing that does the model's own work was measured, so there is nothing to choose."
    else:
        said = _chosen(same, servers, slo, costs)
    beside = _best_of_others(rounded, slo, costs) if rounded and "response_time" in slo else ""
    return f"{said} {beside}".rstrip()


def _best_of_others(rows: Sequence[Row], slo: Mapping[str, float], costs: Costs | None) -> str:
    """The best of those that do other work, what it serves, for how much, and how far from the model it is."""
    ranked = ranking(rows, slo, costs, other_work=True)
    if not ranked:
        names = ", ".join(dict.fromkeys(row.server for row in rows))
        return f"Of those that do other work than the model none is ranked: {names}."
    best, cost = ranked[0], _cost(ranked[0])
    why = "the cheapest" if cost is not None else "the one with the highest goodput"
    name = f"p{slo.get('percentile', 95.0):g}"
    tail = _percentile(best, name)
    latency = f" with a {name} of {units.duration_text(tail)}" if tail is not None else ""
    spent = f", for {_dollars(best)} per million requests" if cost is not None else ""
    doubt = f" This is SUSPECT: {_first_reason(best)}." if best.verdict is Verdict.SUSPECT else ""
    return (
        f"Of those that do other work than the model, {best.server} is {why}: at {_load_text(best)} it serves "
        f"{units.rate_text(best.goodput)} within the SLO{latency}{spent} ({best.other_work}; "
        f"{agreement_text(best.answers)}).{doubt}"
    )


def _chosen(
    rows: Sequence[Row], servers: Sequence[ServerSummary], slo: Mapping[str, float], costs: Costs | None
) -> str:
    """The choice among rows that all do the same work."""
    measured = [row for row in rows if row.outcome is Outcome.OK]
    if not measured:
        return "Nothing was measured, so there is nothing to choose."
    if "response_time" not in slo:
        return "The scenario states no SLO, so there is nothing to choose by: add slo: {percentile, response_time}."
    trusted = [row for row in measured if row.verdict is not Verdict.INVALID]
    if not trusted:
        return f"No measurement is valid, so none is ranked: {measured[0].server}, {_first_reason(measured[0])}."
    within = [row for row in trusted if row.slo_met]
    if not within:
        return f"No server met {_slo_text(slo)} at any load point that was measured{_nearest_miss(trusted, slo)}."
    needed = values_needed(_share(slo))
    enough = [row for row in within if row.n >= needed]
    if not enough:
        return _too_thin(_best_points(within), slo, needed)
    best = _best_points(_one_loop(enough))
    ranked = _ranked(best, costs)
    if costs is not None and costs.traffic.rate is not None and undecided(costs):
        return f"No server can be chosen for {units.short(units.rate_text(costs.traffic.rate))}: {costs.reason}."
    bill = _bill(ranked[0], costs)
    if costs is not None and bill is not None and costs.traffic.rate is not None:
        return " ".join([_choice_for_traffic(ranked[0], slo, bill, costs), *_rivals(ranked, costs)])
    return " ".join([_choice(ranked[0], slo, bill), *_beside(ranked, best, trusted, servers)])


def ranking(
    rows: Sequence[Row], slo: Mapping[str, float], costs: Costs | None = None, *, other_work: bool = False
) -> tuple[Row, ...]:
    """The rows that the choice is made from, one per server, the chosen first; empty where none can be chosen.

    With the costs of a stated traffic the cheapest for that traffic comes first, else the cheapest per request.
    With `other_work` those of the servers that do other work than the model, of which none is the choice.
    """
    group = [row for row in rows if bool(row.other_work) is other_work]
    within = [row for row in group if row.outcome is Outcome.OK and row.verdict is not Verdict.INVALID and row.slo_met]
    enough = [row for row in within if row.n >= values_needed(_share(slo))] if "response_time" in slo else []
    return tuple(_ranked(_best_points(_one_loop(enough)), costs))


def undecided(costs: Costs | None) -> bool:
    """Whether no server can serve the stated traffic, so that none is the choice although some are ranked."""
    return costs is not None and costs.traffic.rate is not None and costs.chosen is None


def _one_loop(rows: Sequence[Row]) -> Sequence[Row]:
    """Open-loop rows if there are any, else closed: the two kinds of latency must not be ranked against each other."""
    return [row for row in rows if row.users is None] or rows


def _best_points(rows: Sequence[Row]) -> dict[Key, Row]:
    """Of each server the row with the highest offered load."""
    best: dict[Key, Row] = {}
    for row in rows:
        key = (row.server, row.run_id)
        if key not in best or _load(row) > _load(best[key]):
            best[key] = row
    return best


def _load(row: Row) -> tuple[bool, bool, float]:
    """A capacity search says more than any one load point."""
    searched = row.profile == Capacity.name
    return row.users is None, searched, row.arrival_rate if row.arrival_rate is not None else float(row.users or 0)


def _ranked(best: Mapping[Key, Row], costs: Costs | None = None) -> list[Row]:
    """The cheapest first; where no server has a price, the one with the highest goodput.

    A price that says nothing of what was measured (a GPU instance, measured without a GPU) ranks nothing.
    """
    priced = [row for row in best.values() if _cost(row) is not None and not _unlike(row, costs)]
    if priced and costs is not None and costs.traffic.rate is not None:
        billed = [row for row in priced if (bill := _bill(row, costs)) is not None and bill.per_month is not None]
        if billed:
            return sorted(billed, key=lambda row: _for_traffic(row, costs))
    if priced:
        return sorted(priced, key=lambda row: (_cost(row) or 0.0, -(row.goodput or 0.0)))
    return sorted(best.values(), key=lambda row: -(row.goodput or 0.0))


def _bill(row: Row, costs: Costs | None) -> ServerCost | None:
    bill = None if costs is None else costs.of(row.server, row.run_id)
    return bill if bill is not None and (bill.contends or bill.apart) else None


def _unlike(row: Row, costs: Costs | None) -> bool:
    """Whether the instance that a server is priced as cannot stand for the machine that it was measured on."""
    bill = None if costs is None else costs.of(row.server, row.run_id)
    return bill is not None and bill.verdict is Verdict.INVALID


def _for_traffic(row: Row, costs: Costs) -> tuple[bool, float]:
    """The chosen one, then by dollars a month."""
    bill = _bill(row, costs)
    month = bill.per_month.value if bill is not None and bill.per_month is not None else None
    return (row.server, row.run_id) != costs.chosen, month or 0.0


def _choice_for_traffic(row: Row, slo: Mapping[str, float], bill: ServerCost, costs: Costs) -> str:
    """The choice for the traffic that the scenario states, its replicas and what they stand on."""
    rate = units.short(units.rate_text(costs.traffic.rate))
    each = f"one serves {capacity_text(bill.capacity)} within it"
    spare = f"{units.percent_text(costs.traffic.headroom)} headroom, {costs.traffic.spare_replicas} spare"
    doubts = [_first_reason(row)] if row.verdict is Verdict.SUSPECT else []
    doubts += [bill.reasons[0].what] if bill.verdict is Verdict.SUSPECT else []
    doubt = f" This is SUSPECT: {'; '.join(doubts)}." if doubts else ""
    return (
        f"Choose {row.server}, the cheapest of those that meet {_slo_text(slo)} for {rate}: "
        f"{bill_text(bill, costs.traffic)} ({each}; {spare}).{doubt}"
    )


def _rivals(ranked: Sequence[Row], costs: Costs) -> list[str]:
    """What the second comes to, and where the choice turns."""
    said = []
    if len(ranked) > 1 and (bill := _bill(ranked[1], costs)) is not None:
        said.append(f"{ranked[1].server} takes {bill_text(bill, costs.traffic)}.")
    return [*said, *([costs.break_even] if costs.break_even else [])]


def _choice(row: Row, slo: Mapping[str, float], bill: ServerCost | None = None) -> str:
    cost = _cost(row)
    name = f"p{slo.get('percentile', 95.0):g}"
    tail = _percentile(row, name)
    latency = f" with a {name} of {units.duration_text(tail)}{_around(row, name)}" if tail is not None else ""
    where = " at the lower end of its capacity" if row.profile == Capacity.name else ""
    spent = f", for {_dollars(row)} per million requests{where}" if cost is not None else ""
    doubts = [_first_reason(row)] if row.verdict is Verdict.SUSPECT else []
    doubts += [bill.reasons[0].what] if bill is not None and bill.verdict is Verdict.SUSPECT else []
    doubt = f" This is SUSPECT: {'; '.join(doubts)}." if doubts else ""
    why = "the cheapest of those that meet" if cost is not None else "the highest goodput of those that meet"
    met = f"at {_load_text(row)} it serves {units.rate_text(row.goodput)} within the SLO"
    return f"Choose {row.server}, {why} {_slo_text(slo)}: {met}{latency}{spent}.{doubt}"


def _around(row: Row, name: str) -> str:
    """` (204 ms to 231 ms)`, the interval of a percentile where it is known."""
    band = row.p95_interval if name == "p95" else None
    if band is None or band.low is None or band.high is None:
        return ""
    return f" ({units.duration_text(band.low)} to {units.duration_text(band.high)})"


def _dollars(row: Row) -> str:
    """`$5.76 ($4.11 to $6.67)`: a cost with its interval where that is known."""
    cost = row.cost_per_million
    if cost is None or cost.low is None or cost.high is None:
        return units.dollars_text(_cost(row))
    return f"{units.dollars_text(cost.value)} ({units.dollars_text(cost.low)} to {units.dollars_text(cost.high)})"


def _beside(
    ranked: Sequence[Row], best: Mapping[Key, Row], trusted: Sequence[Row], servers: Sequence[ServerSummary]
) -> list[str]:
    """The naive server in comparison, and what could not be ranked."""
    winner = ranked[0]
    sentences = []
    naive = _naive(winner, trusted, servers)
    if naive is not None:
        sentences.append(_compared(winner, naive, best.get(naive)))
    if _cost(winner) is None:
        sentences.append("No server has a price, so cost was not compared.")
    else:
        unpriced = [row.server for row in best.values() if _cost(row) is None]
        if unpriced:
            sentences.append(f"Without a price, so not ranked: {', '.join(unpriced)}.")
    return sentences


def _naive(winner: Row, trusted: Sequence[Row], servers: Sequence[ServerSummary]) -> Key | None:
    """What people start from: the first measured server of kind flask, else the scenario's first."""
    measured = {(row.server, row.run_id) for row in trusted}
    candidates = [server for server in servers if (server.server, server.run_id) in measured]
    naive = next((server for server in candidates if server.kind == "flask"), candidates[0] if candidates else None)
    if naive is None or (naive.server, naive.run_id) == (winner.server, winner.run_id):
        return None
    return naive.server, naive.run_id


def _compared(winner: Row, naive: Key, row: Row | None) -> str:
    name = naive[0]
    if row is None:
        return f"{name} met the SLO at no {'closed' if winner.users is not None else 'open'}-loop load point."
    at = f"at {_load_text(row)}, the highest load at which it met the SLO"
    ours, theirs = _cost(winner), _cost(row)
    if ours is not None and theirs is not None:
        times = f"{theirs / ours:.1f} times as much" if theirs >= ours else f"{units.percent_text(theirs / ours)} of it"
        return f"{name} costs {units.dollars_text(theirs)}, {times}, {at}."
    return f"{name} serves {units.rate_text(row.goodput)} within the SLO {at}."


def _too_thin(best: Mapping[Key, Row], slo: Mapping[str, float], needed: int) -> str:
    leader = _ranked(best)[0]
    return (
        f"The evidence is too thin to choose: p{slo.get('percentile', 95.0):g} needs {needed:,} requests at a load "
        f"point and no row within the SLO has them ({leader.server}, the best so far, has {leader.n:,} at "
        f"{_load_text(leader)}). Make the durations longer or the trials more."
    )


def _nearest_miss(trusted: Sequence[Row], slo: Mapping[str, float]) -> str:
    """`; the nearest was ...`: at its lowest load, the server with the lowest percentile."""
    name = f"p{slo.get('percentile', 95.0):g}"
    known = [(value, row) for row in trusted if (value := _percentile(row, name)) is not None]
    if not known:
        return ""
    value, row = min(known, key=lambda pair: pair[0])
    errors = f" and {units.percent_text(row.error_rate)} errors" if row.error_rate else ""
    return f"; the nearest was {row.server} at {_load_text(row)} with a {name} of {units.duration_text(value)}{errors}"


def _percentile(row: Row, name: str) -> float | None:
    value = getattr(row.response_time, name.replace(".", ""), None)
    return float(value) if value is not None else None


def _cost(row: Row) -> float | None:
    return row.cost_per_million.value if row.cost_per_million is not None else None


def _first_reason(row: Row) -> str:
    return row.reasons[0].what if row.reasons else "no reason recorded"


def _load_text(row: Row) -> str:
    if row.arrival_rate is not None:
        rate = f"{units.short(units.rate_text(row.arrival_rate)).removesuffix('/s')} requests/s"
        if row.profile == Capacity.name:
            return f"{rate} (capacity {capacity_text(row.capacity, ends=', ')})"
        return rate if row.profile in EVEN else f"{rate} on average ({row.label})"
    return f"{row.users} user{'' if row.users == 1 else 's'} in closed loop" if row.users else row.label


def _share(slo: Mapping[str, float]) -> float:
    return slo.get("percentile", 95.0) / 100


def _slo_text(slo: Mapping[str, float]) -> str:
    limit = units.duration_text(slo["response_time"]).replace(".00 ", " ")
    return f"a p{slo.get('percentile', 95.0):g} of {limit}"
