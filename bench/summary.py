"""Rows on disk -> Summary: one row per server and load point, one entry per server. `summary.json` is this, as JSON.

Seconds, bytes, requests/s, dollars. A figure that could not be computed is None and, where more requests would
have given it, `needs` says how many. Intervals are 95 %.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench import metrics
from bench.answer import answer
from bench.capacity import Look, Result, capacity_of
from bench.errors import NothingMeasuredError, ResultsError
from bench.fail_if import failed_checks
from bench.files import write_text
from bench.prices import cost_basis, cost_per_million
from bench.profiles import PROFILES, Capacity
from bench.results import (
    METHOD_VERSION,
    SCHEMA_VERSION,
    AnswerCheck,
    Manifest,
    Outcome,
    Run,
    ServerRecord,
    TrialRecord,
    plain,
)
from bench.samples import TIMED_OUT, UNSENT, Floats, Samples, Telemetry, concatenate
from bench.stats import Interval as Interval
from bench.stats import percentile, percentile_interval, percentiles, values_needed
from bench.timeline import Timeline, timeline
from bench.units import duration_text
from bench.validity import Evidence, cpu_seconds, judge, steady_from, verdict_of
from bench.validity import Reason as Reason
from bench.validity import Verdict as Verdict


@dataclass(frozen=True, slots=True)
class Distribution:
    """A time in seconds over the good requests of the measured window, nearest-rank percentiles of raw values.

    Of `send_lag` it covers all that were sent, since lateness is ours whatever came back. A percentile with too
    few requests behind it is None; `needs` maps its name to the requests it takes.
    """

    n: int
    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p999: float | None
    max: float | None
    needs: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One server at one load point; several repetitions of it are pooled as rows, `trials` says how many.

    `n` counts the requests scheduled in the measured window: ok + failed + timed_out + unsent. `throughput` and
    `goodput` count replies by when they arrive. `outcome` other than ok leaves the figures None and `reason` says
    why; a server without any load point has one such row, with an empty `profile` and `label`.
    `cost_per_million` is priced at this row's goodput and its basis says so.
    A capacity search gives one row, that of the highest rate at which the SLO was met, with the `capacity` that all
    looks together give; without one that met it, the look at the lowest rate. `look` is what that look says.
    """

    server: str
    kind: str
    profile: str
    label: str
    outcome: Outcome
    reason: str
    users: int | None
    arrival_rate: float | None
    trials: int
    n: int
    ok: int
    failed: int
    timed_out: int
    unsent: int
    seconds: float
    throughput: float | None
    goodput: float | None
    error_rate: float | None
    slo_met: bool | None
    response_time: Distribution | None
    service_time: Distribution | None
    send_lag: Distribution | None
    p95_interval: Interval | None
    request_bytes: float | None
    response_bytes: float | None
    connections_per_request: float | None
    cpu_seconds_per_request: float | None
    rss_peak_bytes: float | None
    startup_seconds: float | None
    cost_per_million: Interval | None
    errors: Mapping[str, int]
    answers: AnswerCheck | None
    verdict: Verdict | None
    reasons: tuple[Reason, ...]
    trial_ids: tuple[str, ...]
    run_id: str = ""
    encode_seconds: float | None = None
    """How long it took to make one request out of a photo, before the trial."""
    inside: Mapping[str, float] = field(default_factory=dict)
    """What the server counted inside itself, over all trials and with their warm-ups, named as in the records."""
    capacity: Interval | None = None
    look: Look | None = None


@dataclass(frozen=True, slots=True)
class ServerSummary:
    """One server over all its load points; `agreement` is the share of checked answers that agree."""

    server: str
    kind: str
    title: str
    outcome: Outcome
    reason: str
    fix: str
    version: str
    options: Mapping[str, Any]
    capacity: Interval | None
    agreement: float | None
    model_form: str | None
    model_bytes: int | None
    startup_seconds: float | None
    price: Mapping[str, Any] | None
    run_id: str = ""
    startup_parts: Mapping[str, float] = field(default_factory=dict)
    """Seconds of the start by what the server did, of the launch that told them first."""


