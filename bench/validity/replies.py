"""What came back: was it right, was it there, and could the comparison have found that it was not?"""

from __future__ import annotations

import math

import numpy as np

from bench.measures.stats import percentile
from bench.measures.steady import SURE, ranks_apart
from bench.samples import TIMED_OUT, WRONG_ANSWER, Bools, Floats, Samples
from bench.units import duration_text, percent_text
from bench.validity.evidence import Evidence, Reason, Verdict, alone, check

FAST_ERROR_RATIO = 0.5
"""Errors in less than half the time of a correct reply did less than the work."""
FAST_ERROR_SHARE = 0.01
"""Below 1 % of replies such errors free too little of the server to change its latency."""
DISTANCE_FACTOR = 10
"""Answers of two photos must differ by ten tolerances, else a wrong answer could pass as right."""
CACHED_RATIO = 1.1
"""New inputs a tenth slower than repeated ones, the limit of MLPerf's caching audit (TEST04)."""
INPUTS_AT_LEAST = 30
"""New inputs in the window below which first use cannot be told from chance."""
COMPARED = 300
DRIFT = 3.0
"""Ranks this far apart within one side mean that time, not the input, made the difference."""
UNCHECKED_SHARE = 0.05
"""Above 5 % unchecked replies the check no longer speaks for the row."""


@check("nothing-ok")
def nothing_ok(_: Evidence, measured: Samples) -> Reason | None:
    """Not one correct reply in the window."""
    if np.any(measured.ok):
        return None
    scheduled = len(measured)
    return Reason(
        "nothing-ok",
        Verdict.INVALID,
        f"not one of {scheduled:,} requests was answered correctly" if scheduled else "no request fell into the window",
        "read the errors of this row and the server's log" if scheduled else "make the duration longer",
        {"scheduled": scheduled},
    )


@check("errors-above-limit")
def errors_above_limit(evidence: Evidence, measured: Samples) -> Reason | None:
    """More requests failed, timed out or never left than the SLO allows."""
    if not len(measured):
        return None
    rate = 1 - float(np.mean(measured.ok))
    if rate <= evidence.error_limit:
        return None
    return Reason(
        "errors-above-limit",
        Verdict.SUSPECT,
        f"{percent_text(rate)} of the requests got no correct reply, the SLO allows "
        f"{percent_text(evidence.error_limit)}; latency is that of the others",
        "read the errors of this row and the server's log; compare latency only between rows without errors",
        {"error_rate": rate, "limit": evidence.error_limit},
    )


@check("fast-errors")
def fast_errors(_: Evidence, measured: Samples) -> Reason | None:
    """Errors came back much faster than answers, so the server did less work than it was asked to."""
    refused = ~measured.ok & ~np.isnan(measured.done_at) & ~measured.has_error(WRONG_ANSWER)
    refused &= ~measured.has_error(TIMED_OUT)
    if not np.any(refused) or not np.any(measured.ok) or np.mean(refused) <= FAST_ERROR_SHARE:
        return None
    error, good = (percentile(measured.service_time[rows], 0.5) for rows in (refused, measured.ok))
    if error >= FAST_ERROR_RATIO * good:
        return None
    return Reason(
        "fast-errors",
        Verdict.SUSPECT,
        f"{percent_text(float(np.mean(refused)))} of the requests failed after {duration_text(error)}, "
        f"a correct reply takes {duration_text(good)}: the server shed load, which makes the rest look fast",
        "find the rate at which it stops refusing; its latency here is not that of the offered load",
        {"share": float(np.mean(refused)), "error_p50": error, "ok_p50": good},
    )


@check("wrong-answers")
def wrong_answers(evidence: Evidence, measured: Samples) -> Reason | None:
    """Answers disagree with the reference: whatever its speed, it is not the same work."""
    found = [trial.answers for trial in evidence.trials if trial.answers is not None]
    wrong = max(sum(answers.wrong for answers in found), int(np.count_nonzero(measured.has_error(WRONG_ANSWER))))
    if not wrong:
        return None
    example = next((answers.example for answers in found if answers.wrong and answers.example), "")
    return Reason(
        "wrong-answers",
        Verdict.INVALID,
        f"{wrong:,} answers disagree with the reference" + (f" ({example})" if example else ""),
        "check the server's preprocessing, its model version and the versions of its numeric packages",
        {"wrong": wrong, "checked": sum(answers.checked for answers in found)},
    )


@check("only-steady-answers")
def only_steady_answers(evidence: Evidence, _: Samples) -> Reason | None:
    """Nothing told what is right, so answers could only be seen to stay the same."""
    basis = next((trial.answers.basis for trial in evidence.trials if trial.answers and trial.answers.basis), "")
    if not basis:
        return None
    return Reason(
        "only-steady-answers",
        Verdict.VALID,
        f"answers were compared with {basis}, not with a model's: they stay the same, and may all be wrong",
        "name the model in the scenario, or give the kind an `expected`, if it serves one that is known",
    )


