"""How much this machine makes a server differ from itself: kept from every A/A pair, per environment and workload.

A session takes what is known when it begins and writes it into its run, so that it reads the same ever after.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.cache import cache_folder
from bench.compare.tabulate import Key
from bench.errors import ResultsError
from bench.files import write_text
from bench.results.pairing import NoiseRecord

_MOST_SESSIONS = 50
"""Older ones are forgotten: a machine ages."""
TYPICAL_SD = {"p50": 0.038, "p95": 0.055, "p99": 0.072}
"""Where nothing was measured yet: sd of a pair's log-ratio on a machine of middling noise, from a simulation."""
TYPICAL_OTHER = 0.05


def noise_file(environment: str) -> Path:
    """Where the noise of one environment is kept."""
    return cache_folder() / "noise" / f"{environment}.json"


def known_noise(environment: str, workload: str) -> tuple[NoiseRecord, ...]:
    """What earlier A/A pairs of this workload say, pooled over sessions; empty where there were none."""
    pooled: dict[Key, list[tuple[float, int]]] = {}
    for session in _sessions(noise_file(environment)):
        if session.get("workload") != workload:
            continue
        for cell in session.get("cells", []):
            with contextlib.suppress(KeyError, TypeError, ValueError):
                sd, pairs = float(cell["sd"]), int(cell["pairs"])
                if math.isfinite(sd) and sd > 0 and pairs > 1:
                    pooled.setdefault(Key(str(cell["load"]), str(cell["metric"])), []).append((sd, pairs))
    return tuple(_pooled(key, found) for key, found in sorted(pooled.items()))


def keep_noise(environment: str, workload: str, run_id: str, cells: Iterable[NoiseRecord]) -> None:
    """Add one session's A/A spreads; the same session again replaces itself. What cannot be kept is let go."""
    path = noise_file(environment)
    found = [session for session in _sessions(path) if session.get("run_id") != run_id]
    entries = [{"load": it.load, "metric": it.metric, "sd": it.sd, "pairs": it.pairs} for it in cells]
    if not entries:
        return
    found.append({"run_id": run_id, "workload": workload, "cells": entries})
    with contextlib.suppress(OSError, ResultsError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(found[-_MOST_SESSIONS:], indent=1) + "\n")


def typical_sd(metric: str) -> float:
    """A guess for a machine that nothing is known of."""
    return TYPICAL_SD.get(metric, TYPICAL_OTHER)


def workload_digest(parts: Mapping[str, Any]) -> str:
    """Tells one workload apart from another: load, photos, model, the baseline's own keys."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _pooled(key: Key, found: Sequence[tuple[float, int]]) -> NoiseRecord:
    """One sd from several, each weighted by its degrees of freedom."""
    freedoms = np.array([pairs - 1 for _, pairs in found], dtype=np.float64)
    variance = float((np.array([sd for sd, _ in found]) ** 2 * freedoms).sum() / freedoms.sum())
    return NoiseRecord(key.metric, key.load, math.sqrt(variance), int(freedoms.sum()) + 1)


def _sessions(path: Path) -> list[dict[str, Any]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
