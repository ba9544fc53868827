"""A summary judged once more, by another limit of response time or at other prices, without reading a row.

Exact for the limits of `limits_for`, because a row's spread has the counts for those. The looks of a capacity search
stay the ones that were made for the scenario's own limit, so for another the interval is wider or open at one end.
The page's controls do the same in the browser.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bench.measures.capacity import capacity_of
from bench.results import Outcome
from bench.summary.costs import costs_again
from bench.summary.figures import Row, ServerSummary, Slo, Summary
from bench.summary.looking import look
from bench.summary.point import cost_of
from bench.summary.ranking import Key
from bench.summary.searched import at_capacity, standing
from bench.summary.spread import limits_for


def judged_again(summary: Summary, limit: float | None = None, per_hour: Mapping[Key, float] | None = None) -> Summary:
    """The rows, looks and servers of a summary for another limit (s) or other prices ($/h); its answer is left alone.

    Raises: ValueError for a limit that no row has counts for.
    """
    own = summary.slo.get("response_time")
    limits = limits_for(own)
    wanted = own if limit is None else limit
    if wanted is None or wanted not in limits:
        raise ValueError(f"rows cannot be judged by {wanted} s again")
    slo = {**summary.slo, "response_time": wanted}
    servers = {(s.server, s.run_id): _priced(s, (per_hour or {}).get((s.server, s.run_id))) for s in summary.servers}
    place = limits.index(wanted)
    looks = tuple(_judged(row, servers, Slo.of(slo), place) for row in summary.looks)
    rows = tuple(
        _searched(row, looks, servers) if row.look else _judged(row, servers, Slo.of(slo), place)
        for row in summary.rows
    )
    told = tuple(_capacity(server, rows) for server in servers.values())
    again = replace(summary, slo=slo, rows=rows, looks=looks, servers=told)
    return replace(again, costs=costs_again(again))


def _priced(server: ServerSummary, per_hour: float | None) -> ServerSummary:
    if per_hour is None:
        return server
    return replace(server, price={"per_hour": per_hour, "count": 1, "basis": f"${per_hour:g}/h, as asked"})


def _judged(row: Row, servers: Mapping[Key, ServerSummary], slo: Slo, place: int) -> Row:
    """A row by another limit; one without figures stays what it is."""
    spread = row.spread
    if row.outcome is not Outcome.OK or spread is None:
        return row
    server = servers.get((row.server, row.run_id))
    goodput = spread.within[place] / spread.seconds if spread.seconds > 0 else None
    met = spread.judged is not None and spread.judged <= slo.limit and (row.error_rate or 0.0) <= slo.error_limit
    return replace(
        row,
        slo_met=met if spread.n else None,
        goodput=goodput,
        in_slo=spread.due[place] if spread.due else None,
        cost_per_million=cost_of(server.price if server else None, goodput, row.users),
        look=look(row.arrival_rate or 0.0, spread, row.reasons, slo) if row.look else None,
    )


def _searched(row: Row, looks: tuple[Row, ...], servers: Mapping[Key, ServerSummary]) -> Row:
    """The row of a capacity search, from its looks as they are judged now."""
    own = [each for each in looks if (each.server, each.run_id, each.label) == (row.server, row.run_id, row.label)]
    capacity = capacity_of([each.look for each in own if each.look is not None])
    server = servers.get((row.server, row.run_id))
    return at_capacity(standing(own, capacity), capacity, server.price if server else None, row.reason)


def _capacity(server: ServerSummary, rows: tuple[Row, ...]) -> ServerSummary:
    own = (row for row in rows if (row.server, row.run_id) == (server.server, server.run_id))
    return replace(server, capacity=next((row.capacity for row in own if row.capacity is not None), None))
