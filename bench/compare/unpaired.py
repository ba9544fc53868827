"""The trials of one server in one run, as values of metrics: what two runs of different times have to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.compare.cells import COMPARED
from bench.compare.tabulate import Key
from bench.compare.values import PointValues, enough_for, point_values
from bench.profiles import Capacity
from bench.results import Manifest, Run, TrialRecord

_PLAIN = ("error_rate", "p50", "p95", "p99", "goodput")


@dataclass(frozen=True, slots=True)
class Trials:
    """Every trial of a server by load point, in the order of the run, and what belongs to whole starts."""

    points: Mapping[str, Sequence[PointValues]]
    starts: Mapping[str, Sequence[float]]

    @property
    def count(self) -> int:
        """The most trials of any load point."""
        return max((len(points) for points in self.points.values()), default=0)

    def cells(self) -> tuple[Key, ...]:
        """Every metric that at least one trial has."""
        found = [Key(load, metric) for load, points in self.points.items() for metric in _metrics(points)]
        found += [Key("", metric) for metric, values in self.starts.items() if values]
        return tuple(found)

    def values(self, key: Key) -> list[float]:
        """One value per trial that has one."""
        if not key.load:
            return list(self.starts.get(key.metric, ()))
        found = [point.value(key.metric) for point in self.points.get(key.load, ())]
        return [value for value in found if value is not None]

    def requests(self, key: Key) -> list[int]:
        """Scheduled requests of every trial that has a value, in the order of `values`."""
        points = self.points.get(key.load, ())
        return [point.row.n for point in points if point.row is not None and point.value(key.metric) is not None]

    def wrong(self, key: Key) -> str:
        """What the server did in a trial that makes its figures mean nothing; empty without any."""
        return next((point.wrong for point in self.points.get(key.load, ()) if point.wrong), "")

    def left_out(self, key: Key) -> tuple[int, int, str]:
        """How many trials have no value, of how many, and why the first of them has none."""
        points = self.points.get(key.load, ())
        without = [point for point in points if point.value(key.metric) is None]
        return len(without), len(points), next((point.lost or "has no value" for point in without), "")

    def enough(self, key: Key) -> bool:
        """Whether each trial has enough requests for its percentile to gate."""
        rows = [point.row for point in self.points.get(key.load, ())]
        return all(enough_for(key.metric, row) for row in rows if row is not None)


def trials_of(run: Run, server: str) -> Trials:
    """The trials of one server; those that failed have no values.   Raises: KeyError for an unknown server."""
    record = {each.name: each for each in run.manifest.servers}[server]
    own = [trial for trial in run.trials if trial.server == server]
    groups: dict[tuple[str, int], list[TrialRecord]] = {}
    for trial in own:
        groups.setdefault((trial.label, trial.number), []).append(trial)
    points: dict[str, list[PointValues]] = {}
    for (label, _), trials in groups.items():
        points.setdefault(label, []).append(point_values(run, record, trials))
    by_start = {trial.repetition: trial.startup_seconds for trial in own if trial.startup_seconds is not None}
    peaks: dict[int, float] = {}
    for (label, _), trials in groups.items():
        row = points[label][[key for key in groups if key[0] == label].index((label, trials[0].number))].row
        if row is not None and row.rss_peak_bytes is not None:
            peaks[trials[0].repetition] = max(peaks.get(trials[0].repetition, 0.0), row.rss_peak_bytes)
    return Trials(points, {"startup": tuple(by_start.values()), "memory": tuple(peaks.values())})


def gate_keys(manifest: Manifest, trials: Trials) -> tuple[Key, ...]:
    """The cells that would gate: those of the scenario, else the first load point's tail, what was served, errors."""
    named = manifest.scenario.get("gates") or ()
    have = trials.cells()
    found = []
    for gate in named:
        metric, load = str(gate.get("metric")), gate.get("load")
        found += [key for key in have if key.metric == metric and load in (None, key.load)][:1]
    if found:
        return tuple(found)
    for metrics in (("p95", "p50"), ("capacity", "throughput"), ("error_rate",)):
        found += [key for metric in metrics for key in have if key.metric == metric and trials.enough(key)][:1]
    return tuple(found)


def _metrics(points: Sequence[PointValues]) -> tuple[str, ...]:
    row = next((point.row for point in points if point.row is not None), None)
    if row is None:
        return ()
    names = ["capacity"] if row.profile == Capacity.name else list(_PLAIN)
    if row.users is not None and row.profile != Capacity.name:
        names.append("throughput")
    if row.cost_per_million is not None:
        names.append("cost")
    return tuple(name for name in names if name in COMPARED and any(p.value(name) is not None for p in points))
