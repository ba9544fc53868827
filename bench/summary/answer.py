"""The sentence that answers the scenario's question: which server to choose, or why the evidence does not say.

Only what was measured decides: an INVALID row never wins, and a percentile with too few requests behind it
names no winner. Of servers that served one offered load alike the response time decides. What does other work
than the model on purpose is never the choice: it has a best of its own.
This module knows nothing of files or charts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench import units
from bench.cost.figures import Costs, ServerCost
from bench.cost.words import bill_text, listed
from bench.measures.agreement import agreement_text
from bench.measures.capacity import capacity_text
from bench.measures.stats import values_needed
from bench.profiles import Capacity
from bench.results import Outcome
from bench.summary.ranking import (
    Key,
    best_points,
    bill_of,
    cost_of_row,
    in_order,
    one_loop,
    ranking,
    share_of,
    tied_with_first,
    undecided,
)
from bench.summary.ties import overlap, slo_time
from bench.validity import Verdict

if TYPE_CHECKING:  # summary.py calls this module
    from bench.summary import Row, ServerSummary

EVEN = ("poisson", "constant")
"""Open-loop profiles whose one rate says everything about the load; of any other it is only the mean."""


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
    best, cost = ranked[0], cost_of_row(ranked[0])
    name = f"p{slo.get('percentile', 95.0):g}"
    goodput = f"the lowest {name} where the same is served" if tied_with_first(ranked) else "the highest goodput"
    why = "the cheapest" if cost is not None else f"the one with {goodput}"
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
    needed = values_needed(share_of(slo))
    enough = [row for row in within if row.n >= needed]
    if not enough:
        return _too_thin(best_points(within), slo, needed)
    best = best_points(one_loop(enough))
    ranked = in_order(best, costs)
    if costs is not None and costs.traffic.rate is not None and undecided(costs):
        return f"No server can be chosen for {units.short(units.rate_text(costs.traffic.rate))}: {costs.reason}."
    bill = bill_of(ranked[0], costs)
    if costs is not None and bill is not None and costs.traffic.rate is not None:
        return " ".join([_choice_for_traffic(ranked[0], slo, bill, costs), *_rivals(ranked, costs)])
    tied = tied_with_first(ranked)
    naive = _naive(ranked[0], trusted, servers)
    if naive is None or naive in [(row.server, row.run_id) for row in tied]:
        compared = []  # of those that served the same all is said
    elif naive in best:
        compared = [_compared(ranked[0], best[naive])]
    else:
        compared = [_uncompared(naive, within, ranked[0], slo)]
    beside = [*_level(ranked[0], tied, slo), *compared, *_unpriced(ranked[0], best)]
    return " ".join([_choice(ranked[0], slo, bill, len(tied) + 1), *beside])


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
    if len(ranked) > 1 and (bill := bill_of(ranked[1], costs)) is not None:
        said.append(f"{ranked[1].server} takes {bill_text(bill, costs.traffic)}.")
    return [*said, *([costs.break_even] if costs.break_even else [])]


def _choice(row: Row, slo: Mapping[str, float], bill: ServerCost | None = None, alike: int = 1) -> str:
    cost = cost_of_row(row)
    name = f"p{slo.get('percentile', 95.0):g}"
    tail = _percentile(row, name)
    latency = f" with a {name} of {units.duration_text(tail)}{_around(row, name)}" if tail is not None else ""
    where = " at the lower end of its capacity" if row.profile == Capacity.name else ""
    spent = f", for {_dollars(row)} per million requests{where}" if cost is not None else ""
    doubts = [_first_reason(row)] if row.verdict is Verdict.SUSPECT else []
    doubts += [bill.reasons[0].what] if bill is not None and bill.verdict is Verdict.SUSPECT else []
    doubt = f" This is SUSPECT: {'; '.join(doubts)}." if doubts else ""
    if cost is not None:
        why = "the cheapest of those that meet"
    elif alike > 1:
        why = f"the lowest {name} of the {alike} that serve the same within"
    else:
        why = "the highest goodput of those that meet"
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
        return units.dollars_text(cost_of_row(row))
    return f"{units.dollars_text(cost.value)} ({units.dollars_text(cost.low)} to {units.dollars_text(cost.high)})"


def _level(winner: Row, tied: Sequence[Row], slo: Mapping[str, float]) -> list[str]:
    """Who served the same, for the same, and whether the response time that decided tells them apart."""
    if not tied:
        return []
    name, close = f"p{slo.get('percentile', 95.0):g}", [row for row in tied if overlap(winner, row)]
    same = "" if cost_of_row(winner) is None else " at the same cost"
    if close:
        times = units.duration_text(slo_time(close[-1]))
        which = f"with a {name} of {times}" if len(close) == 1 else f"with a {name} of up to {times}"
        come = "comes" if len(close) == 1 else "come"
        return [f"{listed([row.server for row in close])}, {which}{same}, {come} too close to tell apart."]
    return [f"Next{same} is {tied[0].server} with a {name} of {units.duration_text(slo_time(tied[0]))}."]


def _unpriced(winner: Row, best: Mapping[Key, Row]) -> list[str]:
    """What could not be ranked by cost."""
    if cost_of_row(winner) is None:
        return ["No server has a price, so cost was not compared."]
    unpriced = [row.server for row in best.values() if cost_of_row(row) is None]
    return [f"Without a price, so not ranked: {', '.join(unpriced)}."] if unpriced else []


def _naive(winner: Row, trusted: Sequence[Row], servers: Sequence[ServerSummary]) -> Key | None:
    """What people start from: the first measured server of kind flask, else the scenario's first."""
    measured = {(row.server, row.run_id) for row in trusted}
    candidates = [server for server in servers if (server.server, server.run_id) in measured]
    naive = next((server for server in candidates if server.kind == "flask"), candidates[0] if candidates else None)
    if naive is None or (naive.server, naive.run_id) == (winner.server, winner.run_id):
        return None
    return naive.server, naive.run_id


