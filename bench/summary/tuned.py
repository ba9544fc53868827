"""The tunings of a run, from the rows of their trials on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.results import Outcome, Run, ServerRecord, TriedRecord, TuningRecord
from bench.summary.figures import Slo
from bench.summary.point import row_of
from bench.summary.tuning import Tried, Tuning, best, deciding

NOT_REACHED = "not reached: the run ended before its turn"


def tunings_of(run: Run, slo: Slo, warnings: list[str]) -> tuple[Tuning, ...]:
    """Every tuning with what each setting gave; damaged rows leave a warning."""
    return tuple(_tuning(run, record, slo, warnings) for record in run.manifest.tuning)


def best_of(run: Run, record: TuningRecord, slo: Slo) -> int | None:
    """The number of the setting that is best by what lies on disk; None if none could be measured."""
    tuning = _tuning(run, record, slo, [])
    found = best(tuning.tried, tuning.by)
    return None if found is None else found.number


def _tuning(run: Run, record: TuningRecord, slo: Slo, warnings: list[str]) -> Tuning:
    tried = tuple(
        replace(_tried(run, record, each, slo, warnings), chosen=each.number == record.chosen) for each in record.tried
    )
    by = deciding(tried, slo=slo.stated)
    return Tuning(record.server, record.tuned, run.manifest.run_id, record.seconds, record.users, by, tried)


def _tried(run: Run, tuning: TuningRecord, record: TriedRecord, slo: Slo, warnings: list[str]) -> Tried:
    blank = Tried(
        number=record.number,
        settings=record.settings,
        default=record.default,
        outcome=Outcome.SKIPPED,
        reason=NOT_REACHED,
        n=0,
        goodput=None,
        throughput=None,
        p50=None,
        p95=None,
        verdict=None,
        reasons=(),
        trial_id=record.trial_id,
    )
    trials = [trial for trial in run.tried if trial.id == record.trial_id]
    if not trials:
        return blank
    row = row_of(run, _server(run.manifest.servers, tuning, record), trials, slo, warnings, [])
    times = row.response_time
    return replace(
        blank,
        outcome=row.outcome,
        reason=row.reason,
        n=row.n,
        goodput=row.goodput,
        throughput=row.throughput,
        p50=times.p50 if times else None,
        p95=times.p95 if times else None,
        verdict=row.verdict,
        reasons=row.reasons,
    )


def _server(servers: Sequence[ServerRecord], tuning: TuningRecord, record: TriedRecord) -> ServerRecord:
    """The server as it was tried; how it computed is not known, so its keys tell."""
    known = next((server for server in servers if server.name == tuning.server), None)
    if known is None:
        return ServerRecord(tuning.server, "", "", record.options, Outcome.OK)
    return replace(known, options=record.options, computing={}, threads={})
