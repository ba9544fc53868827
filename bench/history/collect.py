"""A run on disk -> the rows that it adds to a history. Reads runs; writes nothing.

A paired session gives rows for both of its sides, each at its own commit; any other run gives a row per server. The
replicate is the trial: every row says over how many it is.
"""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bench.compare.cells import COMPARED
from bench.compare.surroundings import environment_key, machine_facts
from bench.compare.values import Start, read_starts
from bench.errors import NothingMeasuredError
from bench.history.rows import Row
from bench.history.store import DEFAULT, append
from bench.results import Manifest, Outcome, Run, load_run
from bench.results.pairing import Contender, Side, Stage
from bench.summary.figures import Slo
from bench.summary.point import row_of
from bench.validity import Verdict

METRICS = ("p50", "p95", "p99", "throughput", "goodput", "capacity", "cost", "error_rate", "memory", "startup")
_WORKLOAD = ("model", "payload", "load", "warmup", "timeout", "slo", "workers", "cores")

Values = dict[tuple[str, str], list[float]]
"""Load point and metric -> one value per trial."""


def append_session(folder: Path, file: Path = DEFAULT, *, commit: str = "", committed_at: str = "") -> int:
    """Add what a run measured to a history; how many rows were new.

    `commit` is that of a run that does not know its own; a paired session of two revisions does.
    Raises: ResultsError if the run cannot be read or the history not be written; NothingMeasuredError.
    """
    run = load_run(folder)
    rows = rows_of(run, commit=commit, committed_at=committed_at)
    if not rows:
        raise NothingMeasuredError("no trial of it has a figure to keep", where=str(folder))
    return append(file, rows)


def rows_of(run: Run, *, commit: str = "", committed_at: str = "") -> tuple[Row, ...]:
    """The rows of a run, in the order of its servers, load points and METRICS."""
    if run.manifest.pairing is None:
        made = Contender("", "", "", revision=commit, committed_at=committed_at)
        found = [(replace(made, server=name), values) for name, values in _per_server(run)]
    else:
        found = [
            (one if one.revision else replace(one, revision=commit, committed_at=committed_at), values)
            for one, values in _per_side(run, run.manifest)
        ]
    return tuple(
        _row(run.manifest, one, load, metric, values)
        for one, by_metric in found
        for (load, metric), values in by_metric.items()
    )


def _row(manifest: Manifest, one: Contender, load: str, metric: str, values: Sequence[float]) -> Row:
    linear = COMPARED[metric].test == "errors"
    numbers = np.asarray(values, dtype=np.float64) if linear else np.log(np.asarray(values, dtype=np.float64))
    file, settings = _asked(manifest)
    return Row(
        session=manifest.run_id,
        at=manifest.started_at,
        scenario=manifest.name,
        server=one.server,
        metric=metric,
        load=load,
        scale="linear" if linear else "log",
        mean=float(numbers.mean()),
        sd=float(numbers.std(ddof=1)) if len(numbers) > 1 else None,
        n=len(numbers),
        environment=environment_key(manifest.environment),
        machine=machine_words(manifest.environment),
        workload=_workload(manifest),
        commit=one.revision,
        dirty=one.dirty,
        committed_at=one.committed_at,
        scenario_file=file,
        keys=shlex.join(one.changes),
        settings=shlex.join(settings),
    )


def _asked(manifest: Manifest) -> tuple[str, list[str]]:
    """The scenario as it was named on the command line, from where that was, and what was set for all servers."""
    try:
        words = shlex.split(manifest.command)
    except ValueError:
        words = []
    if words[:2] not in (["bench", "ab"], ["bench", "run"]) or len(words) < len(("bench", "ab", "SCENARIO")):
        return manifest.scenario_file, []
    return words[2], [value for flag, value in pairwise(words) if flag == "--set"]


