"""Rows on disk -> Summary: one row per server and load point, one entry per server. `summary.json` is this, as JSON.

Seconds, bytes, requests/s, dollars. A figure that could not be computed is None and, where more requests would
have given it, `needs` says how many. Intervals are 95 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bench.results import AnswerCheck, Outcome


class Verdict(StrEnum):
    """What a row is worth."""

    VALID = "VALID"
    SUSPECT = "SUSPECT"
    INVALID = "INVALID"


@dataclass(frozen=True, slots=True)
class Reason:
    """One way in which a measurement is in doubt: stable id, severity, the numbers that made it fire, advice."""

    id: str
    verdict: Verdict
    what: str
    advice: str
    numbers: Mapping[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Distribution:
    """A time in seconds over the good requests of the measured window, nearest-rank percentiles of raw values.

    A percentile with too few requests behind it is None; `needs` maps its name to the requests it takes.
    """

    n: int
    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p999: float | None
    max: float | None
    needs: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % interval; an end that is not known is None."""

    value: float | None
    low: float | None = None
    high: float | None = None
    basis: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One server at one load point; several repetitions of it are pooled as rows, `trials` says how many.

    `n` counts the requests scheduled in the measured window: ok + failed + timed_out + unsent. `outcome` other
    than ok leaves the figures None and `reason` says why. `cost_per_million` is priced at this row's goodput
    and its basis says so.
    """

    server: str
    kind: str
    profile: str
    label: str
    outcome: Outcome
    reason: str
    users: int | None
    arrival_rate: float | None
    trials: int
    n: int
    ok: int
    failed: int
    timed_out: int
    unsent: int
    seconds: float
    throughput: float | None
    goodput: float | None
    error_rate: float | None
    slo_met: bool | None
    response_time: Distribution | None
    service_time: Distribution | None
    send_lag: Distribution | None
    p95_interval: Interval | None
    request_bytes: float | None
    response_bytes: float | None
    connections_per_request: float | None
    cpu_seconds_per_request: float | None
    rss_peak_bytes: float | None
    startup_seconds: float | None
    cost_per_million: Interval | None
    errors: Mapping[str, int]
    answers: AnswerCheck | None
    verdict: Verdict | None
    reasons: tuple[Reason, ...]
    trial_ids: tuple[str, ...]
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class ServerSummary:
    """One server over all its load points; `agreement` is the share of checked answers that agree."""

    server: str
    kind: str
    title: str
    outcome: Outcome
    reason: str
    fix: str
    version: str
    options: Mapping[str, Any]
    capacity: Interval | None
    agreement: float | None
    model_form: str | None
    model_bytes: int | None
    startup_seconds: float | None
    price: Mapping[str, Any] | None
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class PublishedFigure:
    """A published figure beside what was measured; `ratio` is measured / published."""

    server: str
    metric: str
    published: float
    measured: float | None
    ratio: float | None
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything a report shows, computed from one run or several.

    `answer` is the sentence with the choice, or says that the evidence does not carry one.
    """

    name: str
    question: str
    answer: str
    run_ids: tuple[str, ...]
    slo: Mapping[str, float]
    rows: tuple[Row, ...]
    servers: tuple[ServerSummary, ...]
    references: tuple[PublishedFigure, ...]
    failed_checks: tuple[str, ...]
    """Expressions of `fail_if` that held."""
    warnings: tuple[str, ...]
    complete: bool
    schema_version: int
    method_version: int
