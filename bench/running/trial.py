"""One load point driven at one running server: requests out, rows and a record on disk.

What a trial means is decided later, from its rows; here it is only made to happen and written down.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.load.drive import Generator
from bench.load.driven import Driven, counts, to_samples, with_kinds
from bench.machine.facts import host_counters, host_used
from bench.measures.answers import Expectation, answer_check, judge
from bench.profiles import Closed, Swap, has_schedule
from bench.protocols import Request
from bench.results import LOAD_LOG, SAMPLES, SERVER_LOG, TELEMETRY, Outcome, RunFolder, TrialRecord
from bench.running.counting import counting
from bench.running.progress import Progress
from bench.running.takeover import answered, exchange
from bench.running.trial_clock import TrialClock
from bench.samples import write_samples
from bench.scenario.plan import Trial
from bench.serving.affinity import both, cores_seen
from bench.serving.launch import Running, exit_text, explained, log_tail, log_text
from bench.serving.standing import watching


@dataclass(frozen=True, slots=True)
class Subject:
    """A running server with what it is asked and what it should answer.

    `requests` are one per photo; making one took `encode_seconds` on average. `ready_memory` is what the server held
    before any load, as `telemetry.memory_now` tells it.
    """

    kind: str
    running: Running
    requests: tuple[Request, ...]
    right: Expectation
    encode_seconds: float | None = None
    ready_memory: Mapping[str, float] = field(default_factory=dict)


def blank_record(trial: Trial, kind: str, outcome: Outcome, reason: str) -> TrialRecord:
    """The record of a trial that was not driven, or not yet."""
    point = trial.point
    return TrialRecord(
        id=trial.id,
        number=trial.number,
        server=trial.server,
        kind=kind,
        repetition=trial.repetition,
        profile=point.name,
        label=point.label,
        outcome=outcome,
        reason=reason,
        users=point.users if isinstance(point, Closed) and isinstance(point.users, int) else None,
        arrival_rate=point.mean_rate if has_schedule(point) else None,
        duration=point.duration,
        warmup=trial.warmup,
        timeout=trial.timeout,
        seed=trial.seed,
        look=int(trial.look.partition("-")[0] or 0),
        tune_point=trial.tune_point,
    )


def run_trial(trial: Trial, subject: Subject, load: Generator, folder: RunFolder, progress: Progress) -> TrialRecord:
    """Drive one trial and write its rows, telemetry and logs; the record is returned for saving."""
    path = folder.trial(trial.id)
    running = subject.running
    began_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    log_from = running.log.stat().st_size
    load_from = load.log.stat().st_size
    before = set(running.process.tree())
    raw = path / "raw"
    raw.mkdir()
    seen = cores_seen(running.place.cpuset, running.process.tree(), load.pids)
    before_load = host_counters()
    clock = TrialClock()
    swap = running.server.swap(running.place) if isinstance(trial.point, Swap) else None
    with ExitStack() as beside:
        watched = beside.enter_context(watching(running.process, path / TELEMETRY))
        counted = beside.enter_context(counting(lambda: running.server.counters(running.place), clock))
        if swap is not None and isinstance(trial.point, Swap):
            exchanged = beside.enter_context(exchange(swap, trial.point.moment, clock))
        driven = load.drive(
            trial,
            subject.requests,
            running.wire.transport,
            running.host,
            running.port,
            raw,
            tick=lambda _, requests, errors, p50: progress.tick(requests, errors, p50),
            healthy=running.process.alive,
            clock=clock.tell,
        )
    host = host_used(before_load, host_counters())
    seen = both(seen, cores_seen(running.place.cpuset, running.process.tree(), load.pids))
    alive = running.process.alive()
    counters = counted.since(running.server.counters(running.place)) if alive else {}
    replaced = alive and bool(before - set(running.process.tree()))
    _keep_slice(running.log, log_from, path / SERVER_LOG)
    _keep_slice(load.log, load_from, path / LOAD_LOG)
    driven = with_kinds(driven, running.server.error_kind)
    record = _judged(trial, subject, driven, path)
    shutil.rmtree(raw)
    record = replace(
        record,
        started_at=began_at,
        startup_seconds=running.startup_seconds,
        worker_pids_changed=replaced,
        host=host,
        cores=seen,
        startup_parts=running.server.startup_parts(log_text(running.log, running.log_from)),
        server_counters=counters,
        encode_seconds=subject.encode_seconds,
        telemetry_missing=watched.missing,
        sampler_cpu_share=watched.cpu_share,
        ready_memory=subject.ready_memory,
        swap=None if swap is None else answered(exchanged.record, swap, driven.replies, driven.rows),
    )
    if driven.failure is not None:
        return replace(record, outcome=Outcome.FAILED, reason=str(driven.failure))
    if not alive:
        code = running.process.stop()
        what = f"the server ended ({exit_text(code)}) during this trial"
        what = explained(running.server, what, running.log, running.log_from, code)
        reason = f"{what}\n{log_tail(path / SERVER_LOG)}"
        return replace(record, outcome=Outcome.FAILED, reason=reason, server_died=True)
    if record.swap is not None and record.swap.failure:
        return replace(record, outcome=Outcome.FAILED, reason=record.swap.failure)
    return record


def _judged(trial: Trial, subject: Subject, driven: Driven, path: Path) -> TrialRecord:
    """Write the samples with every reply compared to the right answer; the record with its counts."""
    judged = judge(subject.running.wire.answer, driven.replies, subject.right)
    samples = to_samples(driven, [len(request.body) for request in subject.requests], judged.wrong)
    write_samples(path / SAMPLES, samples)
    got_reply = driven.rows["error"] < 0
    return replace(
        blank_record(trial, subject.kind, Outcome.OK, ""),
        window=(driven.window_at, driven.window_at + trial.point.duration),
        counts=counts(samples),
        connections=driven.connections,
        generator_cpu_seconds=driven.cpu_seconds,
        generator_workers=driven.workers,
        lost_workers=driven.lost_workers,
        answers=answer_check(judged, driven.rows["answer"].astype(np.int64), got_reply, subject.right),
    )


def _keep_slice(log: Path, start: int, to: Path) -> None:
    """Copy what a shared log gained since `start` bytes, unless the trial's own log is the shared one."""
    if log == to:
        return
    with log.open("rb") as source, to.open("wb") as target:
        source.seek(start)
        shutil.copyfileobj(source, target)
