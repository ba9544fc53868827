"""A load worker: joins a master over Locust's own protocol and drives its share of every trial.  Inside gevent.

A worker that shares the disk with its parent reads and writes a job's folder in place; any other gets the files from
the master first and gives its rows back afterwards.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import gevent
import gevent.event
import gevent.queue
import locust.env
import locust.runners

from bench.load.job import INPUTS, Job
from bench.load.link import (
    FROM_MASTER,
    MASTER_GONE,
    REFUSED,
    TOLD_TO_STOP,
    UNREACHABLE,
    Say,
    set_heartbeat,
    token,
    versions,
)
from bench.load.rows import OUTPUTS
from bench.load.transfer import LinkError, fetch, read_chunk
from bench.serving.address import parse_address

_ANSWER_SECONDS = 10.0
"""For a master to say something that it was asked for; it says it at once unless it is gone."""


class Drive(Protocol):
    """A trial that is being driven."""

    def stop(self) -> None:
        """Send nothing more."""
        ...

    def agree_on_window(self, instant: float) -> None:
        """Begin the window when the others do, in seconds since the trial began."""
        ...


class Member:
    """One worker; as a `Stage` it is where its share of a trial is driven."""

    def __init__(
        self,
        runner: Any,  # Locust carries no types
        shared: bool,
        scratch: Path,
        new_drive: Callable[[Job], Drive],
        run_job: Callable[[Any, Member], dict[str, Any]],
    ) -> None:
        self._runner = runner
        self._shared = shared
        self._scratch = scratch
        self._new_drive = new_drive
        self._run_job = run_job
        self._orders: gevent.queue.Queue = gevent.queue.Queue()
        self._chunks: gevent.queue.Queue = gevent.queue.Queue()
        self._begin = gevent.event.AsyncResult()
        self._drive: Drive | None = None
        self._halted = False
        self._number = -1
        self._folder = scratch
        self.welcome = gevent.event.AsyncResult()
        """What the master answered to `hello`: kind and data."""
        self.dismissed = False
        """Whether the master said farewell."""

    def hear(self, environment: object, msg: Any, **_: object) -> None:  # noqa: ARG002 -- Locust's signature
        """What the master says; must be quick, the connection waits meanwhile."""
        kind, data = msg.type, msg.data or {}
        if kind in ("welcome", "refused"):
            self.welcome.set((kind, data))
        elif kind == "farewell":
            self.dismissed = True
        elif kind == "job":
            self.halt()  # the master would not send another unless it gave up the one before
            self._orders.put(data)
        elif data.get("job") != self._number:
            logging.warning("%s of trial %s came too late", kind, data.get("job"))
        else:
            self._hear_of_this_trial(kind, data)

    def _hear_of_this_trial(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "ping":
            self._tell("pong")
        elif kind == "begin":
            self._begin.set(float(data["lead"]))
        elif kind == "window":
            if self._drive is not None:
                self._drive.agree_on_window(float(data["at"]))
        elif kind == "halt":
            self.halt()
        elif kind == "chunk":
            self._chunks.put(data)
        elif kind == "want":
            self._runner.send_message("chunk", read_chunk(self._folder, OUTPUTS, data))
        elif kind == "forget" and not self._shared:
            shutil.rmtree(self._folder, ignore_errors=True)

    def halt(self) -> None:
        """Send nothing more in this trial, and do not wait for its start either."""
        self._halted = True
        if self._drive is not None:
            self._drive.stop()
        self._begin.set(0.0)

    def serve(self) -> None:
        """Drive one share after another, for as long as the process lives."""
        while True:
            order = self._orders.get()
            try:
                self._serve(order)
            except Exception as failure:
                logging.exception("this trial failed")
                self._tell("failed", reason=f"{type(failure).__name__}: {failure}")
            finally:
                self._drive = None

    def _serve(self, order: dict[str, Any]) -> None:
        self._number = order["job"]
        self._halted = False
        self._begin = gevent.event.AsyncResult()
        job = Job(**order["part"])
        if not self._shared:
            self._folder = Path(tempfile.mkdtemp(dir=self._scratch))
            job = replace(job, folder=str(self._folder))
            fetch(self._folder, INPUTS if job.open_loop else INPUTS[:2], self._ask)
        drive = self._drive = self._new_drive(job)
        if self._halted:
            drive.stop()
        self._tell("finished", **self._run_job(drive, self))

    def _ask(self, name: str, offset: int) -> dict[str, Any]:
        self._tell("want", file=name, offset=offset)
        try:
            chunk: dict[str, Any] = self._chunks.get(timeout=_ANSWER_SECONDS)
        except gevent.queue.Empty:
            raise LinkError(f"the master did not send {name} within {_ANSWER_SECONDS:g} s") from None
        return chunk

    def _tell(self, kind: str, **facts: Any) -> None:
        self._runner.send_message(kind, {"job": self._number, **facts})

    # As a stage

    def spawn(self, user_class: type[Any], users: int) -> None:
        """Have Locust's worker runner spawn them; the master hears of it."""
        self._runner.start_worker({user_class.__name__: users})

    def await_start(self) -> float:
        """Say that all users wait, and wait for the master's word."""
        self._tell("prepared")
        return float(self._begin.get())

    def say(self, kind: str, **facts: Any) -> None:
        """Tell the master."""
        self._tell(kind, **facts)

    def disband(self) -> None:
        """End users that are left, and be ready for the next trial."""
        self._runner.stop()
        self._runner.worker_state = locust.runners.STATE_INIT


