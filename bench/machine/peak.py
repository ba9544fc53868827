"""What this machine reaches at most: the fastest matrix multiplication seen here, kept per machine in the cache.

The figures come from a child process (`gemm.py`), so that the harness loads no library that computes. A figure that
cannot be had here is missing with a reason; none is taken from a data sheet.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench import units
from bench.cache import cache_folder
from bench.errors import BenchError, ResultsError
from bench.files import disk_errors, write_text
from bench.machine.facts import cpu_facts, gpus, load_average, usable_cores, versions

SECONDS = 0.9
"""For each precision with each library."""
PATIENCE, GPU_PATIENCE = 9.5, 40.0
"""Seconds after which the child is ended, with what it found by then; a GPU takes long to wake."""
NO_BF16 = "the processor has no instructions for bf16 (avx512_bf16, amx_bf16)"
NO_GPU = "no GPU here"
RAN_OUT = f"not measured: {PATIENCE:g} s had passed"
BUSY = 0.5
"""Processes per core in the minute before, above which something else was likely to run as well."""
_TRY_AGAIN = timedelta(hours=1)
_CHILD = Path(__file__).with_name("gemm.py")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reached:
    """The fastest multiplication in one precision: operations per second, by which library, of which size."""

    flops: float
    library: str
    size: int


@dataclass(frozen=True, slots=True)
class Peak:
    """What one machine reaches on so many `cores`, by precision: `f32`, `bf16`, `gpu_f32`, `gpu_bf16`.

    `missing` says why a precision is not among them; `load_average` is that of the minute before, `machine` what the
    figures belong to.
    """

    reached: Mapping[str, Reached]
    missing: Mapping[str, str]
    machine: Mapping[str, Any]
    cores: int
    measured_at: str
    load_average: float | None = None

    @property
    def sentence(self) -> str:
        """`311 GFLOP/s in f32 on 2 cores (NumPy 2.4 (openblas)); bf16: ...`."""
        parts = [
            f"{units.scaled_text(it.flops, 'FLOP/s')} in {_spoken(name)} ({it.library})"
            for name, it in self.reached.items()
        ]
        parts += [f"{_spoken(name)}: {reason}" for name, reason in self.missing.items() if not name.startswith("gpu")]
        on = f"on {self.cores} {'core' if self.cores == 1 else 'cores'}"
        note = f"; the machine was busy then (load {self.load_average:g}) and may reach more" if self.disturbed else ""
        return f"{'; '.join(parts)}; {on}{note}"

    @property
    def disturbed(self) -> bool:
        """Whether something else is likely to have run meanwhile, so that more may be reached."""
        return self.load_average is not None and self.load_average > BUSY * self.cores

    @property
    def stale(self) -> bool:
        """Whether it is worth another try: it was disturbed or cut short, an hour ago or more."""
        age = datetime.now(UTC) - datetime.fromisoformat(self.measured_at)
        return (self.disturbed or RAN_OUT in self.missing.values()) and age > _TRY_AGAIN


def _spoken(name: str) -> str:
    return name.replace("gpu_", "GPU ")


# ---- measuring ----------------------------------------------------------------------------------------------------


def measure_peak(cores: Sequence[int] = (), *, seconds: float = SECONDS, patience: float | None = None) -> Peak:
    """Multiply matrices on these cores, all that may be used by default, for about so many seconds each.

    Raises: ResultsError if not even f32 could be measured.
    """
    busy = load_average()
    device = gpus()
    precisions = ["f32", *(["bf16"] if has_bf16() else [])]
    job = {
        "cores": list(cores),
        "precisions": precisions,
        "seconds": seconds,
        "gpu": bool(device),
        "parent": os.getpid(),
    }
    limit = patience if patience is not None else GPU_PATIENCE if device else PATIENCE
    count = len(cores) or usable_cores()
    findings, words = _child(job, limit, count)
    reached: dict[str, Reached] = {}
    told: dict[str, str] = {}
    for finding in findings:
        if "missing" in finding:
            told[finding["missing"]] = finding["reason"]
            continue
        name, found = finding["precision"], Reached(finding["flops"], finding["library"], finding["size"])
        if name not in reached or found.flops > reached[name].flops:
            reached[name] = found
    if "f32" not in reached:
        raise ResultsError("the peak of this machine could not be measured", hint=words)
    missing = {} if has_bf16() else {"bf16": NO_BF16}
    for name in [*precisions, *(("gpu_f32", "gpu_bf16") if device else ())]:
        if name not in reached:
            missing[name] = told.get("gpu" if name.startswith("gpu") else "tensorflow", RAN_OUT)
    if not device:
        missing |= dict.fromkeys(("gpu_f32", "gpu_bf16"), NO_GPU)
    return Peak(reached, missing, this_machine(count), count, datetime.now(UTC).isoformat(timespec="seconds"), busy)


def has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bf16 by itself."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return flags is not None and bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags.group(1).split()))


def _child(job: Mapping[str, Any], patience: float, cores: int) -> tuple[list[dict[str, Any]], str]:
    """What the child found before it ended or its time ran out, and its last word."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(cores))
    env = os.environ | threads | {"TF_CPP_MIN_LOG_LEVEL": "3"} | ({} if job["gpu"] else {"CUDA_VISIBLE_DEVICES": "-1"})
    # -P: without it bench/ itself would come first on the child's path and its modules could stand for others.
    argv = [sys.executable, "-P", str(_CHILD), json.dumps(job)]
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True,
        start_new_session=True,
    ) as child:  # fmt: skip
        clock = threading.Timer(patience, _end, [child])
        clock.start()
        try:
            said, words = child.communicate()
        finally:
            clock.cancel()
            _end(child)
    findings = [json.loads(line) for line in said.splitlines() if line.startswith("{") and line.endswith("}")]
    return findings, "".join(words.strip().splitlines()[-1:])


