"""Reading `tfserving.p95 > 500ms`: the server, the load point, the figure and the limit of a `fail_if`.

A scenario is checked with it and a run is judged with it, so what the one accepts the other can evaluate. It
needs no numpy, and knows nothing of rows.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench import units
from bench.names import did_you_mean
from bench.units import UnitError

COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
"""An operator as it is written -> what it does."""

_SHAPE = re.compile(r"\s*(?P<figure>[^<>]+?)\s*(?P<compare><=|>=|<|>)\s*(?P<limit>[^<>=]+?)\s*")
_POINT = re.compile(r"(?P<server>.+?)(?:\[(?P<label>[^\[\]]+)\])?")
_EXAMPLE = "write for example tfserving.p95 > 500ms or 'my server'[poisson-2].error_rate > 1%"
_PERCENTILES = ("p50", "p90", "p95", "p99", "p999")
_SHORT = {name: f"response_time.{name}" for name in ("mean", "max", *_PERCENTILES)} | {"startup": "startup_seconds"}
_UNITS = {
    **{
        f"{time}.{figure}": "s"
        for time in ("response_time", "service_time", "send_lag")
        for figure in ("mean", "max", *_PERCENTILES)
    },
    "throughput": "1/s",
    "goodput": "1/s",
    "error_rate": "share",
    "capacity": "1/s",
    "cost_per_million": "$",
    "cpu_seconds_per_request": "s",
    "startup_seconds": "s",
    "rss_peak_bytes": "bytes",
}
"""Unit of the figures known without numpy; any other metric is looked up in METRICS, which needs it."""


class ConditionError(UnitError):
    """A text that is no condition, with what would be one."""

    def __str__(self) -> str:
        return f"{self.what}; {self.hint}"


@dataclass(frozen=True, slots=True)
class FailIf:
    """One condition as read: `label` is empty for the worst over all load points; `metric` is a full name."""

    text: str
    server: str
    label: str
    metric: str
    compare: str
    limit: float

    def holds(self, measured: float) -> bool:
        """Whether the measured value, in the metric's unit, makes the run fail; NaN never does."""
        return COMPARE[self.compare](measured, self.limit)


def parse_fail_if(text: str) -> FailIf:
    """The condition in a text such as `tfserving.p95 > 500ms`.

    Shape: `SERVER.METRIC OP VALUE` or `SERVER[LOAD POINT].METRIC OP VALUE`, OP one of < <= > >=; a server's name
    with brackets or spaces may be quoted. `p95` is short for `response_time.p95`.
    Raises: UnitError (a ValueError) that says what is wrong.
    """
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise ConditionError(f"not an expression: {text!r}", _EXAMPLE)
    where, metric = _split(match["figure"], text)
    point = _POINT.fullmatch(where)
    if point is None:
        raise ConditionError(f"not an expression: {text!r}", _EXAMPLE)
    server, full = point["server"], _SHORT.get(metric, metric)
    if len(server) > 2 and server[0] == server[-1] and server[0] in "'\"":
        server = server[1:-1]
    limit = _limit(full, match["limit"])
    return FailIf(text.strip(), server, (point["label"] or "").strip(), full, match["compare"], limit)


def check_names(condition: FailIf, labels: Mapping[str, Sequence[str] | None]) -> None:
    """Refuses a server that does not exist and a load point that it does not get.

    Shape: `labels` has each server's load points, None where they are not known.
    Raises: UnitError.
    """
    if condition.server not in labels:
        hint = did_you_mean(condition.server, labels, "servers")
        raise ConditionError(f"unknown server {condition.server!r} in {condition.text!r}", hint)
    own = labels[condition.server]
    if condition.label and own is not None and condition.label not in own:
        hint = did_you_mean(condition.label, own, f"load points of {condition.server}")
        raise ConditionError(f"unknown load point {condition.label!r} in {condition.text!r}", hint)


def limit_text(metric: str, value: float) -> str:
    """A value of that metric with its unit."""
    return units.value_text(value, _unit(metric))


def _split(figure: str, text: str) -> tuple[str, str]:
    """Server (with its load point) and metric of `SERVER.METRIC`; both may hold dots, so the metric's name decides."""
    metric = _ending(figure, (*_SHORT, *_UNITS)) or _ending(figure, _measured())
    if metric:
        return figure[: -len(metric) - 1], metric
    where, dot, metric = figure.rpartition(".")
    if not dot or not where:
        raise ConditionError(f"not an expression: {text!r}", _EXAMPLE)
    everything = dict.fromkeys((*_SHORT, *_UNITS, *_measured()))
    raise ConditionError(f"unknown metric {metric!r} in {text!r}", did_you_mean(metric, everything, "metrics"))


def _ending(figure: str, metrics: Iterable[str]) -> str:
    """The longest of the metrics that a figure ends with; empty if none."""
    return max((metric for metric in metrics if figure.endswith(f".{metric}")), key=len, default="")


def _unit(metric: str) -> str:
    return _UNITS[metric] if metric in _UNITS else _measured()[metric]


def _measured() -> Mapping[str, str]:
    """Every metric with its unit."""
    from bench.measures.metrics import METRICS
    from bench.measures.usage import USAGE_METRICS

    of_samples = {metric.name: metric.unit for metric in METRICS.values()}
    return of_samples | {metric.name: metric.unit for metric in USAGE_METRICS.values()}


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
        case "count" | "W" | "J" | "Hz" as unit:
            return _plain_number(text, unit)
        case _:
            return units.parse_dollars(_bare_number(text))


def _plain_number(text: str, unit: str) -> float:
    """A number, with its unit or without."""
    number = text.strip().removesuffix(unit).strip()
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        hint = "write a number such as 20" if unit == "count" else f"write a number with its unit such as 20 {unit}"
        raise ConditionError(f"not an amount: {text!r}", hint)
    return value


def _bare_number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
