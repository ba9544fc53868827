"""Values of paired trials -> a cell with its verdict. Never a pass for what could not be computed.

A verdict needs significance and size: the 95 % interval of the change excludes zero, and the change is at least as
large as the least that matters. An interval that lies wholly within that is "no change"; the rest is "inconclusive".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.compare import statistics as st
from bench.compare.cells import Better, Cell, CellVerdict, ComparedMetric, not_comparable
from bench.compare.statistics import Floats

Values = Sequence[float | None] | Floats
"""One value per trial; None or NaN where it could not be measured."""
GAINS_NEED_CORRECTNESS = frozenset({"p50", "p95", "p99", "throughput", "goodput", "capacity", "cost"})
MOST_USEFUL_PAIRS = 400


def decide(
    change: float, low: float, high: float, delta: float, better: Better, within: float | None = None
) -> CellVerdict:
    """The verdict of an interval [low, high] around a change, both in the metric's own direction, as shares.

    `within` is what an interval has to lie in to be "no change" where that is narrower than `delta`: a restless machine
    raises what counts as a change, and shows no more that there is none.
    """
    same = delta if within is None else min(within, delta)
    if not all(math.isfinite(number) for number in (change, low, high, delta)):
        return CellVerdict.NOT_COMPARABLE
    worse, worse_low, worse_high = (change, low, high) if better == "lower" else (-change, -high, -low)
    if worse_low > 0 and worse >= delta:
        return CellVerdict.REGRESSED
    if worse_high < 0 and -worse >= delta:
        return CellVerdict.IMPROVED
    if -same < worse_low and worse_high < same:
        return CellVerdict.NO_CHANGE
    return CellVerdict.INCONCLUSIVE


def judge_cell(
    metric: ComparedMetric,
    baseline: Values,
    candidate: Values,
    *,
    delta: float | None = None,
    aa_sd: float | None = None,
    aa_pairs: int = 20,
    confidence: float = st.CONFIDENCE,
    requests: tuple[Sequence[int], Sequence[int]] | None = None,
    censored: Sequence[int] = (),
    min_pairs: int = st.MIN_PAIRS,
) -> Cell:
    """The cell of one metric over paired trials.

    Shape: baseline and candidate (n,), pair by pair, one value per trial; for errors they are counts and `requests`
    holds both sides' scheduled requests. `delta` and `aa_sd` as in `bench.compare.noise`: the least change that
    matters as a share, and the sd of pair log-ratios of a server against itself over `aa_pairs` pairs. `censored`
    names the pairs, from 0, in which the value is only a bound, as a capacity at the end of its search is.
    """
    least = metric.delta if delta is None else delta
    pairs = len(baseline)
    problem = _problem(baseline, candidate, min_pairs)
    if problem:
        return not_comparable(metric, pairs, problem, delta=least)
    a, b = np.asarray(baseline, dtype=np.float64), np.asarray(candidate, dtype=np.float64)
    if metric.test == "errors":
        if requests is None:
            return not_comparable(metric, pairs, "how many requests were scheduled is not known", delta=least)
        from bench.compare.errors import judge_errors

        return judge_errors(metric, a, b, requests, confidence=confidence)
    if metric.test == "exact":
        return _judge_exact(metric, a, b, least)
    if (a <= 0).any() or (b <= 0).any():
        return not_comparable(metric, pairs, "a value of zero or below has no ratio", delta=least)
    return _judge_ratio(metric, a, b, least, aa_sd, aa_pairs, confidence, tuple(censored))


def _problem(baseline: Values, candidate: Values, min_pairs: int) -> str:
    """Why no statistic can be computed from these values, or nothing."""
    if len(baseline) != len(candidate):
        return f"{len(baseline)} baseline trials and {len(candidate)} candidate trials are not pairs"
    least = max(2, min_pairs)
    if len(baseline) < least:
        return f"needs at least {least} pairs, has {len(baseline)}"
    bad = [place + 1 for place, pair in enumerate(zip(baseline, candidate, strict=True)) if not _finite(pair)]
    if bad:
        return f"no value in pair {', '.join(map(str, bad))}"
    return ""


def _finite(pair: tuple[float | None, float | None]) -> bool:
    return all(number is not None and math.isfinite(number) for number in pair)


def _judge_ratio(
    metric: ComparedMetric,
    a: Floats,
    b: Floats,
    least: float,
    aa_sd: float | None,
    aa_pairs: int,
    confidence: float,
    censored: tuple[int, ...],
) -> Cell:
    ratios = np.log(b) - np.log(a)
    if st.constant(ratios):
        return not_comparable(
            metric, len(a), "the ratio is the same in every pair, so its spread is unknown", delta=least
        )
    estimate = st.paired_t(ratios, confidence)
    rank_middle, rank_low, rank_high = st.hodges_lehmann(ratios, confidence)
    floor = None if aa_sd is None else st.noise_floor(aa_sd, aa_pairs, len(a))
    effective = least if floor is None else max(least, floor)
    change, low, high = (math.expm1(number) for number in (estimate.mean, estimate.low, estimate.high))
    verdict = decide(change, low, high, effective, metric.better, within=least)
    notes: list[str] = []
    needed: int | None = None
    if censored:
        verdict = CellVerdict.INCONCLUSIVE
        notes.append(f"only a bound in pair {', '.join(str(place + 1) for place in censored)}")
    elif verdict is CellVerdict.INCONCLUSIVE:
        limit = effective if abs(change) >= effective else least
        needed = _pairs_needed(estimate, limit, confidence)
        notes.append(_needs(needed, limit))
    elif verdict is CellVerdict.NO_CHANGE and estimate.excludes_zero:
        notes.append("real but below delta")
    notes += _floor_notes(floor, least)
    notes += _disagreement(ratios, estimate, rank_low, rank_high)
    if aa_sd is not None and estimate.sd > 2 * aa_sd:
        notes.append(f"pairs scatter {estimate.sd / aa_sd:.1f} times as much as when this machine was calibrated")
    return Cell(
        metric=metric.name,
        unit=metric.unit,
        better=metric.better,
        verdict=verdict,
        pairs=len(a),
        baseline=float(np.exp(np.log(a).mean())),
        candidate=float(np.exp(np.log(b).mean())),
        change=change,
        low=low,
        high=high,
        delta=least,
        effective_delta=effective,
        noise_floor=floor,
        smallest_visible=st.smallest_visible(estimate.sd, len(a), effective, 1 - confidence),
        pairs_needed=needed,
        sd=estimate.sd,
        p_worse=estimate.p_above if metric.better == "lower" else 1 - estimate.p_above,
        p=estimate.p,
        hodges_lehmann=math.expm1(rank_middle),
        test="paired t on the log-ratio",
        can_gate=floor is None or floor <= 2 * least,
        notes=tuple(notes),
    )


def _pairs_needed(estimate: st.Estimate, delta: float, confidence: float) -> int:
    """How many pairs would decide, if change and spread stay what they are; more than there are.

    Enough to see delta in 4 of 5 sessions; if there are as many already, enough to tell this change from delta.
    """
    size, limit = abs(estimate.mean), math.log1p(delta)
    if limit > 0 and not estimate.excludes_zero:
        needed = st.pairs_for(limit, estimate.sd, alpha=1 - confidence)
        if needed > estimate.n:
            return needed
    apart = size if size >= limit else limit - size
    return max(st.pairs_for_half_width(apart, estimate.sd, confidence), estimate.n + 1)


def _needs(needed: int, delta: float) -> str:
    if needed > MOST_USEFUL_PAIRS:
        return f"too close to {100 * delta:.3g} %, or too scattered, for {MOST_USEFUL_PAIRS} pairs to tell"
    return f"needs about {needed} pairs"


def _floor_notes(floor: float | None, least: float) -> list[str]:
    if floor is None or floor <= least:
        return []
    if floor > 2 * least:
        return [f"this machine cannot gate this metric: noise floor {100 * floor:.1f} %, delta {100 * least:.1f} %"]
    return [f"delta raised from {100 * least:.1f} % to the noise floor of {100 * floor:.1f} %"]


def _disagreement(ratios: Floats, estimate: st.Estimate, rank_low: float, rank_high: float) -> list[str]:
    """What to say when the t interval and the rank interval disagree on whether there is a change."""
    by_rank = rank_low > 0 or rank_high < 0
    if by_rank == estimate.excludes_zero or not math.isfinite(rank_low):
        return []
    outlier = st.outlying_pair(ratios)
    if outlier is None:
        return [f"borderline: the rank interval {'excludes' if by_rank else 'includes'} zero"]
    return [f"outlier-driven: see pair {outlier + 1}"]


def _judge_exact(metric: ComparedMetric, a: Floats, b: Floats, least: float) -> Cell:
    """Sizes and the like: no test, the values speak; what should not vary and does is said."""
    notes = ["exact: no test"]
    if not (st.constant(a) and st.constant(b)):
        notes.append("varies between trials although it should not")
    before, after = float(np.median(a)), float(np.median(b))
    if before < 0 or after < 0 or (before == 0) != (after == 0):
        return not_comparable(metric, len(a), "a value of zero or below has no ratio", delta=least)
    change = after / before - 1 if before else 0.0
    verdict = decide(change, change, change, least, metric.better)
    if verdict is CellVerdict.NO_CHANGE and change:
        notes.append("real but below delta")
    if change == 0:
        verdict = CellVerdict.NO_CHANGE
    return Cell(
        metric=metric.name,
        unit=metric.unit,
        better=metric.better,
        verdict=verdict,
        pairs=len(a),
        baseline=before,
        candidate=after,
        change=change,
        low=change,
        high=change,
        delta=least,
        effective_delta=least,
        test="exact",
        notes=tuple(notes),
    )


def without_undeserved_gains(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The cells, with gains in speed, capacity or cost not credited where errors rose or goodput fell."""
    bad = {cell.metric for cell in cells if cell.verdict is CellVerdict.REGRESSED} & {"error_rate", "goodput"}
    if not bad:
        return tuple(cells)
    why = "not credited (errors rose)" if "error_rate" in bad else "not credited (goodput fell)"
    return tuple(
        replace(cell, verdict=CellVerdict.NOT_COMPARABLE, notes=(why, *cell.notes))
        if cell.verdict is CellVerdict.IMPROVED and cell.metric in GAINS_NEED_CORRECTNESS
        else cell
        for cell in cells
    )