@dataclass(frozen=True, slots=True)
class PublishedFigure:
    """A published figure beside what was measured; `ratio` is measured / published."""

    server: str
    metric: str
    published: float
    measured: float | None
    ratio: float | None
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything a report shows, computed from one run or several.

    Rows of several runs stay apart by `run_id`, also where a server has the same name in both.
    `answer` is the sentence with the choice, or says that the evidence does not carry one.
    """

    name: str
    question: str
    answer: str
    run_ids: tuple[str, ...]
    slo: Mapping[str, float]
    rows: tuple[Row, ...]
    servers: tuple[ServerSummary, ...]
    references: tuple[PublishedFigure, ...]
    failed_checks: tuple[str, ...]
    """Expressions of `fail_if` that held, or could not be evaluated, each with its reason behind a colon."""
    warnings: tuple[str, ...]
    complete: bool
    schema_version: int
    method_version: int
    timelines: tuple[Timeline, ...] = ()
    """How every measured trial went, for the chart; not in the JSON, whose readers have the rows."""
    looks: tuple[Row, ...] = ()
    """Every look of every capacity search, in the order of the search: the points that a capacity stands on."""
    calibrations: tuple[Mapping[str, Any], ...] = ()
    """What the load generator could do where a run was made: run_id, brief, sentence, ceiling (1/s), added_p50,
    added_p99 (s), up_to (1/s), short, measured_at; a run that was not calibrated has none."""


@dataclass(frozen=True, slots=True)
class _Slo:
    """What is asked: a share of all requests within `limit` seconds, and at most `error_limit` errors."""

    share: float
    limit: float
    error_limit: float
    stated: bool

    @classmethod
    def of(cls, slo: Mapping[str, float]) -> _Slo:
        return cls(
            share=slo.get("percentile", 95.0) / 100,
            limit=slo.get("response_time", math.inf),
            error_limit=slo.get("error_rate", 0.0),
            stated="response_time" in slo,
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """One repetition of a load point, read from disk."""

    trial: TrialRecord
    samples: Samples
    telemetry: Telemetry | None
    window: metrics.Window


def summarise(runs: Sequence[Run]) -> Summary:
    """Everything a report shows, from the rows of one run or several; several are judged by the first one's SLO.

    Damaged rows cost their trial and leave a warning.
    Raises: NothingMeasuredError if there is no run.
    """
    if not runs:
        raise NothingMeasuredError("no run to summarise")
    first = runs[0].manifest
    warnings: list[str] = [*_differences(runs)]
    rows: list[Row] = []
    courses: list[Timeline] = []
    looks: list[Row] = []
    servers: list[ServerSummary] = []
    references: list[PublishedFigure] = []
    failed: list[str] = []
    for run in runs:
        own_rows = tuple(_rows_of(run, _Slo.of(first.slo), warnings, courses, looks))
        held, unknown = failed_checks(run.manifest.fail_if, own_rows)
        rows += own_rows
        servers += [_server_summary(run, server, own_rows) for server in run.manifest.servers]
        references += [_published(reference, own_rows) for reference in run.manifest.references]
        failed += held
        warnings += [*run.manifest.warnings, *run.warnings, *unknown]
        warnings += [f"{trial.id}: {warning}" for trial in run.trials for warning in trial.warnings]
    return Summary(
        name=first.name,
        question=first.question,
        answer=answer(rows, servers, first.slo),
        run_ids=tuple(run.manifest.run_id for run in runs),
        slo=first.slo,
        rows=tuple(rows),
        servers=tuple(servers),
        references=tuple(references),
        failed_checks=tuple(dict.fromkeys(failed)),
        warnings=tuple(dict.fromkeys(warnings)),
        complete=all(run.manifest.finished_at and not run.manifest.interrupted and not run.warnings for run in runs),
        schema_version=SCHEMA_VERSION,
        method_version=min((run.manifest.method_version for run in runs), default=METHOD_VERSION),
        timelines=tuple(courses),
        looks=tuple(looks),
        calibrations=tuple(_calibrations(runs)),
    )


def _calibrations(runs: Sequence[Run]) -> Iterator[Mapping[str, Any]]:
    """The headline figures of each run's calibration; the run has the rest."""
    for manifest in (run.manifest for run in runs):
        if manifest.calibration is not None:
            shown = {name: manifest.calibration.get(name) for name in _CALIBRATION_KEYS}
            yield {"run_id": manifest.run_id, **shown}


