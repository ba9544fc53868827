"""One function per metric, and the table of them. A metric reads rows and a window; NaN means not measurable here.

Latency is only ever that of correct replies: a fast error is no latency, and what never came back is no zero.
This module knows nothing of servers, files or verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.measures.stats import percentile, values_needed
from bench.samples import Bools, Floats, Samples


@dataclass(frozen=True, slots=True)
class Window:
    """The measured part of one trial, in seconds since its start, and what is asked of a reply there.

    `slo` is the limit of `response_time` in seconds; without one every correct reply is within it.
    """

    start: float
    end: float
    slo: float = math.inf

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return self.end - self.start


Unit = Literal["s", "1/s", "share"]
Better = Literal["higher", "lower"]
Compute = Callable[[Samples, Window], float]


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the table: `name` as scenarios and `bench list metrics` spell it."""

    name: str
    title: str
    unit: Unit
    better: Better
    compute: Compute


METRICS: dict[str, Metric] = {}
"""Every metric by its name."""

TIMES = ("response_time", "service_time", "send_lag")
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}


def metric(*, unit: Unit, better: Better, name: str = "", title: str = "") -> Callable[[Compute], Compute]:
    """Enter a function into METRICS under its own name; its docstring's first line is the title."""

    def enter(compute: Compute) -> Compute:
        own = name or compute.__name__
        first_line = (compute.__doc__ or own).splitlines()[0].rstrip(".")
        METRICS[own] = Metric(own, title or first_line, unit, better, compute)
        return compute

    return enter


def good_times(samples: Samples, which: str) -> Floats:
    """Seconds of one of TIMES over the measured window: of correct replies, or for `send_lag` of all that was sent."""
    times: Floats = getattr(samples, which)
    rows = samples.measured & (samples.ok if which != "send_lag" else ~np.isnan(times))
    return times[rows]


def judged_times(samples: Samples) -> Floats:
    """Response times of every request scheduled in the window as an SLO sees them: no correct reply is +inf."""
    return np.where(samples.ok, samples.response_time, np.inf)[samples.measured]


def shown_percentile(times: Floats, share: float) -> float:
    """Nearest-rank percentile, NaN where too few values stand behind it.   Shape: times (n,), without NaN."""
    return percentile(times, share) if len(times) >= values_needed(share) else math.nan


def _enter_times() -> None:
    """One metric per time and percentile, mean and maximum: `response_time.p95`."""
    words = {
        "response_time": "Response time",
        "service_time": "Service time",
        "send_lag": "Our own lateness in sending",
    }
    for which in TIMES:
        metric(unit="s", better="lower", name=f"{which}.mean", title=f"{words[which]}, mean")(_mean_of(which))
        metric(unit="s", better="lower", name=f"{which}.max", title=f"{words[which]}, largest")(_largest_of(which))
        for name, share in PERCENTILES.items():
            title = f"{words[which]}, {name if name != 'p999' else 'p99.9'}"
            metric(unit="s", better="lower", name=f"{which}.{name}", title=title)(_percentile_of(which, share))


def _percentile_of(which: str, share: float) -> Compute:
    return lambda samples, _: shown_percentile(good_times(samples, which), share)


def _mean_of(which: str) -> Compute:
    def mean(samples: Samples, _: Window) -> float:
        times = good_times(samples, which)
        return float(times.mean()) if len(times) else math.nan

    return mean


def _largest_of(which: str) -> Compute:
    def largest(samples: Samples, _: Window) -> float:
        times = good_times(samples, which)
        return float(times.max()) if len(times) else math.nan

    return largest


_enter_times()


@metric(unit="1/s", better="higher")
def throughput(samples: Samples, window: Window) -> float:
    """Correct replies per second of the measured window.

    A reply counts where it arrives, whatever phase it was intended in. Counted by intended times, an overloaded
    open loop would be credited with the offered rate, as its backlog is answered after the window's end.
    """
    return _per_second(samples.ok & _arrives_inside(samples, window), window)


@metric(unit="1/s", better="higher")
def goodput(samples: Samples, window: Window) -> float:
    """Correct replies within the SLO per second of the measured window."""
    within = samples.response_time <= window.slo  # no reply -> NaN -> not within
    return _per_second(samples.ok & within & _arrives_inside(samples, window), window)


@metric(unit="share", better="lower")
def error_rate(samples: Samples, window: Window) -> float:  # noqa: ARG001 -- all metrics are called alike
    """Share of the window's scheduled requests that failed, timed out or never left."""
    return _share(~samples.ok, samples)


def slo_met(samples: Samples, window: Window, share: float, error_limit: float) -> bool | None:
    """Whether the percentile over all scheduled requests and the error rate stay within the SLO; None without any."""
    judged = judged_times(samples)
    if len(judged) == 0:
        return None
    return percentile(judged, share) <= window.slo and error_rate(samples, window) <= error_limit


def _arrives_inside(samples: Samples, window: Window) -> Bools:
    return (samples.done_at >= window.start) & (samples.done_at < window.end)


def _per_second(rows: Bools, window: Window) -> float:
    return float(np.count_nonzero(rows)) / window.seconds if window.seconds > 0 else math.nan


def _share(rows: Bools, samples: Samples) -> float:
    scheduled = int(np.count_nonzero(samples.measured))
    return float(np.count_nonzero(rows & samples.measured)) / scheduled if scheduled else math.nan
