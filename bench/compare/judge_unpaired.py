"""Values of trials from two different times -> a cell, its words capped at inconclusive unless gating was asked for.

Drift between the two times cannot be separated from a change: compared in blocks, servers that did not differ were
called different in up to 38 of 100 simulated sessions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.compare import statistics as st
from bench.compare.cells import Cell, CellVerdict, ComparedMetric, not_comparable
from bench.compare.errors import judge_unpaired_errors
from bench.compare.judge import Values, decide

LEAST_TRIALS = 2
UNPAIRED = "unpaired: drift cannot be separated"


def judge_unpaired(
    metric: ComparedMetric,
    baseline: Values,
    candidate: Values,
    *,
    delta: float | None = None,
    requests: tuple[Sequence[int], Sequence[int]] | None = None,
) -> Cell:
    """The cell of trials from two different times, by Welch's interval; its word is still to be `capped`.

    Shape: (n,), (m,), one value per trial; for errors they are counts and `requests` holds both sides' scheduled
    requests.
    """
    least = metric.delta if delta is None else delta
    trials = min(len(baseline), len(candidate))
    if trials < LEAST_TRIALS:
        return not_comparable(
            metric, trials, f"needs at least {LEAST_TRIALS} trials of each, has {trials}", delta=least
        )
    values = (*baseline, *candidate)
    if not all(number is not None and math.isfinite(number) for number in values):
        return not_comparable(metric, trials, "a trial has no value of it", delta=least)
    a, b = np.asarray(baseline, dtype=np.float64), np.asarray(candidate, dtype=np.float64)
    if metric.test == "errors":
        if requests is None:
            return not_comparable(metric, trials, "how many requests were scheduled is not known", delta=least)
        return judge_unpaired_errors(metric, a, b, requests)
    if (a <= 0).any() or (b <= 0).any():
        return not_comparable(metric, trials, "a value of zero or below has no ratio", delta=least)
    return _ratio(metric, np.log(a), np.log(b), least)


def _ratio(metric: ComparedMetric, a: st.Floats, b: st.Floats, least: float) -> Cell:
    trials = min(len(a), len(b))
    try:
        estimate = st.welch(a, b)
    except ValueError as reason:
        return not_comparable(metric, trials, str(reason), delta=least)
    change, low, high = (math.expm1(number) for number in (estimate.mean, estimate.low, estimate.high))
    return Cell(
        metric=metric.name,
        unit=metric.unit,
        better=metric.better,
        verdict=decide(change, low, high, least, metric.better),
        pairs=trials,
        baseline=float(np.exp(a.mean())),
        candidate=float(np.exp(b.mean())),
        change=change,
        low=low,
        high=high,
        delta=least,
        effective_delta=least,
        p_worse=estimate.p_above if metric.better == "lower" else 1 - estimate.p_above,
        p=estimate.p,
        test="Welch's t on logs, unpaired",
    )


def capped(cell: Cell, *, gate_unpaired: bool = False) -> Cell:
    """The cell with no word above inconclusive, unless gating was asked for.

    Gating takes as many trials of each as a paired session takes pairs.
    """
    if cell.verdict is CellVerdict.NOT_COMPARABLE:
        return cell
    notes = [UNPAIRED, *cell.notes]
    enough = cell.pairs >= st.MIN_PAIRS
    if gate_unpaired and not enough:
        notes.append(f"gating takes at least {st.MIN_PAIRS} trials of each, has {cell.pairs}")
    if gate_unpaired and enough:
        return replace(cell, notes=tuple(notes))
    if cell.verdict is not CellVerdict.INCONCLUSIVE:
        notes.append(f"would read: {cell.verdict}")
    return replace(cell, verdict=CellVerdict.INCONCLUSIVE, can_gate=False, notes=tuple(notes))
