"""Paired statistics over trials: intervals, power, noise floor, corrections for many looks. Arrays in, numbers out.

The replicate is the trial: every value here stands for a whole trial, never for a request. Nothing here knows what a
metric is called, which way is better or how a verdict is worded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
POWER = 0.80
MIN_PAIRS = 6
"""Fewer pairs cannot give a rank interval at 95 %, so the t interval would stand without its check."""
SEQUENTIAL_LOOKS = (6, 12, 20)
POCOCK_ALPHA = 0.0221
"""Nominal two-sided level of each of three looks so that all together raise 5 % false alarms (Pocock 1977)."""
FAMILY_ALPHA = 0.025
"""One-sided level that Holm shares among the cells of the confirm stage."""
MOST_PAIRS = 10_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean of paired differences with its interval; `p_above` is the one-sided p-value of "above zero"."""

    mean: float
    low: float
    high: float
    sd: float
    n: int
    p: float
    p_above: float

    @property
    def half_width(self) -> float:
        """Half the interval's length."""
        return (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def t_bounds(differences: Floats, confidence: float = CONFIDENCE) -> tuple[Floats, Floats, Floats]:
    """Mean, low and high of the Student t interval with n - 1 degrees of freedom.

    Shape: differences (..., n) with n > 1; each result (...).   Unit: that of differences.
    """
    n = differences.shape[-1]
    mean = differences.mean(axis=-1)
    half = t_quantile(n - 1, confidence) * differences.std(axis=-1, ddof=1) / math.sqrt(n)
    return mean, mean - half, mean + half


def t_quantile(df: float, confidence: float = CONFIDENCE) -> float:
    """Two-sided quantile of Student's t: 2.262 for 9 degrees of freedom at 95 %."""
    return float(special.stdtrit(df, (1 + confidence) / 2))


def paired_t(differences: Sequence[float] | Floats, confidence: float = CONFIDENCE) -> Estimate:
    """Estimate of the mean difference.   Shape: differences (n,), finite, n > 1, not all equal.

    Raises: ValueError for anything else: a statistic that cannot be computed must not read as one.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all() or constant(values):
        raise ValueError("a t interval needs at least two finite values that differ")
    mean, low, high = (float(bound) for bound in t_bounds(values, confidence))
    sd = float(values.std(ddof=1))
    return _estimate(mean, low, high, sd, len(values), mean / (sd / math.sqrt(len(values))), len(values) - 1)


def welch(
    baseline: Sequence[float] | Floats, candidate: Sequence[float] | Floats, confidence: float = 0.95
) -> Estimate:
    """Estimate of mean(candidate) - mean(baseline) of two unpaired groups, with Welch's degrees of freedom.

    Shape: (n,), (m,), each finite, longer than one, and not both constant.   Raises: ValueError for anything else.
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (baseline, candidate))
    if min(len(a), len(b)) < 2 or not (np.isfinite(a).all() and np.isfinite(b).all()) or (constant(a) and constant(b)):
        raise ValueError("Welch's interval needs two groups of at least two finite values that differ")
    parts = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    error = math.sqrt(sum(parts))
    df = error**4 / (parts[0] ** 2 / (len(a) - 1) + parts[1] ** 2 / (len(b) - 1))
    mean = float(b.mean() - a.mean())
    half = t_quantile(df, confidence) * error
    return _estimate(mean, mean - half, mean + half, error, min(len(a), len(b)), mean / error, df)


def _estimate(mean: float, low: float, high: float, sd: float, n: int, t: float, df: float) -> Estimate:
    above = float(special.stdtr(df, -t))
    return Estimate(mean, low, high, sd, n, p=2 * min(above, 1 - above), p_above=above)


def constant(values: Floats) -> bool:
    """Whether the values differ by no more than rounding would."""
    spread = float(np.ptp(values))
    return spread <= 1e-12 * max(1.0, float(np.abs(values).max()))


def walsh_averages(differences: Floats) -> Floats:
    """Means of all pairs of values, each with itself too, ascending.   Shape: (n,) -> (n (n + 1) / 2,)."""
    upper = np.triu_indices(len(differences))
    return np.sort((differences[upper[0]] + differences[upper[1]]) / 2)


