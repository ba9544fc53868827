"""The exchange of a model while it serves: its order, what is seen of it, and what replies tell."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import pytest

from bench.load.rows import FIELDS
from bench.results import SwapRecord
from bench.running.takeover import answered, exchange
from bench.running.trial_clock import TrialClock
from bench.swap import State, Swap

Rows = np.dtype([(name, kind) for name, kind in FIELDS])


class Scripted(Swap):
    """Goes through its states one look after the other, once the new version was released."""

    old, new = "1", "2"

    def __init__(self, problem: Exception | None = None) -> None:
        self.done: list[str] = []
        self._problem = problem
        self._course: list[Mapping[str, State]] = [
            {"1": "ready"},
            {"1": "ready", "2": "loading"},
            {"1": "ready", "2": "ready"},
            {"1": "unloading", "2": "ready"},
            {"2": "ready"},
        ]

    def bring(self) -> None:
        self.done.append("bring")
        if self._problem is not None:
            raise self._problem

    def release(self) -> None:
        self.done.append("release")

    def states(self) -> Mapping[str, State]:
        if "release" not in self.done:
            return self._course[0]
        return self._course.pop(0) if len(self._course) > 1 else self._course[0]

    def version_of(self, reply: bytes) -> str | None:
        return reply.decode()[:1] or None


def went_through(swap: Swap) -> SwapRecord:
    clock = TrialClock()
    with exchange(swap, 0.0, clock) as seen:
        clock.tell(time.monotonic() - 10.0, 10.0)
        while seen.record.gone_at is None and not seen.record.failure:
            clock.pause(0.01)
    return seen.record


def test_what_the_server_says_is_noted_with_its_moment_in_the_order_in_which_it_happens() -> None:
    swap = Scripted()
    record = went_through(swap)
    assert swap.done == ["bring", "release"]
    times = [record.copy_at, record.renamed_at, record.loading_at, record.ready_at, record.gone_at]
    known = [at for at in times if at is not None]
    assert len(known) == 5
    assert known == sorted(known)
    assert known[0] >= 10.0, "seconds since the trial began"
    assert record.failure == ""


def test_a_copy_that_fails_is_told_and_nothing_is_released() -> None:
    swap = Scripted(OSError("no space left on device"))
    record = went_through(swap)
    assert swap.done == ["bring"]
    assert record.failure == "version 2 could not be put in its place: no space left on device"
    assert record.renamed_at is None


def test_a_load_that_ends_too_early_leaves_the_model_alone_and_says_so() -> None:
    swap, clock = Scripted(), TrialClock()
    with exchange(swap, 100.0, clock) as seen:
        clock.tell(time.monotonic(), 0.0)
    assert swap.done == []
    assert "before its moment came" in seen.record.failure


def rows(*of: tuple[int, float]) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    made = np.zeros(len(of), dtype=Rows)
    made["answer"], made["done_at"] = zip(*of, strict=True)
    return made


def test_the_versions_of_replies_are_counted_and_their_first_and_last_are_found() -> None:
    replies = [(0, b"1a"), (1, b"1b"), (0, b"2a"), (0, b"")]
    record = answered(
        SwapRecord("1", "2"), Scripted(), replies, rows((0, 1.0), (1, 2.0), (2, 3.5), (0, 3.0), (-1, 9.0), (3, 8.0))
    )
    assert record.answers == {"1": 3, "2": 1}
    assert (record.first_new_at, record.last_old_at) == (3.5, 3.0)


@pytest.mark.parametrize("replies", [[], [(0, b"")]])
def test_replies_that_do_not_tell_their_version_leave_it_open(replies: list[tuple[int, bytes]]) -> None:
    record = SwapRecord("1", "2", copy_at=1.0)
    assert answered(record, Scripted(), replies, rows((0, 1.0))) is record
