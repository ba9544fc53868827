"""`fail_if: ["tfserving.p95 > 500ms"]`: reading such an expression, and whether it holds on the rows of a run.

What cannot be evaluated because nothing was measured counts as failed: a gate that passes by not measuring is
no gate. This module knows nothing of files.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import metrics, units
from bench.names import did_you_mean
from bench.results import Outcome
from bench.validity import Verdict

if TYPE_CHECKING:  # summary.py calls this module
    from bench.summary import Row

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_SHAPE = re.compile(r"\s*(?P<figure>[^<>]+?)\s*(?P<compare><=|>=|<|>)\s*(?P<limit>[^<>=]+?)\s*")
_POINT = re.compile(r"(?P<server>.+?)(?:\[(?P<label>[^\[\]]+)\])?")
_EXAMPLE = "write for example tfserving.p95 > 500ms or 'my server'[poisson-2].error_rate > 1%"
_SHORT = {name: f"response_time.{name}" for name in ("mean", "max", *metrics.PERCENTILES)} | {
    "startup": "startup_seconds"
}
_OF_ROWS = {
    "capacity": "1/s",
    "cost_per_million": "$",
    "cpu_seconds_per_request": "s",
    "startup_seconds": "s",
    "rss_peak_bytes": "bytes",
}
"""Figures of a row that are no metric of samples, and their unit."""


@dataclass(frozen=True, slots=True)
class FailIf:
    """One expression as read: `label` is empty for the worst over all load points; `metric` is a full name."""

    text: str
    server: str
    label: str
    metric: str
    compare: str
    limit: float


def parse_fail_if(text: str) -> FailIf:
    """The expression in a text such as `tfserving.p95 > 500ms`.

    Shape: `SERVER.METRIC OP VALUE` or `SERVER[LOAD POINT].METRIC OP VALUE`, OP one of < <= > >=; a server's name
    with spaces is quoted. `p95` is short for `response_time.p95`.
    Raises: ValueError that says what is wrong.
    """
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise ValueError(f"not an expression: {text!r}; {_EXAMPLE}")
    where, metric = _split(match["figure"], text)
    point = _POINT.fullmatch(where)
    if point is None:
        raise ValueError(f"not an expression: {text!r}; {_EXAMPLE}")
    server, full = point["server"], _SHORT.get(metric, metric)
    if len(server) > 2 and server[0] == server[-1] and server[0] in "'\"":
        server = server[1:-1]
    return FailIf(
        text=text.strip(),
        server=server,
        label=(point["label"] or "").strip(),
        metric=full,
        compare=match["compare"],
        limit=_limit(full, match["limit"]),
    )


def _split(figure: str, text: str) -> tuple[str, str]:
    """Server (with its load point) and metric of `SERVER.METRIC`; both may hold dots, so the metric's name decides."""
    known = (*_SHORT, *metrics.METRICS, *_OF_ROWS)
    for metric in sorted(known, key=len, reverse=True):
        if figure.endswith(f".{metric}"):
            return figure[: -len(metric) - 1], metric
    where, dot, metric = figure.rpartition(".")
    if not dot or not where:
        raise ValueError(f"not an expression: {text!r}; {_EXAMPLE}")
    raise ValueError(f"unknown metric {metric!r} in {text!r}; {did_you_mean(metric, known, 'metrics')}")


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
    if _COMPARE[expression.compare](known[label], expression.limit):
        return f"{_text(expression.metric, known[label])} at {label}", gaps
    return "", gaps


def _figure(row: Row, metric: str) -> float | None:
    """The figure of one row; None where there is none or the row is INVALID, whose figures are worth nothing."""
    if row.outcome is not Outcome.OK or row.verdict is Verdict.INVALID:
        return None
    value = row
    for name in metric.split("."):
        value = getattr(value, name, None)  # type: ignore[assignment]
    value = getattr(value, "value", value)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _why_not(rows: Sequence[Row], metric: str) -> str:
    invalid = next((row for row in rows if row.verdict is Verdict.INVALID), None)
    if invalid is not None:
        return f"{invalid.label} is INVALID, {invalid.reasons[0].what}"
    time, _, percentile = metric.partition(".")
    needs = [getattr(getattr(row, time), "needs", {}).get(percentile) for row in rows]
    need = next((need for need in needs if need), None)
    return f"{percentile} needs {need:,} requests" if need else f"{metric} has no figure"


def _unit(metric: str) -> str:
    return _OF_ROWS[metric] if metric in _OF_ROWS else metrics.METRICS[metric].unit


def _limit(metric: str, text: str) -> float:
    match _unit(metric):
        case "s":
            return units.parse_duration(text)
        case "1/s":
            return units.parse_rate(_bare_number(text))
        case "share":
            return units.parse_share(text)
        case "bytes":
            return units.parse_size(text)
        case _:
            return units.parse_dollars(_bare_number(text))


def _bare_number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _text(metric: str, value: float) -> str:
    match _unit(metric):
        case "s":
            return units.duration_text(value)
        case "1/s":
            return units.rate_text(value)
        case "share":
            return units.percent_text(value)
        case "bytes":
            return units.bytes_text(value)
        case _:
            return units.dollars_text(value)