def _loop(row: Row) -> str:
    return "closed" if row.users is not None else "open"


def _uncompared(naive: Key, within: Sequence[Row], winner: Row, slo: Mapping[str, float]) -> str:
    """Why the naive server has no figure beside the choice: it missed the SLO, or met it with too few requests."""
    name, loop = naive[0], _loop(winner)
    row = best_points([row for row in within if _loop(row) == loop]).get(naive)
    if row is None:
        return f"{name} met the SLO at no {loop}-loop load point."
    requests = f"{row.n:,} request{'' if row.n == 1 else 's'}"
    need = f"fewer than the {values_needed(share_of(slo)):,} that p{slo.get('percentile', 95.0):g} needs"
    return f"{name} met the SLO at {_load_text(row)}, but with {requests}, {need}, so it is not ranked."


def _compared(winner: Row, row: Row) -> str:
    name = row.server
    at = f"at {_load_text(row)}, the highest load at which it met the SLO"
    ours, theirs = cost_of_row(winner), cost_of_row(row)
    if ours is not None and theirs is not None:
        times = f"{theirs / ours:.1f} times as much" if theirs >= ours else f"{units.percent_text(theirs / ours)} of it"
        return f"{name} costs {units.dollars_text(theirs)}, {times}, {at}."
    return f"{name} serves {units.rate_text(row.goodput)} within the SLO {at}."


def _too_thin(best: Mapping[Key, Row], slo: Mapping[str, float], needed: int) -> str:
    leader = in_order(best)[0]
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


def _first_reason(row: Row) -> str:
    return row.reasons[0].what if row.reasons else "no reason recorded"


def _load_text(row: Row) -> str:
    if row.arrival_rate is not None:
        rate = f"{units.short(units.rate_text(row.arrival_rate)).removesuffix('/s')} requests/s"
        if row.profile == Capacity.name:
            return f"{rate} (capacity {capacity_text(row.capacity, ends=', ')})"
        return rate if row.profile in EVEN else f"{rate} on average ({row.label})"
    return f"{row.users} user{'' if row.users == 1 else 's'} in closed loop" if row.users else row.label


def _slo_text(slo: Mapping[str, float]) -> str:
    limit = units.duration_text(slo["response_time"]).replace(".00 ", " ")
    return f"a p{slo.get('percentile', 95.0):g} of {limit}"
