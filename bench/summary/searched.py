"""A capacity search, from its looks on disk to the one `Row` that stands for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.cost.prices import cost_basis, cost_per_million
from bench.measures.capacity import Look, Result, capacity_of
from bench.measures.stats import Interval
from bench.measures.timeline import Timeline
from bench.results import (
    Outcome,
    Run,
    ServerRecord,
    TrialRecord,
)
from bench.summary.figures import Row, Slo
from bench.summary.looking import unmeasured_look
from bench.summary.point import row_of


def capacity_row(
    run: Run,
    server: ServerRecord,
    trials: Sequence[TrialRecord],
    slo: Slo,
    warnings: list[str],
    courses: list[Timeline],
    looks: list[Row],
) -> Row:
    """The look that stands for a search, with the capacity that all of them give."""
    seen: list[tuple[Row, list[Timeline]]] = []
    for trial in trials:
        if trial.look:
            own: list[Timeline] = []
            row = row_of(run, server, [trial], slo, warnings, own)
            seen.append((row if row.look else replace(row, look=unmeasured_look(trial, row.reason)), own))
    said = tuple(row.look for row, _ in seen if row.look is not None)
    searches = [trial for trial in trials if not trial.look]
    cut = next((trial.reason for trial in searches if trial.outcome is not Outcome.OK), "")
    if not seen:
        row = row_of(run, server, searches, slo, [], courses)
        return row if cut else replace(row, reason="no look was made")
    looks += [row for row, _ in seen]
    capacity = capacity_of(said)
    row = standing([row for row, _ in seen], capacity)
    courses += next(own for each, own in seen if each is row)
    lost = next((row.reason for row, _ in seen if row.outcome is Outcome.FAILED), "")
    return at_capacity(row, capacity, server.price, row.reason or cut or lost)


def at_capacity(row: Row, capacity: Interval, price: Mapping[str, Any] | None, reason: str) -> Row:
    """The look that stands for a search, with what the search found."""
    cost = _cost_at_capacity(price, capacity) or row.cost_per_million
    return replace(row, capacity=capacity, cost_per_million=cost, reason=reason)


def standing(seen: Sequence[Row], capacity: Interval) -> Row:
    """The highest rate met that is not above the capacity; else the lowest one met, missed or looked at."""
    sound = [row for row in seen if row.outcome is Outcome.OK] or list(seen)
    met = [row for row in sound if row.look and row.look.result is Result.MET]
    within = [row for row in met if capacity.value is None or (row.arrival_rate or 0) <= capacity.value]
    if within:
        return max(within, key=lambda row: row.arrival_rate or 0)
    missed = [row for row in sound if row.look and row.look.result is Result.MISSED]
    return min(met or missed or sound, key=lambda row: row.arrival_rate or 0)


def look_of(run: Run, server: ServerRecord, trial: TrialRecord) -> Look:
    """What one look of a search says, from its rows on disk."""
    row = row_of(run, server, [trial], Slo.of(run.manifest.slo), [], [])
    return row.look or unmeasured_look(trial, row.reason)


def _cost_at_capacity(price: Mapping[str, Any] | None, capacity: Interval) -> Interval | None:
    """Dollars per million requests where a server gets as many as it surely serves within the SLO, and no more.

    The value is that of the capacity's lower end, so nothing above it is likely.
    """
    if price is None or price.get("per_hour") is None or capacity.low is None:
        return None
    per_hour = float(price["per_hour"])
    basis = cost_basis(price, capacity.low, saturated=False, at="the lower end of its capacity at the SLO")
    low, high = (cost_per_million(per_hour, 1, rate) for rate in (capacity.high, capacity.low))
    return Interval(high, low, high, basis)