_CALIBRATION_KEYS = ("brief", "sentence", "ceiling", "added_p50", "added_p99", "up_to", "short", "measured_at")


def _differences(runs: Sequence[Run]) -> Iterator[str]:
    """What makes several runs poor company."""
    first = runs[0].manifest
    for manifest in (run.manifest for run in runs[1:]):
        if manifest.slo != first.slo:
            yield f"run {manifest.run_id} has another SLO; all rows are judged by the one of run {first.run_id}"
        if manifest.method_version != first.method_version:
            yield f"run {manifest.run_id} was measured by another method version; its figures are not comparable"
        if manifest.name != first.name:
            yield f"run {manifest.run_id} is of the scenario {manifest.name}, not {first.name}"


def _rows_of(run: Run, slo: _Slo, warnings: list[str], courses: list[Timeline], looks: list[Row]) -> Iterator[Row]:
    """Rows in the order of the scenario's servers, then of their load points as they were first driven.

    The course of each trial is added to `courses`, because its rows are at hand only once, and every look to `looks`.
    """
    known = {server.name for server in run.manifest.servers}
    strangers = dict.fromkeys(trial.server for trial in run.trials if trial.server not in known)
    for server in (*run.manifest.servers, *(_stranger(run, name) for name in strangers)):
        points: dict[tuple[str, str], list[TrialRecord]] = {}
        for trial in run.trials:
            if trial.server == server.name:
                points.setdefault((trial.profile, trial.label), []).append(trial)
        if not points:
            reason = server.reason or "not measured: the run ended before its turn"
            outcome = Outcome.SKIPPED if server.outcome is Outcome.OK else server.outcome
            yield replace(_EMPTY, server=server.name, kind=server.kind, outcome=outcome, reason=reason,
                          run_id=run.manifest.run_id)  # fmt: skip
        for (profile, _), trials in points.items():
            if profile == Capacity.name:
                yield _capacity_row(run, server, trials, slo, warnings, courses, looks)
            else:
                yield _row(run, server, trials, slo, warnings, courses)


def _capacity_row(
    run: Run,
    server: ServerRecord,
    trials: Sequence[TrialRecord],
    slo: _Slo,
    warnings: list[str],
    courses: list[Timeline],
    looks: list[Row],
) -> Row:
    """The look that stands for a search, with the capacity that all of them give."""
    seen: list[tuple[Row, list[Timeline]]] = []
    for trial in trials:
        if trial.look:
            own: list[Timeline] = []
            row = _row(run, server, [trial], slo, warnings, own)
            seen.append((row if row.look else replace(row, look=_unmeasured_look(trial, row.reason)), own))
    said = tuple(row.look for row, _ in seen if row.look is not None)
    searches = [trial for trial in trials if not trial.look]
    cut = next((trial.reason for trial in searches if trial.outcome is not Outcome.OK), "")
    if not seen:
        row = _row(run, server, searches, slo, [], courses)
        return row if cut else replace(row, reason="no look was made")
    looks += [row for row, _ in seen]
    capacity = capacity_of(said)
    row, own = _standing(seen, capacity)
    courses += own
    lost = next((row.reason for row, _ in seen if row.outcome is Outcome.FAILED), "")
    cost = _cost_at_capacity(server, capacity) or row.cost_per_million
    return replace(row, capacity=capacity, cost_per_million=cost, reason=row.reason or cut or lost)


