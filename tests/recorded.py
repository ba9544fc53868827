"""Complete run folders as a run would leave them, from a seed: every outcome, load point and flaw that a report shows.

The servers are queues with lognormal service times, so latency, throughput and overload hang together as they
do in life. Nothing here was measured; only tests and benchmarks of the reading half use it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bench.results import AnswerCheck, Manifest, Outcome, Run, RunFolder, ServerRecord, TrialRecord, load_run
from bench.samples import TIMED_OUT, UNSENT, WRONG_ANSWER, Floats, Samples, Telemetry, write_samples, write_telemetry

STARTED = datetime(2026, 11, 23, 3, 45, tzinfo=UTC)
WARMUP, TIMEOUT = 2.0, 6.0
SLO = {"percentile": 95.0, "response_time": 1.0, "error_rate": 0.001}
TOLERANCE, PHOTO_DISTANCE = 1e-4, 0.05

PRICE_CPU = {
    "per_hour": 0.408,
    "count": 1,
    "instance": "a1.4xlarge",
    "region": "us-east-1",
    "provider": "aws",
    "source": "price list",
    "as_of": "2026-07-20",
    "basis": "1 x a1.4xlarge at $0.408/h (aws us-east-1, 2026-07-20)",
}
PRICE_CPU_TWICE = PRICE_CPU | {
    "per_hour": 0.816,
    "count": 2,
    "basis": "2 x a1.4xlarge at $0.408/h (aws us-east-1, 2026-07-20)",
}
PRICE_GPU = PRICE_CPU | {
    "per_hour": 0.75,
    "instance": "g3s.xlarge",
    "basis": "1 x g3s.xlarge at $0.75/h (aws us-east-1, 2026-07-20)",
}


@dataclass(frozen=True)
class Fake:
    """One server of a recorded run: a queue with `lanes` servers of about `service` seconds each."""

    name: str
    kind: str
    title: str
    service: float = 0.15
    lanes: int = 1
    spread: float = 0.15
    warms: float = 0.0
    """Seconds in which a beginning five times slower falls to a third of its excess."""
    outcome: Outcome = Outcome.OK
    reason: str = ""
    fix: str = ""
    price: Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    wrong: float = 0.0
    """Share of replies whose answer is wrong."""
    fails: float = 0.0
    """Share of requests that are refused at once with a 503."""
    reconnects: bool = False
    model_form: str | None = "saved_model"
    model_bytes: int | None = 124_000_000
    startup: float = 6.0


FLASK = Fake(
    "flask", "flask", "Flask's development server", 0.19, price=PRICE_CPU, reconnects=True, model_form="h5",
    model_bytes=369_000_000, startup=14.2,
)  # fmt: skip
GUNICORN = Fake(
    "gunicorn", "gunicorn", "Flask behind gunicorn", 0.24, lanes=2, price=PRICE_CPU_TWICE, reconnects=True,
    options={"workers": 2, "threads": 1}, fails=0.003, model_form="h5", model_bytes=369_000_000, startup=27.5,
)  # fmt: skip
TFSERVING = Fake(
    "tfserving", "tfserving", "TensorFlow Serving", 0.12, lanes=2, price=PRICE_CPU, options={"protocol": "rest"},
    startup=3.1,
)  # fmt: skip
TRITON = Fake("triton", "triton", "Triton Inference Server", 0.13, lanes=2, wrong=0.4, startup=19.0)
CRASHED = Fake(
    "flask-reload", "flask", "Flask's development server", outcome=Outcome.FAILED,
    reason="server exited with code 1 before it was ready", fix="see server.log", options={"load_per_request": True},
)  # fmt: skip
NO_GPU = Fake(
    "tfserving-gpu", "tfserving", "TensorFlow Serving", outcome=Outcome.SKIPPED, reason="this machine has no GPU",
    fix="run this scenario on a machine with an NVIDIA GPU", price=PRICE_GPU, options={"device": "gpu"},
)  # fmt: skip
SERVERS = (FLASK, GUNICORN, TFSERVING, TRITON, CRASHED, NO_GPU)


@dataclass(frozen=True)
class Point:
    """One load point: `users` in closed loop or `arrival_rate` in open loop."""

    users: int | None = None
    arrival_rate: float | None = None
    duration: float = 20.0

    @property
    def profile(self) -> str:
        return "closed" if self.users else "poisson"

    @property
    def label(self) -> str:
        return f"closed-{self.users}" if self.users else f"poisson-{self.arrival_rate:g}"


POINTS = (
    Point(users=1),
    Point(users=8),
    Point(arrival_rate=2, duration=40.0),
    Point(arrival_rate=4, duration=40.0),
    Point(arrival_rate=8, duration=40.0),
)


def write_run(
    folder: Path,
    seed: int = 1,
    *,
    rows: int | None = None,
    servers: Sequence[Fake] = SERVERS,
    points: Sequence[Point] = POINTS,
    repetitions: int = 1,
    name: str = "efficientnet",
    slo: Mapping[str, float] = SLO,
    fail_if: Sequence[str] = (),
    started: datetime = STARTED,
    finished: bool = True,
    capacity: bool = True,
) -> Path:
    """Write one complete run below `folder` and return its own folder `<folder>/<name>/<run-id>`.

    With `rows` every server is made faster and every open-loop rate higher until about that many rows lie in it.
    `finished=False` leaves what a killed run leaves: no end, and a last trial without a record.
    """
    run = RunFolder.create(folder, name, started)
    pace = 1.0 if rows is None else _pace(rows, servers, points, repetitions)
    run.save_scenario(_scenario_text(name, servers))
    records = _write_trials(run, seed, servers, points, repetitions, pace, capacity)
    wall = sum(record.duration + record.warmup for record in records)
    if not finished:
        last = run.trial(f"{len(records) + 1:03d}-tfserving-closed-1")
        (last / "server.log").write_text("Exporting HTTP/REST API\n")
    run.save_manifest(_manifest(run.run_id, name, seed, servers, slo, fail_if, started, wall if finished else None))
    return run.path


def recorded_run(folder: Path, seed: int = 1, **how: Any) -> Run:
    """The run that `write_run` writes, loaded."""
    return load_run(write_run(folder, seed, **how))


def _pace(rows: int, servers: Sequence[Fake], points: Sequence[Point], repetitions: int) -> float:
    """How much faster everything must be so that about `rows` rows come out."""
    expected = 0.0
    for server in servers:
        if server.outcome is not Outcome.OK:
            continue
        for point in points:
            busy = min(point.users or 0, server.lanes) / server.service
            expected += repetitions * (point.duration + WARMUP) * (point.arrival_rate or busy)
    return rows / expected


def _write_trials(
    run: RunFolder, seed: int, servers: Sequence[Fake], points: Sequence[Point], repetitions: int, pace: float,
    capacity: bool,
) -> list[TrialRecord]:  # fmt: skip
    records: list[TrialRecord] = []
    for repetition in range(repetitions):
        for server in servers:
            if server.outcome is Outcome.SKIPPED:
                continue
            for point in points:
                paced = replace(point, arrival_rate=point.arrival_rate and round(point.arrival_rate * pace, 3))
                record = _write_trial(run, seed, len(records) + 1, repetition, server, paced, pace)
                records.append(record)
                if record.outcome is not Outcome.OK:
                    break  # a server that did not start gets no further load
            if capacity and server.outcome is Outcome.OK:
                records.append(_skipped_capacity(run, len(records) + 1, repetition, server))
    return records


def _skipped_capacity(run: RunFolder, number: int, repetition: int, server: Fake) -> TrialRecord:
    record = TrialRecord(
        id=f"{number:03d}-{server.name}-capacity",
        number=number,
        server=server.name,
        kind=server.kind,
        repetition=repetition,
        profile="capacity",
        label="capacity",
        outcome=Outcome.SKIPPED,
        reason="the capacity search is not there yet",
        duration=20.0,
    )
    run.save_trial(record)
    return record


def _write_trial(
    run: RunFolder, seed: int, number: int, repetition: int, server: Fake, point: Point, pace: float
) -> TrialRecord:
    base = TrialRecord(
        id=f"{number:03d}-{server.name}-{point.label}",
        number=number,
        server=server.name,
        kind=server.kind,
        repetition=repetition,
        profile=point.profile,
        label=point.label,
        outcome=server.outcome,
        reason=server.reason,
        users=point.users,
        arrival_rate=point.arrival_rate,
        duration=point.duration,
        warmup=WARMUP,
        timeout=TIMEOUT,
        seed=seed,
        started_at=(STARTED + timedelta(seconds=40 * number)).isoformat().replace("+00:00", "Z"),
    )
    trial_folder = run.trial(base.id)
    (trial_folder / "server.log").write_text(f"{server.title} {'died' if server.reason else 'ready'}\n")
    if server.outcome is not Outcome.OK:
        run.save_trial(base)
        return base
    # The schedule depends on the load point alone: every server gets the same arrivals.
    schedule_rng = np.random.default_rng([seed, repetition, *point.label.encode()])
    rng = np.random.default_rng([seed, number])
    samples = simulate(replace(server, service=server.service / pace), point, schedule_rng, rng)
    write_samples(trial_folder / "samples.parquet", samples)
    write_telemetry(trial_folder / "telemetry.parquet", _telemetry(server, samples, point))
    record = replace(
        base,
        window=(WARMUP, WARMUP + point.duration),
        startup_seconds=server.startup * float(rng.uniform(0.95, 1.05)),
        counts=_counts(samples),
        connections=int(np.count_nonzero(~np.isnan(samples.sent_at))) if server.reconnects else (point.users or 10),
        generator_cpu_seconds=2e-5 * len(samples),
        generator_workers=1,
        answers=_answers(server, samples),
    )
    run.save_trial(record)
    return record


def simulate(server: Fake, point: Point, schedule_rng: np.random.Generator, rng: np.random.Generator) -> Samples:
    """The rows that a queue with lognormal service times gives at this load point."""
    if point.users:
        intended, done = _closed_loop(server, point, rng)
        sent = intended.copy()
    else:
        intended = _arrivals(point, schedule_rng)
        sent = intended + rng.gamma(2.0, 1e-4, len(intended))  # a generator is late by a fraction of a millisecond
        done = _queue(sent, _services(server, len(sent), rng) * _cold(server, sent), server.lanes)
    return _rows(server, intended, sent, done, rng, unsent=not point.users)


def _arrivals(point: Point, rng: np.random.Generator) -> Floats:
    rate, end = point.arrival_rate or 1.0, WARMUP + point.duration
    times = np.cumsum(rng.exponential(1 / rate, int(rate * end + 10 * math.sqrt(rate * end) + 20)))
    return np.asarray(times[times < end], dtype=np.float64)


def _services(server: Fake, n: int, rng: np.random.Generator) -> Floats:
    return np.asarray(server.service * np.exp(rng.normal(0, server.spread, n)), dtype=np.float64)


def _cold(server: Fake, at: Floats) -> Floats:
    """How many times slower the server is at these moments because it is not warm yet."""
    if not server.warms:
        return np.ones_like(at)
    return np.asarray(1 + 4 * np.exp(-at / server.warms), dtype=np.float64)


def _queue(sent: Floats, services: Floats, lanes: int) -> Floats:
    free = [0.0] * lanes
    done = np.empty(len(sent))
    for place, (at, service) in enumerate(zip(sent.tolist(), services.tolist(), strict=True)):
        done[place] = max(at, free[0]) + service
        heapq.heapreplace(free, done[place])
    return done


def _closed_loop(server: Fake, point: Point, rng: np.random.Generator) -> tuple[Floats, Floats]:
    end, users = WARMUP + point.duration, point.users or 1
    expected = int(1.3 * end * min(users, server.lanes) / server.service) + 50
    services = iter(_services(server, expected, rng).tolist())
    free = [0.0] * server.lanes
    ready = [0.0001 * user for user in range(users)]
    intended: list[float] = []
    done: list[float] = []
    while ready[0] < end:
        at = ready[0]
        begin = max(at, free[0])
        finish = begin + next(services) * (1 + 4 * math.exp(-begin / server.warms) if server.warms else 1)
        heapq.heapreplace(free, finish)
        heapq.heapreplace(ready, finish)
        intended.append(at)
        done.append(finish)
    return np.asarray(intended), np.asarray(done)


def _rows(
    server: Fake, intended: Floats, sent: Floats, done: Floats, rng: np.random.Generator, *, unsent: bool
) -> Samples:
    n = len(intended)
    error = np.full(n, -1, dtype=np.int64)
    errors = ("503 Service Unavailable", TIMED_OUT, UNSENT, WRONG_ANSWER)
    draw = rng.random(n)
    error[draw < server.wrong] = 3
    refused = draw > 1 - server.fails
    error[refused] = 0
    done = np.where(refused, sent + 0.002, done)
    late = done - sent > TIMEOUT
    error[late] = 1
    # What is due when the load ends and finds the generator full never leaves.
    lost = late & (intended > intended[-1] - 0.5) if unsent else np.zeros(n, dtype=np.bool_)
    error[lost] = 2
    done[late] = np.nan
    sent = np.where(lost, np.nan, sent)
    replied = ~np.isnan(done)
    status = np.where(replied, np.where(refused, 503, 200), 0)
    payload = rng.integers(0, 3, n)
    request_bytes = np.asarray([61_306, 196_653, 142_987], dtype=np.int64)[payload]
    return Samples(
        intended_at=intended,
        sent_at=sent,
        first_byte_at=np.where(replied, done - 0.0002, np.nan),
        done_at=done,
        status=status.astype(np.int64),
        ok=error < 0,
        error=error,
        errors=errors,
        measured=intended >= WARMUP,
        payload=payload.astype(np.int64),
        request_bytes=request_bytes,
        response_bytes=np.where(status == 200, 21_480, 0).astype(np.int64),
        worker=np.zeros(n, dtype=np.int64),
    )


def _counts(samples: Samples) -> dict[str, int]:
    unsent, timed_out = samples.has_error(UNSENT), samples.has_error(TIMED_OUT)
    return {
        "scheduled": len(samples),
        "sent": int(np.count_nonzero(~unsent)),
        "ok": int(np.count_nonzero(samples.ok)),
        "failed": int(np.count_nonzero(~samples.ok & ~unsent & ~timed_out)),
        "timed_out": int(np.count_nonzero(timed_out)),
        "unsent": int(np.count_nonzero(unsent)),
    }


def _answers(server: Fake, samples: Samples) -> AnswerCheck:
    wrong = int(np.count_nonzero(samples.has_error(WRONG_ANSWER)))
    return AnswerCheck(
        distinct=3 + (3 if wrong else 0),
        checked=int(np.count_nonzero(samples.status == 200)),
        unchecked=0,
        wrong=wrong,
        largest_difference=0.31 if wrong else 2.4e-6,
        tolerance=TOLERANCE,
        photo_distance=PHOTO_DISTANCE,
        example="grace_hopper.jpg: largest difference 0.31" if wrong else "",
    )


def _telemetry(server: Fake, samples: Samples, point: Point) -> Telemetry:
    at = np.arange(0.0, WARMUP + point.duration + 1.0, 0.5)
    done = np.sort(samples.done_at[~np.isnan(samples.done_at)])
    answered = np.searchsorted(done, at)
    spent = answered / max(1, len(samples)) * len(samples) * server.service * 1.6
    return Telemetry(at=at, cpu_seconds=8.0 + spent, rss_bytes=1.1e9 + 2e8 * (1 - np.exp(-at / 5)))


def _server_record(server: Fake) -> ServerRecord:
    ran = server.outcome is Outcome.OK
    return ServerRecord(
        name=server.name,
        kind=server.kind,
        title=server.title,
        options={"kind": server.kind, **server.options},
        outcome=server.outcome,
        reason=server.reason,
        fix=server.fix,
        version="2.19.1" if server.kind == "tfserving" else "",
        model_form=server.model_form if ran else None,
        model_bytes=server.model_bytes if ran else None,
        price=server.price,
    )


def _manifest(
    run_id: str, name: str, seed: int, servers: Sequence[Fake], slo: Mapping[str, float], fail_if: Sequence[str],
    started: datetime, wall: float | None,
) -> Manifest:  # fmt: skip
    finished = "" if wall is None else (started + timedelta(seconds=wall)).isoformat().replace("+00:00", "Z")
    return Manifest(
        run_id=run_id,
        name=name,
        question="Which way of serving EfficientNet-B5 meets a 1 s p95 at the lowest cost per request?",
        scenario={"name": name, "slo": dict(slo), "servers": {server.name: dict(server.options) for server in servers}},
        scenario_file=f"scenarios/{name}.yaml",
        command=f"bench run scenarios/{name}.yaml",
        started_at=started.isoformat().replace("+00:00", "Z"),
        slo=slo,
        references=(
            {"server": "flask", "metric": "service_time", "value": 2.0, "source": "the article's Flask example"},
            {"server": "tfserving", "metric": "service_time", "value": 0.25, "source": "the article, on CPU"},
            {"server": "tfserving-gpu", "metric": "service_time", "value": 0.1, "source": "the article, on GPU"},
        ),
        servers=tuple(_server_record(server) for server in servers),
        environment={"cpu": "Example CPU @ 2.60 GHz", "cores": 2, "memory_bytes": 8_000_000_000, "gpu": None},
        versions={"python": "3.11.9", "tensorflow": "2.21.0", "locust": "2.47.0"},
        seed=seed,
        fail_if=tuple(fail_if),
        finished_at=finished,
        interrupted=False,
        wall_seconds=wall,
        overhead_seconds=None if wall is None else 0.03 * wall,
        warnings=("2 cores serve and send at once: the load generator takes CPU time from the server",),
        bench_version="0.1.0",
    )


def _scenario_text(name: str, servers: Sequence[Fake]) -> str:
    lines = [f"name: {name}", "servers:"]
    lines += [f"  {server.name}: {{kind: {server.kind}}}" for server in servers]
    return "\n".join(lines) + "\n"
