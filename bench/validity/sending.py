"""Our own side: did the load generator send what it was asked to, when it was asked to, and record all of it?"""

from __future__ import annotations

import numpy as np

from bench.measures.stats import percentile
from bench.samples import Bools, Samples
from bench.units import duration_text, percent_text, rate_text
from bench.validity.evidence import Evidence, Reason, Verdict, check, ended_at, in_flight

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
BUSY_SHARE = 0.85
"""Of one core per load worker: above it a reply waits for the worker's attention, and that wait looks like latency."""
CEILING_SHARE = 0.5
"""Beyond half of what it can send at all, a generator's own delay grows with the rate."""
LITTLE_GAP = 0.05
"""Users in closed loop wait for a reply all the time; 5 % of it not waited is time the generator took, or lost rows."""
CLOCK_SLACK = 1e-6
"""Rounding of clock readings; anything beyond it is an event before its cause."""


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


@check("worker-lost")
def worker_lost(evidence: Evidence, _: Samples) -> Reason | None:
    """A load worker died, or was not heard of any more, during the trial."""
    lost = [text for trial in evidence.trials for text in trial.lost_workers]
    if not lost:
        return None
    return Reason(
        "worker-lost",
        Verdict.INVALID,
        f"{'; '.join(lost)}: its share of the load was not sent, or what it recorded is gone",
        "read load.log, see to that worker's machine and its network, then measure again",
        {"lost": len(lost)},
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


@check("generator-saturated")
def generator_saturated(evidence: Evidence, _: Samples) -> Reason | None:
    """The load generator's own processor time was used up."""
    shares = {
        trial.id: trial.generator_cpu_seconds / (max(1, trial.generator_workers) * evidence.window[1])
        for trial in evidence.trials
        if trial.generator_cpu_seconds is not None and evidence.window[1] > 0
    }
    worst = max(shares, key=shares.__getitem__, default=None)
    if worst is None or shares[worst] < BUSY_SHARE:
        return None
    return Reason(
        "generator-saturated",
        Verdict.SUSPECT,
        f"each load worker was busy {percent_text(min(1.0, shares[worst]))} of the time: replies waited for the load "
        "generator, and that wait is part of the latency",
        "use more load workers, lower the load, or send from another machine",
        {"cpu_share": shares[worst], "trial": worst},
    )


@check("beyond-half-ceiling")
def beyond_half_ceiling(evidence: Evidence, measured: Samples) -> Reason | None:
    """More was sent than half of what the load generator can send on this machine at all."""
    workers = min((max(1, trial.generator_workers) for trial in evidence.trials), default=1)
    size = float(measured.request_bytes.mean()) if len(measured) else 0.0
    ceiling = _ceiling(evidence, size)
    seconds = evidence.seconds * len(evidence.trials)
    if ceiling is None or seconds <= 0:
        return None
    rate, limit = np.count_nonzero(~np.isnan(measured.sent_at)) / seconds, ceiling * workers
    if rate <= CEILING_SHARE * limit:
        return None
    return Reason(
        "beyond-half-ceiling",
        Verdict.SUSPECT,
        f"{rate_text(rate)} were sent, more than half of the {rate_text(limit)} that {workers} load "
        f"worker{'s' if workers > 1 else ''} of this machine can send at all",
        "use more load workers, lower the load, or send from another machine",
        {"rate": rate, "ceiling": limit, "workers": workers},
    )


def _ceiling(evidence: Evidence, request_bytes: float) -> float | None:
    """Requests/s that one load worker can send at most, by the calibrated load nearest above in size; None if unknown.

    A worker that had less than a whole core when it was calibrated can send more with a whole one.
    """
    known = evidence.calibration or {}
    grpc = "grpc" in str(evidence.options.get("protocol", ""))
    reaches = [each for each in known.get("reaches", ()) if (each.get("transport") == "grpc") == grpc]
    reaches.sort(key=lambda each: float(each["request_bytes"]))
    reach = next(
        (each for each in reaches if each["request_bytes"] >= request_bytes), reaches[-1] if reaches else known
    )
    ceiling = reach.get("ceiling")
    share = max(0.01, float(reach.get("cpu_share", 1.0)))
    return float(ceiling) / min(1.0, share) if isinstance(ceiling, int | float) and ceiling > 0 else None


@check("littles-law")
def littles_law(evidence: Evidence, measured: Samples) -> Reason | None:
    """As many users as there were do not account for the requests and times that were recorded."""
    if evidence.open_loop or measured.has_error("connection refused").any():
        return None  # a refused user waits a moment before it tries again
    worst, in_flight_then, users = 0.0, 0.0, 0
    for part, trial in zip(evidence.parts, evidence.trials, strict=True):
        if trial.users and evidence.seconds > 0:
            average = _average_in_flight(part, trial.timeout, evidence.window)
            gap = abs(average / trial.users - 1)
            if gap > worst:
                worst, in_flight_then, users = gap, average, trial.users
    if worst <= LITTLE_GAP:
        return None
    return Reason(
        "littles-law",
        Verdict.SUSPECT,
        f"{users} user{'s' if users > 1 else ''} should have {users} requests in flight, but throughput x time in "
        f"flight is {in_flight_then:.3g}: the rest of the time went into the load generator, or rows are missing",
        "use fewer users or more load workers; a server this fast needs an open-loop load",
        {"users": users, "in_flight": in_flight_then, "gap": worst},
    )


def _average_in_flight(part: Samples, timeout: float, window: tuple[float, float]) -> float:
    start, end = window
    within = np.clip(ended_at(part, timeout), start, end) - np.clip(part.sent_at, start, end)
    return float(np.nansum(within)) / (end - start)


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
    full = np.zeros(len(late), dtype=np.bool_)
    if np.count_nonzero(late) <= LATE_SHARE * len(late):
        return late, full  # so few that no check is going to say anything, whoever was the cause
    first = 0
    for part, trial in zip(evidence.parts, evidence.trials, strict=True):
        due = part.intended_at[part.measured]
        own = first + np.flatnonzero(late[first : first + len(due)])
        most = float(in_flight(part, part.sent_at, trial.timeout).max(initial=0.0)) + 1  # with the one that leaves
        if most >= FULL_AT_LEAST:
            full[own] = in_flight(part, due[own - first], trial.timeout) >= FULL_SHARE * most
        first += len(due)
    return late, full
