"""What one load worker can do on this machine, as it was measured: values, their store, and what follows from them.

A calibration belongs to a machine and is kept in the cache. This module measures nothing; `calibrate.py` does.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np

from bench import units
from bench.cache import cache_folder
from bench.errors import ResultsError
from bench.files import disk_errors, write_text
from bench.machine.facts import cpu_facts, versions
from bench.profiles import Profile, has_schedule
from bench.results import METHOD_VERSION, plain

Transport = Literal["http", "grpc"]

LATE = 1e-3
"""Seconds of send_lag at p99 up to which a load worker counts as keeping its schedule."""
WHOLE_CORE = 0.8
"""Share of a core from which on the load worker itself, not something else, set its ceiling."""
TARGET_SHARE = 0.5
"""Share of its ceiling that a load worker is asked for at most."""
_PATIENCE = timedelta(hours=1)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Point:
    """One load driven at the null server (closed loop) or at the server of known delay (open loop).

    `arrival_rate` (1/s) is None in closed loop. `cpu_share` is the part of one core that the load worker used.
    `added` is response_time less the known delay, `send_lag` the worker's own lateness, both in seconds over the
    requests of the window; None in closed loop, and a p99 also where fewer than 662 requests are behind it. `lost`
    requests got no good reply in time.
    """

    transport: Transport
    request_bytes: int
    users: int | None
    arrival_rate: float | None
    n: int
    lost: int
    throughput: float
    cpu_share: float
    added_p50: float | None = None
    added_p99: float | None = None
    send_lag_p50: float | None = None
    send_lag_p99: float | None = None

    @property
    def in_time(self) -> bool:
        """Whether every request was answered and practically all of them left when they were due."""
        return self.lost == 0 and self.send_lag_p99 is not None and self.send_lag_p99 <= LATE


@dataclass(frozen=True, slots=True)
class Reach:
    """What one load worker does with requests of one size over one transport.

    `ceiling` (1/s) was reached in closed loop with every row recorded, while the worker had `cpu_share` of a core.
    `up_to` (1/s) is the highest rate tried at which requests left in time, 0 if there was none, and `added_p50` and
    `added_p99` are the most that was added, in seconds, at the rates that were kept; with `up_to` 0 at the lowest rate
    tried. A worker that keeps a rate can keep a lower one: where it did not, something else held it up.
    """

    transport: Transport
    request_bytes: int
    ceiling: float
    cpu_share: float
    up_to: float
    added_p50: float | None
    added_p99: float | None
    late_p99: float | None = None
    """send_lag at p99 of the lowest rate tried, seconds."""

    @property
    def saturated(self) -> bool:
        """Whether the load worker used a core up; if not, its ceiling is higher than what was reached."""
        return self.cpu_share >= WHOLE_CORE

    @property
    def limit(self) -> float:
        """Requests/s that no worker exceeds: what was reached, for a whole core."""
        return self.ceiling if self.saturated else self.ceiling / max(self.cpu_share, 0.01)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The load generator on one machine. The headline figures are those of `reaches[0]`: small requests over HTTP.

    `delay` is the known delay in seconds, `seconds` how long all of it took, `load_average` that of the minute
    before. `machine` is what the figures belong to; a calibration of another machine is never used.
    """

    ceiling: float
    added_p50: float | None
    added_p99: float | None
    up_to: float
    reaches: tuple[Reach, ...]
    points: tuple[Point, ...]
    delay: float
    machine: Mapping[str, Any]
    measured_at: str
    seconds: float
    load_average: float | None
    short: bool
    bench_version: str
    method_version: int = METHOD_VERSION

    @property
    def key(self) -> str:
        """Name of the machine's file in the cache."""
        return key_of(self.machine)

    @property
    def brief(self) -> str:
        """What the harness adds, in one sentence."""
        return _added_text(self.reaches[0])

    @property
    def sentence(self) -> str:
        """What a reader has to know: what the harness adds, what a worker reaches, and what speaks against both."""
        return " ".join([self.brief, _reached_text(self.reaches), *_caveats(self)])

    @property
    def disturbed(self) -> bool:
        """Whether something else kept the load worker from a processor while it was measured."""
        first = self.reaches[0]
        own = [p for p in self.points if (p.transport, p.request_bytes) == (first.transport, first.request_bytes)]
        held_up = any(not p.in_time for p in own if p.arrival_rate is not None and p.arrival_rate < first.up_to)
        return not first.saturated or not first.up_to or held_up

    @property
    def stale(self) -> bool:
        """Whether it is not worth keeping: a short form that was disturbed, an hour ago or more."""
        age = datetime.now(UTC) - datetime.fromisoformat(self.measured_at)
        return self.short and self.disturbed and age > _PATIENCE

    def limit(self, transport: Transport, request_bytes: float) -> float:
        """Requests/s that one load worker cannot exceed with requests of this size.

        A request costs a worker a fixed time and a time per byte, both taken from the two sizes that were measured.
        """
        own = sorted((r for r in self.reaches if r.transport == transport), key=lambda reach: reach.request_bytes)
        if not own:
            own = sorted(self.reaches, key=lambda reach: reach.request_bytes)
        small, large = own[0], own[-1]
        per_byte = 0.0
        if large.request_bytes > small.request_bytes:
            slower = 1 / large.limit - 1 / small.limit
            per_byte = max(0.0, slower / (large.request_bytes - small.request_bytes))
        return 1 / (1 / small.limit + per_byte * max(0.0, request_bytes - small.request_bytes))


