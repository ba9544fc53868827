"""The load process: Locust's users and runner, told over stdin which trial to drive.  Started by path, never imported.

    python -P locustfile.py                                   one process, which drives every trial by itself
    python -P locustfile.py master HOST:PORT                  shares every trial among load workers that joined it
    python -P locustfile.py worker HOST:PORT SECONDS [shared] one of those workers, here or on another machine

stdin carries one job, or the shares of one, per line (see `job.py`); stdout answers with one JSON object per line:
`ready`, then for each line `tick`s and one `done`. Everything else that is said here goes to stderr, the load log.
SIGTERM ends the trial in progress: what was recorded is flushed, and `done` says `aborted`.
"""

from __future__ import annotations

import locust  # isort: skip -- patches the standard library, so it comes before everything else
import gc
import json
import logging
import math
import os
import signal
import statistics
import sys
import time
from collections import deque
from typing import Any, ClassVar, Protocol

import gevent
import gevent.event
import locust.env
import locust.exception

from bench.load.exchange import Deadlines, Reply, Rule, http_error
from bench.load.job import Job, decode_job, read_schedule
from bench.load.master import serve_workers
from bench.load.member import join_master
from bench.load.pace import Arrivals
from bench.load.rows import NO_ERROR, UNCHECKED, Recorder
from bench.load.speaker import Client, Speaker
from bench.measures.steady import Trace, still_warming

_TO_PARENT = sys.stdout
_TICK_SECONDS = 0.5
_LEAD_SECONDS = 0.02
_SPAWN_SECONDS = 60.0
_REFUSED_PAUSE_SECONDS = 0.05
_EXAMPLE_BYTES = 500
_LATEST_SECONDS = 2.0
"""How much later than its time-out a request may be given up."""


class Drive:
    """One trial while it is being driven: what all its users share."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._schedule = read_schedule(job.path) if job.open_loop else None
        self.recorder = Recorder(job.path)
        self.deadlines = Deadlines(job.timeout)
        self.speaker = Speaker(job, self.deadlines)
        self.messages = self.speaker.messages
        self.rules = [Rule(message) for message in self.messages]
        self.clients: list[Client] = []
        self.recent: deque[float] = deque(maxlen=500)
        self.trace = Trace()
        self.window_at = job.warmup if job.warmup_most <= job.warmup else math.inf
        """When the window begins, in seconds since the trial began; not known before the warm-up is over."""
        self.steady = False
        """Whether the warm-up might end, for all that this process sees of it."""
        self.turn = 0
        self.stopping = False
        self.active = 0
        self.started = gevent.event.Event()
        self.began_at = math.nan
        self.arrivals: Arrivals | None = None
        self._examples: set[int] = set()

    def begin(self, lead: float) -> None:
        """Start the trial's clock, `lead` seconds from now, and let the users go, who were spawned before."""
        self.began_at = time.monotonic() + lead
        if self._schedule is not None:
            self.arrivals = Arrivals(self._schedule, self.began_at)
            if self.stopping:
                self.arrivals.stop()
        self.started.set()

    def client(self) -> Client:
        """A client for one more user."""
        client = self.speaker.client()
        self.clients.append(client)
        return client

    def record(self, intended_at: float, payload: int, reply: Reply) -> None:
        """Turn a reply into a row; `intended_at` is seconds since the trial began."""
        recorder, began_at = self.recorder, self.began_at
        reply = self.speaker.discreet(reply)
        error, answer = NO_ERROR, UNCHECKED
        if reply.error:
            error = recorder.error(reply.error)
        elif reply.status == 200:
            rule = self.rules[payload]
            failed = rule.failure(reply.body)
            if failed:
                error = recorder.error(failed)
            else:
                answer = recorder.answer(payload, rule.lasting(reply.body))
        else:
            error = recorder.error(http_error(reply.status, reply.body))
        if error != NO_ERROR and error not in self._examples:
            self._examples.add(error)
            logging.warning("first %s: %r", reply.error or f"HTTP {reply.status}", reply.body[:_EXAMPLE_BYTES])
        recorder.add(
            intended_at,
            reply.sent_at - began_at,
            reply.first_byte_at - began_at,
            reply.done_at - began_at,
            len(reply.body),
            reply.status,
            error,
            payload,
            answer,
        )
        if error == NO_ERROR:
            response_time = reply.done_at - began_at - intended_at
            self.recent.append(response_time)
            if self.window_at == math.inf:
                self.trace.add(reply.done_at - began_at, response_time)

    def open_window(self, now: float) -> None:
        """Begin the window if the warm-up may end `now`, in seconds since the trial began; nobody stops for it.

        One of several workers waits for the master's word, who knows what the others see.
        """
        job = self.job
        if now < job.warmup or self.window_at < math.inf:
            return
        self.steady = now >= job.warmup_most or not still_warming(self.trace.pairs)
        if self.steady and (job.step == 1 or now >= job.warmup_most):
            self.open_window_at(min(now, job.warmup_most))

    def open_window_at(self, instant: float) -> None:
        """Begin the window then, in seconds since the trial began: now or later."""
        self.window_at = instant
        if self.arrivals is not None:
            self.arrivals.pass_over(instant, self.job.warmup_most)

    def agree_on_window(self, instant: float) -> None:
        """Begin the window when the other workers do; a word that came too late is left to be noticed afterwards."""
        if time.monotonic() - self.began_at < instant <= self.job.warmup_most and self.window_at == math.inf:
            self.open_window_at(instant)

    @property
    def ends_at(self) -> float:
        """When the window ends on `time.monotonic()`, as far as is known."""
        return self.began_at + min(self.window_at, self.job.warmup_most) + self.job.duration

    def stop(self) -> None:
        """Send nothing more; replies in flight are still waited for."""
        self.stopping = True
        if self.arrivals is not None:
            self.arrivals.stop()

    def close(self) -> None:
        """Close files and connections."""
        self.recorder.close()
        self.deadlines.close()
        for client in self.clients:
            client.close()

    @property
    def connections(self) -> int:
        """Connections opened so far."""
        return sum(client.opened for client in self.clients)


