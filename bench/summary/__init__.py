"""Rows on disk -> Summary: one row per server and load point, one entry per server. `summary.json` is this, as JSON.

Seconds, bytes, requests/s, dollars. A figure that could not be computed is None and, where more requests would
have given it, `needs` says how many. Intervals are 95 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.cost.figures import Costs
from bench.errors import NothingMeasuredError
from bench.measures import metrics
from bench.measures.stats import Interval
from bench.measures.timeline import Timeline
from bench.profiles import Capacity
from bench.results import (
    METHOD_VERSION,
    SCHEMA_VERSION,
    Outcome,
    Run,
    ServerRecord,
    TrialRecord,
)
from bench.rungs import RUNGS, Rung, rung_before
from bench.summary.answer import answer
from bench.summary.costs import costs_of
from bench.summary.fail_if import failed_checks
from bench.summary.figures import EMPTY, Distribution, PublishedFigure, Row, ServerSummary, Slo, Summary
from bench.summary.flips import flips
from bench.summary.places import told_from_its_folder
from bench.summary.point import median_startup, other_work_of, pooled_answers, row_of
from bench.summary.resources import median_ready_memory
from bench.summary.searched import capacity_row, look_of
from bench.summary.swapped import SwapFigures, swap_sentence
from bench.summary.tuned import tunings_of
from bench.summary.tuning import Tried, Tuning
from bench.summary.write import summary_csv, summary_json, write_summary
from bench.validity import Reason, Verdict

__all__ = [
    "Distribution",
    "Interval",
    "PublishedFigure",
    "Reason",
    "Row",
    "ServerSummary",
    "Summary",
    "SwapFigures",
    "Tried",
    "Tuning",
    "Verdict",
    "look_of",
    "summarise",
    "summary_csv",
    "summary_json",
    "write_summary",
]


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
    tunings: list[Tuning] = []
    servers: list[ServerSummary] = []
    references: list[PublishedFigure] = []
    failed: list[str] = []
    for run in (told_from_its_folder(run) for run in runs):
        own_rows = tuple(_rows_of(run, Slo.of(first.slo), warnings, courses, looks))
        held, unknown = failed_checks(run.manifest.fail_if, own_rows)
        rows += own_rows
        tunings += tunings_of(run, Slo.of(first.slo), warnings)
        servers += [_server_summary(run, server, own_rows) for server in run.manifest.servers]
        references += [_published(reference, own_rows) for reference in run.manifest.references]
        failed += held
        warnings += [*run.manifest.warnings, *run.warnings, *unknown]
        warnings += [f"{trial.id}: {warning}" for trial in run.trials for warning in trial.warnings]
    summary = Summary(
        name=first.name,
        question=first.question,
        answer="",
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
        hardware=tuple({"run_id": it.manifest.run_id, **it.manifest.hardware} for it in runs if it.manifest.hardware),
        budgets=tuple({"run_id": it.manifest.run_id, **it.manifest.budget} for it in runs if it.manifest.budget),
        tunings=tuple(tunings),
        forms=tuple({"run_id": run.manifest.run_id, **form} for run in runs for form in run.manifest.forms),
    )
    summary = replace(summary, costs=costs_of(summary, [run.manifest for run in runs]))
    return replace(summary, answer=_answer(rows, servers, first.slo, summary.costs), flips=flips(summary))


def _answer(
    rows: Sequence[Row], servers: Sequence[ServerSummary], slo: Mapping[str, float], costs: Costs | None
) -> str:
    """Whether there was downtime where that was asked; the choice, unless nothing else was asked."""
    said = [swap_sentence(row.server, figures) for row in rows for figures in row.swaps]
    others = any(row.outcome is Outcome.OK and not row.swaps for row in rows)
    if said and not others:
        return " ".join(said)
    return " ".join([answer(rows, servers, slo, costs), *said])


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
        if manifest.payload_digest and first.payload_digest not in ("", manifest.payload_digest):
            yield f"run {manifest.run_id} sent another payload than run {first.run_id}"
        served, others = (_models(it.servers) for it in (manifest, first))
        if served and others and served != others:
            yield f"run {manifest.run_id} served another model than run {first.run_id}"
        if manifest.budget.get("count") != first.budget.get("count"):
            own, others = (it.budget.get("count", "all") for it in (manifest, first))
            yield f"run {manifest.run_id} gave each server {own} cores, run {first.run_id} {others}"
        if manifest.name != first.name:
            yield f"run {manifest.run_id} is of the scenario {manifest.name}, not {first.name}"


def _models(servers: Sequence[ServerRecord]) -> frozenset[str]:
    """Digests of the models that were served; none where nobody noted them."""
    return frozenset(server.model_digest for server in servers if server.model_digest)


def _rows_of(run: Run, slo: Slo, warnings: list[str], courses: list[Timeline], looks: list[Row]) -> Iterator[Row]:
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
            yield replace(EMPTY, server=server.name, kind=server.kind, outcome=outcome, reason=reason,
                          run_id=run.manifest.run_id)  # fmt: skip
        for (profile, _), trials in points.items():
            if profile == Capacity.name:
                yield capacity_row(run, server, trials, slo, warnings, courses, looks)
            else:
                yield row_of(run, server, trials, slo, warnings, courses)


def _stranger(run: Run, name: str) -> ServerRecord:
    """A server that has trials but that the manifest, cut short, does not know."""
    kind = next(trial.kind for trial in run.trials if trial.server == name)
    return ServerRecord(name=name, kind=kind, title=kind, options={}, outcome=Outcome.OK)


def _server_summary(run: Run, server: ServerRecord, rows: Iterable[Row]) -> ServerSummary:
    own = [row for row in rows if row.server == server.name]
    outcome, reason = server.outcome, server.reason
    if outcome is Outcome.OK and not any(row.outcome is Outcome.OK for row in own):
        worst = next((row for row in own if row.outcome is Outcome.FAILED), own[0])
        outcome, reason = worst.outcome, worst.reason
    trials = [trial for trial in run.trials if trial.server == server.name]
    answers = pooled_answers(trials)
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
        agreement=None if answers is None else answers.agreement,
        model_form=server.model_form,
        model_bytes=server.model_bytes,
        startup_seconds=median_startup(trials),
        price=server.price,
        run_id=run.manifest.run_id,
        cores=server.cores,
        threads=server.threads,
        computing=server.computing,
        tuned_from=server.tuned_from,
        startup_parts=next((trial.startup_parts for trial in trials if trial.startup_parts), {}),
        ready_memory=median_ready_memory(trials),
        other_work=other_work_of(server, trials),
        answers=answers,
        rung=_rung(server),
    )


def _rung(server: ServerRecord) -> Rung:
    """What the run kept, or what can be told of one that kept nothing; a word that is no rung is none."""
    if server.rung is None:
        return rung_before(server.kind, server.options)
    return next((rung for rung in RUNGS if rung == server.rung), "")


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
