"""What the rows of one look of a capacity search say about its rate.

Knows one look; what all of a search say together is `bench.measures.capacity`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.measures.capacity import Look, Result
from bench.measures.stats import values_needed
from bench.results import (
    TrialRecord,
)
from bench.summary.figures import Slo
from bench.summary.spread import Spread
from bench.units import duration_text
from bench.validity import Reason, Verdict, verdict_of

OURS = ("rows-missing", "worker-lost", "times-disordered", "offered-not-achieved", "check-could-not-fail")
"""Verdicts INVALID for which the server is not to blame: such a look says nothing of it."""


def look(rate: float, spread: Spread, reasons: Sequence[Reason], slo: Slo) -> Look:
    """What the rows of one look say about its rate."""
    by_id = {reason.id: reason for reason in reasons}
    ours = next((reason for name, reason in by_id.items() if name in OURS), None)
    if ours is not None:
        return Look(rate, Result.UNTOLD, ours.what)
    if spread.n < values_needed(slo.share):
        return Look(rate, Result.UNTOLD, by_id["too-few-requests"].what)
    ratio = math.inf if spread.judged is None else spread.judged / slo.limit
    missed = ratio > 1
    if missed and "late-sends" in by_id and _within_once_sent(spread, slo):
        return Look(rate, Result.UNTOLD, f"missed, but the load generator was the cause: {by_id['late-sends'].what}")
    other = next((by_id[name] for name in ("errors-above-limit", "overloaded") if name in by_id), None)
    if missed:
        name = f"p{slo.share * 100:g}"
        found = (
            f"{name} of {duration_text(ratio * slo.limit)}"
            if math.isfinite(ratio)
            else f"no {name}: too many requests got no correct reply"
        )
        return Look(rate, Result.MISSED, found, ratio if math.isfinite(ratio) else None)
    if other is not None or verdict_of(reasons) is Verdict.INVALID:
        return Look(rate, Result.MISSED, (other or reasons[0]).what)
    return Look(rate, Result.MET, "", ratio)


def unmeasured_look(trial: TrialRecord, reason: str) -> Look:
    """A look without figures: a server that died of the load did not meet the SLO, anything else says nothing."""
    result = Result.MISSED if trial.server_died else Result.UNTOLD
    return Look(trial.arrival_rate or 0.0, result, reason or "its rows are missing or cannot be read")


def _within_once_sent(spread: Spread, slo: Slo) -> bool:
    """Whether the SLO would hold if the clock started when each request really left."""
    return spread.once_sent is not None and spread.once_sent <= slo.limit