class _BenchUser(locust.User):  # type: ignore[misc]  # Locust carries no types
    abstract = True
    drive: ClassVar[Drive]

    @locust.task  # type: ignore[untyped-decorator]
    def live(self) -> None:
        """One user's whole life: Locust's own loop and wait times would keep their own clock."""
        drive = type(self).drive
        drive.active += 1
        try:
            client = drive.client()
            drive.started.wait()
            self.drive_load(drive, client)
        finally:
            drive.active -= 1
        raise locust.exception.StopUser

    def drive_load(self, drive: Drive, client: Client) -> None:
        raise NotImplementedError


class ClosedLoopUser(_BenchUser):
    """Sends, waits for the reply, sends again."""

    abstract = False

    def drive_load(self, drive: Drive, client: Client) -> None:
        """Exchange until the trial's time is over."""
        began_at = drive.began_at
        payloads, first = len(drive.messages), drive.job.first
        gevent.sleep(max(0.0, began_at - time.monotonic()))
        while not drive.stopping and time.monotonic() < drive.ends_at:
            payload = (first + drive.turn) % payloads
            drive.turn += 1
            reply = client.exchange(payload)
            drive.record(reply.sent_at - began_at, payload, reply)
            if reply.error == "connection refused":
                # Nobody listens: without a pause one user would record thousands of refusals a second.
                gevent.sleep(_REFUSED_PAUSE_SECONDS)


class OpenLoopUser(_BenchUser):
    """Takes the next intended time from the shared schedule and sends then, whatever came of earlier requests."""

    abstract = False

    def drive_load(self, drive: Drive, client: Client) -> None:
        """Exchange until the schedule is used up."""
        arrivals = drive.arrivals
        assert arrivals is not None
        payloads, first, step = len(drive.messages), drive.job.first, drive.job.step
        while (arrival := arrivals.take()) is not None:
            number, intended_at = arrival
            payload = (first + number * step) % payloads
            drive.record(intended_at, payload, client.exchange(payload))


class Stage(Protocol):
    """Where a trial is driven: alone, or as one of several workers."""

    def spawn(self, user_class: type[locust.User], users: int) -> None:
        """Have Locust spawn this many users."""
        ...

    def await_start(self) -> float:
        """Return once the trial may begin: how many seconds from then."""
        ...

    def say(self, kind: str, **facts: Any) -> None:
        """Tell how it goes."""
        ...

    def disband(self) -> None:
        """End the users that are left."""
        ...


