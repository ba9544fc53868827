"""The parent's side of the load generator: one Locust process per launch, one trial in, its rows out.

The process is started while the server starts, so its own start-up costs the run nothing, and it drives every
trial of a launch. It runs under a guard like a server does.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import LoadError
from bench.guarded import Guarded, guarded
from bench.load.job import Job, Message, encode_job, write_messages, write_schedule
from bench.load.rows import NO_ERROR, read_answers, read_errors, read_rows
from bench.plan import Trial
from bench.profiles import Closed, has_schedule
from bench.protocols import Request
from bench.samples import TIMED_OUT, UNSENT, WRONG_ANSWER, Samples

_LOCUSTFILE = Path(__file__).with_name("locustfile.py")
_READY_SECONDS = 60.0
_SLACK_SECONDS = 30.0
_MOST_IN_FLIGHT = 4096

Tick = Callable[[float, int, int, float | None], None]
"""Called about twice a second with seconds since the trial began, requests, errors, p50 so far in seconds."""


@dataclass(frozen=True, slots=True)
class Driven:
    """What one trial left behind: the generator's rows as they are, its distinct replies, and its own counts."""

    rows: NDArray[np.void]
    errors: tuple[str, ...]
    replies: tuple[tuple[int, bytes], ...]
    schedule: NDArray[np.float64] | None
    payloads: int
    connections: int
    cpu_seconds: float
    failure: LoadError | None


