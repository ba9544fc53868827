"""Where a line of sessions seems to step: proposals with a range of commits, never a verdict.

A split of the line into levels is searched that pays for each further level (PELT, by the package ruptures). What it
proposes has to last five sessions, be as large as what matters, and stand 2.5 sds out of the scatter. The session after
which the level changed is only known roughly, so a range is named; a paired session of its two ends decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import special

from bench.compare.statistics import Floats, constant, welch

MIN_SEGMENT = 5
IGNORE_NEWEST = 2
"""The newest points have too few after them to be told from an outlier."""
MIN_SDS = 2.5
MOST_AUTOCORRELATION = 0.3
"""Above it a p-value would be far too small, and none is given."""
_MAD = 0.6745


@dataclass(frozen=True, slots=True)
class Step:
    """A level that seems to change between two points of a line, places counted from 0.

    `at` is the first point of the new level; the change lies after `last_good` and no later than `first_bad`. `change`
    is in the unit of the values, `sds` the same in sds of the scatter. `p` is None where neighbouring sessions are too
    much alike for one; else it is that of a two-sample test at the split that was chosen for its size: optimistic.
    """

    at: int
    last_good: int
    first_bad: int
    change: float
    sds: float
    p: float | None


@dataclass(frozen=True, slots=True)
class Search:
    """What was found in one line, its lag-1 autocorrelation around its levels, and why nothing was looked for."""

    steps: tuple[Step, ...]
    autocorrelation: float | None
    why_not: str = ""


def find_steps(values: Sequence[float] | Floats, least: float) -> Search:
    """Steps of at least `least` in the values, oldest first.   Unit: that of values, a log for ratios."""
    every = np.asarray(values, dtype=np.float64)
    known = every[: len(every) - IGNORE_NEWEST]
    needed = 2 * MIN_SEGMENT + IGNORE_NEWEST
    if len(every) < needed:
        return Search((), None, f"needs {needed} sessions, has {len(every)}")
    if not np.isfinite(known).all() or constant(known):
        return Search((), None, "the values do not vary")
    variance = _robust_variance(known)
    splits = _splits(known, variance)
    memory = _autocorrelation(_residuals(known, splits))
    if memory > 0:  # sessions that resemble their neighbours drift: levels of them are worth less
        splits = _splits(known, variance / max(1 - memory, 0.2) * (1 + memory) / (1 - min(memory, 0.8)))
    splits = _worth_it(known, splits, least)
    memory = _autocorrelation(_residuals(known, splits))
    steps = tuple(_step(known, splits, place, memory) for place in range(len(splits)))
    return Search(steps, memory)


def _splits(values: Floats, variance: float) -> list[int]:
    """Places where a new level begins, each worth its price: 4 ln n times the variance of a point."""
    import ruptures

    price = 4 * math.log(len(values)) * variance
    ends = ruptures.Pelt(model="l2", min_size=MIN_SEGMENT, jump=1).fit(values.reshape(-1, 1)).predict(pen=price)
    return [int(end) for end in ends[:-1]]


def _robust_variance(values: Floats) -> float:
    """Variance of a point around its level, from neighbours, which steps hardly touch.

    Never zero, as values that were rounded, or made, can have a median difference of zero.
    """
    between = np.abs(np.diff(values))
    robust = float(np.median(between)) / _MAD / math.sqrt(2)
    return max(robust, float(between.mean()) / 4, 1e-9) ** 2


def _worth_it(values: Floats, splits: list[int], least: float) -> list[int]:
    """The splits without those that are too small, the smallest one taken out first and its levels joined."""
    kept = list(splits)
    while kept:
        sizes = [_size(values, kept, place) for place in range(len(kept))]
        place = min(
            range(len(kept)), key=lambda each: min(sizes[each][0] / max(least, 1e-12), sizes[each][1] / MIN_SDS)
        )
        change, sds = sizes[place]
        if change >= least and sds >= MIN_SDS:
            break
        del kept[place]
    return kept


def _size(values: Floats, splits: Sequence[int], place: int) -> tuple[float, float]:
    """How large a step is, in the values' unit and in sds of the two levels' scatter."""
    before, after = _around(values, splits, place)
    change = abs(float(after.mean() - before.mean()))
    scatter = math.sqrt(float(np.concatenate([before - before.mean(), after - after.mean()]).var(ddof=2)))
    return change, change / scatter if scatter > 0 else math.inf


def _around(values: Floats, splits: Sequence[int], place: int) -> tuple[Floats, Floats]:
    """The level before a split and the one after it."""
    edges = (0, *splits, len(values))
    return values[edges[place] : edges[place + 1]], values[edges[place + 1] : edges[place + 2]]


def _residuals(values: Floats, splits: Sequence[int]) -> Floats:
    edges = (0, *splits, len(values))
    levels = [values[begin:end] for begin, end in pairwise(edges)]
    return np.concatenate([level - level.mean() for level in levels])


def _autocorrelation(residuals: Floats) -> float:
    """Lag-1 autocorrelation, its bias of about -(1 + 4 r) / n put right."""
    power = float(residuals @ residuals)
    if power <= 0:
        return 0.0
    n = len(residuals)
    raw = float(residuals[:-1] @ residuals[1:]) / power
    return float(np.clip(raw + (1 + 4 * raw) / n, -0.99, 0.99))


def _step(values: Floats, splits: Sequence[int], place: int, memory: float) -> Step:
    before, after = _around(values, splits, place)
    _, sds = _size(values, splits, place)
    begin, at = splits[place] - len(before), splits[place]
    first, last = _range(np.concatenate([before, after]), at - begin)
    p = None
    if memory <= MOST_AUTOCORRELATION and not (constant(before) and constant(after)):
        p = welch(before, after).p
    return Step(at, begin + first - 1, begin + last, float(after.mean() - before.mean()), sds, p)


def _range(both: Floats, at: int) -> tuple[int, int]:
    """First and last place at which the second level may begin, with about 95 % confidence.

    Places that explain the points nearly as well as the best one: by no more than a chi-squared quantile.
    """
    tops = {place: _rest(both, place) for place in range(1, len(both))}
    spread = tops[at] / max(1, len(both) - 2)
    allowed = tops[at] + float(special.chdtri(1, 0.05)) * spread
    likely = [place for place, rest in tops.items() if rest <= allowed]
    return min(*likely, at), max(*likely, at)


def _rest(both: Floats, place: int) -> float:
    """Squares left when the second level begins at a place."""
    return float(sum(((level - level.mean()) ** 2).sum() for level in (both[:place], both[place:])))
