"""Does one number describe the whole window: enough requests, a server warmed up, no growing queue, no change?"""

from __future__ import annotations

import math

import numpy as np

from bench.measures.stats import percentile, values_needed
from bench.measures.steady import RISE, change, settled
from bench.results import TrialRecord
from bench.samples import TIMED_OUT, UNSENT, Bools, Floats, Ints, Samples
from bench.units import duration_text, rate_text
from bench.validity.evidence import Evidence, Reason, Verdict, alone, check, ended_at

GROWTH = 2.0
"""Twice the waiting time in the last third: beyond what a queue that is merely busy does by chance."""
LIKELY, SURELY = 1.5, 3.0
"""Standard deviations by which the unanswered requests may grow by chance, with longer waits and without them."""
WARMING = 1.25
"""A beginning a quarter slower than the rest: medians of steady service differ by a few per cent."""
UNSTEADY = 1.2
"""Medians a fifth apart are two measurements."""
VERY_SURE = 5.0
"""Standard deviations: machines always drift a little, so only what cannot be chance is said."""
EDGE = 0.1
"""A change within the first or last tenth of the window leaves its numbers as they are."""
FEW = 10
"""Fewer requests than this before or after a change do not make it one."""
MOMENTS = 301
LEFTOVER = 1.5
"""A queue half as long again as any later one, and beyond chance, was not made by the load alone."""
SHARE_AT_LEAST = 0.01
"""Less than a hundredth of the requests is outside of every percentile that is usually looked at."""
BATCHES = 200
"""Medians of so many stretches: enough to place a change to half a per cent of the trial."""
THIRD_AT_LEAST = 20
"""Fewer requests in a third say nothing about a growing queue."""


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


@check("overloaded")
def overloaded(evidence: Evidence, measured: Samples) -> Reason | None:
    """The queue was still growing at the end of the window."""
    if not evidence.open_loop or not evidence.stationary:
        return None
    waits = np.where(measured.ok, measured.response_time, np.inf)
    # A refusal at once says nothing about the queue; only what never came back counts as endless.
    known = measured.ok | measured.has_error(TIMED_OUT) | measured.has_error(UNSENT)
    first, last = (waits[known & rows] for rows in _first_and_last_third(evidence, measured))
    enough = min(len(first), len(last)) >= THIRD_AT_LEAST
    before, after = (percentile(first, 0.5), percentile(last, 0.5)) if enough else (math.nan, math.nan)
    low, high, chance = _backlog(evidence)
    # Below saturation a wait doubles now and then by chance, and it does not where the warm-up was long already.
    if math.isinf(after) or (after > GROWTH * before and high - low > LIKELY * chance):
        return _overloaded(
            f"the middle request of the first third of the window waited {_wait_text(before)}, that of the last third "
            f"{_wait_text(after)}",
            {"first_third_p50": before, "last_third_p50": after},
        )
    if high - low <= SURELY * chance:
        return None
    return _overloaded(
        f"{low:,} requests were unanswered when the window began and {high:,} when it ended",
        {"unanswered_first": low, "unanswered_last": high},
    )


def _wait_text(seconds: float) -> str:
    return duration_text(seconds) if math.isfinite(seconds) else "for a reply that never came"


def _backlog(evidence: Evidence) -> tuple[int, int, float]:
    """Unanswered requests at the beginning and end of a window, and by how many they differ by chance.

    That of the trial in which they grew most, where they grew from third to third; else nothing grew.
    """
    worst = (0, 0, math.inf)
    for part, trial in zip(evidence.parts, evidence.trials, strict=True):
        waiting = _unanswered(part, trial.timeout, np.linspace(*evidence.window, MOMENTS))
        thirds = [float(third.mean()) for third in np.array_split(waiting, 3)]
        if not thirds[0] < thirds[1] < thirds[2]:
            continue
        grown = int(waiting[-1]) - int(waiting[0])
        chance = _chance(evidence, part, trial.timeout)
        if grown / chance > (worst[1] - worst[0]) / worst[2]:
            worst = (int(waiting[0]), int(waiting[-1]), chance)
    return worst