class Generator:
    """A load process that is ready for trials."""

    def __init__(self, process: Guarded, log: Path) -> None:
        self._process = process
        self.log = log
        self.seconds = 0.0
        """How long the latest trial's load took, the wait for its last replies included."""
        self._heard = b""

    def wait_ready(self) -> None:
        """Return once the process has imported everything.   Raises: LoadError."""
        self._hear("ready", time.monotonic() + _READY_SECONDS, lambda _: True)

    def alive(self) -> bool:
        """Whether the process can take another trial."""
        return self._process.alive()

    def drive(
        self,
        trial: Trial,
        requests: Sequence[Request],
        transport: str,
        host: str,
        port: int,
        folder: Path,
        tick: Tick,
        healthy: Callable[[], bool],
    ) -> Driven:
        """Drive one trial; `folder` takes the generator's files, `healthy` is asked whether going on makes sense.

        If the generator dies, `failure` of the result says so, and the rows are those it had flushed until then.
        """
        messages = [Message(request.target, request.headers, request.body) for request in requests]
        write_messages(folder, messages)
        job, schedule = _job(trial, transport, host, port, folder)
        began_at = time.monotonic()
        failure: LoadError | None = None
        done: dict[str, Any] = {"connections": 0, "cpu_seconds": 0.0}
        try:
            done = self._follow(job, tick, healthy)
        except LoadError as died:
            failure = died
        self.seconds = time.monotonic() - began_at
        return Driven(
            rows=read_rows(folder),
            errors=read_errors(folder),
            replies=tuple(read_answers(folder)),
            schedule=schedule,
            payloads=len(messages),
            connections=done["connections"],
            cpu_seconds=done["cpu_seconds"],
            failure=failure,
        )

    def _follow(self, job: Job, tick: Tick, healthy: Callable[[], bool]) -> dict[str, Any]:
        """Hand the job over and listen until it is done: what was said last.   Raises: LoadError."""
        try:
            self._process.stdin.write(encode_job(job))
            self._process.stdin.flush()
        except OSError as failure:
            raise LoadError("the load generator is gone", where=str(self.log)) from failure
        asked_to_stop = False

        def listen(said: dict[str, Any]) -> bool:
            nonlocal asked_to_stop
            if said["kind"] == "tick":
                tick(said["seconds"], said["requests"], said["errors"], said["p50"])
                if not asked_to_stop and not healthy():
                    asked_to_stop = True
                    self.abort()
            return bool(said["kind"] == "done")

        return self._hear("done", time.monotonic() + job.seconds + 2 * job.timeout + _SLACK_SECONDS, listen)

    def abort(self) -> None:
        """Ask for the end of the trial in progress; its replies in flight are still waited for."""
        self.kill(signal.SIGTERM)

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    def _hear(self, kind: str, deadline: float, listen: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        out = self._process.stdout.fileno()
        while True:
            while b"\n" in self._heard:
                line, self._heard = self._heard.split(b"\n", 1)
                said: dict[str, Any] = json.loads(line)
                if listen(said) and said["kind"] == kind:
                    return said
            if time.monotonic() > deadline:
                raise LoadError(f"the load generator did not say {kind!r} in time", where=str(self.log))
            if not select.select([out], [], [], 0.5)[0]:
                continue
            data = os.read(out, 65536)
            if not data:
                raise LoadError("the load generator died", where=str(self.log), hint=_tail(self.log))
            self._heard += data


@contextlib.contextmanager
def generator(log: Path) -> Iterator[Generator]:
    """A load process for as long as the block lasts; call `wait_ready` before the first trial."""
    with (
        log.open("ab") as words,
        guarded(
            [sys.executable, "-P", str(_LOCUSTFILE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            env={**os.environ, "GRPC_VERBOSITY": "ERROR"},
            grace=2.0,
        ) as process,
    ):
        try:
            yield Generator(process, log)
        finally:
            _close_quietly(process.stdin)
            process.stop()
            _close_quietly(process.stdout)


def _job(trial: Trial, transport: str, host: str, port: int, folder: Path) -> tuple[Job, NDArray[np.float64] | None]:
    point = trial.point
    schedule = None
    if isinstance(point, Closed):
        assert isinstance(point.users, int)
        users = point.users
    elif has_schedule(point):
        schedule = np.fromiter(point.send_times(trial.warmup, Random(trial.seed)), dtype=np.float64)
        write_schedule(folder, schedule)
        # In flight can be at most what arrives within one time-out; some more, as ending a request takes a moment.
        due = np.searchsorted(schedule, schedule + trial.timeout, side="right") - np.arange(len(schedule))
        users = int(min(_MOST_IN_FLIGHT, max(16, 1.25 * due.max(initial=0))))
    else:
        raise LoadError(f"no way to drive a {point.name} load point")
    job = Job(
        folder=str(folder),
        transport="grpc" if transport == "grpc" else "http",
        host=host,
        port=port,
        open_loop=point.open_loop,
        users=users,
        warmup=trial.warmup,
        duration=point.duration,
        timeout=trial.timeout,
    )
    return job, schedule


def to_samples(driven: Driven, warmup: float, request_bytes: Sequence[int], wrong: NDArray[np.bool_]) -> Samples:
    """Rows in the order of their intended times, arrivals that never left included as `unsent`.

    `wrong` tells which distinct replies are no right answer, shape (replies,); rows that carry one are not ok.
    """
    rows = driven.rows
    errors = list(driven.errors)
    error = rows["error"].astype(np.int64)
    answer = rows["answer"].astype(np.int64)
    got_wrong = np.zeros(len(rows), dtype=np.bool_)
    if len(wrong):
        kept = answer >= 0
        got_wrong[kept] = wrong[np.minimum(answer[kept], len(wrong) - 1)]
    if got_wrong.any():
        error[got_wrong] = _number(errors, WRONG_ANSWER)
    missing = _missing_arrivals(driven)
    sizes = np.asarray(request_bytes, dtype=np.int64)
    intended = np.concatenate([rows["intended_at"], missing])
    order = np.argsort(intended, kind="stable")
    nothing = np.full(len(missing), np.nan)
    none = np.zeros(len(missing), dtype=np.int64)
    payload = np.concatenate([rows["payload"].astype(np.int64), _payloads_of(missing, driven)])
    unsent = np.full(len(missing), _number(errors, UNSENT) if len(missing) else NO_ERROR, dtype=np.int64)
    error = np.concatenate([error, unsent])
    return Samples(
        intended_at=intended[order],
        sent_at=np.concatenate([rows["sent_at"], nothing])[order],
        first_byte_at=np.concatenate([rows["first_byte_at"], nothing])[order],
        done_at=np.concatenate([rows["done_at"], nothing])[order],
        status=np.concatenate([rows["status"].astype(np.int64), none])[order],
        ok=(error == NO_ERROR)[order],
        error=error[order],
        errors=tuple(errors),
        measured=(intended >= warmup)[order],
        payload=payload[order],
        request_bytes=sizes[payload][order],
        response_bytes=np.concatenate([rows["response_bytes"].astype(np.int64), none])[order],
        worker=np.zeros(len(order), dtype=np.int64),
    )


def counts(samples: Samples) -> dict[str, int]:
    """How many requests were scheduled, and what became of them, warm-up included."""
    timed_out = samples.has_error(TIMED_OUT)
    unsent = samples.has_error(UNSENT)
    return {
        "scheduled": len(samples),
        "sent": int(np.count_nonzero(~unsent)),
        "ok": int(np.count_nonzero(samples.ok)),
        "failed": int(np.count_nonzero(~samples.ok & ~timed_out & ~unsent)),
        "timed_out": int(np.count_nonzero(timed_out)),
        "unsent": int(np.count_nonzero(unsent)),
    }


def _number(errors: list[str], text: str) -> int:
    if text not in errors:
        errors.append(text)
    return errors.index(text)


def _missing_arrivals(driven: Driven) -> NDArray[np.float64]:
    """Intended times of the schedule that have no row: each occurs as often as it is missing."""
    if driven.schedule is None:
        return np.zeros(0)
    remaining = np.ones(len(driven.schedule), dtype=np.bool_)
    remaining[np.searchsorted(driven.schedule, driven.rows["intended_at"])] = False
    return driven.schedule[remaining]


def _payloads_of(intended_at: NDArray[np.float64], driven: Driven) -> NDArray[np.int64]:
    if driven.schedule is None:
        return np.zeros(0, dtype=np.int64)
    return np.searchsorted(driven.schedule, intended_at).astype(np.int64) % driven.payloads


def _tail(log: Path) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-12:])
    except OSError:
        return ""


def _close_quietly(pipe: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        pipe.close()