def hodges_lehmann(differences: Sequence[float] | Floats, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """Pseudo-median of the differences and its exact signed-rank interval; infinite where n is too small for one.

    Shape: differences (n,), n > 0.   Source: Hollander & Wolfe, Nonparametric Statistical Methods, 3.2-3.4.
    """
    averages = walsh_averages(np.asarray(differences, dtype=np.float64))
    skip = _ranks_to_skip(len(differences), confidence)
    low, high = (averages[skip], averages[-1 - skip]) if skip is not None else (-math.inf, math.inf)
    return float(np.median(averages)), float(low), float(high)


@lru_cache(maxsize=256)
def _ranks_to_skip(n: int, confidence: float) -> int | None:
    """How many Walsh averages lie outside the interval on either side; None if even the whole range is too narrow.

    From 50 values on by the normal approximation, which is within one rank there.
    """
    tail = (1 - confidence) / 2
    if n > 50:
        middle, spread = n * (n + 1) / 4, math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        return max(0, int(middle + float(special.ndtri(tail)) * spread - 0.5))
    chances = np.ones(1)
    for rank in range(1, n + 1):  # the distribution of the signed-rank sum: each rank counts or does not
        grown = np.zeros(len(chances) + rank)
        grown[: len(chances)] += chances / 2
        grown[rank:] += chances / 2
        chances = grown
    skip = int(np.searchsorted(np.cumsum(chances), tail * (1 + 1e-9), side="right")) - 1
    return skip if skip >= 0 else None


def minimum_p(pairs: int) -> float:
    """The smallest two-sided p-value that the signed-rank test can give from so many pairs: 0.0625 for 5."""
    return min(1.0, 2.0 ** (1 - pairs)) if pairs > 0 else 1.0


def outlying_pair(differences: Sequence[float] | Floats, limit: float = 3.5) -> int | None:
    """Place, from 0, of the value farthest from the median if it lies more than `limit` robust sds off; else None.

    Source: Iglewicz & Hoaglin, How to Detect and Handle Outliers, 1993: modified z-score above 3.5.
    """
    values = np.asarray(differences, dtype=np.float64)
    off = np.abs(values - np.median(values))
    farthest, scale = int(off.argmax()), float(np.median(off))
    if off[farthest] == 0:
        return None
    return farthest if scale == 0 or 0.6745 * off[farthest] / scale > limit else None


def power(effect: float, sd: float, pairs: int, alpha: float = 1 - CONFIDENCE) -> float:
    """Chance that the paired t interval excludes zero on the side of a true mean difference.

    Unit: effect and sd alike.   Raises: ValueError if sd <= 0 or pairs < 2.
    """
    if sd <= 0 or pairs < 2:
        raise ValueError("power needs a spread and two pairs")
    ncp = abs(effect) * math.sqrt(pairs) / sd
    if ncp > 30:  # beyond it the noncentral t is 1 for every number of pairs, and scipy's series does not converge
        return 1.0 if pairs > 3 else float(special.ndtr(ncp - t_quantile(pairs - 1, 1 - alpha)))
    return float(1 - special.nctdtr(pairs - 1, ncp, t_quantile(pairs - 1, 1 - alpha)))


@lru_cache(maxsize=4096)
def pairs_for(effect: float, sd: float, at_least: float = POWER, alpha: float = 1 - CONFIDENCE) -> int:
    """The fewest pairs that see a true mean difference with the power asked for; MOST_PAIRS if that is not enough.

    Unit: effect and sd alike, both above 0.   Example: 0.0488 (5 %) at an sd of 0.055 needs 13.
    """
    if not (effect > 0 and sd > 0):
        raise ValueError("pairs can only be counted for an effect and an sd above zero")
    low, high = 2, 4
    if power(effect, sd, low, alpha) >= at_least:
        return low
    while power(effect, sd, high, alpha) < at_least:
        low, high = high, high * 2
        if high > MOST_PAIRS:
            return MOST_PAIRS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if power(effect, sd, middle, alpha) < at_least else (low, middle)
    return high


def pairs_for_half_width(half_width: float, sd: float, confidence: float = CONFIDENCE) -> int:
    """The fewest pairs whose t interval is no wider than asked for to each side; MOST_PAIRS at most."""
    if not half_width > 0:
        return MOST_PAIRS
    low, high = 1, MOST_PAIRS
    while high - low > 1:
        middle = (low + high) // 2
        wide = t_quantile(middle - 1, confidence) * sd / math.sqrt(middle) > half_width
        low, high = (middle, high) if wide else (low, middle)
    return high


@lru_cache(maxsize=256)
def visible_sds(pairs: int, at_least: float = POWER, alpha: float = 1 - CONFIDENCE) -> float:
    """The mean difference, in sds of a pair, that is seen with the power asked for: 1.0 for 10 pairs."""
    low, high = 0.0, 1.0
    while power(high, 1.0, pairs, alpha) < at_least:
        low, high = high, high * 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle, 1.0, pairs, alpha) < at_least else (low, middle)
    return high


