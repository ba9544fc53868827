"""Which cells may fail a session: those that the scenario names, else one of latency, capacity and errors each.

More gates are more chances of a false alarm, so there are at most three. Pure; knows the scenario, not its results.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.compare.cells import COMPARED
from bench.compare.values import SHARES, TAIL_REQUESTS
from bench.profiles import Capacity, Closed, Profile, has_schedule
from bench.results.pairing import GateRecord

if TYPE_CHECKING:
    from bench.scenario.scenario import Scenario

_COUNT_SPREAD = 3.0
"""Standard deviations by which a trial may fall short of the requests that its rate promises (Poisson: their root):
a percentile chosen without that room could gate in one half of the trials and not in the other."""


def gates_of(scenario: Scenario) -> tuple[GateRecord, ...]:
    """The gates of a session: the scenario's `gates`, or what suits its load."""
    if scenario.gates:
        return tuple(
            GateRecord(
                gate.metric, gate.load or _load_for(gate.metric, scenario.points), _delta(gate.metric, gate.delta)
            )
            for gate in scenario.gates
        )
    return _default_gates(scenario)


def _delta(metric: str, asked: float | None) -> float:
    return COMPARED[metric].delta if asked is None else asked


def _load_for(metric: str, points: tuple[Profile, ...]) -> str:
    """The load point that a metric is taken from where nobody says it."""
    if metric in ("startup", "memory"):
        return ""
    if metric == "capacity":
        return Capacity.name
    closed = [point for point in points if isinstance(point, Closed)]
    if metric == "throughput" and closed:
        return max(closed, key=_users).label
    return _latency_point(points).label


def _default_gates(scenario: Scenario) -> tuple[GateRecord, ...]:
    points = scenario.points
    latency = _latency_point(points)
    chosen: list[tuple[str, str]] = []
    if not isinstance(latency, Capacity):
        chosen.append((_percentile(latency, scenario.slo.percentile), latency.label))
    if any(isinstance(point, Capacity) for point in points):
        chosen.append(("capacity", Capacity.name))
    elif crowds := [point for point in points if isinstance(point, Closed) and _users(point) > 1]:
        chosen.append(("throughput", max(crowds, key=_users).label))
    if not isinstance(latency, Capacity):
        chosen.append(("error_rate", latency.label))
    return tuple(GateRecord(metric, load, COMPARED[metric].delta) for metric, load in chosen)


def _latency_point(points: tuple[Profile, ...]) -> Profile:
    """Where latency means most: the first open loop, else the first of all that is no search."""
    plain = [point for point in points if not isinstance(point, Capacity)]
    return next((point for point in plain if has_schedule(point)), plain[0] if plain else points[0])


def _percentile(point: Profile, asked: float) -> str:
    """The highest percentile up to the SLO's own that so many requests can carry; how many a closed loop gets nobody
    knows before.
    """
    expected = point.mean_rate * point.duration if has_schedule(point) else 0.0
    expected -= _COUNT_SPREAD * math.sqrt(expected)
    carried = [name for name, share in SHARES.items() if expected * (1 - share) >= TAIL_REQUESTS]
    wanted = [name for name in carried if SHARES[name] <= max(asked, 95) / 100]
    return wanted[-1] if wanted else "p50"


def _users(point: Closed) -> int:
    return point.users if isinstance(point.users, int) else 0
