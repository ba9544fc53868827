"""What a summary is made of: the values that a report shows and `summary.json` holds.

Seconds, bytes, requests/s, dollars. A figure that could not be computed is None and, where more requests would
have given it, `needs` says how many. Intervals are 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.cost.figures import Costs
from bench.measures.capacity import Look
from bench.measures.stats import Interval
from bench.measures.timeline import Timeline
from bench.results import (
    AnswerCheck,
    Outcome,
)
from bench.rungs import Rung
from bench.summary.resources import Resources
from bench.summary.spread import Spread
from bench.summary.swapped import SwapFigures
from bench.summary.tuning import Tuning
from bench.validity import Reason, Verdict


@dataclass(frozen=True, slots=True)
class Distribution:
    """A time in seconds over the good requests of the measured window, nearest-rank percentiles of raw values.

    Of `send_lag` it covers all that were sent, since lateness is ours whatever came back. A percentile with too
    few requests behind it is None; `needs` maps its name to the requests it takes.
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
class Row:
    """One server at one load point; several repetitions of it are pooled as rows, `trials` says how many.

    `n` counts the requests scheduled in the measured window: ok + failed + timed_out + unsent. `throughput` and
    `goodput` count replies by when they arrive. `outcome` other than ok leaves the figures None and `reason` says
    why; a server without any load point has one such row, with an empty `profile` and `label`.
    `cost_per_million` is priced at this row's goodput and its basis says so.
    A capacity search gives one row, that of the highest rate at which the SLO was met, with the `capacity` that all
    looks together give; without one that met it, the look at the lowest rate. `look` is what that look says.
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
    encode_seconds: float | None = None
    """How long it took to make one request out of a photo, before the trial."""
    inside: Mapping[str, float] = field(default_factory=dict)
    """What the server counted inside itself, over all trials and with their warm-ups, named as in the records."""
    resources: Resources | None = None
    """What the server used of the machine; None where nothing was measured."""
    capacity: Interval | None = None
    look: Look | None = None
    swaps: tuple[SwapFigures, ...] = ()
    """Each exchange of the model that was made at this load point, one per trial."""
    cores: int | None = None
    """How many cores the server was held to; None where it was not."""
    other_work: str = ""
    """How the server rounds on purpose, such as `int8 weights`, and is then ranked among its like only; else empty."""
    in_slo: int | None = None
    """How many of the `n` got a correct reply within the SLO's limit, whether or not it came inside the window."""
    spread: Spread | None = None
    """Where its response times lie, for charts and other limits; not in the JSON, whose readers have the rows."""


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
    cores: tuple[int, ...] = ()
    """The cores that its processes could run on, as the kernel said when it was ready."""
    threads: Mapping[str, str] = field(default_factory=dict)
    """Variables of its environment that decide with how many threads libraries compute."""
    computing: Mapping[str, int] = field(default_factory=dict)
    """`processes` that compute with `threads` each."""
    tuned_from: str = ""
    """The server of which this is the tuned variant."""
    startup_parts: Mapping[str, float] = field(default_factory=dict)
    """Seconds of the start by what the server did, of the launch that told them first."""
    ready_memory: Mapping[str, float] = field(default_factory=dict)
    """`pss_bytes` and `rss_bytes` of its processes once it was ready, before any load: its program and the model."""
    other_work: str = ""
    """How it rounds on purpose, such as `int8 weights`; empty for one that has to answer as the model does."""
    answers: AnswerCheck | None = None
    """What its answers were over all its trials; None where none were checked."""
    rung: Rung = ""
    """On which rung of the usual advice it stands; empty for none."""


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

    Rows of several runs stay apart by `run_id`, also where a server has the same name in both.
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
    """Expressions of `fail_if` that held, or could not be evaluated, each with its reason behind a colon."""
    warnings: tuple[str, ...]
    complete: bool
    schema_version: int
    method_version: int
    timelines: tuple[Timeline, ...] = ()
    """How every measured trial went, for the chart; not in the JSON, whose readers have the rows."""
    looks: tuple[Row, ...] = ()
    """Every look of every capacity search, in the order of the search: the points that a capacity stands on."""
    flips: tuple[str, ...] = ()
    """What would flip the choice of the answer, each as a sentence without a stop; empty where nothing was chosen."""
    costs: Costs | None = None
    """What serving the traffic takes, server by server; None only in a summary made by hand."""
    budgets: tuple[Mapping[str, Any], ...] = ()
    """Which cores each run gave its servers and the load generator: run_id and what its manifest says; a run that
    pinned nothing has none."""
    tunings: tuple[Tuning, ...] = ()
    """What was tried of each tuned server, and which setting was chosen."""
    hardware: tuple[Mapping[str, Any], ...] = ()
    """What shares are taken of: run_id with `peak`, `model`, `idle` and `missing` of its manifest, run by run."""
    forms: tuple[Mapping[str, Any], ...] = ()
    """The model's forms, where a run served others than its own build's: run_id and what its manifest says of each."""
    calibrations: tuple[Mapping[str, Any], ...] = ()
    """What the load generator could do where a run was made: run_id, brief, sentence, ceiling (1/s), added_p50,
    added_p99 (s), up_to (1/s), short, measured_at; a run that was not calibrated has none."""


@dataclass(frozen=True, slots=True)
class Slo:
    """What is asked: a share of all requests within `limit` seconds, and at most `error_limit` errors."""

    share: float
    limit: float
    error_limit: float
    stated: bool

    @classmethod
    def of(cls, slo: Mapping[str, float]) -> Slo:
        """The SLO of a manifest; one without a response time limits nothing."""
        return cls(
            share=slo.get("percentile", 95.0) / 100,
            limit=slo.get("response_time", math.inf),
            error_limit=slo.get("error_rate", 0.0),
            stated="response_time" in slo,
        )


EMPTY = Row(
    server="", kind="", profile="", label="", outcome=Outcome.SKIPPED, reason="", users=None, arrival_rate=None,
    trials=0, n=0, ok=0, failed=0, timed_out=0, unsent=0, seconds=0.0, throughput=None, goodput=None, error_rate=None,
    slo_met=None, response_time=None, service_time=None, send_lag=None, p95_interval=None, request_bytes=None,
    response_bytes=None, connections_per_request=None, cpu_seconds_per_request=None, rss_peak_bytes=None,
    startup_seconds=None, cost_per_million=None, errors={}, answers=None, verdict=None, reasons=(), trial_ids=(),
)  # fmt: skip
"""A row without figures, which everything not measured starts from."""
