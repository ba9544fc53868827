"""One function per way in which a measurement can be wrong, each with a stable id -> VALID | SUSPECT | INVALID.

A check reads what was recorded at one load point of one server and either keeps silent or says what is in
doubt, with the numbers that made it speak. This module knows nothing of files, prices or reports.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from bench.results import TrialRecord
from bench.samples import TIMED_OUT, UNSENT, WRONG_ANSWER, Bools, Floats, Samples, concatenate
from bench.stats import percentile, values_needed
from bench.units import duration_text, percent_text


class Verdict(StrEnum):
    """What a row is worth."""

    VALID = "VALID"
    SUSPECT = "SUSPECT"
    INVALID = "INVALID"


@dataclass(frozen=True, slots=True)
class Reason:
    """One way in which a measurement is in doubt: stable id, severity, the numbers that made it fire, advice."""

    id: str
    verdict: Verdict
    what: str
    advice: str
    numbers: Mapping[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one row of a summary rests on.

    `parts` are all rows of each of its `trials`, warm-up included; `window` is (start, end) of the measured part,
    the same in each. `percentile` is the SLO's share (0.95), `error_limit` its share of errors.
    """

    parts: tuple[Samples, ...]
    trials: tuple[TrialRecord, ...]
    window: tuple[float, float]
    open_loop: bool
    percentile: float = 0.95
    error_limit: float = 0.0


Judge = Callable[[Evidence, Samples], Reason | None]
"""Gets the evidence and, beside it, its measured rows, which nearly every check is about."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table."""

    id: str
    title: str
    judge: Judge


CHECKS: dict[str, Check] = {}
"""Every check by its id."""

LATE_SHARE = 0.01
"""One send in a hundred may be late: beyond it a p99 is ours, not the server's."""
LATE_FLOOR = 0.001
"""1 ms: what a scheduler of a busy machine costs; less cannot be promised."""
LATE_OF_SERVICE = 0.05
"""5 % of the median service time: a lag below it cannot change which server is faster."""
ACHIEVED_SHARE = 0.98
"""Less than 98 % of the offered load sent in time is another load point than the one on the label."""
FULL_SHARE = 0.9
"""In flight at least 90 % of the most there ever was: the generator was as full as it gets, the server made it so."""
FULL_AT_LEAST = 8
"""With fewer in flight than this a generator cannot claim that the server had filled it up."""
FAST_ERROR_RATIO = 0.5
"""Errors in less than half the time of a correct reply did less than the work."""
FAST_ERROR_SHARE = 0.01
"""Below 1 % of replies such errors free too little of the server to change its latency."""
DISTANCE_FACTOR = 10
"""Answers of two photos must differ by ten tolerances, else a wrong answer could pass as right."""
UNCHECKED_SHARE = 0.05
"""Above 5 % unchecked replies the check no longer speaks for the row."""
GROWTH = 2.0
"""Twice the waiting time in the last third: beyond what a queue that is merely busy does by chance."""
WARMING = 1.25
"""A first third a quarter slower than the rest: medians of steady service differ by a few per cent."""
THIRD_AT_LEAST = 20
"""Fewer requests in a third say nothing about a growing queue."""
ALONE_AT_LEAST = 10
"""Requests that did not queue differ so little that ten of them show a server a quarter slower."""
CLOCK_SLACK = 1e-6
"""Rounding of clock readings; anything beyond it is an event before its cause."""


def judge(evidence: Evidence) -> tuple[Reason, ...]:
    """Everything that is in doubt, the gravest first."""
    measured = concatenate([part.where(part.measured) for part in evidence.parts])
    reasons = [reason for check in CHECKS.values() if (reason := check.judge(evidence, measured))]
    return tuple(sorted(reasons, key=lambda reason: -_GRAVITY[reason.verdict]))


def verdict_of(reasons: Iterable[Reason]) -> Verdict:
    """The gravest verdict among the reasons; VALID if there is none."""
    return max((reason.verdict for reason in reasons), key=_GRAVITY.__getitem__, default=Verdict.VALID)


_GRAVITY = {Verdict.VALID: 0, Verdict.SUSPECT: 1, Verdict.INVALID: 2}


def check(check_id: str) -> Callable[[Judge], Judge]:
    """Enter a function into CHECKS; its docstring's first line is the title."""

    def enter(function: Judge) -> Judge:
        CHECKS[check_id] = Check(check_id, (function.__doc__ or check_id).splitlines()[0], function)
        return function

    return enter


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


