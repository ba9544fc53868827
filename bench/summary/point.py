"""One server at one load point, from the rows on disk to one `Row`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.cost.prices import cost_basis, cost_per_million
from bench.errors import ResultsError
from bench.measures import metrics
from bench.measures.stats import Interval, percentile_interval, percentiles, values_needed
from bench.measures.timeline import Timeline, timeline
from bench.profiles import PROFILES
from bench.results import (
    AnswerCheck,
    Manifest,
    Outcome,
    Run,
    ServerRecord,
    TrialRecord,
)
from bench.samples import TIMED_OUT, UNSENT, Floats, Samples, Telemetry, concatenate
from bench.summary.figures import EMPTY, Distribution, Row, Slo
from bench.summary.looking import look
from bench.summary.resources import resources_of
from bench.summary.spread import spread_of
from bench.summary.swapped import swap_figures, swap_marks
from bench.validity import Evidence, cpu_seconds, judge, steady_from, verdict_of


@dataclass(frozen=True, slots=True)
class _Part:
    """One repetition of a load point, read from disk."""

    trial: TrialRecord
    samples: Samples
    telemetry: Telemetry | None
    window: metrics.Window


def row_of(
    run: Run,
    server: ServerRecord,
    trials: Sequence[TrialRecord],
    slo: Slo,
    warnings: list[str],
    courses: list[Timeline],
) -> Row:
    """A load point of a server over all its repetitions; the course of each is added to `courses`."""
    first = trials[0]
    parts = tuple(_parts(run, trials, slo, warnings))
    unmeasured = [trial for trial in trials if trial.outcome is not Outcome.OK]
    base = replace(
        EMPTY,
        server=first.server,
        kind=first.kind,
        profile=first.profile,
        label=first.label,
        outcome=Outcome.OK,
        users=first.users,
        arrival_rate=first.arrival_rate,
        trials=len(parts),
        startup_seconds=median_startup(trials),
        trial_ids=tuple(trial.id for trial in trials),
        run_id=run.manifest.run_id,
        cores=next((len(trial.cores.server) for trial in trials if trial.cores and trial.cores.budget), None),
        other_work=other_work_of(server, trials),
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
    row = _measured_row(base, run.manifest, server, parts, slo)
    swaps = (swap_figures(part.trial, part.samples, (part.window.start, part.window.end)) for part in parts)
    return replace(row, swaps=tuple(figures for figures in swaps if figures is not None))


def _course(part: _Part, run_id: str) -> Timeline:
    steady = steady_from(part.samples, part.trial, open_loop=_open_loop(part.trial))
    window = (part.window.start, part.window.end)
    line = timeline(part.trial, part.samples, part.telemetry, window, steady, run_id)
    return replace(line, marks=swap_marks(part.trial))


def _open_loop(trial: TrialRecord) -> bool:
    return PROFILES[trial.profile].open_loop if trial.profile in PROFILES else trial.arrival_rate is not None


def _parts(run: Run, trials: Iterable[TrialRecord], slo: Slo, warnings: list[str]) -> Iterator[_Part]:
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


def _measured_row(base: Row, manifest: Manifest, server: ServerRecord, parts: Sequence[_Part], slo: Slo) -> Row:
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
        computing=server.computing,
    )
    reasons = judge(evidence, measured)
    spread = spread_of([(part.samples, part.window) for part in parts], measured, slo.share, slo.limit)
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
        cost_per_million=cost_of(server.price, goodput, base.users),
        errors=_errors(measured),
        answers=pooled_answers(trials),
        verdict=verdict_of(reasons),
        reasons=reasons,
        encode_seconds=_encode(trials),
        inside=_inside(trials),
        resources=resources_of(parts, manifest, server),
        look=look(base.arrival_rate or 0.0, spread, reasons, slo) if trials[0].look else None,
        in_slo=int(np.count_nonzero(response <= slo.limit)),
        spread=spread,
    )


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


def median_startup(trials: Iterable[TrialRecord]) -> float | None:
    """Median over the launches: the trials of one launch share its start."""
    by_launch = {trial.repetition: trial.startup_seconds for trial in trials if trial.startup_seconds is not None}
    return float(np.median(list(by_launch.values()))) if by_launch else None


def _connections(trials: Iterable[TrialRecord]) -> float | None:
    counted = [trial for trial in trials if trial.connections is not None]
    sent = sum(trial.counts.get("sent", 0) for trial in counted)
    return sum(trial.connections or 0 for trial in counted) / sent if sent else None


def _cpu_per_request(parts: Iterable[_Part]) -> float | None:
    """CPU seconds of the server's processes in the window over the replies, good or bad, that arrived in it.

    None where the kernel's clock, which counts in steps of 10 ms, did not tick: no request costs nothing.
    """
    spent, replies = 0.0, 0
    for part in parts:
        used = cpu_seconds(part.telemetry, part.window.start, part.window.end)
        if used is None:
            return None
        spent += used
        done = part.samples.done_at
        replies += int(np.count_nonzero((done >= part.window.start) & (done < part.window.end)))
    return spent / replies if replies and spent else None


def _rss_peak(parts: Iterable[_Part]) -> float | None:
    peaks = [
        float(np.nanmax(part.telemetry.rss_bytes))
        for part in parts
        if part.telemetry is not None and np.any(~np.isnan(part.telemetry.rss_bytes))
    ]
    return max(peaks, default=None)


def cost_of(price: Mapping[str, Any] | None, goodput: float | None, users: int | None) -> Interval | None:
    """Dollars per million requests at a load point that serves `goodput` per second; None without a price."""
    per_hour = price.get("per_hour") if price else None
    if price is None or per_hour is None:
        return None
    cost = cost_per_million(float(per_hour), 1, goodput)  # the price covers all its machines already
    if cost is None or goodput is None:
        return Interval(None, basis="not one request was served within the SLO")
    return Interval(cost, basis=cost_basis(price, goodput, saturated=(users or 0) > 1))


def _encode(trials: Iterable[TrialRecord]) -> float | None:
    known = [trial.encode_seconds for trial in trials if trial.encode_seconds is not None]
    return float(np.median(known)) if known else None


def _inside(trials: Iterable[TrialRecord]) -> dict[str, float]:
    """Sums over the trials; empty if one of them lacks them, since the rest would stand for all."""
    found = [trial.server_counters for trial in trials]
    names = dict.fromkeys(name for counters in found for name in counters)
    return {name: sum(counters.get(name, 0.0) for counters in found) for name in names} if all(found) else {}


def _errors(measured: Samples) -> dict[str, int]:
    counts = np.bincount(measured.error[measured.error >= 0], minlength=len(measured.errors))
    found = {text: int(count) for text, count in zip(measured.errors, counts, strict=True) if count}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def pooled_answers(trials: Iterable[TrialRecord]) -> AnswerCheck | None:
    """What the answers of several trials were, together; None where none were checked."""
    found = [trial.answers for trial in trials if trial.answers is not None]
    if not found:
        return None
    differences = [answers.largest_difference for answers in found if answers.largest_difference is not None]
    inputs = max(answers.inputs for answers in found)
    return AnswerCheck(
        distinct=max(answers.distinct for answers in found),
        checked=sum(answers.checked for answers in found),
        unchecked=sum(answers.unchecked for answers in found),
        wrong=sum(answers.wrong for answers in found),
        largest_difference=max(differences, default=None),
        tolerance=max(answers.tolerance for answers in found),
        photo_distance=min(answers.photo_distance for answers in found),
        example=next((answers.example for answers in found if answers.example), ""),
        other_top=sum(answers.other_top for answers in found),
        other_work=found[0].other_work,
        least_agreement=found[0].least_agreement,
        inputs=inputs,
        inputs_same_top=inputs - max(answers.inputs - answers.inputs_same_top for answers in found),
    )


def other_work_of(server: ServerRecord, trials: Iterable[TrialRecord]) -> str:
    """How a server rounds on purpose; in runs whose servers do not say, as their answers were judged."""
    return server.other_work or next((it.answers.other_work for it in trials if it.answers is not None), "")
