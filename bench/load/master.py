"""The master of load workers: admits them, shares every trial among them, brings their rows together.  Inside gevent.

It drives nothing itself. Locust's master runner carries the messages and notices by its heartbeat that a worker is
gone; a trial that loses one is ended, since nothing could make it valid again.
"""

from __future__ import annotations

import hmac
import logging
import os
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import gevent
import gevent.event
import gevent.os
import gevent.queue
import locust
import locust.env
import locust.runners

from bench.load.job import INPUTS, Job, decode_jobs
from bench.load.link import FROM_WORKER, Say, set_heartbeat, token, versions
from bench.load.rows import OUTPUTS
from bench.load.transfer import LinkError, fetch, read_chunk
from bench.serving.address import parse_address

_TICK_SECONDS = 0.5
_LOOK_SECONDS = 0.2
_LEAD_SECONDS = 0.05
"""From a worker's being told to begin to its first request; twice as much as its users need to wake up."""
_PINGS = 5
_WINDOW_LEAD_SECONDS = 0.25
"""From the word that the window may begin to its beginning; the word has to be there before."""
_HALTING_SECONDS = 5.0
_REPLACEMENT_SECONDS = 30.0
"""How long a trial waits for as many workers as it needs, after one was lost."""


class _LostError(Exception):
    """A worker is gone, or gave up; says why."""


@dataclass(slots=True)
class Worker:
    """One worker that was admitted."""

    id: str
    number: int
    name: str
    shared: bool
    inbox: gevent.queue.Queue = field(default_factory=gevent.queue.Queue)
    gone: str = ""
    """Why it was let go; empty while it is there."""


@dataclass(slots=True)
class Share:
    """One worker's part of the trial in progress."""

    worker: Worker
    job: Job
    ready: gevent.event.Event = field(default_factory=gevent.event.Event)
    round_trip: float = 0.0
    requests: int = 0
    errors: int = 0
    p50: float | None = None
    steady: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    """What it said last; empty if it never came so far."""
    lost: str = ""