@check("rows-missing")
def rows_missing(evidence: Evidence, _: Samples) -> Reason | None:
    """The rows on disk are not the requests that were scheduled."""
    scheduled = [trial.counts["scheduled"] for trial in evidence.trials if "scheduled" in trial.counts]
    rows = sum(len(part) for part in evidence.parts)
    if not scheduled or sum(scheduled) == rows:
        return None
    return Reason(
        "rows-missing",
        Verdict.INVALID,
        f"{sum(scheduled):,} requests were scheduled but {rows:,} rows were recorded",
        "the load generator lost rows: read load.log, then measure again",
        {"scheduled": sum(scheduled), "rows": rows},
    )


@check("times-disordered")
def times_disordered(_: Evidence, measured: Samples) -> Reason | None:
    """A request was sent before it was due, or answered before it was sent."""
    with np.errstate(invalid="ignore"):
        wrong = (measured.send_lag < -CLOCK_SLACK) | (measured.service_time < -CLOCK_SLACK)
    count = int(np.count_nonzero(wrong))
    if not count:
        return None
    return Reason(
        "times-disordered",
        Verdict.INVALID,
        f"{count:,} requests were sent before they were due or answered before they were sent",
        "the clocks of the load generator's processes disagree; measure again with one process",
        {"requests": count},
    )


@check("late-sends")
def late_sends(evidence: Evidence, measured: Samples) -> Reason | None:
    """The load generator itself was late, so part of the response time is its own."""
    allowed = _allowed_lag(measured)
    late, full = _late(evidence, measured, allowed)
    sent = ~np.isnan(measured.sent_at)
    if not np.any(sent):
        return None
    share = float(np.mean((late & ~full)[sent]))
    if share <= LATE_SHARE:
        return None
    return Reason(
        "late-sends",
        Verdict.SUSPECT,
        f"{percent_text(share)} of the requests left more than {duration_text(allowed)} late: "
        "the load generator was measured, too",
        "lower the arrival rate, leave the load generator cores of its own, or send from another machine",
        {"late_share": share, "allowed_seconds": allowed, "largest_seconds": float(measured.send_lag[sent].max())},
    )


@check("offered-not-achieved")
def offered_not_achieved(evidence: Evidence, measured: Samples) -> Reason | None:
    """The load generator, while it had room, did not send what the load point asks for."""
    late, full = _late(evidence, measured, _allowed_lag(measured))
    missing = int(np.count_nonzero(late & ~full & ~(measured.sent_at <= evidence.window[1])))
    achieved = 1 - missing / len(measured) if len(measured) else 1.0
    if achieved >= ACHIEVED_SHARE:
        return None
    return Reason(
        "offered-not-achieved",
        Verdict.INVALID,
        f"only {percent_text(achieved)} of the offered load was sent in the window, and the server was not the cause",
        "lower the arrival rate, leave the load generator cores of its own, or send from another machine",
        {"achieved_share": achieved, "missing": missing},
    )


@check("generator-full")
def generator_full(evidence: Evidence, measured: Samples) -> Reason | None:
    """So many requests were unanswered at once that further ones had to wait or never left."""
    late, full = _late(evidence, measured, _allowed_lag(measured))
    count = int(np.count_nonzero(late & full))
    if not len(measured) or count / len(measured) <= LATE_SHARE:
        return None
    return Reason(
        "generator-full",
        Verdict.SUSPECT,
        f"{count:,} of {len(measured):,} requests left late or never because as many as the load generator can hold "
        "were still unanswered; their wait is part of the response time",
        "the server cannot keep up with this arrival rate; look at the lower ones",
        {"held_back": count, "scheduled": len(measured)},
    )


