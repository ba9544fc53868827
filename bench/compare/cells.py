"""A cell: what one metric says about a candidate against its baseline. Values only; nothing is computed here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Better = Literal["higher", "lower"]
Test = Literal["log-ratio", "errors", "exact"]
ChangeIs = Literal["ratio", "difference"]


class CellVerdict(StrEnum):
    """What can be said of a metric. A statistic that is missing is never "no change"."""

    IMPROVED = "improved"
    REGRESSED = "regressed"
    NO_CHANGE = "no change"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not comparable"

    @property
    def changed(self) -> bool:
        """Improved or regressed."""
        return self in (CellVerdict.IMPROVED, CellVerdict.REGRESSED)


@dataclass(frozen=True, slots=True)
class ComparedMetric:
    """A metric that two servers are compared in: `delta` is the least change that matters, as a share.

    For errors `delta` is unused: they have a ratio and a difference of their own (`judge_errors`).
    """

    name: str
    title: str
    unit: Literal["s", "1/s", "share", "$", "B"]
    better: Better
    delta: float
    test: Test = "log-ratio"


COMPARED: dict[str, ComparedMetric] = {
    metric.name: metric
    for metric in (
        ComparedMetric("error_rate", "Error rate", "share", "lower", 0.0, "errors"),
        ComparedMetric("p50", "Response time, p50", "s", "lower", 0.05),
        ComparedMetric("p95", "Response time, p95", "s", "lower", 0.05),
        ComparedMetric("p99", "Response time, p99", "s", "lower", 0.10),
        ComparedMetric("throughput", "Throughput", "1/s", "higher", 0.05),
        ComparedMetric("goodput", "Goodput", "1/s", "higher", 0.05),
        ComparedMetric("capacity", "Highest arrival rate within the SLO", "1/s", "higher", 0.05),
        ComparedMetric("cost", "Cost per million requests", "$", "lower", 0.05),
        ComparedMetric("memory", "Memory, peak", "B", "lower", 0.05),
        ComparedMetric("startup", "Start-up", "s", "lower", 0.05),
        ComparedMetric("model_bytes", "Model on disk", "B", "lower", 0.05, "exact"),
    )
}
"""Every metric of a comparison by its name; errors come first because they are judged first."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One metric of a comparison.

    `baseline` and `candidate` are geometric means over trials (errors: shares of all requests), `change` is
    candidate / baseline - 1, or for errors the difference of the shares; `low` and `high` its interval. What could
    not be computed is None. `effective_delta` is `delta` raised to the noise floor where that is higher;
    `smallest_visible` is the change that would have been seen in 80 of 100 such sessions.
    """

    metric: str
    unit: str
    better: Better
    verdict: CellVerdict
    pairs: int
    baseline: float | None = None
    candidate: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    delta: float = 0.0
    effective_delta: float = 0.0
    noise_floor: float | None = None
    smallest_visible: float | None = None
    pairs_needed: int | None = None
    sd: float | None = None
    p_worse: float | None = None
    p: float | None = None
    hodges_lehmann: float | None = None
    change_is: ChangeIs = "ratio"
    test: str = ""
    can_gate: bool = True
    notes: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """All notes in one line."""
        return "; ".join(self.notes)

    @property
    def worse(self) -> float | None:
        """The change with the bad direction positive."""
        if self.change is None:
            return None
        return self.change if self.better == "lower" else -self.change


def not_comparable(metric: ComparedMetric, pairs: int, why: str, *, delta: float | None = None) -> Cell:
    """A cell about which nothing can be said, and why."""
    least = metric.delta if delta is None else delta
    return Cell(
        metric=metric.name,
        unit=metric.unit,
        better=metric.better,
        verdict=CellVerdict.NOT_COMPARABLE,
        pairs=pairs,
        delta=least,
        effective_delta=least,
        test=metric.test,
        can_gate=False,
        notes=(why,),
    )