def _end(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)


# ---- kept per machine ---------------------------------------------------------------------------------------------


def this_machine(cores: int) -> dict[str, Any]:
    """What the figures depend on; never a host name."""
    installed = versions(("numpy", "tensorflow"))
    devices = [gpu.get("name", "") for gpu in gpus()]
    program = hashlib.sha256(_CHILD.read_bytes()).hexdigest()[:8]
    return {"cpu": cpu_facts()["model"], "cores": cores, "gpus": devices, "program": program, **installed}


def peak_file(cores: int) -> Path:
    """Where the peak of this machine on so many cores is kept."""
    key = hashlib.sha256(json.dumps(this_machine(cores), sort_keys=True).encode()).hexdigest()[:16]
    return cache_folder() / "peak" / f"{key}.json"


def load_peak(cores: int) -> Peak | None:
    """What is kept for this machine; None if nothing is, or nothing that can be read."""
    file = peak_file(cores)
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        known["reached"] = {name: Reached(**each) for name, each in known["reached"].items()}
        peak = Peak(**known)
        datetime.fromisoformat(peak.measured_at)
        if not all(it.flops > 0 for it in peak.reached.values()) or "f32" not in peak.reached:
            raise ValueError("it holds no figure")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as failure:
        _log.warning("%s cannot be read and is left aside: %r", file, failure)
        return None
    return peak


def keep_peak(peak: Peak) -> Peak:
    """Keep the higher of each precision, as both were reached; returns what is kept.   Raises: ResultsError."""
    before = load_peak(peak.cores)
    if before is not None:
        best = {**before.reached, **peak.reached}
        for name, old in before.reached.items():
            best[name] = max(old, best[name], key=lambda reached: reached.flops)
        missing = {name: why for name, why in peak.missing.items() if name not in best}
        loads = [it.load_average for it in (before, peak) if it.load_average is not None]
        peak = Peak(best, missing, peak.machine, peak.cores, peak.measured_at, min(loads, default=None))
    file = peak_file(peak.cores)
    with disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(asdict(peak), indent=2) + "\n")
    return peak


def peak_for_run(cores: Sequence[int], say: Callable[[str], None]) -> Peak:
    """What is kept for so many cores; measured and kept where nothing is.   Raises: BenchError if it cannot be."""
    stored = load_peak(len(cores) or usable_cores())
    if stored is not None and not stored.stale:
        return stored
    say("measuring this machine's peak in matrix multiplication, once, which takes some seconds")
    measured = measure_peak(cores)
    try:
        return keep_peak(measured)
    except BenchError as failure:  # it holds for this run all the same
        say(str(failure))
        return measured