def reaches_of(points: Sequence[Point]) -> tuple[Reach, ...]:
    """One Reach per transport and size, in the order of the points; one without a closed loop is left out."""
    groups: dict[tuple[Transport, int], list[Point]] = {}
    for point in points:
        groups.setdefault((point.transport, point.request_bytes), []).append(point)
    return tuple(reach for group in groups.values() if (reach := _reach(group)) is not None)


def _reach(points: Sequence[Point]) -> Reach | None:
    closed = max((p for p in points if p.arrival_rate is None), key=lambda p: p.throughput, default=None)
    if closed is None:
        return None
    tried = sorted((p for p in points if p.arrival_rate is not None), key=lambda point: point.arrival_rate or 0.0)
    kept = [point for point in tried if point.in_time]
    told = kept or tried[:1]
    return Reach(
        transport=closed.transport,
        request_bytes=closed.request_bytes,
        ceiling=closed.throughput,
        cpu_share=closed.cpu_share,
        up_to=max((point.arrival_rate or 0.0 for point in kept), default=0.0),
        added_p50=_largest(point.added_p50 for point in told),
        added_p99=_largest(point.added_p99 for point in told),
        late_p99=tried[0].send_lag_p99 if tried else None,
    )


def _largest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


# ---- in words -----------------------------------------------------------------------------------------------------


def _added_text(reach: Reach) -> str:
    if reach.up_to > 0:
        added = units.duration_text(reach.added_p99)
        return f"On this machine the harness adds at most {added} at p99 up to {units.rate_text(reach.up_to)}."
    late = units.duration_text(reach.late_p99)
    return f"When it was calibrated, the harness sent late at every rate tried ({late} at p99 at the lowest)."


def _reached_text(reaches: Sequence[Reach]) -> str:
    shown = [
        f"{'' if reach.saturated else 'at least '}{units.rate_text(reach.ceiling)} of "
        f"{units.bytes_text(reach.request_bytes)} over {'gRPC' if reach.transport == 'grpc' else 'HTTP'}"
        for reach in reaches
    ]
    return f"One load worker reaches {', '.join(shown)}."


def _caveats(calibration: Calibration) -> list[str]:
    found = []
    if calibration.disturbed:
        found.append("Other work took processor time meanwhile; `bench calibrate` on the quiet machine says more.")
    elif calibration.short:
        found.append("Measured in a few seconds; `bench calibrate` takes longer and is more exact.")
    return found


def table(calibration: Calibration) -> tuple[tuple[str, ...], ...]:
    """Header and one line per point, as text."""
    head = ("transport", "request", "load", "reached", "of a core", "added p50", "added p99", "late p99")
    return (head, *(_line(point) for point in calibration.points))


def _line(point: Point) -> tuple[str, ...]:
    closed = f"closed loop, {point.users} users"
    lost = f", {units.count_text(point.lost)} lost" if point.lost else ""
    return (
        "gRPC" if point.transport == "grpc" else "HTTP",
        units.bytes_text(point.request_bytes),
        closed if point.arrival_rate is None else f"open loop, {units.rate_text(point.arrival_rate)}",
        units.rate_text(point.throughput) + lost,
        units.percent_text(point.cpu_share) if point.arrival_rate is None else "-",
        units.duration_text(point.added_p50),
        units.duration_text(point.added_p99),
        units.duration_text(point.send_lag_p99),
    )


