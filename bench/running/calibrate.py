"""Measuring the load generator itself: its ceiling against a null server, what it adds against a known delay.

The numbers hold for one load worker and include the loopback interface and the null server, so what the harness adds
is at most what they say. What they mean is `calibration.py`'s business.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import bench
from bench import units
from bench.errors import LaunchError, LoadError, ResultsError
from bench.load.calibration import (
    Calibration,
    Point,
    Transport,
    load_calibration,
    reaches_of,
    store_calibration,
    this_machine,
)
from bench.load.drive import Generator, generator
from bench.load.driven import to_samples
from bench.machine.facts import load_average
from bench.measures.stats import percentile, values_needed
from bench.profiles import Closed, Poisson, Profile
from bench.protocols import Request
from bench.samples import Floats, Samples
from bench.scenario.plan import Trial
from bench.serving.guarded import guarded
from bench.serving.launch import HOST, free_ports, log_tail

Say = Callable[[str], None]

SECONDS = 40.0
"""How long a whole calibration takes by default, about."""
SHORT_SECONDS = 6.0
"""How long the short form of a run takes, about."""
SMALL_BYTES, PHOTO_BYTES = 300, 150_000
DELAY = 0.005
RATES = (0.10, 0.25, 0.50)
"""Shares of the ceiling that are tried in open loop."""

_NULL_SERVER = Path(__file__).with_name("null_server.py")
_USERS = {SMALL_BYTES: 32, PHOTO_BYTES: 8}
_TIMEOUT = 2.0
_OVERHEAD = 0.45
"""Seconds around each load: users are spawned, the last replies awaited, rows read."""
_SHORTEST, _LONGEST = 0.3, 5.0
_ENOUGH_REQUESTS = 800
"""Some more than a p99 needs."""
_START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Task:
    """One transport and size, and the shares of its ceiling to try."""

    transport: Transport
    request_bytes: int
    rates: tuple[float, ...]


_FULL = tuple(_Task(transport, size, RATES) for transport in ("http", "grpc") for size in (SMALL_BYTES, PHOTO_BYTES))
_SHORT = (
    _Task("http", SMALL_BYTES, RATES[1:]),
    _Task("http", PHOTO_BYTES, RATES[1:]),
    _Task("grpc", SMALL_BYTES, ()),
    _Task("grpc", PHOTO_BYTES, ()),
)


def calibrate(*, seconds: float = SECONDS, say: Say, short: bool = False) -> Calibration:
    """What one load worker reaches and adds on this machine, measured in about so many seconds.

    `short` leaves out the lowest rate and what gRPC adds. Nothing is stored.
    Raises: LaunchError, LoadError if a null server or the load generator does not work here.
    """
    began_at = time.monotonic()
    busy = load_average()
    tasks = _SHORT if short else _FULL
    trials = sum(1 + len(task.rates) for task in tasks)
    window = max(_SHORTEST, seconds / trials - _OVERHEAD)
    points: list[Point] = []
    with TemporaryDirectory(prefix="bench-calibrate-", ignore_cleanup_errors=True) as scratch:
        bed = _Bed(Path(scratch), window)
        with generator(Path(scratch) / "load.log") as load:
            load.wait_ready()
            for task in tasks:
                points += _measured(task, load, bed, say)
    reaches = reaches_of(points)
    first = reaches[0]
    return Calibration(
        ceiling=first.ceiling,
        added_p50=first.added_p50,
        added_p99=first.added_p99,
        up_to=first.up_to,
        reaches=reaches,
        points=tuple(points),
        delay=DELAY,
        machine=this_machine(),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=time.monotonic() - began_at,
        load_average=busy,
        short=short,
        bench_version=bench.__version__,
    )


def calibration_for_run(say: Say) -> Calibration:
    """What is stored for this machine; where nothing is worth keeping, the short form is measured and stored.

    Raises: LaunchError, LoadError if it cannot be measured.
    """
    stored = load_calibration()
    if stored is not None and not stored.stale:
        return stored
    say("calibrating the load generator, once for this machine, which takes some seconds")
    measured = calibrate(seconds=SHORT_SECONDS, say=lambda _: None, short=True)
    try:
        store_calibration(measured)
    except ResultsError as failure:  # it holds for this run all the same
        say(str(failure))
    return measured


class _Bed:
    """Where the loads of one calibration leave their files, and how long each of them is."""

    def __init__(self, folder: Path, window: float) -> None:
        self.folder = folder
        self.window = window
        self.warmup = min(0.3, window / 2)
        self._count = 0

    def next(self) -> tuple[int, Path]:
        """Number and empty folder of one more load."""
        self._count += 1
        folder = self.folder / f"{self._count}"
        folder.mkdir()
        return self._count, folder


def _measured(task: _Task, load: Generator, bed: _Bed, say: Say) -> Iterator[Point]:
    """The closed loop, then the open loops at shares of what it reached."""
    name = f"{'gRPC' if task.transport == 'grpc' else 'HTTP'}, {units.bytes_text(task.request_bytes)}"
    say(f"{name}: closed loop against a null server")
    with _null_server(task.transport, 0.0, bed.folder) as port:
        closed = Closed(users=_USERS[task.request_bytes], duration=bed.window)
        top = closed_point(task.transport, task.request_bytes, closed, *_driven(task, closed, load, port, bed))
    yield top
    if not task.rates:
        return
    with _null_server(task.transport, DELAY, bed.folder) as port:
        for share in task.rates:
            rate = float(f"{share * top.throughput:.3g}")
            say(f"{name}: {units.rate_text(rate)} against a delay of {units.duration_text(DELAY)}")
            duration = min(_LONGEST, max(bed.window, _ENOUGH_REQUESTS / rate))
            poisson = Poisson(arrival_rate=rate, duration=duration)
            yield open_point(
                task.transport, task.request_bytes, poisson, DELAY, *_driven(task, poisson, load, port, bed)
            )


def _driven(task: _Task, profile: Profile, load: Generator, port: int, bed: _Bed) -> tuple[Samples, float]:
    """The rows of one load in its window, and the part of a core that the load worker used."""
    number, folder = bed.next()
    trial = Trial(
        number=number, server="null", repetition=1, point=profile, warmup=bed.warmup, timeout=_TIMEOUT, seed=number
    )
    request = Request(target="/calibrate/Nothing", body=b"x" * task.request_bytes)
    driven = load.drive(
        trial,
        [request],
        task.transport,
        HOST,
        port,
        folder,
        tick=lambda *_: None,
        healthy=lambda: True,
    )
    if driven.failure is not None:
        raise driven.failure
    samples = to_samples(driven, [task.request_bytes], np.zeros(0, dtype=np.bool_))
    return samples, driven.cpu_seconds / (trial.warmup + profile.duration)


def closed_point(transport: Transport, request_bytes: int, loop: Closed, samples: Samples, cpu_share: float) -> Point:
    """What a closed loop reached: good replies per second of its window.   Raises: LoadError if there were none."""
    assert isinstance(loop.users, int)
    measured = samples.where(samples.measured)
    ok = int(np.count_nonzero(measured.ok))
    if not ok:
        raise LoadError("calibration: not one request was answered", hint="; ".join(samples.errors))
    return Point(
        transport=transport,
        request_bytes=request_bytes,
        users=loop.users,
        arrival_rate=None,
        n=len(measured),
        lost=len(measured) - ok,
        throughput=_reply_rate(samples, loop.duration),
        cpu_share=min(1.0, cpu_share),
    )


def open_point(
    transport: Transport, request_bytes: int, load: Poisson, delay: float, samples: Samples, cpu_share: float
) -> Point:
    """What an open loop added to the known delay."""
    measured = samples.where(samples.measured)
    good = measured.where(measured.ok)
    added, lag = good.response_time - delay, measured.send_lag[~np.isnan(measured.send_lag)]
    return Point(
        transport=transport,
        request_bytes=request_bytes,
        users=None,
        arrival_rate=load.mean_rate,
        n=len(measured),
        lost=len(measured) - len(good),
        throughput=_reply_rate(samples, load.duration),
        cpu_share=min(1.0, cpu_share),
        added_p50=_percentile(added, 0.5),
        added_p99=_percentile(added, 0.99),
        send_lag_p50=_percentile(lag, 0.5),
        send_lag_p99=_percentile(lag, 0.99),
    )


def _reply_rate(samples: Samples, duration: float) -> float:
    """Good replies per second, by when they came, from the window's first request on."""
    done = samples.done_at[samples.ok]
    start = float(samples.intended_at[samples.measured].min(initial=np.inf))
    return int(np.count_nonzero((done >= start) & (done < start + duration))) / duration


def _percentile(values: Floats, share: float) -> float | None:
    return percentile(values, share) if len(values) >= values_needed(share) else None


@contextlib.contextmanager
def _null_server(transport: Transport, delay: float, folder: Path) -> Iterator[int]:
    """Port of a null server for as long as the block lasts.   Raises: LaunchError."""
    (port,) = free_ports(1)
    log = folder / "null_server.log"
    argv = [sys.executable, "-I", "-S", str(_NULL_SERVER), str(port), str(delay), transport]
    with log.open("ab") as words, guarded(argv, env=dict(os.environ), stderr=words, grace=1.0) as process:
        deadline = time.monotonic() + _START_SECONDS
        while not _listens(port):
            if not process.alive() or time.monotonic() > deadline:
                raise LaunchError("calibration's null server did not start", where=str(log), hint=log_tail(log))
            time.sleep(0.01)
        yield port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