def join_master(
    address: str,
    patience: float,
    shared: bool,
    user_classes: Sequence[type[Any]],
    new_drive: Callable[[Job], Any],
    run_job: Callable[[Any, Any], dict[str, Any]],
    say: Say,
) -> int:
    """Serve a master until it says farewell or is gone; tries `patience` seconds to reach it.  An exit code."""
    set_heartbeat()
    where = parse_address(address)
    environment = locust.env.Environment(user_classes=list(user_classes), catch_exceptions=False)
    locust.runners.CONNECT_TIMEOUT = 0.5
    locust.runners.CONNECT_RETRY_COUNT = max(0, int(patience / locust.runners.CONNECT_TIMEOUT) - 1)
    try:
        runner = environment.create_worker_runner(where.zmq_host, where.port)
    except ConnectionError:
        say("ended", reason=f"nothing answered at {address} within {patience:g} s")
        return _leave(UNREACHABLE)
    with tempfile.TemporaryDirectory(prefix="bench-load-") as scratch:
        member = Member(runner, shared, Path(scratch), new_drive, run_job)
        for kind in FROM_MASTER:
            runner.register_message(kind, member.hear)
        code, reason = _serve(environment, runner, member, shared, say)
    say("ended", reason=reason)
    return _leave(code)


def _serve(environment: Any, runner: Any, member: Member, shared: bool, say: Say) -> tuple[int, str]:
    where = f"{runner.master_host}:{runner.master_port}"
    host = socket.gethostname()
    runner.send_message("hello", {"token": token(), "host": host, "pid": os.getpid(), "shared": shared, **versions()})
    try:
        kind, data = member.welcome.get(timeout=_ANSWER_SECONDS)
    except gevent.Timeout:
        return REFUSED, f"what listens at {where} is no bench master"
    if kind == "refused":
        return REFUSED, f"the master at {where} refused: {data['reason']}"
    say("joined", name=data["name"], master=where)

    def leave() -> None:
        member.dismissed = True
        environment.events.quitting.fire(environment=environment)  # Locust tells the master
        runner.quit()

    gevent.signal_handler(signal.SIGTERM, lambda: gevent.spawn(leave))
    serving = gevent.spawn(member.serve)
    runner.greenlet.join()  # ends with Locust's `quit`, or with the master's silence
    serving.kill(block=False)
    runner.client.close(linger=200)
    if member.dismissed:
        return TOLD_TO_STOP, "told to stop"
    return MASTER_GONE, f"the master at {where} is gone"


def _leave(code: int) -> int:
    """Return from the process at once: ZeroMQ would wait at the interpreter's end for a peer that may be gone."""
    gevent.sleep(0.1)
    os._exit(code)
