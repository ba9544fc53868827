"""One trial of the real load generator against a real server program, for tests and benchmarks of what it measures."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.load.drive import Generator, Tick, generator
from bench.load.driven import Driven, to_samples
from bench.measures.answers import Expectation, judge
from bench.profiles import Profile
from bench.protocols import Request
from bench.protocols.plain import PlainJson
from bench.samples import Floats, Samples
from bench.scenario.plan import Trial
from bench.serving.launch import free_ports

ROOT = Path(__file__).parents[1]
WIRE = PlainJson()
PHOTOS = (b"one", b"two")
REQUESTS = tuple(WIRE.request(photo) for photo in PHOTOS)


def cores() -> tuple[int, int] | None:
    """A core for the client and another one for the server; None where there is but one."""
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else None


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """What is started inside the block stays on this core."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def listening(*argv: str, core: int | None = None) -> Iterator[int]:
    """The port of a program that is told it in place of `PORT`, once something accepts there."""
    (port,) = free_ports(1)
    with on_core(core):
        process = subprocess.Popen([word.replace("PORT", str(port)) for word in argv], cwd=ROOT)
    try:
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"nothing listens: {' '.join(argv)}")
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()


def known_server(
    model: str, *numbers: float, record: Path | None = None, core: int | None = None
) -> contextlib.AbstractContextManager[int]:
    """A server of `doubles/known_server.py`; its record is complete once the block has ended."""
    words = (model, *map(str, numbers))
    kept = "-" if record is None else str(record)
    return listening(sys.executable, "-m", "tests.doubles.known_server", "PORT", kept, *words, core=core)


def true_delays(record: Path, warmup_requests: int) -> Floats:
    """Seconds from arrival to reply as the known server itself saw them, without the first requests to arrive."""
    arrived_at, replied_at = np.fromfile(record).reshape(-1, 2).T
    order = np.argsort(arrived_at, kind="stable")[warmup_requests:]
    return np.asarray((replied_at - arrived_at)[order], dtype=np.float64)


@contextlib.contextmanager
def load_process(core: int | None = None) -> Iterator[Generator]:
    """A load generator that is ready."""
    with tempfile.TemporaryDirectory(prefix="bench-load-") as folder:
        log = Path(folder) / "load.log"
        with on_core(core), generator(log) as load:
            load.wait_ready()
            yield load


def drive(
    load: Generator,
    port: int,
    point: Profile,
    *,
    warmup: float = 0.5,
    warmup_most: float = 0.0,
    timeout: float = 5.0,
    seed: int = 7,
    transport: str = "http",
    host: str = "127.0.0.1",
    requests: Sequence[Request] = REQUESTS,
    expected: Expectation | None = None,
    tick: Tick = lambda *_: None,
) -> tuple[Driven, Samples]:
    """One trial with its own folder; answers are judged where it is said what is expected."""
    trial = Trial(
        number=1,
        server="known",
        repetition=1,
        point=point,
        warmup=warmup,
        timeout=timeout,
        seed=seed,
        warmup_most=warmup_most,
    )
    with tempfile.TemporaryDirectory(prefix="bench-load-") as folder:
        driven = load.drive(trial, requests, transport, host, port, Path(folder), tick=tick, healthy=lambda: True)
    if driven.failure is not None:
        raise driven.failure
    wrong = np.zeros(0, dtype=np.bool_) if expected is None else judge(WIRE.answer, driven.replies, expected).wrong
    return driven, to_samples(driven, [len(request.body) for request in requests], wrong)


def one_queue(arrivals: Floats, service_time: float) -> Floats:
    """Response times that one worker of fixed speed gives these arrivals (Lindley's recursion), in seconds."""
    times, free_at = np.empty(len(arrivals)), 0.0
    for number, arrived_at in enumerate(arrivals.tolist()):
        free_at = max(free_at, arrived_at) + service_time
        times[number] = free_at - arrived_at
    return times