def _standing(seen: Sequence[tuple[Row, list[Timeline]]], capacity: Interval) -> tuple[Row, list[Timeline]]:
    """The highest rate met that is not above the capacity; else the lowest one met, missed or looked at."""
    sound = [each for each in seen if each[0].outcome is Outcome.OK] or list(seen)
    met = [each for each in sound if each[0].look and each[0].look.result is Result.MET]
    within = [each for each in met if capacity.value is None or (each[0].arrival_rate or 0) <= capacity.value]
    if within:
        return max(within, key=lambda each: each[0].arrival_rate or 0)
    missed = [each for each in sound if each[0].look and each[0].look.result is Result.MISSED]
    return min(met or missed or sound, key=lambda each: each[0].arrival_rate or 0)


def look_of(run: Run, server: ServerRecord, trial: TrialRecord) -> Look:
    """What one look of a search says, from its rows on disk."""
    row = _row(run, server, [trial], _Slo.of(run.manifest.slo), [], [])
    return row.look or _unmeasured_look(trial, row.reason)


def _unmeasured_look(trial: TrialRecord, reason: str) -> Look:
    """A look without figures: a server that died of the load did not meet the SLO, anything else says nothing."""
    result = Result.MISSED if trial.server_died else Result.UNTOLD
    return Look(trial.arrival_rate or 0.0, result, reason or "its rows are missing or cannot be read")


def _stranger(run: Run, name: str) -> ServerRecord:
    """A server that has trials but that the manifest, cut short, does not know."""
    kind = next(trial.kind for trial in run.trials if trial.server == name)
    return ServerRecord(name=name, kind=kind, title=kind, options={}, outcome=Outcome.OK)


def _row(
    run: Run,
    server: ServerRecord,
    trials: Sequence[TrialRecord],
    slo: _Slo,
    warnings: list[str],
    courses: list[Timeline],
) -> Row:
    first = trials[0]
    parts = tuple(_parts(run, trials, slo, warnings))
    unmeasured = [trial for trial in trials if trial.outcome is not Outcome.OK]
    base = replace(
        _EMPTY,
        server=first.server,
        kind=first.kind,
        profile=first.profile,
        label=first.label,
        outcome=Outcome.OK,
        users=first.users,
        arrival_rate=first.arrival_rate,
        trials=len(parts),
        startup_seconds=_startup(trials),
        trial_ids=tuple(trial.id for trial in trials),
        run_id=run.manifest.run_id,
    )
    if not parts:
        worst = next((trial for trial in unmeasured if trial.outcome is Outcome.FAILED), (unmeasured or trials)[0])
        if worst.outcome is Outcome.OK:
            return replace(base, outcome=Outcome.FAILED, reason="its rows are missing or cannot be read")
        return replace(base, outcome=worst.outcome, reason=worst.reason)
    if len(parts) < len(trials):
        lost = unmeasured[0].reason if unmeasured else "rows missing or damaged"
        base = replace(base, reason=f"{len(trials) - len(parts)} of {len(trials)} trials without figures: {lost}")
    courses += [_course(part, run.manifest.run_id) for part in parts]
    return _measured_row(base, run.manifest, server, parts, slo)


def _course(part: _Part, run_id: str) -> Timeline:
    steady = steady_from(part.samples, part.trial, open_loop=_open_loop(part.trial))
    window = (part.window.start, part.window.end)
    return timeline(part.trial, part.samples, part.telemetry, window, steady, run_id)


def _aligned(part: _Part, window: metrics.Window) -> _Part:
    """The trial on a clock by which its window begins with that of the others: a warm-up lasts as long as it must."""
    ahead = part.window.start - window.start
    if ahead == 0:
        return part
    rows, seen = part.samples, part.telemetry
    return replace(
        part,
        samples=replace(
            rows,
            intended_at=rows.intended_at - ahead,
            sent_at=rows.sent_at - ahead,
            first_byte_at=rows.first_byte_at - ahead,
            done_at=rows.done_at - ahead,
        ),
        telemetry=None if seen is None else replace(seen, at=seen.at - ahead),
        window=replace(window, end=part.window.end - ahead),
    )