def _chance(evidence: Evidence, part: Samples, timeout: float) -> float:
    """By how many the unanswered requests of one trial differ by chance over the window, one standard deviation."""
    start, end = evidence.window
    ended = ended_at(part, timeout)
    came = part.intended_at[(part.intended_at >= start) & (part.intended_at < end)]
    went = np.sort(ended[(ended >= start) & (ended < end)])
    if len(came) < 3 * THIRD_AT_LEAST:
        return math.inf
    return math.sqrt(len(came) * (_unevenness(came) + _unevenness(went)))


def _unanswered(part: Samples, timeout: float, moments: Floats) -> Ints:
    """How many requests of one trial were due and neither answered nor given up at each moment."""
    ended = np.histogram(ended_at(part, timeout), [-np.inf, *moments])[0]  # what never left is in none of them
    return np.asarray(np.searchsorted(part.intended_at, moments) - np.cumsum(ended), dtype=np.int64)


def _unevenness(moments: Floats) -> float:
    """Squared coefficient of variation of the distances: 0 for a clock, 1 for events that know nothing of each other.

    Never less than a little, so that nothing is certain.
    """
    gaps = np.diff(moments)
    mean = float(gaps.mean()) if len(gaps) else 0.0
    return max(0.05, float(gaps.var()) / mean**2) if mean > 0 else 1.0


def _overloaded(seen: str, numbers: dict[str, float | int | str]) -> Reason:
    return Reason(
        "overloaded",
        Verdict.SUSPECT,
        f"overloaded: {seen}, so latency depends on how long you look",
        "read it as: this arrival rate is too high; look at the lower ones for a latency",
        numbers,
    )


@check("warm-up-not-over")
def warm_up_not_over(evidence: Evidence, _: Samples) -> Reason | None:
    """The server was still slower when the measured window began than later on."""
    if not evidence.stationary:
        return None
    start = evidence.window[0]
    for part, trial in zip(evidence.parts, evidence.trials, strict=True):
        at, times = plain_times(part, trial.timeout, open_loop=evidence.open_loop)
        cut = _cut(at, times, trial.users)
        before, after = times[(at >= start) & (at < cut)], times[at >= cut]
        if cut <= start or not len(before) or not len(after):
            continue
        slow, fast = percentile(before, 0.5), percentile(after, 0.5)
        whole = np.concatenate([before, after])
        weighs = len(before) >= max(FEW, SHARE_AT_LEAST * len(whole)) and slow >= WARMING * fast
        for share in (0.5, evidence.percentile):
            weighs = weighs or percentile(whole, share) >= RISE * percentile(after, share)
        if weighs:
            return Reason(
                "warm-up-not-over",
                Verdict.SUSPECT,
                f"until {duration_text(cut)} after the trial began a request took {duration_text(slow)}, then "
                f"{duration_text(fast)}; the window began at {duration_text(start)}: the server was still warming up",
                f"make the warm-up at least {duration_text(cut)} long",
                {"steady_from": cut, "window_start": start, "before_p50": slow, "after_p50": fast},
            )
    return _leftover_queue(evidence) if evidence.open_loop else None


