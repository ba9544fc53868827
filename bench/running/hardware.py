"""What the use of a server is compared with: this machine's peak, the operations of the model, the power when idle.

A part that cannot be had is left out of the mapping, and `missing` says why; a run goes on without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError
from bench.machine.peak import peak_for_run
from bench.model.flops import model_flops
from bench.telemetry import Idle, Sources, idle_power

if TYPE_CHECKING:
    from bench.model.files import ModelFiles

NO_MODEL = "no server of this run runs the model"
Say = Callable[[str], None]


def hardware_of_run(model: ModelFiles | None, cores: Sequence[int], say: Say) -> dict[str, Any]:
    """The mapping `hardware` of a manifest: `idle`, `peak` on these cores and `model`, with `missing`.

    Without a model neither peak nor operations are looked for. Takes seconds where something has to be measured.
    """
    missing: dict[str, str] = {}
    found: dict[str, Any] = {"idle": asdict(_idle())}
    if model is None:
        return {**found, "missing": {"peak": NO_MODEL, "model": NO_MODEL}}
    try:
        peak = peak_for_run(cores, say)
        found["peak"] = {**asdict(peak), "sentence": peak.sentence}
    except (BenchError, OSError) as failure:
        missing["peak"] = _what(failure)
    try:
        counted = model_flops(model, say)
        found["model"] = {
            "name": model.name,
            "flops": counted.flops,
            "multiply_adds": counted.multiply_adds,
            "unknown": dict(counted.unknown),
        }
    except (BenchError, OSError) as failure:
        missing["model"] = _what(failure)
    return {**found, "missing": missing}


def _idle() -> Idle:
    sources = Sources.find()
    try:
        return idle_power(sources)
    finally:
        sources.close()


def _what(failure: Exception) -> str:
    return failure.what if isinstance(failure, BenchError) else str(failure)