def _open_loop(trial: TrialRecord) -> bool:
    return PROFILES[trial.profile].open_loop if trial.profile in PROFILES else trial.arrival_rate is not None


def _parts(run: Run, trials: Iterable[TrialRecord], slo: _Slo, warnings: list[str]) -> Iterator[_Part]:
    for trial in trials:
        if trial.outcome is not Outcome.OK:
            continue
        try:
            samples = run.samples(trial)
            telemetry = run.telemetry(trial)
        except ResultsError as failure:
            warnings.append(f"{failure}; this trial is left out")
            continue
        if samples is None:
            warnings.append(f"{trial.id}: has no rows; this trial is left out")
            continue
        start, end = trial.window or (trial.warmup, trial.warmup + trial.duration)
        yield _Part(trial, samples, telemetry, metrics.Window(start, end, slo.limit))


def _measured_row(base: Row, manifest: Manifest, server: ServerRecord, parts: Sequence[_Part], slo: _Slo) -> Row:
    parts = tuple(_aligned(part, parts[0].window) for part in parts)
    # Measured rows of one trial are no copy of its rows; only those of several trials together are.
    measured = concatenate([part.samples.where(part.samples.measured) for part in parts])
    window, trials = parts[0].window, tuple(part.trial for part in parts)
    timed_out, unsent = measured.has_error(TIMED_OUT), measured.has_error(UNSENT)
    ok = int(np.count_nonzero(measured.ok))
    goodput = _pooled_rate(metrics.goodput, parts)
    response = metrics.good_times(measured, "response_time")
    evidence = Evidence(
        parts=tuple(part.samples for part in parts),
        trials=trials,
        window=(window.start, window.end),
        open_loop=_open_loop(parts[0].trial),
        percentile=slo.share,
        error_limit=slo.error_limit,
        telemetry=tuple(part.telemetry for part in parts),
        options=server.options,
        environment=manifest.environment,
        calibration=manifest.calibration,
    )
    reasons = judge(evidence, measured)
    return replace(
        base,
        n=len(measured),
        ok=ok,
        failed=len(measured) - ok - int(np.count_nonzero(timed_out | unsent)),
        timed_out=int(np.count_nonzero(timed_out)),
        unsent=int(np.count_nonzero(unsent)),
        seconds=sum(part.window.seconds for part in parts),
        throughput=_pooled_rate(metrics.throughput, parts),
        goodput=goodput,
        error_rate=_number(metrics.error_rate(measured, window)),
        slo_met=metrics.slo_met(measured, window, slo.share, slo.error_limit) if slo.stated else None,
        response_time=_distribution(response),
        service_time=_distribution(metrics.good_times(measured, "service_time")),
        send_lag=_distribution(metrics.good_times(measured, "send_lag")),
        p95_interval=percentile_interval(response, 0.95) if len(response) >= values_needed(0.95) else None,
        request_bytes=_mean(measured.request_bytes),
        response_bytes=_mean(measured.response_bytes[measured.ok]),
        connections_per_request=_connections(trials),
        cpu_seconds_per_request=_cpu_per_request(parts),
        rss_peak_bytes=_rss_peak(parts),
        cost_per_million=_cost(server, goodput, base),
        errors=_errors(measured),
        answers=_answers(trials),
        verdict=verdict_of(reasons),
        reasons=reasons,
        encode_seconds=_encode(trials),
        inside=_inside(trials),
        look=_look(measured, reasons, parts[0], slo) if trials[0].look else None,
    )


_OURS = ("rows-missing", "worker-lost", "times-disordered", "offered-not-achieved", "check-could-not-fail")
"""Verdicts INVALID for which the server is not to blame: such a look says nothing of it."""