def _leftover_queue(evidence: Evidence) -> Reason | None:
    """A server that was cold may have been too slow for the load, and then no request found it free to show that."""
    for part, trial in zip(evidence.parts, evidence.trials, strict=True):
        waiting = _unanswered(part, trial.timeout, np.linspace(*evidence.window, MOMENTS))
        most, later = int(waiting[: MOMENTS // 2].max()), int(waiting[-MOMENTS // 3 :].max())
        began_full = waiting[0] >= max(THIRD_AT_LEAST, most / 10)
        if began_full and most >= LEFTOVER * later and most - later > SURELY * _chance(evidence, part, trial.timeout):
            return Reason(
                "warm-up-not-over",
                Verdict.SUSPECT,
                f"{waiting[0]:,} requests were unanswered when the window began and soon {most:,}, in its last third "
                f"never more than {later:,}: the window measures how that queue was worked off",
                "make the warm-up longer",
                {"unanswered_first": int(waiting[0]), "unanswered_most": most, "unanswered_later": later},
            )
    return None


@check("not-steady")
def not_steady(evidence: Evidence, _: Samples) -> Reason | None:
    """Latency, or what a closed loop got through, changed for good within the window."""
    if not evidence.stationary:
        return None
    for part, trial in zip(evidence.parts, evidence.trials, strict=True):
        found = _latency_change(evidence, part, trial)
        if found is None and not evidence.open_loop:
            found = _throughput_change(evidence, part, trial)
        if found is not None:
            return found
    return None


def _latency_change(evidence: Evidence, part: Samples, trial: TrialRecord) -> Reason | None:
    start, end = evidence.window
    at, times = plain_times(part, trial.timeout, open_loop=evidence.open_loop)
    inside = at >= max(start, _cut(at, times, trial.users))
    at, times = at[inside], times[inside]
    moments, medians = _batches(at, times, trial.users)
    place = change(medians, slower_first=False, sure=VERY_SURE)
    if place is None:
        return None
    moment = moments[place]
    before, after = times[at < moment], times[at >= moment]
    edge = EDGE * (end - start)
    if min(len(before), len(after)) < FEW or not start + edge <= moment <= end - edge:
        return None
    one, other = percentile(before, 0.5), percentile(after, 0.5)
    if max(one, other) < UNSTEADY * min(one, other):
        return None
    return _unsteady(
        f"from {duration_text(moment)} after the trial began a request took {duration_text(other)}, before it "
        f"{duration_text(one)}",
        {"changed_at": moment, "before_p50": one, "after_p50": other},
    )


def _throughput_change(evidence: Evidence, part: Samples, trial: TrialRecord) -> Reason | None:
    """A closed loop gets less done when its server stalls, though half of its requests may not notice."""
    start, end = evidence.window
    edges = np.linspace(max(start, steady_from(part, trial, open_loop=False)), end, 4)
    counts = np.histogram(part.done_at[part.ok & ~np.isnan(part.done_at)], edges)[0]
    few, many = int(counts.min()), int(counts.max())
    times = part.service_time[part.ok]
    if few + many < 2 * THIRD_AT_LEAST or many < UNSTEADY * few:
        return None
    uneven = max(1.0, float(times.var() / times.mean() ** 2))
    if many - few <= VERY_SURE * math.sqrt(uneven * (many + few)):
        return None
    third = float(edges[1] - edges[0])
    return _unsteady(
        "the thirds of the window, the warm-up left out, got "
        f"{', '.join(rate_text(count / third) for count in counts)} done",
        {"least": few / third, "most": many / third},
    )


def _unsteady(seen: str, numbers: dict[str, float | int | str]) -> Reason:
    return Reason(
        "not-steady",
        Verdict.SUSPECT,
        f"not steady: {seen}; one number cannot stand for both",
        "look at the time series for when it changed, and at what else ran or at the server's log then",
        numbers,
    )


def steady_from(part: Samples, trial: TrialRecord, *, open_loop: bool) -> float:
    """Seconds since the trial began from which on requests took no longer than later ones; 0 if from the first on."""
    return _cut(*plain_times(part, trial.timeout, open_loop=open_loop), trial.users)


def plain_times(part: Samples, timeout: float, *, open_loop: bool) -> tuple[Floats, Floats]:
    """When good requests were due and how long the server took for them, without waits in a queue.

    In open loop a queue grows and shrinks by chance, so only requests that found none can tell how fast the server
    is; in closed loop the queue is always the same.
    """
    rows = part.ok & alone(part, timeout) if open_loop else part.ok
    return part.intended_at[rows], part.service_time[rows]


def _cut(at: Floats, times: Floats, users: int | None) -> float:
    moments, medians = _batches(at, times, users)
    place = settled(medians)
    return moments[place] if place else 0.0


def _batches(at: Floats, times: Floats, users: int | None) -> tuple[list[float], list[float]]:
    """At most BATCHES moments with the median time from each of them on.

    In closed loop one slow request delays one of each other user, so as many together make one independent value.
    """
    size = max(1, -(-len(times) // BATCHES), users or 1)
    count = len(times) // size
    if not count:
        return [], []
    medians = np.median(times[: count * size].reshape(count, size), axis=1)
    return at[: count * size : size].tolist(), medians.tolist()


def _first_and_last_third(evidence: Evidence, measured: Samples) -> tuple[Bools, Bools]:
    start, end = evidence.window
    third = (end - start) / 3
    return measured.intended_at < start + third, measured.intended_at >= end - third