class Master:
    """Who is here, and the trial in progress."""

    def __init__(self, runner: Any, say: Say) -> None:  # Locust carries no types
        self._runner = runner
        self._say = say
        self._workers: dict[str, Worker] = {}
        self._silent: dict[str, Worker] = {}
        self._admitted = 0
        self._trial = 0
        self._shares: list[Share] = []
        self._start = gevent.event.Event()
        self._halted = False
        self._moved = 0
        self._began_at = 0.0
        self._window_told = False
        self._window_at: float | None = None
        for kind in FROM_WORKER:
            runner.register_message(kind, self._hear)

    # Who is here

    def _hear(self, environment: object, msg: Any, **_: object) -> None:  # noqa: ARG002 -- Locust's signature
        """What a worker says; must be quick, everybody else waits meanwhile."""
        data = msg.data or {}
        worker = self._workers.get(msg.node_id)
        if msg.type == "hello":
            self._admit(msg.node_id, data)
        elif worker is None:
            logging.warning("%s from a worker that was not admitted", msg.type)
        elif data.get("job") != self._trial:
            logging.warning("%s: %s of trial %s came too late", worker.name, msg.type, data.get("job"))
        elif msg.type == "want":
            self._give(worker, data)
        else:
            worker.inbox.put((msg.type, data))

    def _admit(self, worker_id: str, data: dict[str, Any]) -> None:
        problem = ""
        if not hmac.compare_digest(str(data.get("token", "")).encode(), token().encode()):
            problem = "the worker's BENCH_LOAD_TOKEN is not the master's"
        for name, own in versions().items():
            if data.get(name) != own:
                problem = problem or f"the worker has {name} {data.get(name)}, the master {own}"
        if problem:
            self._runner.send_message("refused", {"reason": problem}, client_id=worker_id)
            self._say("refused", name=str(data.get("host", "?")), reason=problem)
            self._runner.clients.pop(worker_id, None)
            return
        self._admitted += 1
        name = f"load worker {self._admitted} ({data['host']}, pid {data['pid']})"
        worker = Worker(worker_id, self._admitted, name, bool(data["shared"]))
        self._workers[worker_id] = worker
        self._runner.send_message("welcome", {"name": name}, client_id=worker_id)
        self._say("joined", name=name, number=worker.number, shared=worker.shared)

    def watch(self) -> None:
        """Notice who is gone, for as long as the process lives."""
        while True:
            gevent.sleep(_LOOK_SECONDS)
            for worker in list(self._workers.values()):
                client = self._runner.clients.get(worker.id)
                if not _present(client):
                    worker.gone = "it left" if client is None else "nothing was heard of it any more"
                    self._silent[worker.id] = self._workers.pop(worker.id)
                    self._say("left", name=worker.name, shared=worker.shared, reason=worker.gone)
            for worker in list(self._silent.values()):
                if _present(self._runner.clients.get(worker.id)):  # the network came back; good for the next trial
                    del self._silent[worker.id]
                    self._workers[worker.id] = Worker(worker.id, worker.number, worker.name, worker.shared)
                    self._say("joined", name=worker.name, number=worker.number, shared=worker.shared)

    def _muster(self, count: int) -> list[Worker]:
        """As many workers as a trial has shares, those who came first.   Raises: _LostError if they do not come."""
        deadline = time.monotonic() + _REPLACEMENT_SECONDS
        while len(self._workers) < count:
            if time.monotonic() > deadline:
                raise _LostError(
                    f"only {len(self._workers)} of {count} load workers are there after {_REPLACEMENT_SECONDS:g} s"
                )
            gevent.sleep(_LOOK_SECONDS)
        return sorted(self._workers.values(), key=lambda worker: worker.number)[:count]

    # A trial

    def conduct(self, jobs: Sequence[Job]) -> None:
        """Have the workers drive a trial's shares, bring the rows together, and say how it ended."""
        self._trial += 1
        self._halted = False
        self._moved = 0
        self._window_told = False
        self._window_at = None
        self._start = gevent.event.Event()
        try:
            workers = self._muster(len(jobs))
        except _LostError as failure:
            self._say("failed", reason=str(failure))
            return
        self._shares = [Share(worker, job) for worker, job in zip(workers, jobs, strict=True)]
        greenlets = [gevent.spawn(self._accompany, share) for share in self._shares]
        self._prepare()
        self._begin()
        self._follow(greenlets)
        self._say(
            "done",
            aborted=self._halted,
            shares=[
                {"worker": share.worker.name, "lost": share.lost, "shared": share.worker.shared, **share.facts}
                for share in self._shares
            ],
        )
        self._shares = []

    def halt(self) -> None:
        """Send nothing more in this trial; replies in flight are still waited for."""
        self._halted = True
        for share in self._shares:
            if not share.worker.gone:
                self._tell(share, "halt")

    def _prepare(self) -> None:
        """Until every worker's users wait for the start, or it is lost."""
        moved, next_word = 0, time.monotonic() + _TICK_SECONDS
        while not all(share.ready.is_set() or share.lost for share in self._shares):
            gevent.sleep(0.02)
            if any(self._lost) and not self._halted:
                self.halt()
            if self._moved > moved and time.monotonic() >= next_word:
                next_word = time.monotonic() + _TICK_SECONDS
                moved = self._moved
                self._say("moving", bytes=moved)

    def _begin(self) -> None:
        """Let all begin at the same moment, as far as half a round trip can tell."""
        slowest = max(share.round_trip for share in self._shares)
        for share in self._shares:
            if not share.worker.gone:
                self._tell(share, "begin", lead=_LEAD_SECONDS + (slowest - share.round_trip) / 2)
        self._began_at = time.monotonic() + _LEAD_SECONDS + slowest / 2
        self._start.set()

    def _open_window(self) -> None:
        """Let the window begin everywhere at the same moment of the trial, once no worker sees a warm-up any more."""
        if self._window_told or not all(share.steady for share in self._shares):
            return
        slowest = max(share.round_trip for share in self._shares)
        at = time.monotonic() - self._began_at + _WINDOW_LEAD_SECONDS + 2 * slowest
        if at >= self._shares[0].job.warmup_most:
            return  # it begins by itself then
        self._window_told = True
        self._window_at = at
        for share in self._shares:
            if not share.worker.gone:
                self._tell(share, "window", at=at)

    def _latest_window(self) -> float | None:
        """When it began by itself, because no word came; None before that."""
        most = self._shares[0].job.warmup_most
        return most if time.monotonic() >= self._began_at + most else None

    def _follow(self, greenlets: Sequence[Any]) -> None:
        """Until every share has come to its end; says how it goes."""
        began_at = next_tick = time.monotonic()
        moved = self._moved
        while not all(greenlet.ready() for greenlet in greenlets):
            gevent.sleep(0.02)
            if any(self._lost) and not self._halted:
                self.halt()
            self._open_window()
            now = time.monotonic()
            if now < next_tick:
                continue
            next_tick = now + _TICK_SECONDS
            if self._moved > moved:
                moved = self._moved
                self._say("moving", bytes=moved)
            medians = [share.p50 for share in self._shares if share.p50 is not None]
            self._say(
                "tick",
                seconds=now - began_at,
                requests=sum(share.requests for share in self._shares),
                errors=sum(share.errors for share in self._shares),
                p50=statistics.median(medians) if medians else None,
                began_at=self._began_at,
                window_at=self._window_at or self._latest_window(),
            )

    @property
    def _lost(self) -> list[str]:
        return [share.lost for share in self._shares]

    # One worker's share

    def _accompany(self, share: Share) -> None:
        try:
            self._tell(share, "job", part=asdict(share.job))
            self._await(share, "prepared")
            share.round_trip = min(self._ping(share) for _ in range(_PINGS))
            share.ready.set()
            self._start.wait()
            facts = self._await(share, "finished")
            if not share.worker.shared:
                fetch(share.job.path, OUTPUTS, lambda name, offset: self._collect(share, name, offset))
                self._tell(share, "forget")
            share.facts = {name: facts[name] for name in ("rows", "connections", "cpu_seconds", "window_at")}
        except (_LostError, LinkError) as failure:
            share.lost = str(failure)
        except Exception as failure:
            logging.exception("%s", share.worker.name)
            share.lost = f"{type(failure).__name__}: {failure}"

    def _await(self, share: Share, kind: str) -> dict[str, Any]:
        """What the worker says next of this kind; notes its ticks meanwhile.   Raises: _LostError."""
        halted_at = 0.0
        while True:
            try:
                said, data = share.worker.inbox.get(timeout=_LOOK_SECONDS)
            except gevent.queue.Empty:
                if share.worker.gone:
                    raise _LostError(share.worker.gone) from None
                if self._halted and kind == "finished":
                    halted_at = halted_at or time.monotonic()
                    if time.monotonic() > halted_at + share.job.timeout + _HALTING_SECONDS:
                        raise _LostError("it did not stop when it was told to") from None
                continue
            if data["job"] != self._trial:
                continue
            if said == kind:
                return dict(data)
            if said == "tick":
                share.requests, share.errors, share.p50 = data["requests"], data["errors"], data["p50"]
                share.steady = data["steady"]
            elif said == "failed":
                raise _LostError(f"it failed: {data['reason']}")

    def _ping(self, share: Share) -> float:
        """Seconds for a message to the worker and one back."""
        sent_at = time.monotonic()
        self._tell(share, "ping")
        self._await(share, "pong")
        return time.monotonic() - sent_at

    def _give(self, worker: Worker, request: dict[str, Any]) -> None:
        """Send a part of a file that the worker lacks."""
        share = next((each for each in self._shares if each.worker is worker), None)
        if share is not None:
            chunk = read_chunk(share.job.path, INPUTS, request)
            self._moved += len(chunk["data"])
            self._runner.send_message("chunk", chunk, client_id=worker.id)

    def _collect(self, share: Share, name: str, offset: int) -> dict[str, Any]:
        """A part of a file that the worker wrote."""
        self._tell(share, "want", file=name, offset=offset)
        chunk = self._await(share, "chunk")
        self._moved += len(chunk["data"])
        return chunk

    def _tell(self, share: Share, kind: str, **facts: Any) -> None:
        self._runner.send_message(kind, {"job": self._trial, **facts}, client_id=share.worker.id)


