"""`fail_if: ["tfserving.p95 > 500ms"]`: whether such a condition holds on the rows of a run.

What cannot be evaluated because nothing was measured counts as failed: a gate that passes by not measuring is
no gate. How a condition is written is `condition.py`'s business; this module knows nothing of files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bench.measures.capacity import capacity_text
from bench.profiles import Capacity
from bench.results import Outcome
from bench.scenario.condition import FailIf, limit_text, parse_fail_if
from bench.validity import Verdict

if TYPE_CHECKING:  # summary.py calls this module
    from bench.summary import Row

__all__ = ["FailIf", "failed_checks", "parse_fail_if"]


def failed_checks(expressions: Iterable[str], rows: Sequence[Row]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The expressions that held or could not be evaluated, each with its reason; and warnings about gaps in others."""
    failed: list[str] = []
    warnings: list[str] = []
    for text in expressions:
        try:
            expression = parse_fail_if(text)
        except ValueError as problem:
            failed.append(f"{text}: cannot be evaluated, {problem}")
            continue
        held, gaps = _evaluate(expression, rows)
        if held:
            failed.append(f"{expression.text}: {held}")
        elif gaps:
            warnings.append(f"fail_if {expression.text}: not evaluated at {', '.join(gaps)}, where it has no figure")
    return tuple(failed), tuple(warnings)


def _evaluate(expression: FailIf, rows: Sequence[Row]) -> tuple[str, list[str]]:
    """Why the expression counts as failed, or nothing; and the load points where it could not be evaluated."""
    own = [row for row in rows if row.server == expression.server and expression.label in ("", row.label)]
    if expression.metric == Capacity.name:  # only a search has it, so no other load point lacks it
        own = [row for row in own if row.profile == Capacity.name] or own
    if not own:
        what = f"no load point {expression.label} of {expression.server}" if expression.label else "no such server"
        return f"cannot be evaluated, {what} in this run", []
    figures = {row.label: _figure(row, expression.metric) for row in own}
    known = {label: value for label, value in figures.items() if value is not None}
    if not known:
        why = next((row.reason for row in own if row.reason), "") or _why_not(own, expression.metric)
        return f"cannot be evaluated, nothing was measured: {why}", []
    worst = max if expression.compare.startswith(">") else min
    label = worst(known, key=lambda point: known[point])
    gaps = [row.label for row in own if row.label not in known and row.outcome is Outcome.OK]
    if expression.holds(known[label]):
        return f"{limit_text(expression.metric, known[label])} at {label}", gaps
    return "", gaps


def _figure(row: Row, metric: str) -> float | None:
    """The figure of one row; None where there is none or the row is INVALID, whose figures are worth nothing."""
    if row.outcome is not Outcome.OK or row.verdict is Verdict.INVALID:
        return None
    first = metric.partition(".")[0]
    value: object = row if hasattr(row, first) else row.resources
    for name in metric.split("."):
        value = getattr(value, name, None)
    value = getattr(value, "value", value)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _why_not(rows: Sequence[Row], metric: str) -> str:
    invalid = next((row for row in rows if row.verdict is Verdict.INVALID), None)
    if invalid is not None:
        return f"{invalid.label} is INVALID, {invalid.reasons[0].what}"
    known = next((row.capacity for row in rows if row.capacity is not None), None)
    if metric == Capacity.name and known is not None:
        return f"the capacity is {capacity_text(known)}"
    absent = next(
        (row.resources.missing[metric] for row in rows if row.resources and metric in row.resources.missing), ""
    )
    if absent:
        return f"{metric} has no figure: {absent}"
    time, _, percentile = metric.partition(".")
    needs = [getattr(getattr(row, time), "needs", {}).get(percentile) for row in rows]
    need = next((need for need in needs if need), None)
    return f"{percentile} needs {need:,} requests" if need else f"{metric} has no figure"
