"""A paired session on disk -> one value per trial and metric: what the statistics are given.

Every value is that of one trial, read from its rows the way a report reads them. A value that is missing is None, and
says why: because of the rig, which leaves its pair out, or because of the server, which nothing may leave out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.compare.cells import COMPARED
from bench.compare.damage import rows_damage, trial_damage
from bench.measures.metrics import good_times
from bench.measures.stats import percentiles
from bench.profiles import Capacity
from bench.results import Outcome, Run, ServerRecord, TrialRecord
from bench.results.pairing import Measured, Side, Stage
from bench.summary.figures import Row, Slo
from bench.summary.point import row_of
from bench.summary.searched import capacity_row
from bench.validity import Reason, Verdict

SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
TAIL_REQUESTS = 30
"""So many requests beyond it in every trial, and a percentile is steady enough to gate."""
SHIFT_QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
_RIG = frozenset(("rows-missing", "worker-lost", "times-disordered", "offered-not-achieved", "check-could-not-fail"))
"""Checks that end in INVALID for which no server is to blame."""


@dataclass(frozen=True, slots=True)
class PointValues:
    """One load point of one start: its row, its quantiles, and why its figures cannot be used.

    `lost` is the rig's or a dead server's doing, `wrong` is what the server did; both are empty for a sound trial.
    """

    row: Row | None
    quantiles: tuple[float, ...] | None
    lost: str = ""
    wrong: str = ""

    def value(self, metric: str) -> float | None:
        """The trial's value of a metric of `COMPARED`, in its unit; None where it has none. Errors are a count."""
        if self.row is None or self.lost:
            return None
        if metric == "error_rate":
            return float(self.row.n - self.row.ok)
        return None if self.wrong else _figure(self.row, metric)

    @property
    def censored(self) -> bool:
        """Whether the capacity is only a bound: the search never met, or never missed, its SLO."""
        found = self.row.capacity if self.row is not None else None
        return found is not None and (found.value is None or found.low is None or found.high is None)


@dataclass(frozen=True, slots=True)
class Start:
    """One start of one side with all its load points, by label."""

    measured: Measured
    points: Mapping[str, PointValues]
    startup: float | None
    memory: float | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Both starts of a pair."""

    number: int
    baseline: Start
    candidate: Start

    @property
    def both(self) -> tuple[Start, Start]:
        """Baseline, candidate."""
        return self.baseline, self.candidate


def read_starts(run: Run) -> tuple[Start, ...]:
    """Every slot of a session that was taken, in the order in which it was.   Raises: ValueError for any other run."""
    if run.manifest.pairing is None:
        raise ValueError("not a paired session")
    by_number: dict[int, list[TrialRecord]] = {}
    for trial in run.trials:
        by_number.setdefault(trial.number, []).append(trial)
    servers = {server.name: server for server in run.manifest.servers}
    return tuple(_start(run, measured, by_number, servers) for measured in run.manifest.pairing.measured)


def pairs_of(starts: Sequence[Start], stage: Stage) -> tuple[Pair, ...]:
    """The pairs of a stage of which both sides were taken, by number."""
    found: dict[int, dict[Side, Start]] = {}
    for start in starts:
        if start.measured.slot.stage is stage:
            found.setdefault(start.measured.slot.pair, {})[start.measured.slot.side] = start
    return tuple(
        Pair(number, sides[Side.BASELINE], sides[Side.CANDIDATE])
        for number, sides in sorted(found.items())
        if len(sides) == 2
    )


def spoilt(pairs: Sequence[Pair]) -> int:
    """How many pairs the rig spoilt: both servers worked, and yet a trial cannot be used."""
    return sum(
        any(point.lost for start in pair.both for point in start.points.values())
        for pair in pairs
        if not any(start.measured.failure for start in pair.both)
    )


def _start(
    run: Run, measured: Measured, by_number: Mapping[int, list[TrialRecord]], servers: Mapping[str, ServerRecord]
) -> Start:
    taken = [trial for number in measured.trials for trial in by_number.get(number, [])]
    trials = [trial for trial in taken if trial.server == measured.server]
    labels = dict.fromkeys(trial.label for trial in trials)
    server = servers.get(measured.server)
    points = {
        label: point_values(run, server, [trial for trial in trials if trial.label == label])
        for label in labels
        if server
    }
    startups = [trial.startup_seconds for trial in trials if trial.startup_seconds is not None]
    peaks = [point.row.rss_peak_bytes for point in points.values() if point.row and point.row.rss_peak_bytes]
    return Start(measured, points, startups[0] if startups else None, max(peaks, default=None))


def point_values(run: Run, server: ServerRecord, trials: Sequence[TrialRecord]) -> PointValues:
    """One load point of one start, from its trial, or from all looks of its search."""
    damage = next(filter(None, map(trial_damage, trials)), "")
    if damage:
        return PointValues(None, None, lost=damage)
    slo = Slo.of(run.manifest.slo)
    warnings: list[str] = []
    if trials[0].profile == Capacity.name:
        row = capacity_row(run, server, trials, slo, warnings, [], [])
    else:
        row = row_of(run, server, trials, slo, warnings, [])
    if row.outcome is not Outcome.OK:
        return PointValues(None, None, lost=first_line(row.reason) or str(row.outcome))
    rig, own = _blame(row.reasons)
    quantiles = None
    if row.capacity is None and (samples := run.samples(trials[0])) is not None:
        damage = rows_damage(samples)
        if damage:
            return PointValues(None, None, lost=damage)
        times = good_times(samples, "response_time")
        quantiles = percentiles(times, SHIFT_QUANTILES) if len(times) else None
    return PointValues(row, quantiles, lost=rig, wrong=own)


def _blame(reasons: Sequence[Reason]) -> tuple[str, str]:
    """What makes a row INVALID: the rig, the server; empty for neither."""
    invalid = [reason for reason in reasons if reason.verdict is Verdict.INVALID]
    rig = next((reason.what for reason in invalid if reason.id in _RIG), "")
    return rig, next((reason.what for reason in invalid if reason.id not in _RIG), "")


def _figure(row: Row, metric: str) -> float | None:
    if metric in SHARES:
        return None if row.response_time is None else getattr(row.response_time, metric)
    if metric == "capacity":
        return None if row.capacity is None else row.capacity.value
    if metric == "cost":
        return None if row.cost_per_million is None else row.cost_per_million.value
    assert metric in ("throughput", "goodput"), COMPARED[metric]
    figure: float | None = getattr(row, metric)
    return figure


def enough_for(metric: str, row: Row) -> bool:
    """Whether so many requests lie beyond a percentile that a gate can rest on it; true for any other metric."""
    share = SHARES.get(metric)
    if share is None:
        return True
    return row.response_time is not None and row.response_time.n * (1 - share) >= TAIL_REQUESTS - 1e-9


def achieved_share(row: Row) -> float | None:
    """Replies, good or bad, per request offered, in an open loop; None in a closed one, which offers no rate.

    Below one by more than chance and a queue is growing: latency then says how long the window was.
    """
    if row.users is not None or not row.n or row.throughput is None or not row.seconds:
        return None
    refused = row.failed / row.seconds
    return (row.throughput + refused) / (row.n / row.seconds)


def first_line(text: str) -> str:
    """The first line of a reason, whose others are a log's."""
    return next(iter(text.splitlines()), "")


def mean_of(values: Sequence[float | None]) -> float | None:
    """Mean of the values that there are."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