def _look(measured: Samples, reasons: Sequence[Reason], part: _Part, slo: _Slo) -> Look:
    """What the rows of one look say about its rate."""
    rate = part.trial.arrival_rate or 0.0
    by_id = {reason.id: reason for reason in reasons}
    ours = next((reason for name, reason in by_id.items() if name in _OURS), None)
    if ours is not None:
        return Look(rate, Result.UNTOLD, ours.what)
    if len(measured) < values_needed(slo.share):
        return Look(rate, Result.UNTOLD, by_id["too-few-requests"].what)
    ratio = percentile(metrics.judged_times(measured), slo.share) / slo.limit
    missed = ratio > 1
    if missed and "late-sends" in by_id and _within_once_sent(measured, slo):
        return Look(rate, Result.UNTOLD, f"missed, but the load generator was the cause: {by_id['late-sends'].what}")
    other = next((by_id[name] for name in ("errors-above-limit", "overloaded") if name in by_id), None)
    if missed:
        name = f"p{slo.share * 100:g}"
        found = (
            f"{name} of {duration_text(ratio * slo.limit)}"
            if math.isfinite(ratio)
            else f"no {name}: too many requests got no correct reply"
        )
        return Look(rate, Result.MISSED, found, ratio if math.isfinite(ratio) else None)
    if other is not None or verdict_of(reasons) is Verdict.INVALID:
        return Look(rate, Result.MISSED, (other or reasons[0]).what)
    return Look(rate, Result.MET, "", ratio)


def _within_once_sent(measured: Samples, slo: _Slo) -> bool:
    """Whether the SLO would hold if the clock started when each request really left."""
    once_sent = np.where(measured.ok, measured.service_time, np.inf)
    return percentile(once_sent, slo.share) <= slo.limit


def _distribution(times: Floats) -> Distribution:
    n = len(times)
    needs = {name: values_needed(share) for name, share in metrics.PERCENTILES.items()}
    found = dict(zip(metrics.PERCENTILES, percentiles(times, tuple(metrics.PERCENTILES.values())), strict=True))
    shown = {name: value if n >= needs[name] else None for name, value in found.items()}
    return Distribution(
        n=n,
        mean=_mean(times),
        max=float(times.max()) if n else None,
        needs={name: count for name, count in needs.items() if n < count},
        **shown,
    )


def _pooled_rate(rate: metrics.Compute, parts: Sequence[_Part]) -> float | None:
    """Requests per second over the windows of all repetitions together."""
    seconds = sum(part.window.seconds for part in parts)
    if seconds <= 0:
        return None
    return sum(rate(part.samples, part.window) * part.window.seconds for part in parts) / seconds


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _mean(values: np.ndarray[Any, np.dtype[Any]]) -> float | None:
    return float(values.mean()) if len(values) else None


def _startup(trials: Iterable[TrialRecord]) -> float | None:
    """Median over the launches: the trials of one launch share its start."""
    by_launch = {trial.repetition: trial.startup_seconds for trial in trials if trial.startup_seconds is not None}
    return float(np.median(list(by_launch.values()))) if by_launch else None


def _connections(trials: Iterable[TrialRecord]) -> float | None:
    counted = [trial for trial in trials if trial.connections is not None]
    sent = sum(trial.counts.get("sent", 0) for trial in counted)
    return sum(trial.connections or 0 for trial in counted) / sent if sent else None


def _cpu_per_request(parts: Iterable[_Part]) -> float | None:
    """CPU seconds of the server's processes in the window over the replies, good or bad, that arrived in it."""
    spent, replies = 0.0, 0
    for part in parts:
        used = cpu_seconds(part.telemetry, part.window.start, part.window.end)
        if used is None:
            return None
        spent += used
        done = part.samples.done_at
        replies += int(np.count_nonzero((done >= part.window.start) & (done < part.window.end)))
    return spent / replies if replies else None


def _rss_peak(parts: Iterable[_Part]) -> float | None:
    peaks = [
        float(np.nanmax(part.telemetry.rss_bytes))
        for part in parts
        if part.telemetry is not None and np.any(~np.isnan(part.telemetry.rss_bytes))
    ]
    return max(peaks, default=None)