def derived_cost(metric: ComparedMetric, served: Cell, baseline_hourly: float, candidate_hourly: float) -> Cell:
    """The cell of cost per million requests, from that of the rate served and the hourly prices in dollars.

    The interval is the rate's, turned round; it is the same evidence and not tested twice.
    """
    prices = (baseline_hourly, candidate_hourly)
    if not all(math.isfinite(price) and price > 0 for price in prices):
        return not_comparable(metric, served.pairs, "no price")
    if served.baseline is None or served.candidate is None or served.verdict is CellVerdict.NOT_COMPARABLE:
        return not_comparable(metric, served.pairs, served.note or "the rate served is not comparable")
    assert served.low is not None
    assert served.high is not None
    assert served.change is not None
    price = candidate_hourly / baseline_hourly
    change = price / (1 + served.change) - 1
    low, high = price / (1 + served.high) - 1, price / (1 + served.low) - 1
    effective = max(metric.delta, served.noise_floor or 0.0)
    verdict = decide(change, low, high, effective, metric.better, within=metric.delta)
    if served.verdict is CellVerdict.INCONCLUSIVE and price == 1:
        verdict = CellVerdict.INCONCLUSIVE
    return replace(
        served,
        metric=metric.name,
        unit=metric.unit,
        better=metric.better,
        verdict=verdict,
        baseline=1e6 * baseline_hourly / (3600 * served.baseline),
        candidate=1e6 * candidate_hourly / (3600 * served.candidate),
        change=change,
        low=low,
        high=high,
        delta=metric.delta,
        effective_delta=effective,
        hodges_lehmann=None,
        test=f"derived from {served.metric}",
        notes=(*(() if price == 1 else (f"hourly price x{price:.3g}, exact",)), *served.notes),
    )
