"""What a server used at one load point, per request or over the window: one function per figure, and the table of them.

Each reads one trial and gives NaN where the trial cannot tell; the reason then is that of the telemetry's column, or
the one that the figure's own function names. Knows nothing of files, servers or verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from bench.samples import Floats, Telemetry

NOT_WATCHED = "nobody watched the server's processes"
NOT_RECORDED = "not recorded: the run was made before bench recorded it"
TOO_SHORT = "watched for too short a time"
NO_REPLIES = "not one reply arrived in the window"
UNWATCHED = 1.5
"""Seconds at either end of a window that may lack telemetry, which comes at 1 Hz or faster."""
_MOMENTS = 200
"""A mean over the window is taken at so many moments of it."""

Unit = Literal["s", "share", "bytes", "count", "W", "Hz", "J"]
Pooling = Literal["requests", "seconds", "most"]


@dataclass(frozen=True, slots=True)
class Watched:
    """One trial as it was watched.

    `window` is (start, end) in seconds since the trial began; `replies`, good or bad, and `good` ones arrived in it.
    `cores` are those that the server may use, `missing` says why a column of `telemetry` has no value, `idle` holds
    `cpu_watts` and `gpu_watts` of the machine before the run. `image_flops` are the operations of the model on one
    image and `peak_flops` those per second that this machine reaches, None where that is not known or not comparable;
    `missing` then says why under those names.
    """

    telemetry: Telemetry | None
    window: tuple[float, float]
    replies: int
    good: int
    cores: float | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    idle: Mapping[str, Any] = field(default_factory=dict)
    generator_cpu_seconds: float | None = None
    sampler_cpu_share: float | None = None
    image_flops: float | None = None
    peak_flops: float | None = None

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return self.window[1] - self.window[0]

    def gained(self, column: str) -> float:
        """By how much a counter grew over the window; NaN where it was not watched from beginning to end."""
        at, values = self.known(column)
        start, end = self.window
        if len(at) < 2 or at[0] > start + UNWATCHED or at[-1] < end - UNWATCHED:
            return math.nan
        grown = float(np.interp(end, at, values) - np.interp(start, at, values))
        return grown if grown >= 0 else math.nan

    def mean(self, column: str) -> float:
        """Mean of a level over the window."""
        at, values = self.known(column)
        if not len(at) or self.seconds <= 0:
            return math.nan
        return float(np.interp(np.linspace(*self.window, _MOMENTS), at, values).mean())

    def most(self, column: str) -> float:
        """Highest value seen, the warm-up included."""
        _, values = self.known(column)
        return float(values.max()) if len(values) else math.nan

    def known(self, column: str) -> tuple[Floats, Floats]:
        """When there was a value, and the values."""
        if self.telemetry is None:
            return np.zeros(0), np.zeros(0)
        values: Floats = getattr(self.telemetry, column)
        there = ~np.isnan(values)
        return self.telemetry.at[there], values[there]

    @property
    def memory(self) -> str:
        """The column that memory is read from: PSS, which counts shared pages once; RSS where there is none."""
        return "pss_bytes" if len(self.known("pss_bytes")[0]) else "rss_bytes"


Compute = Callable[[Watched], float]


@dataclass(frozen=True, slots=True)
class UsageMetric:
    """One line of the table; `needs` are the columns, or the fields of Watched, without which there is no figure."""

    name: str
    title: str
    unit: Unit
    pooling: Pooling
    needs: tuple[str, ...]
    compute: Compute
    better: Literal["higher", "lower"] = "lower"


USAGE_METRICS: dict[str, UsageMetric] = {}
"""Every figure by its name."""


def usage(
    unit: Unit, pooling: Pooling, *needs: str, name: str = "", better: Literal["higher", "lower"] = "lower"
) -> Callable[[Compute], Compute]:
    """Enter a function into USAGE_METRICS under its own name; its docstring's first line is the title."""

    def enter(compute: Compute) -> Compute:
        own = name or compute.__name__
        title = (compute.__doc__ or own).splitlines()[0].rstrip(".")
        USAGE_METRICS[own] = UsageMetric(own, title, unit, pooling, needs, compute, better)
        return compute

    return enter


@usage("s", "requests", "cpu_seconds")
def cpu_seconds_per_request(seen: Watched) -> float:
    """CPU seconds of the server's processes per reply, good or bad; NaN where a clock of 10 ms steps did not tick."""
    return _per(seen.gained("cpu_seconds") or math.nan, seen.replies)


@usage("count", "requests", "context_switches")
def context_switches_per_request(seen: Watched) -> float:
    """Context switches of the server's threads per reply, voluntary and involuntary."""
    return _per(seen.gained("context_switches"), seen.replies)


@usage("bytes", "most", "rss_bytes")
def memory_peak_bytes(seen: Watched) -> float:
    """Most memory of the server's processes, PSS (RSS where there is no PSS), warm-up included."""
    return seen.most(seen.memory)


@usage("bytes", "seconds", "rss_bytes")
def memory_mean_bytes(seen: Watched) -> float:
    """Mean memory of the server's processes over the window, PSS (RSS where there is no PSS)."""
    return seen.mean(seen.memory)