def _cost(server: ServerRecord, goodput: float | None, row: Row) -> Interval | None:
    per_hour = server.price.get("per_hour") if server.price else None
    if server.price is None or per_hour is None:
        return None
    cost = cost_per_million(float(per_hour), 1, goodput)  # the price covers all its machines already
    if cost is None or goodput is None:
        return Interval(None, basis="not one request was served within the SLO")
    return Interval(cost, basis=cost_basis(server.price, goodput, saturated=(row.users or 0) > 1))


def _encode(trials: Iterable[TrialRecord]) -> float | None:
    known = [trial.encode_seconds for trial in trials if trial.encode_seconds is not None]
    return float(np.median(known)) if known else None


def _inside(trials: Iterable[TrialRecord]) -> dict[str, float]:
    """Sums over the trials; empty if one of them lacks them, since the rest would stand for all."""
    found = [trial.server_counters for trial in trials]
    names = dict.fromkeys(name for counters in found for name in counters)
    return {name: sum(counters.get(name, 0.0) for counters in found) for name in names} if all(found) else {}


def _cost_at_capacity(server: ServerRecord, capacity: Interval) -> Interval | None:
    """Dollars per million requests where a server gets as many as it can serve within the SLO, and no more."""
    if server.price is None or server.price.get("per_hour") is None or capacity.value is None:
        return None
    per_hour = float(server.price["per_hour"])
    basis = cost_basis(server.price, capacity.value, saturated=False, at="its capacity at the SLO")
    low, high = (cost_per_million(per_hour, 1, rate) for rate in (capacity.high, capacity.low))
    return Interval(cost_per_million(per_hour, 1, capacity.value), low, high, basis)


def _errors(measured: Samples) -> dict[str, int]:
    counts = np.bincount(measured.error[measured.error >= 0], minlength=len(measured.errors))
    found = {text: int(count) for text, count in zip(measured.errors, counts, strict=True) if count}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _answers(trials: Iterable[TrialRecord]) -> AnswerCheck | None:
    found = [trial.answers for trial in trials if trial.answers is not None]
    if not found:
        return None
    differences = [answers.largest_difference for answers in found if answers.largest_difference is not None]
    return AnswerCheck(
        distinct=max(answers.distinct for answers in found),
        checked=sum(answers.checked for answers in found),
        unchecked=sum(answers.unchecked for answers in found),
        wrong=sum(answers.wrong for answers in found),
        largest_difference=max(differences, default=None),
        tolerance=max(answers.tolerance for answers in found),
        photo_distance=min(answers.photo_distance for answers in found),
        example=next((answers.example for answers in found if answers.example), ""),
    )


def _server_summary(run: Run, server: ServerRecord, rows: Iterable[Row]) -> ServerSummary:
    own = [row for row in rows if row.server == server.name]
    outcome, reason = server.outcome, server.reason
    if outcome is Outcome.OK and not any(row.outcome is Outcome.OK for row in own):
        worst = next((row for row in own if row.outcome is Outcome.FAILED), own[0])
        outcome, reason = worst.outcome, worst.reason
    trials = [trial for trial in run.trials if trial.server == server.name]
    answers = _answers(trials)
    return ServerSummary(
        server=server.name,
        kind=server.kind,
        title=server.title,
        outcome=outcome,
        reason=reason,
        fix=server.fix,
        version=server.version,
        options=server.options,
        capacity=next((row.capacity for row in own if row.capacity is not None), None),
        agreement=max(0.0, 1 - answers.wrong / answers.checked) if answers and answers.checked else None,
        model_form=server.model_form,
        model_bytes=server.model_bytes,
        startup_seconds=_startup(trials),
        price=server.price,
        run_id=run.manifest.run_id,
        startup_parts=next((trial.startup_parts for trial in trials if trial.startup_parts), {}),
    )


