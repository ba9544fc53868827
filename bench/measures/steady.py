"""When latency became steady: the moment up to which requests were slower than later ones, and whether that is over.

A change point by ranks, found again in what follows until nothing slower is left at the beginning. Plain Python
without numpy, so that the load generator can ask while it drives; knows nothing of rows, servers or files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, islice

FEWEST = 20
"""With fewer values than this nothing is said: twenty of each kind of latency show a quarter's difference."""
SURE = 4.0
"""How many standard deviations the ranks must be apart. Looking at every place of 200 finds 4 by chance once in
about a thousand steady series, where 3 would be found in one of twenty."""
RISE = 1.1
"""Slower by less than a tenth is no warm-up: machines differ by that much from one minute to the next."""
LEAD_RATIO = 3.0
"""The very first few requests, three times slower than the middle and slower than nearly all, are warm-up, too:
they are too few for ranks."""
MOST = 0.7
"""A change later than in the last third of what was seen may be a change, but not the end of a warm-up."""
PAIRS = 300
"""Enough to place a change to within a per cent of the time, and ranked in a quarter of a millisecond."""


def settled(values: Sequence[float]) -> int:
    """How many values at the beginning belong to the warm-up: the place from which on latency is steady.

    Shape: values (n,), in the order of time; n < 20 is never cut.
    Source: rank-sum change point (Pettitt, 1979), one-sided and iterated; MSER-5, which minimises a variance, cuts
    steady but skewed latencies at random.
    """
    start = _lead(values)
    while (found := change(values[start:])) is not None:
        start += found
    return start


def change(values: Sequence[float], *, slower_first: bool = True, sure: float = SURE) -> int | None:
    """The place that splits the values best into an earlier part that is slower and a later one; None if none does.

    With `slower_first=False` the later part may be the slower one as well, and the place anywhere.
    """
    n = len(values)
    if n < FEWEST:
        return None
    middle = (n + 1) / 2
    best, at = sure, None
    last = int(MOST * n) if slower_first else n - 1
    for place, rank_sum in enumerate(islice(accumulate(_ranks(values)), last), start=1):
        spread = math.sqrt(place * (n - place) * (n + 1) / 12)
        apart = (rank_sum - place * middle) / (spread or math.inf)
        apart = apart if slower_first else abs(apart)
        if apart > best:
            best, at = apart, place
    if at is None:
        return None
    before, after = _median(values[:at]), _median(values[at:])
    slow, fast = (before, after) if slower_first else (max(before, after), min(before, after))
    return at if slow >= RISE * fast else None


def ranks_apart(slow: Sequence[float], fast: Sequence[float]) -> float:
    """How many standard deviations the first values rank above the second ones; 0 where there are none."""
    n, m = len(slow), len(fast)
    rank_sum = sum(_ranks([*slow, *fast])[:n])
    spread = math.sqrt(n * m * (n + m + 1) / 12)
    return (rank_sum - n * (n + m + 1) / 2) / spread if spread else 0.0


def still_warming(recent: Sequence[tuple[float, float]]) -> bool:
    """Whether the warm-up has to go on: latency was not steady over the last third of it.

    Shape: recent holds (seconds since the trial began, response time in seconds) over the whole warm-up so far, a
    few hundred at most, in any order: what `Trace.pairs` gives. Fewer than 20 are no proof, so it goes on.
    """
    if len(recent) < FEWEST:
        return True
    pairs = sorted(recent)
    values = [seconds for _, seconds in pairs]
    # A change of the last moments is too young for `settled`, and no proof of anything, either.
    cut = max(settled(values), change(values, slower_first=False) or 0)
    left = len(pairs) - cut
    if left < FEWEST:
        return True
    began, ended = pairs[0][0], pairs[-1][0]
    return pairs[cut][0] > ended - (ended - began) / 3


class Trace:
    """Some of the requests of a warm-up, evenly spread over all there were: at most `PAIRS`, whatever the rate."""

    __slots__ = ("_pairs", "_seen", "_stride")

    def __init__(self) -> None:
        self._pairs: list[tuple[float, float]] = []
        self._stride = 1
        self._seen = 0

    def add(self, at: float, response_time: float) -> None:
        """Take note of one good reply: when it came, in seconds since the trial began, and how long it took."""
        if self._seen % self._stride == 0:
            if len(self._pairs) == PAIRS:
                del self._pairs[1::2]
                self._stride *= 2
            if self._seen % self._stride == 0:
                self._pairs.append((at, response_time))
        self._seen += 1

    @property
    def pairs(self) -> Sequence[tuple[float, float]]:
        """What was kept, in the order of adding."""
        return self._pairs


def _lead(values: Sequence[float]) -> int:
    """How many of the first values are far slower than nearly all later ones; a single one may be chance."""
    if len(values) < FEWEST:
        return 0
    ordered = sorted(values)
    limit = max(LEAD_RATIO * _median(values), ordered[math.ceil(0.95 * len(ordered)) - 1])
    lead = next((place for place, value in enumerate(values) if value <= limit), 0)
    return lead if lead >= 2 else 0


def _ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, from 1; equal ones share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    first = 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and values[order[last + 1]] == values[order[first]]:
            last += 1
        for place in range(first, last + 1):
            ranks[order[place]] = (first + last) / 2 + 1
        first = last + 1
    return ranks


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