def as_mapping(calibration: Calibration) -> Mapping[str, Any]:
    """Everything, as JSON can hold it, with `brief`, `sentence` and `key`."""
    document = plain(calibration)
    assert isinstance(document, dict)
    return {"brief": calibration.brief, "sentence": calibration.sentence, "key": calibration.key, **document}


# ---- kept per machine ---------------------------------------------------------------------------------------------


def this_machine() -> dict[str, Any]:
    """What the figures depend on; never a host name."""
    cpu = cpu_facts()
    installed = versions(("locust", "gevent", "geventhttpclient", "grpcio"))
    return {
        "cpu": cpu["model"],
        "cores": cpu["usable_cores"],
        "quota_cores": cpu["quota_cores"],
        "kernel": platform.release(),
        "python": platform.python_version(),
        **installed,
        "method": METHOD_VERSION,
    }


def key_of(machine: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that differ when anything about the machine does."""
    return hashlib.sha256(json.dumps(machine, sort_keys=True).encode()).hexdigest()[:16]


def calibration_file(machine: Mapping[str, Any] | None = None) -> Path:
    """Where the calibration of a machine is kept, this one's by default."""
    return cache_folder() / "calibration" / f"{key_of(this_machine() if machine is None else machine)}.json"


def load_calibration() -> Calibration | None:
    """What is stored for this machine; None if nothing is, or nothing that can be read."""
    file = calibration_file()
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return _decoded(document)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as failure:
        _log.warning("%s cannot be read and is left aside: %r", file, failure)
        return None


def store_calibration(calibration: Calibration) -> Path:
    """Keep it for this machine, in place of an earlier one.   Raises: ResultsError."""
    file = calibration_file(calibration.machine)
    try:
        with disk_errors(file):
            file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(as_mapping(calibration), indent=2, ensure_ascii=False) + "\n")
    except ResultsError as failure:
        hint = "the figures are not kept; set BENCH_CACHE to a folder that you may write to"
        raise ResultsError(failure.what, where=failure.where, hint=hint) from failure
    return file


def _decoded(document: dict[str, Any]) -> Calibration:
    values = {name: value for name, value in document.items() if name not in ("brief", "sentence", "key")}
    values["reaches"] = tuple(Reach(**each) for each in values["reaches"])
    values["points"] = tuple(Point(**each) for each in values["points"])
    calibration = Calibration(**values)
    datetime.fromisoformat(calibration.measured_at)
    if not calibration.reaches or not all(each.ceiling > 0 for each in calibration.reaches):
        raise ValueError("it holds no ceiling")
    return replace(calibration, machine=dict(calibration.machine))


# ---- what it forbids ----------------------------------------------------------------------------------------------


def check_targets(
    points: Sequence[Profile],
    calibration: Calibration,
    workers: int,
    *,
    transport: Transport = "http",
    request_bytes: float = 0.0,
) -> tuple[str, ...]:
    """One sentence for each open-loop point that asks for more than half of what the workers can send.

    Closed loops and searches ask for no rate and pass.
    """
    allowed = TARGET_SHARE * workers * calibration.limit(transport, request_bytes)
    return tuple(
        f"{point.label} asks for {units.rate_text(peak)} at its peak, but {_workers_text(workers)} at most "
        f"{units.rate_text(allowed)} on this machine: half of the ceiling over "
        f"{'gRPC' if transport == 'grpc' else 'HTTP'} with requests of {units.bytes_text(request_bytes)}"
        for point in points
        if (peak := peak_rate(point)) is not None and peak > allowed
    )


def _workers_text(workers: int) -> str:
    return "1 load worker can be asked for" if workers == 1 else f"{workers} load workers can be asked for"


def peak_rate(point: Profile) -> float | None:
    """Highest rate that a load point asks for (1/s); None where the load follows the server.

    It is the highest of the rates that the profile names, and of a recording the busiest second.
    """
    if not has_schedule(point):
        return None
    named: list[float] = []
    for name in ("arrival_rate", "arrival_rates", "peak_rate", "from_rate", "to_rate"):
        value = getattr(point, name, ())
        named += value if isinstance(value, tuple) else (value,)
    if named:
        return max(named)
    times = np.fromiter(point.send_times(0.0, Random(0)), dtype=np.float64)
    span = min(1.0, point.duration)
    within = np.searchsorted(times, times + span, side="left") - np.arange(len(times))
    return float(within.max(initial=0)) / span
