"""Trials that were never run, from a model whose truth is known: what each way of comparing says about them.

A request's log latency is normal, 30 % of its variance shared with the requests before it; every trial has a shift and
a tail of its own, and the machine drifts from trial to trial. Vectorised: thousands of sessions in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal, stats

Floats = NDArray[np.float64]

MEDIAN, SIGMA = 0.100, 0.40
SHARED, MEMORY = 0.30, 0.9
"""Share of the log variance that is correlated within a trial, and its correlation from one request to the next."""
REQUESTS = 5000
QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class Rig:
    """How restless a machine is: standard deviations of a trial's shift and tail, and of the drift between trials."""

    name: str
    shift: float
    tail: float
    drift: float


QUIET = Rig("quiet", 0.01, 0.02, 0.005)
TYPICAL = Rig("typical", 0.02, 0.04, 0.03)
NOISY = Rig("noisy", 0.05, 0.08, 0.08)


@dataclass(frozen=True, slots=True)
class Bank:
    """Standardised requests of many trials, and their quantiles; sessions draw from it.

    Shape: requests (trials, REQUESTS); quantiles (trials,) by name.
    """

    requests: Floats
    quantiles: dict[str, Floats]


def bank(rng: np.random.Generator, trials: int = 1000) -> Bank:
    """Trials of standard normal requests, correlated as MEMORY and SHARED say."""
    fresh = rng.standard_normal((trials, REQUESTS))
    steps = rng.standard_normal((trials, REQUESTS)) * np.sqrt(1 - MEMORY**2)
    steps[:, 0] /= np.sqrt(1 - MEMORY**2)  # begins in its stationary state
    shared = signal.lfilter([1.0], [1.0, -MEMORY], steps, axis=1)
    requests: Floats = np.sqrt(1 - SHARED) * fresh + np.sqrt(SHARED) * shared
    found = np.quantile(requests, list(QUANTILES.values()), axis=1)
    return Bank(requests, dict(zip(QUANTILES, found, strict=True)))


@dataclass(frozen=True, slots=True)
class Sessions:
    """Many sessions of `2 * pairs` trials each, in the order in which they ran.

    Shape: place, scale and drawn (sessions, 2 * pairs): log shift, log-latency sd, and the trial's number in the bank.
    """

    place: Floats
    scale: Floats
    drawn: NDArray[np.int64]

    def logs(self, source: Bank, metric: str) -> Floats:
        """Log of one metric of every trial.   Shape: (sessions, 2 * pairs)."""
        return np.asarray(np.log(MEDIAN) + self.place + self.scale * source.quantiles[metric][self.drawn])

    def requests(self, source: Bank, session: int, trials: Sequence[int] | NDArray[np.int64]) -> Floats:
        """Log latencies of every request of some trials of a session, pooled."""
        drawn = source.requests[self.drawn[session, trials]]
        return np.asarray((self.place[session, trials, None] + self.scale[session, trials, None] * drawn).reshape(-1))


def sessions(rng: np.random.Generator, rig: Rig, count: int, pairs: int, source: Bank) -> Sessions:
    """Sessions of one server against itself."""
    shape = (count, 2 * pairs)
    memory = 0.9
    steps = rng.standard_normal(shape) * rig.drift * np.sqrt(1 - memory**2)
    steps[:, 0] /= np.sqrt(1 - memory**2)
    drift = signal.lfilter([1.0], [1.0, -memory], steps, axis=1)
    shift = rng.standard_normal(shape) * rig.shift
    scale = SIGMA * np.exp(rng.standard_normal(shape) * rig.tail)
    return Sessions(drift + shift, scale, rng.integers(0, len(source.requests), shape))


def in_pairs(rng: np.random.Generator, logs: Floats) -> tuple[Floats, Floats]:
    """Baseline and candidate of interleaved pairs, the order within each pair drawn, half of them either way.

    Shape: (sessions, 2 * pairs) -> two of (sessions, pairs).
    """
    count, trials = logs.shape
    swapped = np.tile(np.arange(trials // 2) % 2 == 1, (count, 1))
    swapped = rng.permuted(swapped, axis=1)
    first, second = logs[:, ::2], logs[:, 1::2]
    return np.where(swapped, second, first), np.where(swapped, first, second)


def in_blocks(logs: Floats) -> tuple[Floats, Floats]:
    """The first half as the baseline, the second as the candidate: AAA BBB."""
    half = logs.shape[1] // 2
    return logs[:, :half], logs[:, half:]


def welch_alarms(baseline: Floats, candidate: Floats) -> float:
    """Share of sessions in which Welch's t test at 5 % calls the two sides different."""
    return float((stats.ttest_ind(baseline, candidate, axis=1, equal_var=False).pvalue < 0.05).mean())


def pooled_alarms(drawn: Sessions, source: Bank, count: int) -> float:
    """Share of sessions in which a rank test over all requests, trials pooled, calls the two sides different."""
    trials = drawn.place.shape[1]
    found = 0
    for session in range(count):
        baseline, candidate = (drawn.requests(source, session, np.arange(side, trials, 2)) for side in (0, 1))
        found += bool(stats.mannwhitneyu(baseline, candidate, method="asymptotic").pvalue < 0.05)
    return found / count


def one_run_alarms(baseline: Floats, candidate: Floats, limit: float = 0.10) -> float:
    """Share of sessions in which a single trial of each differs by more than the limit, in the slow direction."""
    return float((np.expm1(candidate[:, 0] - baseline[:, 0]) > limit).mean())


def correlated_cells(
    rng: np.random.Generator, count: int, servers: int, metrics: int, pairs: int, shared: float = 0.6
) -> Floats:
    """Pair differences in sds, cells of one server correlated.   Shape: (count, servers * metrics, pairs)."""
    own = rng.standard_normal((count, servers, metrics, pairs))
    common = rng.standard_normal((count, servers, 1, pairs))
    return np.asarray((np.sqrt(shared) * common + np.sqrt(1 - shared) * own).reshape(count, servers * metrics, pairs))
