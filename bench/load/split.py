"""How one trial is shared among load workers, before it begins: numbers only, no process and no clock."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.load.calibration import TARGET_SHARE, peak_rate
from bench.profiles import Closed, Profile

Floats = NDArray[np.float64]

ASSUMED_CEILING = 20_000.0
"""Requests/s that one load worker can make where nothing was calibrated; on one slow core we saw twice as many."""
_MOST_IN_FLIGHT = 4096


def workers_needed(peak_rate: float, ceiling: float, cores: int) -> int:
    """Load workers for this many requests/s, if each can make `ceiling`: at least 1, and one core is left free."""
    return min(workers_wanted(peak_rate, ceiling), max(1, cores - 1))


def workers_wanted(peak_rate: float, ceiling: float) -> int:
    """Load workers for this many requests/s, however few cores there are."""
    return max(1, math.ceil(peak_rate / (TARGET_SHARE * ceiling)))


def shares(total: int, parts: int) -> list[int]:
    """`total` users on at most `parts` workers as evenly as it goes; no worker without a user."""
    used = max(1, min(total, parts))
    return [total // used + (index < total % used) for index in range(used)]


def arrivals_of(schedule: Floats, index: int, parts: int) -> Floats:
    """The arrivals of one of `parts` workers: every `parts`-th, ascending like the whole."""
    return schedule[index::parts]


def without(schedule: Floats, start: float, end: float) -> Floats:
    """The schedule when what lay between two of its instants was passed over: the later arrivals come earlier."""
    return np.concatenate([schedule[schedule < start], schedule[schedule >= end] - (end - start)])


def users_for(schedule: Floats, timeout: float) -> int:
    """Users that a schedule needs: as many as can be in flight, what arrives within one time-out, and some more."""
    due = np.searchsorted(schedule, schedule + timeout, side="right") - np.arange(len(schedule))
    return min(_MOST_IN_FLIGHT, max(16, math.ceil(1.25 * int(due.max(initial=0)))))  # ending a request takes a moment


def most_in_flight(point: Profile, timeout: float) -> int:
    """Requests that a load point can have under way at once: its users, or what arrives within one time-out."""
    if isinstance(point, Closed):
        return point.users if isinstance(point.users, int) else max(point.users)
    return min(_MOST_IN_FLIGHT, math.ceil((peak_rate(point) or 0.0) * timeout))


def worker_of(numbers: Sequence[int] | NDArray[np.int64], parts: int) -> NDArray[np.int64]:
    """Which worker was given each of these arrivals, by its number in the whole schedule."""
    return np.asarray(numbers, dtype=np.int64) % parts