@usage("share", "seconds", "throttled_seconds", "cores")
def throttled_share(seen: Watched) -> float:
    """Share of the server's processor time that its control group's limit held back."""
    cores = seen.cores or math.nan
    # numpy's minimum keeps a NaN, that of Python would turn it into 1.
    return float(np.minimum(1.0, _per(seen.gained("throttled_seconds"), seen.seconds * cores)))


@usage("share", "seconds", "gpu_utilisation")
def gpu_utilisation(seen: Watched) -> float:
    """Share of the window in which the GPUs were busy."""
    return seen.mean("gpu_utilisation")


@usage("bytes", "most", "gpu_memory_bytes")
def gpu_memory_bytes(seen: Watched) -> float:
    """Most memory in use on the GPUs, warm-up included."""
    return seen.most("gpu_memory_bytes")


@usage("W", "seconds", "power_watts")
def power_watts(seen: Watched) -> float:
    """Mean power of the GPUs over the window."""
    return seen.mean("power_watts")


@usage("Hz", "seconds", "gpu_clock_hz", better="higher")
def gpu_clock_hz(seen: Watched) -> float:
    """Mean clock of the GPUs over the window."""
    return seen.mean("gpu_clock_hz")


@usage("J", "requests", "energy", name="energy_per_request.gross")
def energy_gross(seen: Watched) -> float:
    """Energy per good reply: all that processor packages and GPUs drew in the window."""
    cpu, gpu = _joules(seen)
    return _per(cpu + gpu, seen.good)


@usage("J", "requests", "energy", "idle", name="energy_per_request.net")
def energy_net(seen: Watched) -> float:
    """Energy per good reply, less what the idle machine drew before the run."""
    cpu, gpu = _joules(seen)
    idle = 0.0
    for counter, watts in (("cpu_energy_joules", "cpu_watts"), ("gpu_energy_joules", "gpu_watts")):
        if len(seen.known(counter)[0]) or (counter.startswith("gpu") and len(seen.known("power_watts")[0])):
            drawn = seen.idle.get(watts)
            idle += math.nan if drawn is None else float(drawn) * seen.seconds
    return _per(cpu + gpu - idle, seen.good)


@usage("share", "seconds", "generator_cpu_seconds")
def generator_cpu_share(seen: Watched) -> float:
    """Cores' worth of time that the load generator took, all its processes together."""
    spent = seen.generator_cpu_seconds
    return math.nan if spent is None else _per(spent, seen.window[1])


@usage("share", "seconds", "sampler_cpu_share")
def sampler_cpu_share(seen: Watched) -> float:
    """Share of one core that watching the server took."""
    return math.nan if seen.sampler_cpu_share is None else seen.sampler_cpu_share


@usage("share", "seconds", "image_flops", "peak_flops", better="higher")
def peak_share(seen: Watched) -> float:
    """Share of this machine's own matrix multiplication that good replies needed of the model: float32 operations."""
    if seen.image_flops is None or not seen.peak_flops:
        return math.nan
    return _per(seen.image_flops * seen.good, seen.seconds * seen.peak_flops)


def pooled(metric: UsageMetric, parts: Sequence[Watched]) -> tuple[float | None, str]:
    """The figure over all trials of a load point, or None and why there is none.

    A figure that one of the trials lacks is missing: the others would stand for it.
    """
    values = [metric.compute(part) for part in parts]
    for value, part in zip(values, parts, strict=True):
        if not math.isfinite(value):
            return None, _why(metric, part)
    if not values:
        return None, NOT_WATCHED
    if metric.pooling == "most":
        return max(values), ""
    weights = [float(part.good if metric.unit == "J" else part.replies) for part in parts]
    if metric.pooling == "seconds":
        weights = [part.seconds for part in parts]
    return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights), ""


def _why(metric: UsageMetric, part: Watched) -> str:
    for need in metric.needs:
        if need == "energy":
            reasons = [part.missing.get(f"{who}_energy_joules", "") for who in ("cpu", "gpu")]
            told = [reason for reason in dict.fromkeys(reasons) if reason]
            if told:
                return "; ".join(told)
        elif part.missing.get(need):
            return part.missing[need]
    if part.telemetry is None and any(hasattr(Telemetry, need) for need in metric.needs):
        return NOT_WATCHED
    if metric.pooling == "requests" and not (part.good if metric.unit == "J" else part.replies):
        return NO_REPLIES
    if any(need in Watched.__slots__ and not getattr(part, need) for need in metric.needs):
        return NOT_RECORDED
    columns = [need for need in metric.needs if need in Telemetry.__slots__]
    watched = all(len(part.known(column)[0]) for column in columns)
    return TOO_SHORT if columns and watched else NOT_RECORDED


def _joules(seen: Watched) -> tuple[float, float]:
    """Joules of processors and GPUs in the window; what has no counter counts nothing, both missing is NaN.

    The power of a GPU without an energy counter is added up instead.
    """
    cpu = seen.gained("cpu_energy_joules") if len(seen.known("cpu_energy_joules")[0]) else None
    gpu: float | None = None
    if len(seen.known("gpu_energy_joules")[0]):
        gpu = seen.gained("gpu_energy_joules")
    elif len(seen.known("power_watts")[0]):
        gpu = seen.mean("power_watts") * seen.seconds
    if cpu is None and gpu is None:
        return math.nan, math.nan
    return cpu or 0.0, gpu or 0.0


def _per(amount: float, count: float) -> float:
    return amount / count if count > 0 else math.nan
