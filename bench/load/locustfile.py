"""The load process: Locust's users and runner, told over stdin which trial to drive.  Started by path, never imported.

stdin carries one job per line (see `job.py`); stdout answers with one JSON object per line: `ready`, then for each
job `tick`s and one `done`. Everything else that is said here goes to stderr, the load log. SIGTERM ends the
trial in progress: what was recorded is flushed, and `done` says `aborted`.
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
from typing import Any, ClassVar

import gevent
import gevent.event
import locust.env
import locust.exception
import locust.runners

from bench.load.exchange import Deadlines, Reply
from bench.load.grpc_client import GrpcChannels, GrpcClient, prepare_gevent
from bench.load.http_client import HttpClient
from bench.load.job import Job, decode_job, read_messages, read_schedule
from bench.load.pace import Arrivals
from bench.load.rows import NO_ERROR, UNCHECKED, Recorder

_TICK_SECONDS = 0.5
_LEAD_SECONDS = 0.02
_SPAWN_SECONDS = 60.0
_REFUSED_PAUSE_SECONDS = 0.05
_EXAMPLE_BYTES = 500


class Drive:
    """One trial while it is being driven: what all its users share."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.messages = read_messages(job.path)
        self.recorder = Recorder(job.path)
        self.deadlines = Deadlines(job.timeout)
        self.channels = GrpcChannels(job.host, job.port, job.users) if job.transport == "grpc" else None
        self.clients: list[HttpClient | GrpcClient] = []
        self.recent: deque[float] = deque(maxlen=500)
        self.turn = 0
        self.stopping = False
        self.active = 0
        self.started = gevent.event.Event()
        self.began_at = math.nan
        self.arrivals: Arrivals | None = None
        self._examples: set[int] = set()

    def begin(self) -> None:
        """Start the trial's clock and let the users go, who were spawned before and waited for it."""
        schedule = read_schedule(self.job.path) if self.job.open_loop else None
        self.began_at = time.monotonic() + _LEAD_SECONDS
        if schedule is not None:
            self.arrivals = Arrivals(schedule, self.began_at)
        self.started.set()

    def client(self) -> HttpClient | GrpcClient:
        """A client for one more user."""
        client: HttpClient | GrpcClient
        if self.channels is not None:
            client = GrpcClient(self.channels.next(), self.messages, self.job.timeout)
        else:
            client = HttpClient(self.job.host, self.job.port, self.messages, self.deadlines)
        self.clients.append(client)
        return client

    def record(self, intended_at: float, payload: int, reply: Reply) -> None:
        """Turn a reply into a row; `intended_at` is seconds since the trial began."""
        recorder, began_at = self.recorder, self.began_at
        error, answer = NO_ERROR, UNCHECKED
        if reply.error:
            error = recorder.error(reply.error)
        elif reply.status == 200:
            answer = recorder.answer(payload, reply.body)
        else:
            error = recorder.error(f"HTTP {reply.status}")
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
            self.recent.append(reply.done_at - began_at - intended_at)

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
        if self.channels is not None:
            self.channels.close()

    @property
    def connections(self) -> int:
        """Connections opened so far."""
        return sum(client.opened for client in self.clients) + (self.channels.opened if self.channels else 0)


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

    def drive_load(self, drive: Drive, client: HttpClient | GrpcClient) -> None:
        raise NotImplementedError


class ClosedLoopUser(_BenchUser):
    """Sends, waits for the reply, sends again."""

    abstract = False

    def drive_load(self, drive: Drive, client: HttpClient | GrpcClient) -> None:
        """Exchange until the trial's time is over."""
        began_at = drive.began_at
        ends_at = began_at + drive.job.seconds
        payloads = len(drive.messages)
        gevent.sleep(max(0.0, began_at - time.monotonic()))
        while not drive.stopping and time.monotonic() < ends_at:
            payload = drive.turn % payloads
            drive.turn += 1
            reply = client.exchange(payload)
            drive.record(reply.sent_at - began_at, payload, reply)
            if reply.error == "connection refused":
                # Nobody listens: without a pause one user would record thousands of refusals a second.
                gevent.sleep(_REFUSED_PAUSE_SECONDS)


class OpenLoopUser(_BenchUser):
    """Takes the next intended time from the shared schedule and sends then, whatever came of earlier requests."""

    abstract = False

    def drive_load(self, drive: Drive, client: HttpClient | GrpcClient) -> None:
        """Exchange until the schedule is used up."""
        arrivals = drive.arrivals
        assert arrivals is not None
        payloads = len(drive.messages)
        while (arrival := arrivals.take()) is not None:
            number, intended_at = arrival
            payload = number % payloads
            drive.record(intended_at, payload, client.exchange(payload))


def say(kind: str, **facts: Any) -> None:
    """One line to the parent."""
    sys.stdout.write(json.dumps({"kind": kind, **facts}) + "\n")
    sys.stdout.flush()


def run_job(job: Job) -> None:
    """Drive one trial from spawning its users to the last reply, and say how it ended."""
    drive = Drive(job)
    user_class = OpenLoopUser if job.open_loop else ClosedLoopUser
    user_class.drive = drive
    environment = locust.env.Environment(user_classes=[user_class], catch_exceptions=False)
    runner = environment.create_local_runner()
    aborting = gevent.signal_handler(signal.SIGTERM, drive.stop)
    cpu_before = time.process_time()
    gc.collect()
    gc.disable()  # a collection of a large heap is a pause in the middle of a measurement
    try:
        _spawn(drive, runner)
        drive.begin()
        _wait(drive, job)
    finally:
        gc.enable()
        runner.quit()
        drive.close()
        aborting.cancel()
    say(
        "done",
        aborted=drive.stopping,
        taken=drive.arrivals.taken if drive.arrivals else drive.turn,
        rows=drive.recorder.rows,
        connections=drive.connections,
        cpu_seconds=time.process_time() - cpu_before,
    )


def _spawn(drive: Drive, runner: locust.runners.Runner) -> None:
    """Have Locust spawn every user before the clock starts."""
    runner.start(drive.job.users, spawn_rate=drive.job.users)
    with gevent.Timeout(_SPAWN_SECONDS):
        while drive.active < drive.job.users:
            gevent.sleep(0.005)


def _wait(drive: Drive, job: Job) -> None:
    """Until the trial's time is over and every reply came or timed out; says how it goes meanwhile."""
    next_tick = drive.began_at + _TICK_SECONDS
    ends_at = drive.began_at + job.seconds
    gives_up_at = ends_at + job.timeout + 2.0
    while True:
        now = time.monotonic()
        if drive.active == 0 and (now >= ends_at or drive.stopping):
            return
        if now > gives_up_at:
            logging.error("%d users did not come back within the time-out", drive.active)
            return
        if now >= next_tick:
            next_tick += _TICK_SECONDS
            p50 = statistics.median(drive.recent) if drive.recent else None
            say(
                "tick",
                seconds=now - drive.began_at,
                requests=drive.recorder.rows,
                errors=drive.recorder.failures,
                p50=p50,
            )
        gevent.sleep(min(0.02, max(0.001, ends_at - now)) if now < ends_at else 0.005)


def main() -> int:
    """Serve jobs until stdin ends."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("locust.runners").setLevel(logging.ERROR)  # it warns of every fast spawn
    prepare_gevent()
    say("ready", pid=os.getpid(), locust=locust.__version__)
    while line := sys.stdin.buffer.readline():
        run_job(decode_job(line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