def machine_words(environment: Mapping[str, Any]) -> str:
    """`Intel Xeon, 2 cores, 25 GB, no GPU`."""
    facts = machine_facts(environment)
    cores = facts["usable cores"]
    gpus = ", ".join(str(gpu) for gpu in facts["GPUs"]) or "no GPU"
    memory = "memory unknown" if facts["memory"] is None else f"{facts['memory']} GB"
    model = " ".join(str(facts["CPU model"] or "unknown CPU").replace("(R)", "").replace("(TM)", "").split())
    counted = "cores unknown" if cores is None else f"{cores} core{'' if cores == 1 else 's'}"
    return f"{model}, {counted}, {memory}, {gpus}"


def _workload(manifest: Manifest) -> str:
    """Tells one workload apart from another; a server's own keys are what may change from commit to commit."""
    asked = {key: manifest.scenario.get(key) for key in _WORKLOAD}
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _per_side(run: Run, manifest: Manifest) -> Iterator[tuple[Contender, Values]]:
    pairing = manifest.pairing
    assert pairing is not None
    starts = [start for start in read_starts(run) if not start.measured.failure]
    measured = [start for start in starts if start.measured.slot.stage is not Stage.NULL]
    if pairing.same:  # one server in both places: one row, over all its trials
        yield pairing.baseline, _values_of(measured)
        return
    for contender, side in ((pairing.baseline, Side.BASELINE), (pairing.candidate, Side.CANDIDATE)):
        yield contender, _values_of([start for start in measured if start.measured.slot.side is side])


def _values_of(starts: Sequence[Start]) -> Values:
    found: Values = {}
    for load in dict.fromkeys(load for start in starts for load in start.points):
        for metric in METRICS:
            values = [
                value for start in starts if load in start.points and (value := _share(start, load, metric)) is not None
            ]
            _keep(found, load, metric, values)
    _keep(found, "", "startup", [start.startup for start in starts if start.startup is not None])
    _keep(found, "", "memory", [start.memory for start in starts if start.memory is not None])
    return found


def _share(start: Start, load: str, metric: str) -> float | None:
    if metric in ("startup", "memory"):
        return None
    point = start.points[load]
    value = point.value(metric)
    if metric == "error_rate":
        return None if value is None or point.row is None or not point.row.n else value / point.row.n
    return None if metric == "capacity" and point.censored else value


def _keep(found: Values, load: str, metric: str, values: Sequence[float]) -> None:
    linear = COMPARED[metric].test == "errors"
    usable = [value for value in values if math.isfinite(value) and (linear or value > 0)]
    if usable:
        found[load, metric] = usable


def _per_server(run: Run) -> Iterator[tuple[str, Values]]:
    """One value per trial of an unpaired run; a search for capacity is not one trial, and left to paired sessions."""
    for server in run.manifest.servers:
        found: Values = {}
        own = [trial for trial in run.trials if trial.server == server.name and trial.outcome is Outcome.OK]
        for load in dict.fromkeys(trial.label for trial in own if not trial.look and trial.profile != "capacity"):
            rows = [
                row_of(run, server, [trial], Slo.of(run.manifest.slo), [], []) for trial in own if trial.label == load
            ]
            sound = [row for row in rows if row.outcome is Outcome.OK and row.verdict is not Verdict.INVALID]
            for metric in ("p50", "p95", "p99"):
                times = [getattr(row.response_time, metric) for row in sound if row.response_time is not None]
                _keep(found, load, metric, [time for time in times if time is not None])
            for metric in ("throughput", "goodput"):
                rates = [getattr(row, metric) for row in sound]
                _keep(found, load, metric, [rate for rate in rates if rate is not None])
            _keep(found, load, "error_rate", [(row.n - row.ok) / row.n for row in sound if row.n])
            peaks = [row.rss_peak_bytes for row in sound if row.rss_peak_bytes]
            _keep(found, load, "memory", [float(peak) for peak in peaks])
        startups = {trial.repetition: trial.startup_seconds for trial in own if trial.startup_seconds is not None}
        _keep(found, "", "startup", list(startups.values()))
        if found:
            yield server.name, found
