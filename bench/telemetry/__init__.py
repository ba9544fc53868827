"""What a server uses while it is loaded, whole process tree or container: looked at twice a second, one file a trial.

Knows nothing of requests, windows or reports. A figure that a machine does not offer has a reason instead.
"""

from __future__ import annotations

from bench.telemetry.idle import Idle, idle_power
from bench.telemetry.sampler import BUDGET, CLOSE_SECONDS, INTERVAL_SECONDS, Sampler, Sources, memory_now, sampling

__all__ = [
    "BUDGET",
    "CLOSE_SECONDS",
    "INTERVAL_SECONDS",
    "Idle",
    "Sampler",
    "Sources",
    "idle_power",
    "memory_now",
    "sampling",
]
