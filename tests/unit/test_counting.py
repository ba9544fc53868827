"""Counters over the window of a trial."""

from __future__ import annotations

import time

from bench.running.counting import Counted, counting, gained
from bench.running.trial_clock import TrialClock


def test_counters_that_began_before_the_window_count_by_what_they_gained() -> None:
    before = {"request_count": 10.0, "request_seconds": 1.0}
    after = {"request_count": 15.0, "request_seconds": 2.5, "batch_count": 2.0}
    assert gained(before, after) == {"request_count": 5.0, "request_seconds": 1.5, "batch_count": 2.0}


def test_counters_of_a_server_that_began_anew_or_stopped_telling_are_none() -> None:
    assert gained({"request_count": 10.0}, {"request_count": 3.0}) == {}
    assert gained({"request_count": 10.0}, {}) == {}
    assert gained({}, {}) == {}


def test_without_a_reading_at_the_window_the_warm_up_is_not_taken_for_it() -> None:
    assert Counted().since({"request_count": 15.0}) == {}


def test_the_counters_are_read_once_when_the_window_begins_and_not_before() -> None:
    reads: list[float] = []
    clock = TrialClock()

    def read() -> dict[str, float]:
        reads.append(clock.now())
        return {"request_count": 3.0}

    with counting(read, clock) as counted:
        clock.tell(time.monotonic(), None)
        assert not reads, "nobody knows yet when the window begins"
        clock.tell(time.monotonic() - 5.0, 5.0)
        while not counted.at_window:
            clock.pause(0.01)
        clock.tell(time.monotonic() - 6.0, 5.0)
    assert len(reads) == 1
    assert reads[0] >= 5.0
    assert counted.since({"request_count": 8.0}) == {"request_count": 5.0}


def test_a_load_that_ends_before_its_window_has_no_counters() -> None:
    clock = TrialClock()
    with counting(lambda: {"request_count": 1.0}, clock) as counted:
        clock.tell(time.monotonic(), 1000.0)
    assert counted.since({"request_count": 2.0}) == {}
