"""The search for a capacity: looks at arrival rates in, the next rate to look at out; and what the looks say together.

A look near the edge is a coin that the arrivals toss, so no single one is believed: the edge is estimated from all
of them by Bayes' rule on a grid. Pure arithmetic; knows nothing of servers, rows or clocks.

The model: near the edge log(percentile / limit) rises by `slope` per unit of log(rate), is 0 at the edge, and one look
scatters around it by `noise`. A look whose percentile lies within a factor of NEAR of the limit counts with that
figure, any other only by the side that it is on. Slopes and noises are not known and averaged over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from bench.measures.stats import Interval
from bench.units import rate_text

Floats = NDArray[np.float64]

START_SHARE = 0.7
"""Of the closed-loop throughput: where a search begins. An SLO of a few service times holds up to 60 to 90 % of it."""
FIRST_STEP, NEXT_STEP = math.sqrt(2), 2.0
"""A good guess is left by half an octave, a bad one by octaves."""
LAPSE = 0.02
"""How often a look says the opposite of what its rate alone would make it say: something else disturbed it."""
NEAR = 2.0
"""Farther from its limit than this factor a percentile does not rise in proportion any more."""
SLOPES = {0.25: 0.02, 0.5: 0.1, 1.0: 0.5, 2.0: 1.0, 4.0: 1.0, 8.0: 1.0, 16.0: 1.0, 32.0: 1.0}
"""Slope -> how likely before the looks. 2 is a queue at two thirds of its capacity, 32 one that falls over all at once;
below 1 lies only a server whose own time is near the limit."""
NOISES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
"""Standard deviations of a look's log(percentile / limit); a longer look has a smaller one."""
AGREEING = 2
"""Looks that must agree at the end of the range before the edge is said to lie outside."""
UNTOLD_MOST = 3
"""So many looks that could not be judged end a search."""
APART = 0.5
"""Looks alternate so many precisions below and above where the edge is thought: one spot would not tell the slope."""
_POINTS = 1201
_REACH = 4.0
"""How far beyond the looks, as a factor, the edge is thought possible."""
_CONFIDENCE = 0.95
_LOGIT = 1.702
"""The logistic curve of this scale is the normal distribution's to 0.01."""
_DIGITS = 3


class Result(StrEnum):
    """What one look says of its rate."""

    MET = "met"
    MISSED = "missed"
    UNTOLD = "untold"


@dataclass(frozen=True, slots=True)
class Look:
    """One look: a rate in requests/s and what came of it; `reason` says why where it was not met.

    `ratio` is the percentile over its limit where that decided, None where something else did.
    """

    rate: float
    result: Result
    reason: str = ""
    ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """What a search may do: begin at `start`, stay within [`low`, `high`] (1/s), look `most_looks` times at most.

    It ends when the interval reaches no further than `precision`, a share of the value, to either side.
    """

    start: float
    low: float
    high: float
    precision: float
    most_looks: int


def next_rate(search: Search, looks: Sequence[Look]) -> float | None:
    """The rate of the next look in requests/s, None when the search is over.

    First up or down from the start until the edge is enclosed, then where the edge is as likely above as below.
    """
    high = _reachable(search, looks)
    if len(looks) >= search.most_looks or high < search.low:
        return None
    if sum(look.result is Result.UNTOLD for look in looks) >= UNTOLD_MOST:
        return None
    met, missed = rates_of(looks, Result.MET), rates_of(looks, Result.MISSED)
    if not met and not missed:
        wanted = search.start
    elif not missed:
        if met.count(max(met)) >= AGREEING and max(met) >= high:
            return None
        wanted = max(met) * (FIRST_STEP if len(met) == 1 else NEXT_STEP)
    elif not met:
        if missed.count(min(missed)) >= AGREEING and min(missed) <= search.low:
            return None
        wanted = min(missed) / (FIRST_STEP if len(missed) == 1 else NEXT_STEP)
    else:
        found = capacity_of(looks)
        if _tight(found, search.precision):
            return None
        assert found.value is not None
        wanted = found.value * (1 + APART * search.precision * (1 if len(looks) % 2 else -1))
    return min(max(_rounded(wanted), search.low), high)