def _present(client: Any) -> bool:
    return client is not None and client.state != locust.runners.STATE_MISSING


def serve_workers(address: str, say: Say) -> int:
    """Admit workers and conduct one trial per line of stdin until it ends; then send everybody home."""
    set_heartbeat()
    where = parse_address(address)
    environment = locust.env.Environment(catch_exceptions=False)
    try:
        runner = environment.create_master_runner(where.zmq_host, where.port)
    except (SystemExit, Exception) as failure:  # Locust exits where the port is taken
        logging.exception("cannot listen at %s", address)
        why = "the port is in use" if isinstance(failure, SystemExit) or "in use" in str(failure) else str(failure)
        why = "this machine has no such address" if "assign requested address" in why else why
        say("failed", reason=f"cannot listen at {address}: {why}")
        return 1
    master = Master(runner, say)
    gevent.spawn(master.watch)
    gevent.signal_handler(signal.SIGTERM, master.halt)
    say("ready", pid=os.getpid(), locust=locust.__version__)
    for line in _lines(sys.stdin.fileno()):
        master.conduct(decode_jobs(line))
    runner.send_message("farewell")
    runner.quit()
    runner.server.close(linger=200)
    gevent.sleep(0.1)
    os._exit(0)  # ZeroMQ would wait at the interpreter's end for a worker that may be gone


def _lines(descriptor: int) -> Any:
    """Lines of a pipe, while everything else goes on."""
    gevent.os.make_nonblocking(descriptor)
    kept = b""
    while data := gevent.os.nb_read(descriptor, 2**16):
        *lines, kept = (kept + data).split(b"\n")
        yield from lines
