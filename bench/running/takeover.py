"""A new version of the model takes the place of the old one while the server is loaded, and what is seen of it.

`exchange` goes through a kind's `Swap` at its moment of a trial and notes when what happened. This module knows no
server, and nothing of what a summary makes of the times.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.results import SwapRecord
from bench.running.trial_clock import TrialClock
from bench.swap import Swap

LOOK_SECONDS = 0.05
"""How often a server is asked for the states of its versions meanwhile."""


@dataclass(slots=True)
class _Seen:
    """What was seen so far; `record` is replaced as a whole, by one thread at a time."""

    record: SwapRecord


@contextlib.contextmanager
def exchange(swap: Swap, after: float, clock: TrialClock) -> Iterator[_Seen]:
    """Exchange the model `after` seconds into the window while the block runs; what was seen is whole once it ended."""
    seen = _Seen(SwapRecord(swap.old, swap.new))
    lock = threading.Lock()

    def note(**times: object) -> None:
        with lock:
            seen.record = replace(seen.record, **times)  # type: ignore[arg-type]  # fields of the record

    threads = [
        threading.Thread(target=_act, args=(swap, after, clock, note), name="swap", daemon=True),
        threading.Thread(target=_watch, args=(swap, after, clock, seen, note), name="swap-watch", daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        clock.end()
        for thread in threads:
            thread.join()
        swap.close()


def _act(swap: Swap, after: float, clock: TrialClock, note: Callable[..., None]) -> None:
    if not clock.await_window(after):
        note(failure="the load ended before its moment came")
        return
    note(copy_at=clock.now())
    try:
        swap.bring()
        released_at = clock.now()
        swap.release()
    except (BenchError, OSError) as failure:
        note(failure=f"version {swap.new} could not be put in its place: {failure}")
    else:
        note(renamed_at=released_at)


def _watch(swap: Swap, after: float, clock: TrialClock, seen: _Seen, note: Callable[..., None]) -> None:
    if not clock.await_window(after):
        return
    while clock.pause(LOOK_SECONDS):
        try:
            states = swap.states()
        except (BenchError, OSError):
            continue  # it is asked again in a moment; what was never seen stays unknown
        now, record = clock.now(), seen.record
        if record.loading_at is None and swap.new in states:
            note(loading_at=now)
        if record.ready_at is None and states.get(swap.new) == "ready":
            note(ready_at=now)
        if record.ready_at is not None and record.gone_at is None and swap.old not in states:
            note(gone_at=now)
            return


def answered(
    record: SwapRecord, swap: Swap, replies: Iterable[tuple[int, bytes]], rows: NDArray[np.void]
) -> SwapRecord:
    """The record with what the replies tell of the versions that gave them; as it was where they tell nothing.

    Shape: rows (n,), the generator's, whose `answer` numbers the distinct replies.
    """
    versions = [swap.version_of(body) for _, body in replies]
    answer = rows["answer"].astype(np.int64)
    names = np.array([version or "" for version in versions], dtype=object)
    known = (answer >= 0) & (answer < len(versions))
    of_row = np.full(len(rows), "", dtype=object)
    of_row[known] = names[answer[known]] if len(names) else ""
    found = {name: rows["done_at"][of_row == name] for name in (swap.old, swap.new)}
    if not any(len(times) for times in found.values()):
        return record
    return replace(
        record,
        answers={name: len(times) for name, times in found.items()},
        first_new_at=float(found[swap.new].min()) if len(found[swap.new]) else None,
        last_old_at=float(found[swap.old].max()) if len(found[swap.old]) else None,
    )
