"""What in a stored run cannot be: values that no bench writes and that no statistic could be computed from.

A file may be cut short, edited or merged wrongly. What is damaged as a whole is refused, with the file and the key; a
single trial is left out with its reason, so that neither ever reads as a pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Real

import numpy as np

from bench.compare.cells import COMPARED
from bench.errors import ResultsError
from bench.results import MANIFEST, Manifest, Outcome, Run, TrialRecord
from bench.results.pairing import Pairing
from bench.samples import Samples

_LARGEST_SD = 5.0
"""A server that differs from itself by more than e to this power was not measured."""


def refuse_damage(run: Run) -> None:
    """Raises: ResultsError naming the first key of the manifest that cannot be."""
    manifest = run.manifest
    for problem in (*_of_slo(manifest), *_of_prices(manifest), *_of_pairing(manifest.pairing)):
        raise ResultsError(f"damaged: {problem}", where=str(run.folder / MANIFEST))


def trial_damage(trial: TrialRecord) -> str:
    """Why the record of a trial cannot be, or nothing."""
    if trial.outcome is not Outcome.OK:
        return ""
    window = trial.window
    if window is None or not all(math.isfinite(end) for end in window) or window[1] <= window[0]:
        return f"its record is damaged: the window is {window}"
    return ""


def rows_damage(samples: Samples) -> str:
    """Why the rows of a trial cannot be, or nothing: a good reply has come at some instant."""
    timeless = int(np.count_nonzero(samples.ok & ~np.isfinite(samples.done_at)))
    return f"its rows are damaged: {timeless} good replies without a time" if timeless else ""


def _of_slo(manifest: Manifest) -> Iterator[str]:
    limits = {"percentile": (0.0, 100.0), "response_time": (0.0, math.inf), "error_rate": (-math.inf, 1.0)}
    for key, (low, high) in limits.items():
        value = manifest.slo.get(key)
        if value is not None and not low < value <= high:
            yield f"the SLO's {key} is {value}"


def _of_prices(manifest: Manifest) -> Iterator[str]:
    for server in manifest.servers:
        price = (server.price or {}).get("per_hour", 1.0)
        if not isinstance(price, Real) or not 0 <= float(price) < math.inf:
            yield f"the price of {server.name} is {price!r}"


def _of_pairing(pairing: Pairing | None) -> Iterator[str]:
    if pairing is None:
        return
    looks = pairing.looks
    if not looks or looks[0] < 1 or list(looks) != sorted(set(looks)):
        yield f"the session was to be looked at after {looks} pairs"
    gates = [(gate.metric, gate.load) for gate in pairing.gates]
    for gate in pairing.gates:
        if gate.metric not in COMPARED:
            yield f"unknown metric {gate.metric!r} among the gates"
        elif not 0 <= gate.delta < math.inf or gates.count((gate.metric, gate.load)) > 1:
            yield f"the gate {gate.metric} is there twice, or its delta of {gate.delta} is none"
    for noise in pairing.noise:
        if noise.metric not in COMPARED or noise.pairs < 1 or not 0 <= noise.sd <= _LARGEST_SD:
            yield f"the noise of {noise.metric} is {noise.sd} over {noise.pairs} pairs"
