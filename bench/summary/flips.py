"""What would flip the choice: the nearest other limit of response time, and the price, at which another server wins.

Each is found by judging the same rows again, so nothing is extrapolated.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench import units
from bench.cost.words import flip_text
from bench.summary.again import judged_again
from bench.summary.figures import Row, Summary
from bench.summary.ranking import ranking, tied_with_first, undecided
from bench.summary.spread import limits_for

REACH = 10.0
"""Limits farther than this factor from the scenario's own are no longer the same question."""


def flips(summary: Summary) -> tuple[str, ...]:
    """Sentences, nearest assumption first: price, a tighter limit, a looser one; empty where nothing was chosen."""
    ranked = ranking(summary.rows, summary.slo, summary.costs)
    if not ranked or undecided(summary.costs):
        return ()
    money = summary.costs.flips if summary.costs is not None and summary.costs.chosen == _key(ranked[0]) else ()
    said = [flip_text(flip) for flip in money] or _price(ranked, summary)
    return (*_overlap(ranked), *said, *_limits(ranked[0], summary))


def _price(ranked: Sequence[Row], summary: Summary) -> list[str]:
    """How much cheaper the second would have to be."""
    if len(ranked) < 2:
        return []
    winner, second = ranked[:2]
    if second in tied_with_first(ranked):
        return [f"{second.server} would be chosen if {winner.server} got any dearer"] if _cost(winner) else []
    ours, theirs, now = _cost(winner), _cost(second), _per_hour(second, summary)
    if ours is None or theirs is None or now is None or theirs <= 0:
        return []
    if theirs <= ours:
        return [f"{second.server} costs the same per request; the higher goodput decided"]
    needed = now * ours / theirs
    fall = units.percent_text(1 - ours / theirs)
    return [
        f"{second.server} would be chosen at {units.dollars_text(needed)}/h or less, {fall} below its "
        f"{units.dollars_text(now)}/h"
    ]


def _overlap(ranked: Sequence[Row]) -> list[str]:
    """Servers whose cost is not told apart from the chosen one's."""
    own = ranked[0].cost_per_million
    if own is None or own.high is None:
        return []
    close = [
        row.server
        for row in ranked[1:]
        if row.cost_per_million is not None and row.cost_per_million.low is not None
        and row.cost_per_million.low <= own.high
    ]  # fmt: skip
    if not close:
        return []
    return [f"the intervals of the cost of {ranked[0].server} and of {', '.join(close)} overlap: measure longer"]


def _limits(winner: Row, summary: Summary) -> list[str]:
    own = summary.slo["response_time"]
    limits = limits_for(own)
    below = [limit for limit in reversed(limits) if own / REACH <= limit < own]
    above = [limit for limit in limits if own < limit <= own * REACH]
    said = []
    for limit in below:
        other = _chosen(summary, limit)
        if other != _key(winner):
            then = "no server is chosen" if other is None else f"{other[0]} is chosen"
            said.append(f"with a limit of {units.short(units.duration_text(limit))} {then}")
            break
    for limit in above:
        other = _chosen(summary, limit)
        if other is not None and other != _key(winner):
            said.append(f"with a limit of {units.short(units.duration_text(limit))} {other[0]} is chosen")
            break
    return said


def _chosen(summary: Summary, limit: float) -> tuple[str, str] | None:
    again = judged_again(summary, limit)
    if undecided(again.costs):
        return None
    return next((_key(row) for row in ranking(again.rows, again.slo, again.costs)), None)


def _key(row: Row) -> tuple[str, str]:
    return row.server, row.run_id


def _cost(row: Row) -> float | None:
    return row.cost_per_million.value if row.cost_per_million is not None else None


def _per_hour(row: Row, summary: Summary) -> float | None:
    for server in summary.servers:
        if (server.server, server.run_id) == _key(row) and server.price and server.price.get("per_hour"):
            return float(server.price["per_hour"])
    return None
