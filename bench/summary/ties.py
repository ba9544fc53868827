"""Which servers served the same at one offered load, so that their goodput tells nothing more about them.

Goodput counts replies by when they arrive, so at one arrival rate it differs by the few that were under way at the
ends of the window. What does tell is the share of the requests due in the window that were answered within the SLO.
`templates/script/judge.js` computes the same in the browser.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from bench.profiles import Capacity
from bench.summary.figures import Row

_Z = 1.96


def levelled(rows: Iterable[Row]) -> dict[tuple[str, str], float]:
    """Goodput (1/s) by server and run, the lowest of its group for all that served one offered load alike.

    Shape: one row per server; one without goodput is left out.
    """
    left = sorted((row for row in rows if row.goodput is not None), key=lambda row: -_share(row))
    found: dict[tuple[str, str], float] = {}
    while left:
        group = [row for row in left if row is left[0] or alike(left[0], row)]
        level = min(row.goodput or 0.0 for row in group)
        found |= {(row.server, row.run_id): level for row in group}
        left = [row for row in left if all(row is not each for each in group)]
    return found


def alike(one: Row, other: Row) -> bool:
    """Whether two servers got the same open-loop load and count noise explains how much of it each served in the SLO.

    Wilson's 95 % intervals of the two shares overlap. A capacity search tries other rates on every server, and in
    closed loop who answers sooner is asked more: neither is ever alike.
    """
    if one.label != other.label or any(row.users is not None or row.profile == Capacity.name for row in (one, other)):
        return False
    ours, theirs = _interval(one), _interval(other)
    return ours is not None and theirs is not None and ours[0] <= theirs[1] and theirs[0] <= ours[1]


def slo_time(row: Row) -> float:
    """The SLO's percentile of response time (s) over all requests of a row, a failed one never answered."""
    judged = None if row.spread is None else row.spread.judged
    return math.inf if judged is None else judged


def overlap(one: Row, other: Row) -> bool:
    """Whether the 95 % intervals of that percentile overlap; without both it is only known for equal values."""
    bands = [
        row.spread.judged_interval for row in (one, other) if row.spread is not None and row.spread.judged_interval
    ]
    if len(bands) < 2:
        return slo_time(one) == slo_time(other)
    ours, theirs = bands
    return (ours.low or 0.0) <= _end(theirs.high) and (theirs.low or 0.0) <= _end(ours.high)


def _end(high: float | None) -> float:
    return math.inf if high is None else high


def _share(row: Row) -> float:
    return row.in_slo / row.n if row.in_slo is not None and row.n else 0.0


def _interval(row: Row) -> tuple[float, float] | None:
    """Wilson's interval of the share that was answered within the SLO."""
    if row.in_slo is None or not row.n:
        return None
    share, square = row.in_slo / row.n, _Z * _Z / row.n
    middle = share + square / 2
    half = math.sqrt(square * (share * (1 - share) + square / 4))
    return (middle - half) / (1 + square), (middle + half) / (1 + square)
