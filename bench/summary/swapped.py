"""What an exchange of the model cost: requests lost, the slowest of them, and how long what lasted. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench import units
from bench.results import SwapRecord, TrialRecord
from bench.samples import Samples


@dataclass(frozen=True, slots=True)
class SwapFigures:
    """One exchange of a model's version under load.

    `requests` were due from the moment on at which the new version began to be copied, and `failed` of them got no
    right answer in time. `worst` is the longest response time among the others, `worst_before` and `p50_before` those
    of the window until then. Seconds: `copying` until it was renamed, from then on `took_over` until the new version
    gave its first answer - or, where answers do not tell their version, was said to be able to (`seen_by` is `answers`
    or `status`). `both_loaded` is how long both were in memory. None where it was not seen in the trial.
    `answers` counts those of each version.
    """

    old: str
    new: str
    requests: int
    failed: int
    worst: float | None
    worst_before: float | None
    p50_before: float | None
    copying: float | None
    took_over: float | None
    seen_by: str
    both_loaded: float | None
    old_answered_until: float | None
    answers: dict[str, int]
    trial_id: str


def swap_figures(trial: TrialRecord, samples: Samples, window: tuple[float, float]) -> SwapFigures | None:
    """The figures of one trial; None if there was no exchange in it."""
    record = trial.swap
    if record is None or record.copy_at is None:
        return None
    begun, end = window
    response, ok = samples.response_time, samples.ok
    during = (samples.intended_at >= record.copy_at) & (samples.intended_at < end)
    before = (samples.intended_at >= begun) & (samples.intended_at < record.copy_at)
    earlier = response[before & ok]
    return SwapFigures(
        old=record.old,
        new=record.new,
        requests=int(np.count_nonzero(during)),
        failed=int(np.count_nonzero(during & ~ok)),
        worst=float(response[during & ok].max()) if np.any(during & ok) else None,
        worst_before=float(earlier.max()) if len(earlier) else None,
        p50_before=float(np.sort(earlier)[(len(earlier) + 1) // 2 - 1]) if len(earlier) else None,
        copying=_between(record.copy_at, record.renamed_at),
        took_over=_between(record.renamed_at, taken_over_at(record)),
        seen_by="answers" if record.answers else "status",
        both_loaded=_between(record.loading_at, record.gone_at),
        old_answered_until=_between(record.renamed_at, record.last_old_at),
        answers=dict(record.answers),
        trial_id=trial.id,
    )


def taken_over_at(record: SwapRecord) -> float | None:
    """When the new version gave its first answer or, where answers do not tell, was said to be able to."""
    return record.first_new_at if record.answers else record.ready_at


def swap_marks(trial: TrialRecord) -> tuple[tuple[float, str], ...]:
    """What a chart marks: (seconds since the trial began, in words)."""
    record = trial.swap
    if record is None:
        return ()
    taken = taken_over_at(record)
    verb = "answers" if record.answers else "ready"
    marks = ((record.renamed_at, "renamed"), (taken, f"version {record.new} {verb}"))
    return tuple((at, words) for at, words in marks if at is not None)


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start


def swap_sentence(server: str, figures: SwapFigures) -> str:
    """Whether there was downtime at one server, and how long it took."""
    if figures.took_over is None:
        return f"Version {figures.new} never took over at {server} within the trial."
    lost = "none" if not figures.failed else units.count_text(figures.failed)
    slowest = "" if figures.worst is None else f"; the slowest answer took {units.duration_text(figures.worst)}"
    before = "" if figures.worst_before is None else f", before that {units.duration_text(figures.worst_before)}"
    both = f", both in memory for {units.duration_text(figures.both_loaded)}" if figures.both_loaded else ""
    return (
        f"{server} lost {lost} of {units.count_text(figures.requests)} requests while version {figures.new} took over, "
        f"{units.duration_text(figures.took_over)} after its rename{both}{slowest}{before}."
    )
