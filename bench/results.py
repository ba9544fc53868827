"""`results/` on disk: names, schema version, load, save, one trial at a time.

A run is written as it goes: killing it at any moment loses at most the trial in progress. Both halves of
bench meet only here; this module computes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

SCHEMA_VERSION = 1
"""Of the files in a run folder; a newer one is refused."""
METHOD_VERSION = 1
"""Of how things are measured; raised whenever new results are no longer comparable with old ones."""


class Outcome(StrEnum):
    """How a trial, or a whole server, ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class AnswerCheck:
    """How the answers of one trial compare with the reference.

    `distinct` replies (by payload and content) were seen; `checked` of the good replies carry one that was
    decoded and compared, `unchecked` do not (their content differed every time and the store was full);
    `wrong` disagreed or could not be read. `largest_difference` is over the checked ones, None if none was.
    """

    distinct: int
    checked: int
    unchecked: int
    wrong: int
    largest_difference: float | None
    tolerance: float
    photo_distance: float
    example: str = ""


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """`trial.json`: one load point driven at one server, however it ended.

    Times are seconds. `window` is (start, end) of the measured part since the trial's start. `startup_seconds`
    counts from exec to the first right answer of every worker, and belongs to the launch. `counts` holds
    scheduled, sent, ok, failed, timed_out, unsent over warm-up and window. `connections` is how many the
    generator opened. `worker_pids_changed` tells that a worker of the server was replaced while it was loaded.
    """

    id: str
    number: int
    server: str
    kind: str
    repetition: int
    profile: str
    label: str
    outcome: Outcome
    reason: str = ""
    users: int | None = None
    arrival_rate: float | None = None
    duration: float = 0.0
    warmup: float = 0.0
    timeout: float = 0.0
    seed: int = 0
    started_at: str = ""
    window: tuple[float, float] | None = None
    startup_seconds: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    connections: int | None = None
    generator_cpu_seconds: float | None = None
    generator_workers: int = 0
    worker_pids_changed: bool = False
    answers: AnswerCheck | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """What a run knows about one server apart from its trials; `options` are its resolved keys."""

    name: str
    kind: str
    title: str
    options: Mapping[str, Any]
    outcome: Outcome
    reason: str = ""
    fix: str = ""
    version: str = ""
    model_form: str | None = None
    model_bytes: int | None = None
    price: Mapping[str, Any] | None = None
    """As resolved from the price book: per_hour, count, instance, source, as_of; None if the scenario gives none."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`run.json`: the scenario as resolved and everything needed to read, judge and repeat the run.

    `slo` holds percentile, response_time (s), error_rate (share). `references` are dicts with server, metric,
    value (s), source. `finished_at` is empty while the run goes on or when it was killed; `interrupted`
    tells that a person or a signal ended it.
    """

    run_id: str
    name: str
    question: str
    scenario: Mapping[str, Any]
    scenario_file: str
    command: str
    started_at: str
    slo: Mapping[str, float]
    references: tuple[Mapping[str, Any], ...]
    servers: tuple[ServerRecord, ...]
    environment: Mapping[str, Any]
    versions: Mapping[str, str]
    seed: int
    fail_if: tuple[str, ...] = ()
    finished_at: str = ""
    interrupted: bool = False
    wall_seconds: float | None = None
    overhead_seconds: float | None = None
    warnings: tuple[str, ...] = ()
    calibration: Mapping[str, Any] | None = None
    schema_version: int = SCHEMA_VERSION
    method_version: int = METHOD_VERSION
    bench_version: str = ""