def smallest_visible(sd: float, pairs: int, delta: float = 0.0, alpha: float = 1 - CONFIDENCE) -> float:
    """The true change, as a share, that 80 % of such sessions call changed: significant, and at least `delta` large.

    Unit: sd in log, delta and result as shares (0.05 = 5 %).
    """
    significant = visible_sds(pairs, POWER, alpha) * sd
    large = math.log1p(delta) + float(special.ndtri(POWER)) * sd / math.sqrt(pairs) if delta > 0 else 0.0
    return math.expm1(max(significant, large))


def sd_upper_factor(pairs: int) -> float:
    """What an sd measured from so many pairs is multiplied with to be its 97.5 % upper bound: 1.46 for 20.

    Raises: ValueError if pairs < 2.
    """
    if pairs < 2:
        raise ValueError("an sd needs at least two pairs")
    return math.sqrt((pairs - 1) / float(special.chdtri(pairs - 1, 0.975)))


def noise_floor(aa_sd: float, aa_pairs: int, pairs: int) -> float:
    """The change, as a share, below which this machine cannot tell a server from itself with so many pairs.

    Unit: aa_sd in log: the sd of pair log-ratios of a server against itself, measured over `aa_pairs` pairs.
    """
    return math.expm1(t_quantile(pairs - 1) * sd_upper_factor(aa_pairs) * aa_sd / math.sqrt(pairs))


def holm(p_values: Sequence[float], alpha: float = FAMILY_ALPHA) -> tuple[bool, ...]:
    """Which hypotheses are rejected with the chance of one false rejection among all at most alpha (Holm 1979).

    A NaN is a p-value that could not be computed: it counts as 1.
    """
    filled = [1.0 if math.isnan(p) else p for p in p_values]
    rejected = [False] * len(filled)
    for step, place in enumerate(sorted(range(len(filled)), key=filled.__getitem__)):
        if filled[place] > alpha / (len(filled) - step):
            break
        rejected[place] = True
    return tuple(rejected)


def benjamini_hochberg(p_values: Sequence[float], q: float = 0.10) -> tuple[bool, ...]:
    """Which hypotheses are rejected with an expected share of false ones of at most q.   NaN counts as 1."""
    filled = [1.0 if math.isnan(p) else p for p in p_values]
    order = sorted(range(len(filled)), key=filled.__getitem__)
    last = max((step for step, place in enumerate(order, 1) if filled[place] <= q * step / len(filled)), default=0)
    accepted = set(order[:last])
    return tuple(place in accepted for place in range(len(filled)))


def rule_of_three(n: int, confidence: float = CONFIDENCE) -> float:
    """Upper bound of a share of which none was seen among n: about 3 / n at 95 %.   Raises: ValueError if n < 1."""
    if n < 1:
        raise ValueError("no bound from no trials")
    return float(1 - (1 - confidence) ** (1 / n))


def binomial_bounds(k: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact two-sided interval of a share of which k were seen among n (Clopper & Pearson 1934)."""
    if not 0 <= k <= n or n < 1:
        raise ValueError(f"no share of {k} among {n}")
    tail = (1 - confidence) / 2
    low = float(special.betaincinv(k, n - k + 1, tail)) if k else 0.0
    high = float(special.betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return low, high


def binomial_upper(k: int, n: int, confidence: float = CONFIDENCE) -> float:
    """Exact one-sided upper bound of a share of which k were seen among n; with k = 0 the rule of three."""
    if not 0 <= k <= n or n < 1:
        raise ValueError(f"no share of {k} among {n}")
    return float(special.betaincinv(k + 1, n - k, confidence)) if k < n else 1.0


def slope(places: Sequence[float] | Floats, values: Sequence[float] | Floats, confidence: float = 0.95) -> Estimate:
    """Estimate of the least-squares slope of values over places.   Raises: ValueError below 4 points or no spread."""
    x, y = (np.asarray(numbers, dtype=np.float64) for numbers in (places, values))
    if len(x) != len(y) or len(x) < 4 or not (np.isfinite(x).all() and np.isfinite(y).all()) or constant(x):
        raise ValueError("a slope needs at least four finite points at different places")
    design: Any = np.column_stack([np.ones(len(x)), x])
    solution, *_ = np.linalg.lstsq(design, y, rcond=None)
    rest = y - design @ solution
    if constant(rest):
        raise ValueError("the points have no spread around their line")
    df = len(x) - 2
    error = math.sqrt(float(rest @ rest) / df / float(((x - x.mean()) ** 2).sum()))
    mean, half = float(solution[1]), t_quantile(df, confidence) * error
    return _estimate(mean, mean - half, mean + half, error, len(x), mean / error, df)
