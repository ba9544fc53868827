"""What is written of a run, its servers and its trials; plain values, nothing is computed or read here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bench.results.pairing import Pairing

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
    basis: str = ""
    """What they were compared with, where it was not a reference; empty for one."""
    other_top: int = 0
    """How many of the checked ones put another class first than the reference."""
    other_work: str = ""
    """How the server rounds on purpose, such as `int8 weights`; empty for one that has to answer the same."""
    least_agreement: float | None = None
    """The share of answers with the reference's first class that such a server had to give; it had no tolerance."""
    inputs: int = 0
    """How many different inputs the checked ones answer; 0 in runs that did not count them."""
    inputs_same_top: int = 0
    """For how many of them every checked answer has the reference's first class."""

    @property
    def agreement(self) -> float | None:
        """Share of the checked answers that agree: within the tolerance, or by their first class; None without any."""
        apart = self.wrong if self.least_agreement is None else max(self.wrong, self.other_top)
        return max(0.0, 1 - apart / self.checked) if self.checked else None


@dataclass(frozen=True, slots=True)
class CoresSeen:
    """On which cores processes could really run, read back from the kernel before and after a trial's load.

    `budget` are the cores that the server was given, none if it was not pinned; `server` and `generator` are those
    that any thread of any of their processes may use. `outside` names the processes of the server that may use others.
    """

    budget: tuple[int, ...]
    server: tuple[int, ...]
    generator: tuple[int, ...]
    processes: int
    outside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TriedRecord:
    """One setting of a server that was tried: `number` counts from 1 and is the `tune_point` of its trial.

    `settings` are the keys that the grid varies with their values, as JSON can hold them; `default` tells that they
    are those of the scenario's entry itself.
    """

    number: int
    settings: Mapping[str, Any]
    default: bool
    options: Mapping[str, Any]
    trial_id: str


@dataclass(frozen=True, slots=True)
class TuningRecord:
    """The tuning of one server: what was tried, each for `seconds` of load, with `users` in closed loop.

    `chosen` is the number of the setting that `tuned`, a server of its own in the run, then had; None while it goes
    on, or where no setting could be measured.
    """

    server: str
    tuned: str
    seconds: float
    users: int
    tried: tuple[TriedRecord, ...]
    chosen: int | None = None


@dataclass(frozen=True, slots=True)
class SwapRecord:
    """When what happened as version `new` of the model took the place of `old`; seconds since the trial began.

    None where it was never seen. `copy_at` is when the new version began to be copied, `renamed_at` when the server
    could find it. As the server says: `loading_at` it was in memory, `ready_at` able to answer, `gone_at` the old one
    was out of memory. As the replies say, where they tell their version: `first_new_at` and `last_old_at` are when the
    first one of the new and the last one of the old came, `answers` how many of each. `failure` is why there was none.
    """

    old: str
    new: str
    copy_at: float | None = None
    renamed_at: float | None = None
    loading_at: float | None = None
    ready_at: float | None = None
    gone_at: float | None = None
    first_new_at: float | None = None
    last_old_at: float | None = None
    answers: Mapping[str, int] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """`trial.json`: one load point driven at one server, however it ended.

    Times are seconds. `window` is (start, end) of the measured part since the trial's start. `startup_seconds`
    counts from exec to the first right answer of every worker, and belongs to the launch. `counts` holds
    scheduled, sent, ok, failed, timed_out, unsent over warm-up and window. `connections` is how many the
    generator opened. `worker_pids_changed` tells that a worker of the server was replaced while it was loaded.
    `generator_workers` processes sent the load; `lost_workers` names those that died meanwhile, and why.
    `look` counts the looks of a capacity search from 1 and is 0 for anything else, its probe included.
    `server_died` tells why a trial failed: the server ended while it was loaded.
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
    lost_workers: tuple[str, ...] = ()
    look: int = 0
    tune_point: int = 0
    """Which setting of a tuning it tried, counted from 1; 0 for anything else."""
    server_died: bool = False
    cores: CoresSeen | None = None
    answers: AnswerCheck | None = None
    host: Mapping[str, float] = field(default_factory=dict)
    """What the whole machine did meanwhile, as `machine.host_used` gives it; empty where nobody looked."""
    server_counters: Mapping[str, float] = field(default_factory=dict)
    """What the server counted inside itself, as `Server.counters` names it, from the window's beginning to the last
    reply; empty if it does not tell."""
    startup_parts: Mapping[str, float] = field(default_factory=dict)
    """Of `startup_seconds`, how many went into what, as the server's log tells; what is left of them is the rest."""
    encode_seconds: float | None = None
    """How long it took to make one request out of a photo, the mean over the photos; no part of any latency."""
    telemetry_missing: Mapping[str, str] = field(default_factory=dict)
    """Columns of telemetry that have no value, with the reason."""
    sampler_cpu_share: float | None = None
    """Share of one core that watching the server took of the harness."""
    ready_memory: Mapping[str, float] = field(default_factory=dict)
    """`rss_bytes` and `pss_bytes` of the server's processes once it was ready, before any load; of the launch."""
    swap: SwapRecord | None = None
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
    model_digest: str = ""
    """SHA-256 of the model that the scenario names; empty for a server that takes none, or in runs without it."""
    price: Mapping[str, Any] | None = None
    """As resolved from the price book: per_hour, count, instance, source, as_of; None if the scenario gives none."""
    cores: tuple[int, ...] = ()
    """Its core budget by number, as read back from its processes once it was ready; none if it was never started."""
    threads: Mapping[str, str] = field(default_factory=dict)
    """Variables of its environment that say with how many threads libraries compute."""
    computing: Mapping[str, int] = field(default_factory=dict)
    """`processes` that compute with `threads` each, as its kind says."""
    tuned_from: str = ""
    """The server of which this is the tuned variant."""
    other_work: str = ""
    """How it rounds on purpose, such as `int8 weights`; empty for one that has to answer as the model does."""
    rung: str | None = None
    """On which rung of the usual advice it stands, empty for none; None in runs that did not keep it."""


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
    hardware: Mapping[str, Any] = field(default_factory=dict)
    """What shares are taken of: `peak` of matrix multiplication here, `model` with the operations of one image, and
    `idle` power before the run; each with its reasons under `missing`."""
    budget: Mapping[str, Any] = field(default_factory=dict)
    """Cores of every server and of the load generator: server, generator, usable, quota, count, shared, siblings and
    a sentence; empty in runs that pinned nothing."""
    tuning: tuple[TuningRecord, ...] = ()
    schema_version: int = SCHEMA_VERSION
    method_version: int = METHOD_VERSION
    bench_version: str = ""
    forms: tuple[Mapping[str, Any], ...] = ()
    """Each form of the model that the run had beside its own build's: name, form, size_bytes, build_seconds, photos,
    same_top, largest_difference, failure."""
    payload_digest: str = ""
    """SHA-256 of what the requests carried, in its order; empty in a run that did not note it."""
    pairing: Pairing | None = None
    """Of a paired session only: which trials belong together, and what was asked of them."""