def _published(reference: Mapping[str, Any], rows: Sequence[Row]) -> PublishedFigure:
    """A published time beside our p50 of it, at the load point nearest to one request at a time."""
    server, which, published = str(reference["server"]), str(reference["metric"]), float(reference["value"])
    own = [row for row in rows if row.server == server]
    measured = [row for row in own if row.outcome is Outcome.OK and row.verdict is not Verdict.INVALID]
    lowest = min(measured, key=lambda row: (row.users is None, row.users or row.arrival_rate or 0.0), default=None)
    value: float | None = None
    if lowest is None:
        problem = next((row.reason for row in own if row.reason), "")
        invalid = "its measurement is INVALID" if any(row.verdict is Verdict.INVALID for row in own) else ""
        note = f"not measured: {invalid or problem or 'no such server in this run'}"
    else:
        times = getattr(lowest, which, None) if which in metrics.TIMES else None
        value = times.p50 if isinstance(times, Distribution) else None
        note = f"p50 of {which.replace('_', ' ')} at {lowest.label}, the lowest load measured"
        if value is None:
            note = f"{which} cannot be read off {lowest.label}"
    return PublishedFigure(
        server=server,
        metric=which,
        published=published,
        measured=value,
        ratio=value / published if value is not None and published > 0 else None,
        source=str(reference.get("source", "")),
        note=note,
    )


def summary_json(summary: Summary) -> str:
    """The summary as JSON text; a figure that does not exist is null, NaN and infinity never appear."""
    document = plain(replace(summary, timelines=()))
    assert isinstance(document, dict)
    del document["timelines"]
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def summary_csv(summary: Summary) -> str:
    """One line per row with a header; times become `response_time_p95`, a figure that does not exist is empty."""
    lines = [dict(_flat(row)) for row in summary.rows]
    header = [name for name, _ in _flat(_EMPTY)]
    text = io.StringIO()
    writer = csv.DictWriter(text, header, lineterminator="\n", extrasaction="raise")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def write_summary(folder: Path, summary: Summary) -> None:
    """Write `summary.json` and `summary.csv`.   Raises: ResultsError if the folder cannot be written."""
    write_text(folder / "summary.json", summary_json(summary))
    write_text(folder / "summary.csv", summary_csv(summary))


def _flat(row: Row) -> Iterator[tuple[str, object]]:
    """Columns of one row, the same ones whatever is None."""
    for each in fields(row):
        value = getattr(row, each.name)
        if each.name in metrics.TIMES:
            for name in ("mean", *metrics.PERCENTILES, "max"):
                yield f"{each.name}_{name}", getattr(value, name, None)
        elif each.name in ("p95_interval", "cost_per_million", "capacity"):
            for end in ("value", "low", "high", "basis"):
                yield f"{each.name}_{end}", getattr(value, end, None)
        elif each.name == "answers":
            for name in ("checked", "unchecked", "wrong", "largest_difference"):
                yield f"answers_{name}", getattr(value, name, None)
        elif each.name in _IN_ONE_CELL:
            yield each.name, _IN_ONE_CELL[each.name](value)
        else:
            yield each.name, value


_IN_ONE_CELL: Mapping[str, Callable[[Any], str | None]] = {
    "reasons": lambda reasons: " ".join(reason.id for reason in reasons),
    "inside": lambda counters: "; ".join(f"{name} {value:g}" for name, value in counters.items()),
    "errors": lambda errors: "; ".join(f"{count} x {text}" for text, count in errors.items()),
    "trial_ids": " ".join,
    "look": lambda look: None if look is None else look.result.value,
}


_EMPTY = Row(
    server="", kind="", profile="", label="", outcome=Outcome.SKIPPED, reason="", users=None, arrival_rate=None,
    trials=0, n=0, ok=0, failed=0, timed_out=0, unsent=0, seconds=0.0, throughput=None, goodput=None, error_rate=None,
    slo_met=None, response_time=None, service_time=None, send_lag=None, p95_interval=None, request_bytes=None,
    response_bytes=None, connections_per_request=None, cpu_seconds_per_request=None, rss_peak_bytes=None,
    startup_seconds=None, cost_per_million=None, errors={}, answers=None, verdict=None, reasons=(), trial_ids=(),
)  # fmt: skip
"""A row without figures, which everything not measured starts from."""
