"""`results/` on disk: names, schema version, load, save, one trial at a time.

A run is written as it goes: killing it at any moment loses at most the trial in progress. Both halves of
bench meet only here; this module computes nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from bench.errors import ResultsError
from bench.files import disk_errors, write_text
from bench.pairing import Pairing
from bench.samples import Samples, Telemetry, read_samples, read_telemetry

SCHEMA_VERSION = 1
"""Of the files in a run folder; a newer one is refused."""
METHOD_VERSION = 1
"""Of how things are measured; raised whenever new results are no longer comparable with old ones."""

MANIFEST, SCENARIO, TRIALS = "run.json", "scenario.yaml", "trials"
TRIAL, SAMPLES, TELEMETRY = "trial.json", "samples.parquet", "telemetry.parquet"
SERVER_LOG, LOAD_LOG = "server.log", "load.log"


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
    pairing: Pairing | None = None
    """Of a paired session only: which trials belong together, and what was asked of them."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run as it lies on disk; rows stay there until a trial's are asked for."""

    folder: Path
    manifest: Manifest
    trials: tuple[TrialRecord, ...]
    warnings: tuple[str, ...]
    tried: tuple[TrialRecord, ...] = ()
    """Those that tried a setting of a server that is tuned; they stand for no load point."""

    def samples(self, trial: TrialRecord) -> Samples | None:
        """The rows of one trial; None if it left none.   Raises: ResultsError if they are damaged."""
        path = self.folder / TRIALS / trial.id / SAMPLES
        return read_samples(path) if path.exists() else None

    def telemetry(self, trial: TrialRecord) -> Telemetry | None:
        """What the server's processes used during one trial; None if nobody watched.   Raises: ResultsError."""
        path = self.folder / TRIALS / trial.id / TELEMETRY
        return read_telemetry(path) if path.exists() else None


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run while it is being written."""

    path: Path

    @classmethod
    def create(cls, results: Path, scenario: str, now: datetime) -> RunFolder:
        """A new, empty folder `results/<scenario>/<run-id>/`; the run id is `now` in UTC, made unique.

        Raises: ResultsError if it cannot be written, so that nothing is measured in vain.
        """
        parent = results / _safe_name(scenario)
        moment = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        with disk_errors(parent):
            parent.mkdir(parents=True, exist_ok=True)
            for attempt in range(1, 10_000):
                path = parent / (moment if attempt == 1 else f"{moment}-{attempt}")
                try:
                    path.mkdir()
                except FileExistsError:
                    continue
                (path / TRIALS).mkdir()
                return cls(path)
        raise ResultsError("no free run id", where=str(parent))

    @property
    def run_id(self) -> str:
        """Name of the folder: `20261123T034500Z`."""
        return self.path.name

    def trial(self, trial_id: str) -> Path:
        """Folder of one trial, created on the first call.   Raises: ResultsError."""
        path = self.path / TRIALS / _safe_name(trial_id)
        with disk_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        return path

    def save_scenario(self, text: str) -> None:
        """Keep the scenario's text as the person wrote it.   Raises: ResultsError."""
        write_text(self.path / SCENARIO, text)

    def save_manifest(self, manifest: Manifest) -> None:
        """Write `run.json`, replacing an earlier one.   Raises: ResultsError."""
        write_text(self.path / MANIFEST, _to_json(manifest))

    def save_trial(self, record: TrialRecord) -> None:
        """Write `trials/<id>/trial.json`; from then on the trial counts.   Raises: ResultsError."""
        write_text(self.trial(record.id) / TRIAL, _to_json(record))


def load_run(folder: Path) -> Run:
    """What is there of a run: finished, interrupted or killed. Reads no rows.

    A trial without a record or with a damaged one is left out and named in `warnings`.
    Raises: ResultsError if the folder holds no readable run, or one written by a newer bench.
    """
    manifest = _load_manifest(folder)
    warnings: list[str] = []
    trials: list[TrialRecord] = []
    parent = folder / TRIALS
    for path in sorted(parent.iterdir()) if parent.is_dir() else ():
        if not path.is_dir():
            continue
        record = path / TRIAL
        if not record.exists():
            warnings.append(f"{path}: has no {TRIAL}; the run ended during this trial, which is left out")
            continue
        try:
            trials.append(_from_json(TrialRecord, record))
        except ResultsError as failure:
            warnings.append(f"{failure.where}: {failure.what}; this trial is left out")
    trials.sort(key=lambda trial: trial.number)
    tried = tuple(trial for trial in trials if trial.tune_point)
    return Run(folder, manifest, tuple(trial for trial in trials if not trial.tune_point), tuple(warnings), tried)