@check("too-few-requests")
def too_few_requests(evidence: Evidence, measured: Samples) -> Reason | None:
    """Too few requests stand behind the percentile that the SLO names."""
    needed = values_needed(evidence.percentile)
    if len(measured) >= needed:
        return None
    return Reason(
        "too-few-requests",
        Verdict.SUSPECT,
        f"p{evidence.percentile * 100:g} needs {needed:,} requests, this load point has {len(measured):,}",
        "make the duration longer or the number of trials larger",
        {"needed": needed, "have": len(measured)},
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


@check("worker-replaced")
def worker_replaced(evidence: Evidence, _: Samples) -> Reason | None:
    """A worker of the server died and was replaced while it was loaded."""
    changed = [trial.id for trial in evidence.trials if trial.worker_pids_changed]
    if not changed:
        return None
    return Reason(
        "worker-replaced",
        Verdict.INVALID,
        "a worker of the server died and was replaced while it was loaded",
        "read server.log of this trial: out of memory and a worker time-out are the usual causes",
        {"trials": ", ".join(changed)},
    )


@check("overloaded")
def overloaded(evidence: Evidence, measured: Samples) -> Reason | None:
    """The queue was still growing at the end of the window."""
    if not evidence.open_loop:
        return None
    waits = np.where(measured.ok, measured.response_time, np.inf)
    # A refusal at once says nothing about the queue; only what never came back counts as endless.
    known = measured.ok | measured.has_error(TIMED_OUT) | measured.has_error(UNSENT)
    first, last = (waits[known & rows] for rows in _first_and_last_third(evidence, measured))
    if min(len(first), len(last)) < THIRD_AT_LEAST:
        return None
    before, after = percentile(first, 0.5), percentile(last, 0.5)
    if after <= GROWTH * before and math.isfinite(after):
        return None
    waits_text = [
        duration_text(wait) if math.isfinite(wait) else "for a reply that never came" for wait in (before, after)
    ]
    return Reason(
        "overloaded",
        Verdict.SUSPECT,
        f"overloaded: the middle request of the first third of the window waited {waits_text[0]}, that of the last "
        f"third {waits_text[1]}, so latency depends on how long you look",
        "read it as: this arrival rate is too high; look at the lower ones for a latency",
        {"first_third_p50": before, "last_third_p50": after},
    )


@check("warm-up-not-over")
def warm_up_not_over(evidence: Evidence, measured: Samples) -> Reason | None:
    """The first third of the window was served more slowly than the rest."""
    before, after = _first_third_and_rest(evidence, measured, measured.ok)
    if evidence.open_loop and before > WARMING * after:
        # A queue that was long by chance slows a third, too; only requests that found none can tell.
        before, after = _first_third_and_rest(evidence, measured, measured.ok & _alone(evidence))
    if not before > WARMING * after:
        return None
    return Reason(
        "warm-up-not-over",
        Verdict.SUSPECT,
        f"a request took {duration_text(before)} in the first third of the window and {duration_text(after)} in the "
        "rest: the server was still warming up",
        "make the warm-up longer",
        {"first_third_p50": before, "rest_p50": after},
    )


def _first_third_and_rest(evidence: Evidence, measured: Samples, rows: Bools) -> tuple[float, float]:
    """Median service time of these rows in the first third of the window and in the rest; NaN if they are too few."""
    start, _ = _first_and_last_third(evidence, measured)
    first, rest = measured.service_time[start & rows], measured.service_time[~start & rows]
    if min(len(first), len(rest)) < ALONE_AT_LEAST:
        return math.nan, math.nan
    return percentile(first, 0.5), percentile(rest, 0.5)


def _first_and_last_third(evidence: Evidence, measured: Samples) -> tuple[Bools, Bools]:
    start, end = evidence.window
    third = (end - start) / 3
    return measured.intended_at < start + third, measured.intended_at >= end - third


def _allowed_lag(measured: Samples) -> float:
    """Seconds that a send may be late without a word."""
    service = measured.service_time[measured.ok]
    return max(LATE_FLOOR, LATE_OF_SERVICE * percentile(service, 0.5)) if len(service) else LATE_FLOOR


def _late(evidence: Evidence, measured: Samples, allowed: float) -> tuple[Bools, Bools]:
    """Which measured rows left late or never, and which rows were due while the generator was full.

    Full is: about as many unanswered at the intended moment as there ever were at once. Then the server's
    slowness kept the request from leaving; else the generator's own.
    """
    late = ~(measured.send_lag <= allowed)  # NaN, never sent, is late
    if not np.any(late):
        return late, late
    full = []
    for part, trial in zip(evidence.parts, evidence.trials, strict=True):
        most = float(_in_flight(part, part.sent_at, trial.timeout).max(initial=0.0)) + 1  # with the one that leaves
        due = _in_flight(part, part.intended_at[part.measured], trial.timeout)
        full.append((due >= FULL_SHARE * most) & (most >= FULL_AT_LEAST))
    return late, np.concatenate(full)


def _alone(evidence: Evidence) -> Bools:
    """Which measured rows were sent while nothing else was in flight."""
    parts = zip(evidence.parts, evidence.trials, strict=True)
    counts = [_in_flight(part, part.sent_at[part.measured], trial.timeout) for part, trial in parts]
    return np.asarray(np.concatenate(counts) == 0, dtype=np.bool_)


def _in_flight(samples: Samples, moments: Floats, timeout: float) -> Floats:
    """How many requests of one trial were sent before each moment and not answered by then; shape of `moments`."""
    left = ~np.isnan(samples.sent_at)
    sent = np.sort(samples.sent_at[left])
    ended = np.where(np.isnan(samples.done_at), samples.sent_at + timeout, samples.done_at)
    ended = np.sort(ended[left])
    return np.asarray(
        np.searchsorted(sent, moments, side="left") - np.searchsorted(ended, moments, side="right"), dtype=np.float64
    )
