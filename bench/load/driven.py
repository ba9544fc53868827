"""What one trial left behind, and its rows as a run keeps them: in the order in which they were meant to leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.errors import LoadError
from bench.load.rows import NO_ERROR
from bench.load.split import worker_of
from bench.samples import TIMED_OUT, UNSENT, WRONG_ANSWER, Samples


@dataclass(frozen=True, slots=True)
class Driven:
    """What one trial left behind: the generator's rows as they are, its distinct replies, and its own counts."""

    rows: NDArray[np.void]
    errors: tuple[str, ...]
    replies: tuple[tuple[int, bytes], ...]
    schedule: NDArray[np.float64] | None
    payloads: int
    connections: int
    cpu_seconds: float
    """Of the load processes on this machine."""
    failure: LoadError | None
    workers: int = 1
    worker: NDArray[np.int64] | None = None
    """Which load worker recorded each row, shape (n,); None stands for the only one."""
    lost_workers: tuple[str, ...] = ()
    """Load workers that died, or were not heard of any more, during the trial."""
    window_at: float = 0.0
    """When the window began, in seconds since the trial did: once the warm-up was long enough and latency steady."""


def to_samples(driven: Driven, request_bytes: Sequence[int], wrong: NDArray[np.bool_]) -> Samples:
    """Rows in the order of their intended times, arrivals that never left included as `unsent`.

    `wrong` tells which distinct replies are no right answer, shape (replies,); rows that carry one are not ok.
    """
    rows = driven.rows
    errors = list(driven.errors)
    error = rows["error"].astype(np.int64)
    answer = rows["answer"].astype(np.int64)
    got_wrong = np.zeros(len(rows), dtype=np.bool_)
    if len(wrong):
        kept = answer >= 0
        got_wrong[kept] = wrong[np.minimum(answer[kept], len(wrong) - 1)]
    if got_wrong.any():
        error[got_wrong] = _number(errors, WRONG_ANSWER)
    missing = _missing_arrivals(driven)
    sizes = np.asarray(request_bytes, dtype=np.int64)
    intended = np.concatenate([rows["intended_at"], missing])
    order = np.argsort(intended, kind="stable")
    nothing = np.full(len(missing), np.nan)
    none = np.zeros(len(missing), dtype=np.int64)
    numbers = _numbers_of(missing, driven)
    payload = np.concatenate([rows["payload"].astype(np.int64), numbers % driven.payloads])
    worker = np.zeros(len(rows), dtype=np.int64) if driven.worker is None else driven.worker
    worker = np.concatenate([worker, worker_of(numbers, driven.workers)])
    unsent = np.full(len(missing), _number(errors, UNSENT) if len(missing) else NO_ERROR, dtype=np.int64)
    error = np.concatenate([error, unsent])
    return Samples(
        intended_at=intended[order],
        sent_at=np.concatenate([rows["sent_at"], nothing])[order],
        first_byte_at=np.concatenate([rows["first_byte_at"], nothing])[order],
        done_at=np.concatenate([rows["done_at"], nothing])[order],
        status=np.concatenate([rows["status"].astype(np.int64), none])[order],
        ok=(error == NO_ERROR)[order],
        error=error[order],
        errors=tuple(errors),
        measured=(intended >= driven.window_at)[order],
        payload=payload[order],
        request_bytes=sizes[payload][order],
        response_bytes=np.concatenate([rows["response_bytes"].astype(np.int64), none])[order],
        worker=worker[order],
    )


def with_kinds(driven: Driven, kind: Callable[[str], str]) -> Driven:
    """The same with each text of an error replaced by the kind that it counts as; several texts may be one kind."""
    kinds = [kind(text) for text in driven.errors]
    names = list(dict.fromkeys(kinds))
    numbers = np.array([names.index(each) for each in kinds] or [NO_ERROR], dtype=driven.rows["error"].dtype)
    rows = driven.rows.copy()
    failed = rows["error"] >= 0
    rows["error"][failed] = numbers[rows["error"][failed]]
    return replace(driven, rows=rows, errors=tuple(names))


def counts(samples: Samples) -> dict[str, int]:
    """How many requests were scheduled, and what became of them, warm-up included."""
    timed_out = samples.has_error(TIMED_OUT)
    unsent = samples.has_error(UNSENT)
    return {
        "scheduled": len(samples),
        "sent": int(np.count_nonzero(~unsent)),
        "ok": int(np.count_nonzero(samples.ok)),
        "failed": int(np.count_nonzero(~samples.ok & ~timed_out & ~unsent)),
        "timed_out": int(np.count_nonzero(timed_out)),
        "unsent": int(np.count_nonzero(unsent)),
    }


def _number(errors: list[str], text: str) -> int:
    if text not in errors:
        errors.append(text)
    return errors.index(text)


def _missing_arrivals(driven: Driven) -> NDArray[np.float64]:
    """Intended times of the schedule that have no row: each occurs as often as it is missing."""
    if driven.schedule is None:
        return np.zeros(0)
    remaining = np.ones(len(driven.schedule), dtype=np.bool_)
    remaining[np.searchsorted(driven.schedule, driven.rows["intended_at"])] = False
    return driven.schedule[remaining]


def _numbers_of(intended_at: NDArray[np.float64], driven: Driven) -> NDArray[np.int64]:
    """Which arrivals of the schedule these are."""
    if driven.schedule is None:
        return np.zeros(0, dtype=np.int64)
    return np.searchsorted(driven.schedule, intended_at).astype(np.int64)