def _load_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    if not folder.is_dir():
        raise ResultsError("no such run folder", where=str(folder), hint="give a folder that holds run.json")
    if not path.exists():
        inside = sorted(found.parent for found in folder.glob(f"*/{MANIFEST}"))
        hint = f"did you mean {inside[-1]} ?" if inside else "give a folder results/<scenario>/<run-id>"
        raise ResultsError(f"not a run: it holds no {MANIFEST}", where=str(folder), hint=hint)
    return _from_json(Manifest, path)


def _safe_name(name: str) -> str:
    """The name, if it can be one folder below ours and nowhere else."""
    if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise ResultsError(f"not usable as the name of a folder: {name!r}")
    return name


def _to_json(record: Manifest | TrialRecord) -> str:
    return json.dumps(plain(record), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def plain(value: object) -> object:
    """The value as JSON can hold it: records become mappings, NaN and infinity null, anything unknown its text."""
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, StrEnum):
        return value.value
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)


_R = TypeVar("_R", Manifest, TrialRecord)


def _from_json(record: type[_R], path: Path) -> _R:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as failure:
        raise ResultsError(f"cannot be read: {failure}", where=str(path)) from failure
    if not isinstance(data, dict):
        raise ResultsError("cannot be read: holds no JSON object", where=str(path))
    version = data.get("schema_version", SCHEMA_VERSION)
    if record is Manifest and isinstance(version, int) and version > SCHEMA_VERSION:
        raise ResultsError(
            f"written by a newer bench (schema version {version}, this one knows {SCHEMA_VERSION})",
            where=str(path),
            hint="update bench: pip install --upgrade serving-bench",
        )
    try:
        decoded = _decode(record, data, "")
    except (TypeError, ValueError) as failure:
        raise ResultsError(f"damaged: {failure}", where=str(path)) from failure
    assert isinstance(decoded, record)
    return decoded


def _decode(kind: Any, value: Any, key: str) -> Any:
    """The JSON value as the field's type; unknown keys of a record are passed over, so a later bench may add some.

    Raises: TypeError or ValueError, naming the key, if it is something else.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin is UnionType:  # always `something | None` here
        inner = next(each for each in arguments if each is not type(None))
        return None if value is None else _decode(inner, value, key)
    if origin is tuple:
        _expect(isinstance(value, list), key, "a list", value)
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        _expect(len(kinds) == len(value), key, f"{len(kinds)} values", value)
        return tuple(_decode(each, item, key) for each, item in zip(kinds, value, strict=True))
    if origin is Mapping:
        _expect(isinstance(value, dict), key, "a mapping", value)
        return {name: _decode(arguments[1], item, f"{key}.{name}") for name, item in value.items()}
    if is_dataclass(kind):
        _expect(isinstance(value, dict), key, "a mapping", value)
        hints = get_type_hints(kind)
        known = {name: _decode(hints[name], item, name) for name, item in value.items() if name in hints}
        return kind(**known)  # type: ignore[operator]  # a missing key is a TypeError that names it
    return _decode_scalar(kind, value, key)


def _decode_scalar(kind: Any, value: Any, key: str) -> Any:
    if issubclass(kind, StrEnum):
        return kind(value)
    if kind is float:
        if value is None:  # how NaN and infinity are written
            return math.nan
        _expect(isinstance(value, int | float) and not isinstance(value, bool), key, "a number", value)
        return float(value)
    if kind is int:
        _expect(isinstance(value, int) and not isinstance(value, bool), key, "a whole number", value)
        return value
    _expect(isinstance(value, kind), key, f"a {kind.__name__}", value)
    return value


def _expect(holds: bool, key: str, what: str, value: object) -> None:
    if not holds:
        raise TypeError(f"{key!r} should be {what}, got {value!r}")
