"""Where the response times of one row lie: few enough values for a page, and enough to judge the row by another limit.

What is kept is exact: order statistics with their ranks, and counts; nothing is interpolated or binned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.measures import metrics
from bench.measures.stats import Interval, percentile, percentile_interval, values_needed
from bench.samples import Floats, Samples

POINTS = 200
"""Order statistics kept of a row: more cannot be told apart in a chart."""
TRIAL_POINTS = 60
_STEPS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
ROUND_LIMITS = tuple(float(f"{step}e{power}") for power in range(-3, 3) for step in _STEPS)
"""Limits of response time, 1 ms to 800 s, that a row can be judged by once its rows are out of reach."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Some order statistics: `times[i]` seconds is the `ranks[i]`-th smallest of all, counted from 1, ascending."""

    ranks: tuple[int, ...]
    times: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """Response times of one row, in seconds.

    `n` requests were scheduled in the window, `good` of them got a correct reply; `ranked` are those, pooled, and
    `trials` each trial's alone where there are several. `judged` is the SLO's percentile over all `n`, None where so
    many failed that it is infinite; `once_sent` is the same from when each request really left. `within[i]` good
    replies came inside the window, within the i-th of `limits_for` the SLO's limit of response time; `due[i]` of the
    `n` requests got a good one within it, in or after the window.
    """

    n: int
    good: int
    ranked: Ranked
    trials: tuple[Ranked, ...]
    judged: float | None
    once_sent: float | None
    within: tuple[int, ...]
    seconds: float
    p50_interval: Interval | None
    due: tuple[int, ...] = ()
    judged_interval: Interval | None = None
    """The 95 % interval of `judged`; an end that is infinite, or that so few requests cannot give, is None."""


def limits_for(limit: float | None) -> tuple[float, ...]:
    """Every limit that rows can be judged by again, ascending: round ones and the scenario's own."""
    own = {limit} if limit is not None and math.isfinite(limit) else set()
    return tuple(sorted({*ROUND_LIMITS, *own}))


def spread_of(
    parts: Sequence[tuple[Samples, metrics.Window]], measured: Samples, share: float, limit: float | None
) -> Spread:
    """The spread of one row: its trials with their windows, and all their measured rows together."""
    good = np.sort(metrics.good_times(measured, "response_time"))
    inside = np.sort(np.concatenate([_arrived(samples, window) for samples, window in parts]))
    each = [np.sort(metrics.good_times(samples, "response_time")) for samples, _ in parts] if len(parts) > 1 else []
    once_sent = np.where(measured.ok, measured.service_time, np.inf)
    return Spread(
        n=len(measured),
        good=len(good),
        ranked=ranked(good, POINTS),
        trials=tuple(ranked(times, TRIAL_POINTS) for times in each),
        judged=_finite(percentile(metrics.judged_times(measured), share)) if len(measured) else None,
        once_sent=_finite(percentile(once_sent, share)) if len(measured) else None,
        within=tuple(np.searchsorted(inside, limits_for(limit), side="right").tolist()),
        seconds=sum(window.seconds for _, window in parts),
        p50_interval=percentile_interval(good, 0.5) if len(good) >= values_needed(0.5) else None,
        due=tuple(np.searchsorted(good, limits_for(limit), side="right").tolist()),
        judged_interval=_interval_of(metrics.judged_times(measured), share) if len(measured) else None,
    )


def _interval_of(judged: Floats, share: float) -> Interval:
    band = percentile_interval(judged, share)
    value, low, high = (None if end is None else _finite(end) for end in (band.value, band.low, band.high))
    return Interval(value, low, high, band.basis)


def ranked(ascending: Floats, most: int) -> Ranked:
    """At most so many of the values: half evenly spread, half ever denser towards the largest, the largest always.

    Shape: ascending (n,), without NaN.
    """
    n = len(ascending)
    if n == 0:
        return Ranked((), ())
    even = np.linspace(1, n, most // 2)
    tail = n * (1 - np.logspace(0, -math.log10(max(n, 2)), most // 2))
    ranks = np.unique(np.clip(np.rint(np.concatenate([even, tail])), 1, n).astype(np.int64))
    return Ranked(tuple(ranks.tolist()), tuple(ascending[ranks - 1].tolist()))


def _arrived(samples: Samples, window: metrics.Window) -> Floats:
    """Response times of the correct replies that goodput counts: those that came inside the window, due when ever."""
    inside = (samples.done_at >= window.start) & (samples.done_at < window.end)
    return samples.response_time[samples.ok & inside]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