def capacity_of(looks: Sequence[Look]) -> Interval:
    """The capacity in requests/s with its 95 % interval, from looks in any order.

    The value is the median of where the edge may lie, given all looks. The interval holds 95 % of that and, always,
    every rate between the highest one met and the lowest one missed. An edge outside of what was looked at has no
    end there: `value` is the highest rate met where none was missed, and None where none was met.
    """
    met, missed = rates_of(looks, Result.MET), rates_of(looks, Result.MISSED)
    if not met and not missed:
        return Interval(None, basis=_untold_text(looks))
    if not missed:
        return Interval(max(met), low=max(met), basis=f"above {rate_text(max(met))}: {_counted(looks)}")
    if not met:
        return Interval(None, high=min(missed), basis=f"below {rate_text(min(missed))}: {_counted(looks)}")
    low, value, high = _edge(looks)
    bracket = max(met), min(missed)
    low, high = min(low, *bracket), max(high, *bracket)
    return Interval(value, low, high, f"{_counted(looks)}: 95 % of the posterior of the edge and the bracket")


def look_text(look: Look) -> str:
    """`missed at 71.3/s, p95 of 63.7 ms`."""
    return f"{look.result.value} at {rate_text(look.rate)}" + (f", {look.reason}" if look.reason else "")


def capacity_text(capacity: Interval | None, ends: str = "()") -> str:
    """`70.4/s (66.6/s to 78.0/s)`, `above 500/s`, `below 1.91/s`, or `-` where nothing is known.

    With `ends` of ", " the interval follows behind a comma.
    """
    if capacity is None or (capacity.low is None and capacity.high is None):
        return "-"
    if capacity.high is None:
        return f"above {rate_text(capacity.low)}"
    if capacity.low is None:
        return f"below {rate_text(capacity.high)}"
    within = f"{rate_text(capacity.low)} to {rate_text(capacity.high)}"
    return f"{rate_text(capacity.value)}" + (f" ({within})" if ends == "()" else f"{ends}{within}")


def rates_of(looks: Sequence[Look], result: Result) -> list[float]:
    """Rates of the looks with that result, in their order."""
    return [look.rate for look in looks if look.result is result]


def _reachable(search: Search, looks: Sequence[Look]) -> float:
    """The highest rate worth a look: below the ones that could not be judged."""
    return min([search.high, *(rate / FIRST_STEP for rate in rates_of(looks, Result.UNTOLD))])


def _edge(looks: Sequence[Look]) -> tuple[float, float, float]:
    """2.5 %, median and 97.5 % of the edge; before the looks any place is as likely."""
    told = [look for look in looks if look.result is not Result.UNTOLD]
    rates = np.log([look.rate for look in told])
    edges = np.linspace(rates.min() - math.log(_REACH), rates.max() + math.log(_REACH), _POINTS)
    distance = rates[:, None] - edges
    weight = np.zeros(_POINTS)
    for slope, before in SLOPES.items():
        for noise in NOISES:
            chances = [_chance(look, slope * away / noise, noise) for look, away in zip(told, distance, strict=True)]
            weight += before * np.prod(chances, axis=0)
    cumulative = np.cumsum(weight) / weight.sum()
    tail = (1 - _CONFIDENCE) / 2
    low, middle, high = np.exp(np.interp((tail, 0.5, 1 - tail), cumulative, edges)).tolist()
    return low, middle, high


def _chance(look: Look, expected: Floats, noise: float) -> Floats:
    """How likely this look is where its log(percentile / limit), in units of the noise, is expected to be so much."""
    if look.ratio is not None and 1 / NEAR <= look.ratio <= NEAR:
        beside = np.exp(-0.5 * np.square(math.log(look.ratio) / noise - expected)) / (noise * math.sqrt(2 * math.pi))
        return np.asarray((1 - LAPSE) * beside + LAPSE / (2 * math.log(NEAR)))
    missed = 1 / (1 + np.exp(np.clip(-_LOGIT * expected, -50, 50)))
    return np.asarray(LAPSE + (1 - 2 * LAPSE) * (missed if look.result is Result.MISSED else 1 - missed))


def _tight(found: Interval, precision: float) -> bool:
    if found.value is None or found.low is None or found.high is None:
        return False
    slack = precision * found.value
    return found.value - found.low <= slack and found.high - found.value <= slack


def _rounded(rate: float) -> float:
    """Three digits: a rate that a person can read and ask for again."""
    return float(f"{rate:.{_DIGITS}g}")


def _counted(looks: Sequence[Look]) -> str:
    met, missed = rates_of(looks, Result.MET), rates_of(looks, Result.MISSED)
    untold = len(looks) - len(met) - len(missed)
    said = f"{len(looks)} look{'s' if len(looks) > 1 else ''}"
    said += f", met up to {rate_text(max(met))}" if met else ", none met"
    said += f", missed from {rate_text(min(missed))}" if missed else ", none missed"
    return said + (f", {untold} not to be told" if untold else "")


def _untold_text(looks: Sequence[Look]) -> str:
    reason = next((look.reason for look in looks if look.reason), "")
    return "no look could be judged" + (f": {reason}" if reason else "")
