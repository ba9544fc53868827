"""Error rates of paired trials -> a cell. Errors come in bursts, so counts of trials are compared, not requests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.compare import statistics as st
from bench.compare.cells import Cell, CellVerdict, ComparedMetric, not_comparable
from bench.compare.statistics import Floats

RATIO = 1.5
DIFFERENCE = 0.001
"""An error rate has changed when it is at least 1.5 times as high and 0.1 percentage points higher."""


def judge_errors(
    metric: ComparedMetric,
    a: Floats,
    b: Floats,
    requests: tuple[Sequence[int], Sequence[int]],
    *,
    confidence: float = st.CONFIDENCE,
) -> Cell:
    """The cell of an error rate: paired t on sqrt(errors + 3/8), and a ratio, and a difference that matter.

    Shape: a and b (n,), errors of each trial; requests: two of (n,), scheduled in each trial.   Where the two sides
    of a pair were sent different numbers, counts are scaled to their mean.
    Source: Anscombe 1948 for the transform; pooled, bursty errors alone call 45 to 70 % of A/A sessions changed.
    """
    sent_a, sent_b = (np.asarray(counts, dtype=np.float64) for counts in requests)
    problem = _problem(a, b, sent_a, sent_b)
    if problem:
        return not_comparable(metric, len(a), problem)
    if not (a.any() or b.any()):
        return _no_errors(metric, len(a), int(min(sent_a.sum(), sent_b.sum())))
    mean_sent = (sent_a + sent_b) / 2
    roots = np.sqrt(b * mean_sent / sent_b + 0.375) - np.sqrt(a * mean_sent / sent_a + 0.375)
    if st.constant(roots):
        return not_comparable(metric, len(a), "errors differ equally in every pair, so their spread is unknown")
    estimate = st.paired_t(roots, confidence)
    before, after = float(a.sum() / sent_a.sum()), float(b.sum() / sent_b.sum())
    _, low, high = (float(bound) for bound in st.t_bounds(b / sent_b - a / sent_a, confidence))
    verdict = _decide(before, after, low, high, estimate)
    typical = float(mean_sent.mean())
    needed = None
    notes: tuple[str, ...] = ()
    if verdict is CellVerdict.INCONCLUSIVE:
        rise = math.sqrt(_least_rise(before) * typical + 0.375) - math.sqrt(before * typical + 0.375)
        needed = max(st.pairs_for(rise, estimate.sd), len(a) + 1)
        notes = (f"needs about {needed} pairs",)
    elif verdict is CellVerdict.NO_CHANGE and estimate.excludes_zero:
        notes = ("real but below delta",)
    return Cell(
        metric=metric.name,
        unit=metric.unit,
        better=metric.better,
        verdict=verdict,
        pairs=len(a),
        baseline=before,
        candidate=after,
        change=after - before,
        low=low,
        high=high,
        delta=DIFFERENCE,
        effective_delta=_least_rise(before) - before,
        smallest_visible=_visible(before, typical, estimate.sd, len(a)),
        pairs_needed=needed,
        sd=estimate.sd,
        p_worse=estimate.p_above,
        p=estimate.p,
        change_is="difference",
        test="paired t on sqrt(errors + 3/8)",
        notes=notes,
    )


def judge_unpaired_errors(
    metric: ComparedMetric, a: Floats, b: Floats, requests: tuple[Sequence[int], Sequence[int]]
) -> Cell:
    """The cell of an error rate from trials of two different times: Welch's t on sqrt(errors + 3/8).

    Shape: a (n,) and b (m,), errors of each trial; requests: (n,) and (m,), scheduled in each.   Counts are scaled to
    the mean number of requests of a trial.   Not pooled: bursty errors are not independent of each other.
    """
    sent_a, sent_b = (np.asarray(counts, dtype=np.float64) for counts in requests)
    trials = min(len(a), len(b))
    if len(a) != len(sent_a) or len(b) != len(sent_b):
        return not_comparable(metric, trials, "errors and requests of different numbers of trials")
    problem = _impossible(a, sent_a) or _impossible(b, sent_b)
    if problem:
        return not_comparable(metric, trials, problem)
    if not (a.any() or b.any()):
        return replace(_no_errors(metric, trials, int(min(sent_a.sum(), sent_b.sum()))), pairs_needed=None)
    typical = float(np.concatenate([sent_a, sent_b]).mean())
    try:
        estimate = st.welch(np.sqrt(a * typical / sent_a + 0.375), np.sqrt(b * typical / sent_b + 0.375))
        rates = st.welch(a / sent_a, b / sent_b)
    except ValueError as reason:
        return not_comparable(metric, trials, str(reason))
    before, after = float(a.sum() / sent_a.sum()), float(b.sum() / sent_b.sum())
    return Cell(
        metric=metric.name,
        unit=metric.unit,
        better=metric.better,
        verdict=_decide(before, after, rates.low, rates.high, estimate),
        pairs=trials,
        baseline=before,
        candidate=after,
        change=after - before,
        low=rates.low,
        high=rates.high,
        delta=DIFFERENCE,
        effective_delta=_least_rise(before) - before,
        p_worse=estimate.p_above,
        p=estimate.p,
        change_is="difference",
        test="Welch's t on sqrt(errors + 3/8), unpaired",
    )


def _problem(a: Floats, b: Floats, sent_a: Floats, sent_b: Floats) -> str:
    if not len(a) == len(b) == len(sent_a) == len(sent_b):
        return "errors and requests of different numbers of trials"
    return _impossible(a, sent_a) or _impossible(b, sent_b)


def _impossible(errors: Floats, sent: Floats) -> str:
    """Why these cannot be the errors of trials with so many requests, or nothing."""
    if not np.isfinite(sent).all() or sent.min() < 1:
        return "a trial without a scheduled request"
    if not np.isfinite(errors).all() or errors.min() < 0 or (errors > sent).any():
        return "more errors than requests, or fewer than none"
    return ""


def _no_errors(metric: ComparedMetric, pairs: int, requests: int) -> Cell:
    """Nothing failed: the bound of what may still be there decides whether that says enough."""
    bound = st.rule_of_three(requests)
    enough = bound < DIFFERENCE
    needed = None if enough else math.ceil(pairs * bound / DIFFERENCE)
    said = f"no error among {requests:,} requests of either: below {100 * bound:.2g} % (rule of three)"
    return Cell(
        metric=metric.name,
        unit=metric.unit,
        better=metric.better,
        verdict=CellVerdict.NO_CHANGE if enough else CellVerdict.INCONCLUSIVE,
        pairs=pairs,
        baseline=0.0,
        candidate=0.0,
        change=0.0,
        low=-bound,
        high=bound,
        delta=DIFFERENCE,
        effective_delta=DIFFERENCE,
        smallest_visible=max(bound, DIFFERENCE),
        pairs_needed=needed,
        change_is="difference",
        test="rule of three",
        notes=(said,) if enough else (said, f"needs about {needed} pairs"),
    )


def _decide(before: float, after: float, low: float, high: float, estimate: st.Estimate) -> CellVerdict:
    if estimate.low > 0 and _matters(before, after):
        return CellVerdict.REGRESSED
    if estimate.high < 0 and _matters(after, before):
        return CellVerdict.IMPROVED
    # No change: neither a rise nor a fall that would matter lies in the interval.
    if high < _least_rise(before) - before and -low < _least_rise(after) - after:
        return CellVerdict.NO_CHANGE
    return CellVerdict.INCONCLUSIVE


def _matters(less: float, more: float) -> bool:
    return more >= RATIO * less and more - less >= DIFFERENCE


def _least_rise(rate: float) -> float:
    """The lowest rate that counts as a rise from this one."""
    return max(RATIO * rate, rate + DIFFERENCE)


def _visible(before: float, typical: float, sd: float, pairs: int) -> float:
    """The rise, as a difference of shares, that 80 % of such sessions see."""
    root = math.sqrt(before * typical + 0.375) + st.visible_sds(pairs) * sd
    return max((root**2 - 0.375) / typical, _least_rise(before)) - before