class Alone:
    """The only process of a trial: Locust's local runner, and the parent at the other end of stdout."""

    def __init__(self) -> None:
        self._runner: Any = None

    def spawn(self, user_class: type[locust.User], users: int) -> None:
        """At once."""
        environment = locust.env.Environment(user_classes=[user_class], catch_exceptions=False)
        self._runner = environment.create_local_runner()
        self._runner.start(users, spawn_rate=users)

    def await_start(self) -> float:
        """Nobody to wait for."""
        return _LEAD_SECONDS

    def say(self, kind: str, **facts: Any) -> None:
        """One line to the parent."""
        say(kind, **facts)

    def disband(self) -> None:
        """End the runner with its users."""
        if self._runner is not None:
            self._runner.quit()


def drive_alone(job: Job) -> None:
    """Drive one trial and say how it ended."""
    drive = Drive(job)
    aborting = gevent.signal_handler(signal.SIGTERM, drive.stop)
    try:
        facts = run_job(drive, Alone())
    finally:
        aborting.cancel()
    say("done", **facts)


def run_job(drive: Drive, stage: Stage) -> dict[str, Any]:
    """Drive one trial from spawning its users to the last reply: how it ended."""
    job = drive.job
    user_class = OpenLoopUser if job.open_loop else ClosedLoopUser
    user_class.drive = drive
    cpu_before = time.process_time()
    gc.collect()
    gc.disable()  # a collection of a large heap is a pause in the middle of a measurement
    try:
        stage.spawn(user_class, job.users)
        with gevent.Timeout(_SPAWN_SECONDS):
            while drive.active < job.users:
                gevent.sleep(0.005)
        drive.begin(stage.await_start())
        _wait(drive, stage)
    finally:
        gc.enable()
        stage.disband()
        drive.close()
    return {
        "aborted": drive.stopping,
        "window_at": drive.window_at if math.isfinite(drive.window_at) else None,
        "rows": drive.recorder.rows,
        "connections": drive.connections,
        "cpu_seconds": time.process_time() - cpu_before,
    }


def _wait(drive: Drive, stage: Stage) -> None:
    """Until the trial's time is over and every reply came or timed out; says how it goes meanwhile."""
    job = drive.job
    next_tick = drive.began_at
    while True:
        now = time.monotonic()
        ends_at = drive.ends_at
        if drive.active == 0 and (now >= ends_at or drive.stopping):
            return
        if now > ends_at + job.timeout + _LATEST_SECONDS:
            logging.error("%d users did not come back within the time-out", drive.active)
            return
        if now >= next_tick:
            next_tick += _TICK_SECONDS
            drive.open_window(now - drive.began_at)
            drive.recorder.flush()  # what is on disk survives this process
            p50 = statistics.median(drive.recent) if drive.recent else None
            stage.say(
                "tick",
                seconds=now - drive.began_at,
                requests=drive.recorder.rows,
                errors=drive.recorder.failures,
                p50=p50,
                steady=drive.steady,
                began_at=drive.began_at,
                window_at=drive.window_at if math.isfinite(drive.window_at) else None,
            )
        gevent.sleep(min(0.02, max(0.001, ends_at - now)) if now < ends_at else 0.005)


def say(kind: str, **facts: Any) -> None:
    """One line to the parent."""
    _TO_PARENT.write(json.dumps({"kind": kind, **facts}) + "\n")
    _TO_PARENT.flush()


def main(arguments: list[str]) -> int:
    """Serve jobs until stdin ends, or a worker's master lets it go."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("locust.runners").setLevel(logging.ERROR)  # it warns of every fast spawn
    sys.stdout = sys.stderr  # whatever a library prints goes to the log, too
    match arguments:
        case ["master", address]:
            return serve_workers(address, say)
        case ["worker", address, seconds, *rest]:
            users = [OpenLoopUser, ClosedLoopUser]
            return join_master(address, float(seconds), "shared" in rest, users, Drive, run_job, say)
    say("ready", pid=os.getpid(), locust=locust.__version__)
    while line := sys.stdin.buffer.readline():
        drive_alone(decode_job(line))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