@check("check-could-not-fail")
def check_could_not_fail(evidence: Evidence, _: Samples) -> Reason | None:
    """The answers of different photos are too alike for the comparison to find a wrong one."""
    for trial in evidence.trials:
        answers = trial.answers
        if answers is None or answers.photo_distance >= DISTANCE_FACTOR * answers.tolerance:
            continue
        if math.isnan(answers.photo_distance):  # one photo has no distance to another
            return Reason(
                "check-could-not-fail",
                Verdict.SUSPECT,
                "with one photo a server that always gives the same answer would pass as right",
                "add a second, different photo to payload.images",
            )
        return Reason(
            "check-could-not-fail",
            Verdict.INVALID,
            f"answers of different photos differ by {answers.photo_distance:.3g}, the tolerance is "
            f"{answers.tolerance:.3g}: a wrong answer could not be told from a right one",
            "use photos or weights whose answers differ clearly",
            {"photo_distance": answers.photo_distance, "tolerance": answers.tolerance},
        )
    return None


@check("unchecked-answers")
def unchecked_answers(evidence: Evidence, _: Samples) -> Reason | None:
    """Many replies were not compared with the reference."""
    if any(trial.answers is None for trial in evidence.trials):
        return Reason(
            "unchecked-answers",
            Verdict.SUSPECT,
            "the answers were not compared with a reference",
            "fast wrong answers would look good here; let the answers be checked",
        )
    unchecked = sum(trial.answers.unchecked for trial in evidence.trials if trial.answers)
    replies = unchecked + sum(trial.answers.checked for trial in evidence.trials if trial.answers)
    if not replies or unchecked / replies <= UNCHECKED_SHARE:
        return None
    return Reason(
        "unchecked-answers",
        Verdict.SUSPECT,
        f"{unchecked:,} of {replies:,} replies were not compared with the reference",
        "the server's replies differ every time (an id, a time stamp?); leave that out of its reply",
        {"unchecked": unchecked, "replies": replies},
    )


@check("answered-from-cache")
def answered_from_cache(evidence: Evidence, _: Samples) -> Reason | None:
    """An input that was seen before was answered faster than a new one.

    Only rows can be looked at here, so it takes a payload of some dozen inputs whose first use was measured; with a
    few photos nothing can be told.
    """
    for part, trial in zip(evidence.parts, evidence.trials, strict=True):
        if part.payload.max(initial=0) < INPUTS_AT_LEAST - 1:
            continue
        compared = _new_and_seen(part, part.ok & part.measured & (~_queued(evidence, part, trial.timeout)))
        if compared is None:
            continue
        new, seen = compared
        ratio = percentile(new, 0.5) / percentile(seen, 0.5)
        if ratio >= CACHED_RATIO and ranks_apart(new.tolist(), seen.tolist()) >= SURE:
            return Reason(
                "answered-from-cache",
                Verdict.SUSPECT,
                f"an input sent for the first time took {duration_text(percentile(new, 0.5))}, one sent before "
                f"{duration_text(percentile(seen, 0.5))}: the server may remember its answers",
                "turn the server's cache off, or give as many different inputs as there are requests",
                {
                    "new_p50": percentile(new, 0.5),
                    "seen_p50": percentile(seen, 0.5),
                    "new": len(new),
                    "seen": len(seen),
                },
            )
    return None


def _queued(evidence: Evidence, part: Samples, timeout: float) -> Bools:
    """Rows whose time holds a wait for others, which has nothing to do with their input."""
    return ~alone(part, timeout) if evidence.open_loop else np.zeros(len(part), dtype=np.bool_)


def _new_and_seen(part: Samples, rows: Bools) -> tuple[Floats, Floats] | None:
    """Service times of inputs sent for the first time and of repeated ones, from the same stretch of time.

    Where all inputs are new up to one moment and none after it, as with a list that is gone through again and
    again, the requests just before and after that moment are compared, if nothing else changed around it.
    """
    first_use = np.zeros(int(part.payload.max()) + 1, dtype=np.int64)
    first_use[part.payload[::-1]] = np.arange(len(part))[::-1]  # the last to be written is the first use
    is_new = np.zeros(len(part), dtype=np.bool_)
    is_new[first_use] = True
    new, seen = np.flatnonzero(rows & is_new), np.flatnonzero(rows & ~is_new)
    if min(len(new), len(seen)) < INPUTS_AT_LEAST:
        return None
    times = part.service_time
    if new[-1] < seen[0]:
        count = min(len(new), len(seen), COMPARED)
        before, after = times[new[-count:]], times[seen[:count]]
        drifting = any(_drifts(side.tolist()) for side in (before, after))
        return None if drifting else (before, after)
    low, high = max(new[0], seen[0]), min(new[-1], seen[-1])
    mixed = [places[(places >= low) & (places <= high)] for places in (new, seen)]
    if min(len(places) for places in mixed) < INPUTS_AT_LEAST:
        return None
    thinned = [places[:: -(-len(places) // COMPARED)] for places in mixed]
    return times[thinned[0]], times[thinned[1]]


def _drifts(times: list[float]) -> bool:
    half = len(times) // 2
    return abs(ranks_apart(times[:half], times[half:])) > DRIFT
