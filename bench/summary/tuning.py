"""What a tuning found: each setting with its figure, and which of them is best. Values and arithmetic, no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.results import Outcome
from bench.validity import Reason, Verdict

CLEARLY = 0.02
"""By how much a setting has to be better than the server's own to take its place: less is chance."""

By = Literal["goodput", "p95", "p50"]
"""What decides: requests/s within the SLO, or where no setting has any, response times in seconds."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One setting: the keys that were varied, how it ended, and what it gave; a figure that is not there is None."""

    number: int
    settings: Mapping[str, Any]
    default: bool
    outcome: Outcome
    reason: str
    n: int
    goodput: float | None
    throughput: float | None
    p50: float | None
    p95: float | None
    verdict: Verdict | None
    reasons: tuple[Reason, ...]
    trial_id: str
    chosen: bool = False

    @property
    def sound(self) -> bool:
        """Whether it may be chosen."""
        return self.outcome is Outcome.OK and self.verdict is not Verdict.INVALID


@dataclass(frozen=True, slots=True)
class Tuning:
    """The tuning of one server; each setting had `seconds` of load from `users` in closed loop.

    `tuned` is the name of the variant with the setting that was chosen, and `by` the figure that it was chosen by.
    """

    server: str
    tuned: str
    run_id: str
    seconds: float
    users: int
    by: By
    tried: tuple[Tried, ...]

    @property
    def chosen(self) -> Tried | None:
        """The setting that was chosen; None where none could be, or the run ended before."""
        return next((each for each in self.tried if each.chosen), None)

    @property
    def default(self) -> Tried | None:
        """The server's own setting."""
        return next((each for each in self.tried if each.default), None)


def deciding(tried: Sequence[Tried], *, slo: bool) -> By:
    """Goodput where there is an SLO and some setting has any, else the highest percentile that all of them have."""
    sound = [each for each in tried if each.sound]
    if slo and any(each.goodput for each in sound):
        return "goodput"
    return "p95" if sound and all(each.p95 is not None for each in sound) else "p50"


def best(tried: Sequence[Tried], by: By) -> Tried | None:
    """The setting with the best figure; the server's own unless another is clearly better; None if none is sound."""
    sound = [each for each in tried if each.sound and figure(each, by) is not None]
    if not sound:
        return None
    found = max(sound, key=lambda each: (_goodness(each, by), each.default, -each.number))
    own = next((each for each in sound if each.default), None)
    if own is not None and _goodness(found, by) <= _goodness(own, by) * (1 + CLEARLY):
        return own
    return found


def figure(tried: Tried, by: By) -> float | None:
    """The figure that decides."""
    value: float | None = getattr(tried, by)
    return value


def _goodness(tried: Tried, by: By) -> float:
    """More is better: requests/s, or how often a response time fits into a second."""
    value = figure(tried, by) or 0.0
    return value if by == "goodput" else 1 / value if value else 0.0
