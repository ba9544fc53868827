"""Percentiles and their intervals, from order statistics. Knows arrays of numbers, not servers or requests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MISS_CHANCE = 0.01
"""How often a percentile may be shown with at most one value above the true one: MLPerf's early-stopping bound."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % interval; an end that is not known is None."""

    value: float | None
    low: float | None = None
    high: float | None = None
    basis: str = ""


def nearest_rank(share: float, n: int) -> int:
    """Place, counted from 0, of the percentile among n ascending values: `ceil(share * n) - 1`.

    Raises: ValueError if n is 0 or the share lies outside (0, 1].
    """
    if n < 1 or not 0 < share <= 1:
        raise ValueError(f"no percentile {share} of {n} values")
    # 0.55 * 100 is 55.00000000000001, whose ceiling would be one rank too high.
    return max(1, math.ceil(share * n - 1e-9)) - 1


def percentile(values: Floats, share: float) -> float:
    """Nearest-rank percentile of the values, NaN if there are none; +inf may stand for what never came.

    Shape: values (n,), in any order, without NaN.   Unit: that of values.
    """
    return percentiles(values, (share,))[0]


def percentiles(values: Floats, shares: Sequence[float]) -> tuple[float, ...]:
    """One nearest-rank percentile per share, found in one pass.   Shape: values (n,), any order, without NaN."""
    if len(values) == 0:
        return (math.nan,) * len(shares)
    ranks = [nearest_rank(share, len(values)) for share in shares]
    ordered = np.partition(values, sorted(set(ranks)))
    return tuple(float(ordered[rank]) for rank in ranks)


@lru_cache(maxsize=64)
def values_needed(share: float) -> int:
    """The fewest values a percentile is shown from: 11, 64, 130, 662, 6,636 for p50, p90, p95, p99, p99.9.

    From that many on, the chance that at most one of them lies above the true percentile is 1 % or less.
    Source: the binomial bound of MLPerf LoadGen's early stopping, with one overlatency query allowed.
    """
    if not 0 < share < 1:
        raise ValueError(f"a percentile's share lies between 0 and 1, got {share}")
    low, high = 1, 2
    while not _enough(share, high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _enough(share, middle) else (middle, high)
    return high


def _enough(share: float, n: int) -> bool:
    none_above = share**n
    one_above = n * (1 - share) * share ** (n - 1)
    return none_above + one_above <= MISS_CHANCE


def percentile_interval(values: Floats, share: float, confidence: float = 0.95) -> Interval:
    """The percentile of the values and the order statistics that enclose the true one, by the binomial law.

    Shape: values (n,), any order, without NaN; an end that so few values cannot give is None.
    Unit: that of values.   Raises: ValueError if n == 0.
    Source: David & Nagaraja, Order Statistics, ch. 7. Exact for independent values; requests that queue behind
    each other are not independent, so between trials the interval is too narrow. Trials are the replicates there.
    """
    n = len(values)
    at = nearest_rank(share, n)
    below, above = _ranks(n, share, confidence)
    wanted = sorted({at, *(rank for rank in (below, above) if rank is not None)})
    ordered = np.partition(values, wanted)
    basis = f"order statistics of {n:,} values taken as independent"
    return Interval(
        value=float(ordered[at]),
        low=None if below is None else float(ordered[below]),
        high=None if above is None else float(ordered[above]),
        basis=basis if below is not None and above is not None else f"{basis}: too few for both ends",
    )


def median_interval(values: Floats, confidence: float = 0.95) -> Interval:
    """Median of the values and the tightest symmetric order-statistic interval around it.

    Shape: values (n,), one per trial; at 95 % fewer than 6 give no interval and the basis says so.
    Unit: that of values.   Raises: ValueError if n == 0.
    Source: binomial coverage of order statistics, David & Nagaraja, Order Statistics, ch. 7.
    """
    n = len(values)
    if n == 0:
        raise ValueError("no median of no values")
    ordered = np.sort(values)
    middle = float(np.median(ordered))
    needed = math.ceil(1 - math.log2(1 - confidence))  # the range of n values covers the median with 1 - 2^(1-n)
    if n < needed:
        return Interval(middle, basis=f"need at least {needed} trials for an interval, have {n}")
    below, above = _ranks(n, 0.5, confidence)
    assert below is not None
    assert above is not None
    return Interval(middle, float(ordered[below]), float(ordered[above]), f"order statistics of {n} trials")


def _ranks(n: int, share: float, confidence: float) -> tuple[int | None, int | None]:
    """Places, counted from 0, of the two order statistics with at most half the remaining chance beyond each."""
    tail = (1 - confidence) / 2
    first, chances = _binomial(n, share)
    cumulative = np.cumsum(chances)  # cumulative[i] = P(X <= first + i), X = how many values lie below the true one
    # x[l] (from 1) is above the true percentile only if X <= l - 1.
    low = first + int(np.searchsorted(cumulative, tail, side="right"))
    # x[u] (from 1) is below it only if X >= u.
    high = first + int(np.searchsorted(cumulative, 1 - tail, side="left")) + 1
    return (low - 1 if low >= 1 else None), (high - 1 if high <= n else None)


def _binomial(n: int, share: float) -> tuple[int, Floats]:
    """Chances of k, k + 1, ... successes around the mean, and that k; what is left out is below 1e-20."""
    spread = 10 * math.sqrt(n * share * (1 - share)) + 30
    first, last = max(0, math.floor(n * share - spread)), min(n, math.ceil(n * share + spread))
    whole, log_yes, log_no = math.lgamma(n + 1), math.log(share), math.log1p(-share)
    chances = [
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * log_yes + (n - k) * log_no)
        for k in range(first, last + 1)
    ]
    return first, np.asarray(chances)
