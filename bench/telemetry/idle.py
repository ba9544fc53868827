"""What the machine draws while nothing of ours runs: what is taken off the energy of a request to get its own share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.telemetry.nvml import Gpus
from bench.telemetry.sampler import Sources

IDLE_SECONDS = 2.0
_STEP = 0.1


@dataclass(frozen=True, slots=True)
class Idle:
    """Watts of the processor packages (RAPL) and of the GPUs (NVML) over `seconds` of idleness, None where not told."""

    seconds: float
    cpu_watts: float | None = None
    gpu_watts: float | None = None
    missing: dict[str, str] = field(default_factory=dict)


def idle_power(sources: Sources, seconds: float = IDLE_SECONDS, sleep: Callable[[float], None] = time.sleep) -> Idle:
    """Read the counters over a short while of doing nothing; at once where there is no counter to read."""
    if sources.rapl is None and sources.gpus is None:
        return Idle(0.0, missing=dict(sources.missing))
    began_at = time.monotonic()
    cpu, gpu = _counters(sources)
    drawn = [_drawn(sources.gpus)]
    for _ in range(max(1, round(seconds / _STEP))):
        sleep(_STEP)
        drawn.append(_drawn(sources.gpus))
    took = time.monotonic() - began_at
    cpu_after, gpu_after = _counters(sources)
    metered = (gpu_after - gpu) / took
    # A GPU older than Volta has no energy counter; its power, read often, stands in.
    by_power = sum(drawn) / len(drawn)
    return Idle(
        took,
        cpu_watts=_known((cpu_after - cpu) / took),
        gpu_watts=_known(by_power if math.isnan(metered) else metered),
        missing=dict(sources.missing),
    )


def _counters(sources: Sources) -> tuple[float, float]:
    cpu = math.nan if sources.rapl is None else sources.rapl.joules()
    return cpu, math.nan if sources.gpus is None else sources.gpus.read().energy_joules


def _drawn(gpus: Gpus | None) -> float:
    return math.nan if gpus is None else gpus.read().power_watts


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
