"""The folder of a run: names, load, save, one trial at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.errors import ResultsError
from bench.files import disk_errors, write_text
from bench.results.codec import from_json, to_json
from bench.results.record import Manifest, TrialRecord
from bench.samples import Samples, Telemetry, read_samples, read_telemetry

MANIFEST, SCENARIO, TRIALS = "run.json", "scenario.yaml", "trials"
TRIAL, SAMPLES, TELEMETRY = "trial.json", "samples.parquet", "telemetry.parquet"
SERVER_LOG, LOAD_LOG = "server.log", "load.log"


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
        write_text(self.path / MANIFEST, to_json(manifest))

    def save_trial(self, record: TrialRecord) -> None:
        """Write `trials/<id>/trial.json`; from then on the trial counts.   Raises: ResultsError."""
        write_text(self.trial(record.id) / TRIAL, to_json(record))


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
            trials.append(from_json(TrialRecord, record))
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
    return from_json(Manifest, path)


def _safe_name(name: str) -> str:
    """The name, if it can be one folder below ours and nowhere else."""
    if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise ResultsError(f"not usable as the name of a folder: {name!r}")
    return name
