"""Which server comes first, and why: the rows that a choice is made from, one per server, in order.

By what they cost, else by goodput; where servers served one load alike, by response time. Knows no sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.cost.figures import Costs, ServerCost
from bench.measures.stats import values_needed
from bench.profiles import Capacity
from bench.results import Outcome
from bench.summary.figures import Row
from bench.summary.ties import alike, levelled, slo_time
from bench.validity import Verdict

Key = tuple[str, str]
"""Server and run: what tells servers apart when runs are merged."""


def ranking(
    rows: Sequence[Row], slo: Mapping[str, float], costs: Costs | None = None, *, other_work: bool = False
) -> tuple[Row, ...]:
    """The rows that the choice is made from, one per server, the chosen first; empty where none can be chosen.

    With the costs of a stated traffic the cheapest for that traffic comes first, else the cheapest per request.
    With `other_work` those of the servers that do other work than the model, of which none is the choice.
    """
    group = [row for row in rows if bool(row.other_work) is other_work]
    within = [row for row in group if row.outcome is Outcome.OK and row.verdict is not Verdict.INVALID and row.slo_met]
    enough = [row for row in within if row.n >= values_needed(share_of(slo))] if "response_time" in slo else []
    return tuple(in_order(best_points(one_loop(enough)), costs))


def undecided(costs: Costs | None) -> bool:
    """Whether no server can serve the stated traffic, so that none is the choice although some are ranked."""
    return costs is not None and costs.traffic.rate is not None and costs.chosen is None


def tied_with_first(ranked: Sequence[Row]) -> list[Row]:
    """The servers after the first that served the same load alike, at no other cost: response time put it first."""
    level = levelled(ranked)

    def standing(row: Row) -> tuple[float, float]:
        return _goodput(row, level), _level_cost(row, level)

    first = ranked[0]
    return [row for row in ranked[1:] if alike(first, row) and standing(row) == standing(first)]


def in_order(best: Mapping[Key, Row], costs: Costs | None = None) -> list[Row]:
    """The cheapest first; where no server has a price, the one with the highest goodput.

    What served one offered load alike counts as having served the same, and the SLO's response time decides.
    A price that says nothing of what was measured (a GPU instance, measured without a GPU) ranks nothing.
    """
    priced = [row for row in best.values() if cost_of_row(row) is not None and not _unlike(row, costs)]
    if priced and costs is not None and costs.traffic.rate is not None:
        billed = [row for row in priced if (bill := bill_of(row, costs)) is not None and bill.per_month is not None]
        if billed:
            return sorted(billed, key=lambda row: _for_traffic(row, costs))
    if priced:
        level = levelled(priced)
        return sorted(priced, key=lambda row: (_level_cost(row, level), -_goodput(row, level), slo_time(row)))
    level = levelled(best.values())
    return sorted(best.values(), key=lambda row: (-_goodput(row, level), slo_time(row)))


def best_points(rows: Sequence[Row]) -> dict[Key, Row]:
    """Of each server the row with the highest offered load."""
    best: dict[Key, Row] = {}
    for row in rows:
        key = (row.server, row.run_id)
        if key not in best or _load(row) > _load(best[key]):
            best[key] = row
    return best


def one_loop(rows: Sequence[Row]) -> Sequence[Row]:
    """Open-loop rows if there are any, else closed: the two kinds of latency must not be ranked against each other."""
    return [row for row in rows if row.users is None] or rows


def _load(row: Row) -> tuple[bool, bool, float]:
    """A capacity search says more than any one load point."""
    searched = row.profile == Capacity.name
    return row.users is None, searched, row.arrival_rate if row.arrival_rate is not None else float(row.users or 0)


def _goodput(row: Row, level: Mapping[Key, float]) -> float:
    return level.get((row.server, row.run_id), 0.0)


def _level_cost(row: Row, level: Mapping[Key, float]) -> float:
    """Dollars at the level that servers share; rounded, so that equal prices stay equal."""
    cost, goodput = cost_of_row(row) or 0.0, _goodput(row, level)
    return float(f"{cost * (row.goodput or 0.0) / goodput:.9g}") if goodput else cost


def bill_of(row: Row, costs: Costs | None) -> ServerCost | None:
    """What a server that can be compared by its bill takes; None for any other."""
    bill = None if costs is None else costs.of(row.server, row.run_id)
    return bill if bill is not None and (bill.contends or bill.apart) else None


def _unlike(row: Row, costs: Costs | None) -> bool:
    """Whether the instance that a server is priced as cannot stand for the machine that it was measured on."""
    bill = None if costs is None else costs.of(row.server, row.run_id)
    return bill is not None and bill.verdict is Verdict.INVALID


def _for_traffic(row: Row, costs: Costs) -> tuple[bool, float]:
    """The chosen one, then by dollars a month."""
    bill = bill_of(row, costs)
    month = bill.per_month.value if bill is not None and bill.per_month is not None else None
    return (row.server, row.run_id) != costs.chosen, month or 0.0


def cost_of_row(row: Row) -> float | None:
    """Dollars per million requests at the goodput of the row."""
    return row.cost_per_million.value if row.cost_per_million is not None else None


def share_of(slo: Mapping[str, float]) -> float:
    """The share of all requests that the SLO speaks of: 0.95 for its p95."""
    return slo.get("percentile", 95.0) / 100
