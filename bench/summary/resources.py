"""What a server used at a load point, from the telemetry of its trials: a figure, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np

from bench.measures.metrics import Window
from bench.measures.usage import NOT_RECORDED, USAGE_METRICS, Watched, pooled
from bench.results import Manifest, ServerRecord, TrialRecord
from bench.samples import Samples, Telemetry

NO_MODEL = "this server does not run the model"
OTHER_CORES = "the peak was measured on another number of cores"


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules per good reply of the whole machine: `gross`, and `net` of what it draws when idle."""

    gross: float | None
    net: float | None


@dataclass(frozen=True, slots=True)
class Resources:
    """Named as in `bench list metrics`. What is None has its reason in `missing`, by name.

    `memory_basis` is PSS or, where that could not be read, RSS, which counts pages that processes share once for each
    of them. `energy_basis` says what was metered: processors (RAPL), GPUs (NVML) or both. `peak_precision` is the
    precision of which `peak_share` is a share.
    """

    memory_peak_bytes: float | None = None
    memory_mean_bytes: float | None = None
    memory_basis: str = ""
    context_switches_per_request: float | None = None
    throttled_share: float | None = None
    gpu_utilisation: float | None = None
    gpu_memory_bytes: float | None = None
    power_watts: float | None = None
    gpu_clock_hz: float | None = None
    energy_per_request: Energy | None = None
    energy_basis: str = ""
    generator_cpu_share: float | None = None
    sampler_cpu_share: float | None = None
    peak_share: float | None = None
    peak_precision: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)


class Part(Protocol):
    """One trial with its rows, its telemetry and its window."""

    @property
    def trial(self) -> TrialRecord:
        """Its record."""

    @property
    def samples(self) -> Samples:
        """Its rows."""

    @property
    def telemetry(self) -> Telemetry | None:
        """What was seen of the server."""

    @property
    def window(self) -> Window:
        """The measured part."""


def resources_of(parts: Sequence[Part], manifest: Manifest, server: ServerRecord) -> Resources:
    """Every figure over all trials of a load point."""
    shares = _peak(manifest, server)
    seen = [_watched(part, manifest, server, shares) for part in parts]
    found: dict[str, float | None] = {}
    missing: dict[str, str] = {}
    for name, metric in USAGE_METRICS.items():
        found[name], why = pooled(metric, seen)
        if why:
            missing[name] = why
    energy = Energy(found.pop("energy_per_request.gross"), found.pop("energy_per_request.net"))
    known = {each.name for each in fields(Resources)}
    basis = {"PSS" if it.memory == "pss_bytes" else "RSS" for it in seen}
    return Resources(
        **{name: value for name, value in found.items() if name in known},
        memory_basis=" and ".join(sorted(basis)) if found["memory_peak_bytes"] is not None else "",
        energy_per_request=None if energy.gross is None else energy,
        energy_basis="" if energy.gross is None else _metered(seen[0]),
        peak_precision=shares.precision if found["peak_share"] is not None else "",
        missing=missing,
    )


@dataclass(frozen=True, slots=True)
class _Peak:
    """What a share of the peak is made of; `missing` has reasons by the names of Watched."""

    image_flops: float | None = None
    peak_flops: float | None = None
    precision: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)


def _peak(manifest: Manifest, server: ServerRecord) -> _Peak:
    """Operations per image and the peak in the precision and on the device that this server computes with."""
    hardware = manifest.hardware
    if server.model_form is None:
        return _Peak(missing={"image_flops": NO_MODEL})
    reasons = hardware.get("missing", {})
    model, peak = hardware.get("model"), hardware.get("peak")
    missing = {"image_flops": NOT_RECORDED, "peak_flops": NOT_RECORDED}
    missing |= {f"{ours}_flops": reasons[name] for name, ours in _NAMES.items() if name in reasons}
    if model:
        del missing["image_flops"]
    precision = "gpu_f32" if server.options.get("device") == "gpu" else "f32"
    reached: Mapping[str, Any] = peak.get("reached", {}).get(precision, {}) if peak else {}
    if peak and reached and server.cores and len(server.cores) != peak["cores"]:
        missing["peak_flops"], reached = OTHER_CORES, {}
    elif reached:
        del missing["peak_flops"]
    elif peak and precision in peak.get("missing", {}):
        missing["peak_flops"] = peak["missing"][precision]
    return _Peak(model["flops"] if model else None, reached.get("flops"), precision, missing)


_NAMES = {"model": "image", "peak": "peak"}


def _watched(part: Part, manifest: Manifest, server: ServerRecord, shares: _Peak) -> Watched:
    start, end = part.window.start, part.window.end
    inside = (part.samples.done_at >= start) & (part.samples.done_at < end)
    idle = manifest.hardware.get("idle", {})
    trial = part.trial
    return Watched(
        telemetry=part.telemetry,
        window=(start, end),
        replies=int(np.count_nonzero(inside)),
        good=int(np.count_nonzero(inside & part.samples.ok)),
        cores=float(len(server.cores)) or _usable(manifest.environment),
        missing={**trial.telemetry_missing, **shares.missing, **_elsewhere(trial)},
        idle=idle,
        generator_cpu_seconds=trial.generator_cpu_seconds,
        sampler_cpu_share=trial.sampler_cpu_share,
        image_flops=shares.image_flops,
        peak_flops=None if "cpu_seconds" in trial.telemetry_missing else shares.peak_flops,
    )


def _elsewhere(trial: TrialRecord) -> dict[str, str]:
    """A server whose processes cannot be seen may run on another machine, whose peak nobody knows."""
    reason = trial.telemetry_missing.get("cpu_seconds")
    return {} if reason is None else {"peak_flops": reason}


def _metered(seen: Watched) -> str:
    gpus = any(len(seen.known(name)[0]) for name in ("gpu_energy_joules", "power_watts"))
    found = [("RAPL", bool(len(seen.known("cpu_energy_joules")[0]))), ("NVML", gpus)]
    return " and ".join(name for name, there in found if there)


def _usable(environment: Mapping[str, Any]) -> float | None:
    facts = environment.get("cpu")
    cores = facts.get("usable_cores") if isinstance(facts, Mapping) else None
    return float(cores) if isinstance(cores, int) else None


def median_ready_memory(trials: Iterable[TrialRecord]) -> dict[str, float]:
    """Median over the launches of what the server held before any load, by the name of the figure."""
    by_launch = {trial.repetition: trial.ready_memory for trial in trials if trial.ready_memory}
    names = dict.fromkeys(name for each in by_launch.values() for name in each)
    return {name: float(np.median([each[name] for each in by_launch.values() if name in each])) for name in names}
