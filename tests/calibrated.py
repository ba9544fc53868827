"""Calibrations made by hand: what a quiet machine gives, and any change to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bench.load.calibration import Calibration, Point, reaches_of
from bench.running.calibrate import SMALL_BYTES

MACHINE = {"cpu": "a CPU", "cores": 2, "kernel": "6.1", "python": "3.11.7", "locust": "2.40", "method": 1}


def point(rate: float | None = None, **changed: Any) -> Point:
    """A point as a quiet machine gives it: closed loop without a rate."""
    given = Point("http", SMALL_BYTES, 32 if rate is None else None, rate, 1000, 0, rate or 40_000.0, 1.0)
    if rate is not None:
        given = replace(given, added_p50=0.1e-3, added_p99=0.2e-3, send_lag_p50=0.05e-3, send_lag_p99=0.15e-3)
    return replace(given, **changed)


def calibrated(*points: Point, **changed: Any) -> Calibration:
    chosen = points or (point(), point(4_000.0), point(10_000.0, added_p99=0.3e-3), point(20_000.0, added_p99=0.4e-3))
    reaches = reaches_of(chosen)
    first = reaches[0]
    made = Calibration(
        ceiling=first.ceiling,
        added_p50=first.added_p50,
        added_p99=first.added_p99,
        up_to=first.up_to,
        reaches=reaches,
        points=chosen,
        delay=0.005,
        machine=MACHINE,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=40.0,
        load_average=0.1,
        short=False,
        bench_version="0.1",
    )
    return replace(made, **changed)
