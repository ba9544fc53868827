"""The parent's side of the load generator: one Locust process per launch, one trial in, its rows out.

The process is started while the server starts, so its own start-up costs the run nothing, and it drives every
trial of a launch. It runs under a guard like a server does. With more than one load worker the process is their
master: it drives nothing itself, and a trial goes out in shares and comes back as rows merged.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import LoadError
from bench.load.crew import ALONE, Crew
from bench.load.driven import Driven
from bench.load.job import Job, Message, encode_job, encode_jobs, write_messages, write_schedule
from bench.load.merge import Part, merge, read_part
from bench.load.split import arrivals_of, shares, users_for, without
from bench.profiles import Closed, has_schedule
from bench.protocols import ReplyRule, Request
from bench.scenario.plan import Trial
from bench.serving.address import TOKEN_VARIABLE, Address
from bench.serving.guarded import Guarded, guarded
from bench.serving.launch import free_ports

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
"""The program of every load process; started by path, see there."""
_READY_SECONDS = 60.0
_SLACK_SECONDS = 60.0
JOIN_SECONDS = 60.0
"""How long a run waits for load workers of other machines once it needs them."""
_HOST = "127.0.0.1"

Tick = Callable[[float, int, int, float | None], None]
"""Called about twice a second with seconds since the trial began, requests, errors, p50 so far in seconds."""
Clock = Callable[[float, float | None], None]
"""Called as often with when the trial began, on `time.monotonic()`, and when its window does, in seconds since then."""


class Generator:
    """A load process, or the master of several, that takes one trial after another."""

    def __init__(self, process: Guarded, log: Path, crew: Crew = ALONE, local: Sequence[Guarded] = ()) -> None:
        self._process = process
        self._crew = crew
        self._local = tuple(local)
        self._joined: dict[str, bool] = {}
        self._started = False
        self._ready = False
        self._broken = False
        self.log = log
        self.seconds = 0.0
        """How long the latest trial's load took, the wait for its last replies included."""
        self._heard = b""

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """Process ids of the load workers on this machine, none if one process does everything."""
        return tuple(process.pid for process in self._local)

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of everything that makes load on this machine."""
        return (self._process.pid, *self.worker_pids)

    def wait_started(self) -> None:
        """Return once the process has imported everything, and listens if others join it.   Raises: LoadError."""
        if not self._started:
            self._hear("ready", time.monotonic() + _READY_SECONDS, lambda _: True)
            self._started = True
        elif not self.alive():
            raise LoadError("the load generator is not whole any more", where=str(self.log), hint=_tail(self.log))

    def wait_ready(self) -> None:
        """Return once every load process is there, those of other machines too.   Raises: LoadError."""
        self.wait_started()
        if self._ready:
            return
        deadline = time.monotonic() + (JOIN_SECONDS if self._crew.remote else _READY_SECONDS)
        while not self._crew.alone and len(self._joined) < self._crew.size:
            self._hear_who_joins(deadline)
        self._ready = True

    def alive(self) -> bool:
        """Whether it can take another trial with as many processes on this machine as it began with."""
        return self._process.alive() and not self._broken and all(process.alive() for process in self._local)

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
        clock: Clock = lambda *_: None,
    ) -> Driven:
        """Drive one trial; `folder` takes the generator's files, `healthy` is asked whether going on makes sense.

        `clock` is told the generator's own as soon as it is known, and again when the window's beginning is.

        If the generator dies, `failure` of the result says so, and the rows are those it had flushed until then.
        """
        messages = [_message(request) for request in requests]
        jobs, schedule = _jobs(trial, transport, host, port, folder, self._crew)
        _write_inputs(jobs, messages, schedule)
        began_at = time.monotonic()
        failure: LoadError | None = None
        outcomes: Sequence[Mapping[str, Any]] = [{} for _ in jobs]
        try:
            outcomes = self._follow(jobs, tick, healthy, clock)
        except LoadError as died:
            failure = died
        self.seconds = time.monotonic() - began_at
        parts = [read_part(job.path) for job in jobs]
        merged = merge(parts)
        begun = {each["window_at"] for each in outcomes if each.get("window_at") is not None}
        window_at = min(begun, default=jobs[0].warmup_most)
        if len(begun) > 1 and failure is None:
            failure = LoadError(
                "the load workers did not begin their windows together", where=str(self.log), hint="see the load log"
            )
        if schedule is not None:
            schedule = without(schedule, window_at, jobs[0].warmup_most)
        lost = tuple(f"{each['worker']}: {each['lost']}" for each in outcomes if each.get("lost"))
        self._broken = self._broken or any(each.get("lost") and each["shared"] for each in outcomes)
        return Driven(
            rows=merged.rows,
            errors=merged.errors,
            replies=merged.replies,
            schedule=schedule,
            payloads=len(messages),
            connections=sum(each.get("connections", 0) for each in outcomes),
            cpu_seconds=sum(each.get("cpu_seconds", 0.0) for each in outcomes if each.get("shared", True)),
            failure=failure or self._incomplete(parts, outcomes),
            workers=len(jobs),
            worker=merged.worker,
            lost_workers=lost,
            window_at=window_at,
        )

    def _follow(
        self, jobs: Sequence[Job], tick: Tick, healthy: Callable[[], bool], clock: Clock
    ) -> Sequence[Mapping[str, Any]]:
        """Hand the jobs over and listen until they are done: what was said of each.   Raises: LoadError."""
        try:
            self._process.stdin.write(encode_job(jobs[0]) if self._crew.alone else encode_jobs(jobs))
            self._process.stdin.flush()
        except OSError as failure:
            raise LoadError("the load generator is gone", where=str(self.log)) from failure
        asked_to_stop = False

        def listen(said: dict[str, Any]) -> bool:
            nonlocal asked_to_stop
            if said["kind"] == "tick":
                clock(said["began_at"], said["window_at"])
                tick(said["seconds"], said["requests"], said["errors"], said["p50"])
                if not asked_to_stop and not healthy():
                    asked_to_stop = True
                    self.abort()
            return bool(said["kind"] == "done")

        seconds = jobs[0].seconds + 2 * jobs[0].timeout + _SLACK_SECONDS
        done = self._hear("done", time.monotonic() + seconds, listen)
        return [done] if self._crew.alone else done["shares"]

    def _incomplete(self, parts: Sequence[Part], outcomes: Sequence[Mapping[str, Any]]) -> LoadError | None:
        """What is wrong if a process recorded other rows than are here."""
        for part, outcome in zip(parts, outcomes, strict=True):
            if "rows" in outcome and outcome["rows"] != len(part.rows):
                what = f"{outcome.get('worker', 'the load generator')} recorded {outcome['rows']:,} rows, "
                return LoadError(f"{what}{len(part.rows):,} arrived", where=str(self.log))
        return None

    def abort(self) -> None:
        """Ask for the end of the trial in progress; its replies in flight are still waited for."""
        self.kill(signal.SIGTERM)

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    def _hear_who_joins(self, deadline: float) -> None:
        """Return once one more load worker has joined.   Raises: LoadError if none does in time."""
        try:
            self._hear("joined", deadline, lambda _: True, meanwhile=self._check_local)
        except _TooLateError as late:
            here, size = len(self._joined), self._crew.size
            remote = self._crew.remote
            hint = f"on each other machine: bench worker --connect {remote.listen}" if remote else ""
            limit = JOIN_SECONDS if remote else _READY_SECONDS
            what = f"{here} of {size} load workers joined within {limit:g} s"
            raise LoadError(what, where=str(self.log), hint=hint or _tail(self.log)) from late

    def _check_local(self) -> None:
        if not all(process.alive() for process in self._local):
            raise LoadError("a load worker ended before it joined", where=str(self.log), hint=_tail(self.log))

    def _hear(
        self,
        kind: str,
        deadline: float,
        listen: Callable[[dict[str, Any]], bool],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """What is said next of this kind, if `listen` agrees; a transfer that moves on puts the deadline off."""
        out = self._process.stdout.fileno()
        while True:
            while b"\n" in self._heard:
                line, self._heard = self._heard.split(b"\n", 1)
                said: dict[str, Any] = json.loads(line)
                self._note(said)
                if said["kind"] == "moving":
                    deadline = max(deadline, time.monotonic() + _SLACK_SECONDS)
                if listen(said) and said["kind"] == kind:
                    return said
            if time.monotonic() > deadline:
                raise _TooLateError(f"the load generator did not say {kind!r} in time", where=str(self.log))
            meanwhile()
            if not select.select([out], [], [], 0.5)[0]:
                continue
            data = os.read(out, 65536)
            if not data:
                raise LoadError("the load generator died", where=str(self.log), hint=_tail(self.log))
            self._heard += data

    def _note(self, said: Mapping[str, Any]) -> None:
        """Who is here.   Raises: LoadError if the process says that it cannot go on."""
        if said["kind"] == "joined":
            self._joined[said["name"]] = said["shared"]
        elif said["kind"] == "left":
            self._joined.pop(said["name"], None)
        elif said["kind"] == "failed":
            raise LoadError(said["reason"], where=str(self.log))


class _TooLateError(LoadError):
    """Something that should have been said was not."""


@contextlib.contextmanager
def generator(log: Path, crew: Crew = ALONE, cores: Sequence[int] = ()) -> Iterator[Generator]:
    """Load processes for as long as the block lasts, on these cores alone; call `wait_ready` before the first trial."""
    with contextlib.ExitStack() as stack:
        words = stack.enter_context(log.open("ab"))
        environment = {**os.environ, "GRPC_VERBOSITY": "ERROR"}
        where = ""
        if not crew.alone:
            where = str(crew.remote.listen if crew.remote else Address(_HOST, *free_ports(1)))
            if crew.remote is None:
                environment[TOKEN_VARIABLE] = secrets.token_hex(16)

        def start(*arguments: str, pipes: bool) -> Guarded:
            argv = [sys.executable, "-P", str(LOCUSTFILE), *arguments]
            ends = subprocess.PIPE if pipes else subprocess.DEVNULL
            return stack.enter_context(
                guarded(argv, stdin=ends, stdout=ends, stderr=words, env=environment, grace=2.0, cores=cores)
            )

        process = start(*(() if crew.alone else ("master", where)), pipes=True)
        several = not crew.alone
        local = [
            start("worker", where, str(_READY_SECONDS), "shared", pipes=False) for _ in range(several * crew.local)
        ]
        try:
            yield Generator(process, log, crew, local)
        finally:
            _close_quietly(process.stdin)
            process.stop()
            _close_quietly(process.stdout)


def _jobs(
    trial: Trial, transport: str, host: str, port: int, folder: Path, crew: Crew
) -> tuple[list[Job], NDArray[np.float64] | None]:
    """One share of the trial per load worker, and the whole schedule if it has one.   Raises: LoadError."""
    point = trial.point
    schedule = None
    most = max(trial.warmup, trial.warmup_most)
    if isinstance(point, Closed):
        assert isinstance(point.users, int)
        users = shares(point.users, crew.size)
    elif has_schedule(point):
        schedule = np.fromiter(point.send_times(most, Random(trial.seed)), dtype=np.float64)
        users = [users_for(arrivals_of(schedule, index, crew.size), trial.timeout) for index in range(crew.size)]
    else:
        raise LoadError(f"no way to drive a {point.name} load point")
    whole = Job(
        folder=str(folder),
        transport="grpc" if transport == "grpc" else "http",
        host=host,
        port=port,
        open_loop=point.open_loop,
        users=users[0],
        warmup=trial.warmup,
        warmup_most=most,
        duration=point.duration,
        timeout=trial.timeout,
    )
    if crew.alone:
        return [whole], schedule
    jobs = [
        replace(whole, folder=str(folder / f"worker-{index}"), users=share, first=index, step=len(users))
        for index, share in enumerate(users)
    ]
    return jobs, schedule


def _message(request: Request) -> Message:
    rule = request.reply or ReplyRule()
    return Message(
        request.target, request.headers, request.body, request.method, rule.varies, rule.fails, rule.fails_as
    )


def _write_inputs(jobs: Sequence[Job], messages: Sequence[Message], schedule: NDArray[np.float64] | None) -> None:
    """Each share's prepared requests and its part of the schedule, in the share's folder."""
    for job in jobs:
        job.path.mkdir(exist_ok=True)
        write_messages(job.path, messages)
        if schedule is not None:
            write_schedule(job.path, arrivals_of(schedule, job.first, job.step))


def _tail(log: Path) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-12:])
    except OSError:
        return ""


def _close_quietly(pipe: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        pipe.close()
