"""What a paired session says about itself: the null control, the first against the second place, the drift.

None of it is a verdict on a server; it says whether verdicts may be believed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.compare import statistics as st
from bench.compare.cells import Cell, CellVerdict


@dataclass(frozen=True, slots=True)
class Effect:
    """A relative change with its 95 % interval, as shares; `differs` if the interval excludes zero."""

    change: float
    low: float
    high: float

    @property
    def differs(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def null_control_failed(cells: Sequence[Cell]) -> tuple[str, ...]:
    """The metrics in which a server differed from itself: one of them voids the session.

    Shape: cells of the baseline in both places. One that could not be compared has found nothing.
    """
    return tuple(cell.metric for cell in cells if cell.verdict in (CellVerdict.IMPROVED, CellVerdict.REGRESSED))


def position_effect(first: Sequence[float], second: Sequence[float]) -> Effect | None:
    """How much more the second trial of a pair shows than the first, whichever server it was; None if unknown.

    Shape: (n,), (n,), values above zero.   With as many pairs in either order a change of the server cancels.
    """
    if len(first) != len(second) or not all(0 < value < math.inf for value in (*first, *second)):
        return None
    return _effect(np.log(second) - np.log(first))


def session_slope(
    values: Sequence[float], candidate: Sequence[bool], places: Sequence[float] | None = None
) -> Effect | None:
    """Relative change from the session's first trial to its last, the servers' difference taken out; None if unknown.

    Shape: (n,) each, trials in the order in which they ran; `places` are their times if not evenly spaced.
    """
    if len(values) != len(candidate) or not all(0 < value < math.inf for value in values):
        return None
    where = np.array(range(len(values)) if places is None else places, dtype=np.float64)
    span = float(np.ptp(where)) if len(where) else 0.0
    logs, side = np.log(np.asarray(values, dtype=np.float64)), np.asarray(candidate, dtype=bool)
    for mask in (side, ~side):
        if mask.any():
            logs[mask] -= logs[mask].mean()
            where[mask] -= where[mask].mean()  # partial regression: the sides' mean places may differ
    try:
        line = st.slope(where, logs)
    except ValueError:
        return None
    return Effect(*(math.expm1(span * number) for number in (line.mean, line.low, line.high)))


def one_sided_flags(cells: Sequence[Cell], least: int = 20) -> bool:
    """Whether, over at least `least` cells of a server against itself, over 80 % of the flags point one way.

    Fewer than 5 flags say nothing. A method that errs to one side only is broken, however seldom it errs.
    """
    flags = [cell.verdict for cell in cells if cell.verdict in (CellVerdict.IMPROVED, CellVerdict.REGRESSED)]
    if len(cells) < least or len(flags) < 5:
        return False
    worse = sum(flag is CellVerdict.REGRESSED for flag in flags)
    return max(worse, len(flags) - worse) > 0.8 * len(flags)


def _effect(differences: st.Floats) -> Effect | None:
    try:
        estimate = st.paired_t(differences)
    except ValueError:
        return None
    return Effect(*(math.expm1(number) for number in (estimate.mean, estimate.low, estimate.high)))
