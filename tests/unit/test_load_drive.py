"""Rows of the generator become samples without one request getting lost."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from bench.errors import LoadError
from bench.load.crew import ALONE
from bench.load.drive import _jobs, _write_inputs
from bench.load.driven import Driven, counts, to_samples, with_kinds
from bench.load.job import read_schedule
from bench.load.rows import FIELDS, NO_ERROR, UNCHECKED
from bench.profiles import Capacity, Closed, Constant, Profile, Spike
from bench.samples import UNSENT, WRONG_ANSWER
from bench.scenario.plan import Trial

Row = tuple[float, float, float, float, int, int, int, int, int]


def driven(
    rows: list[Row], errors: tuple[str, ...] = (), schedule: list[float] | None = None, window_at: float = 0.0
) -> Driven:
    return Driven(
        rows=np.array(rows, dtype=np.dtype([(name, "<" + kind) for name, kind in FIELDS])),
        errors=errors,
        replies=(),
        schedule=None if schedule is None else np.array(schedule),
        payloads=2,
        connections=1,
        cpu_seconds=0.0,
        failure=None,
        window_at=window_at,
    )


def good(at: float, payload: int = 0, answer: int = UNCHECKED) -> Row:
    return (at, at + 0.001, at + 0.01, at + 0.02, 10, 200, NO_ERROR, payload, answer)


def lost(at: float, error: int) -> Row:
    return (at, at, math.nan, math.nan, 0, 0, error, 0, UNCHECKED)


NO_WRONG = np.zeros(0, dtype=np.bool_)


def test_rows_are_ordered_by_intended_time_and_split_at_the_end_of_the_warm_up() -> None:
    samples = to_samples(driven([good(2.0), good(0.5), good(1.0)], window_at=1.0), [7, 8], NO_WRONG)
    assert samples.intended_at.tolist() == [0.5, 1.0, 2.0]
    assert samples.measured.tolist() == [False, True, True]
    assert samples.ok.all()


def test_an_arrival_without_a_row_is_an_unsent_row() -> None:
    samples = to_samples(driven([good(0.0), good(3.0)], schedule=[0.0, 1.0, 2.0, 3.0]), [7, 8], NO_WRONG)
    assert samples.intended_at.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert samples.has_error(UNSENT).tolist() == [False, True, True, False]
    assert np.isnan(samples.sent_at[1])
    assert samples.payload.tolist() == [0, 1, 0, 0]
    assert counts(samples) == {"scheduled": 4, "sent": 2, "ok": 2, "failed": 0, "timed_out": 0, "unsent": 2}


def test_a_row_with_a_wrong_answer_is_not_ok() -> None:
    rows = [good(0.0, answer=0), good(1.0, answer=1), good(2.0)]
    samples = to_samples(driven(rows), [7, 8], np.array([False, True]))
    assert samples.ok.tolist() == [True, False, True]
    assert samples.has_error(WRONG_ANSWER).tolist() == [False, True, False]


def test_texts_that_are_one_kind_become_one_error_and_good_rows_stay_good() -> None:
    made = driven([lost(0.0, 0), good(1.0), lost(2.0, 1), lost(3.0, 2)], ("3 wait", "4 wait", "timed out"))
    renamed = with_kinds(made, lambda text: "full" if "wait" in text else text)
    assert renamed.errors == ("full", "timed out")
    assert renamed.rows["error"].tolist() == [0, NO_ERROR, 0, 1]
    assert made.rows["error"].tolist() == [0, NO_ERROR, 1, 2], "nothing is changed after it was built"


def test_time_outs_and_failures_are_different_counts() -> None:
    rows = [good(0.0), lost(1.0, 0), lost(2.0, 1)]
    samples = to_samples(driven(rows, errors=("timed out", "HTTP 500")), [7, 8], NO_WRONG)
    assert counts(samples) == {"scheduled": 3, "sent": 3, "ok": 1, "failed": 1, "timed_out": 1, "unsent": 0}


def test_request_bytes_follow_the_payload() -> None:
    samples = to_samples(driven([good(0.0, payload=1), good(1.0, payload=0)]), [7, 8], NO_WRONG)
    assert samples.request_bytes.tolist() == [8, 7]


def test_a_generator_that_recorded_nothing_leaves_the_whole_schedule_unsent() -> None:
    samples = to_samples(driven([], schedule=[0.0, 1.0]), [7, 8], NO_WRONG)
    assert counts(samples)["unsent"] == 2


def trial(point: Profile, timeout: float = 2.0) -> Trial:
    return Trial(number=1, server="a", repetition=1, point=point, warmup=1.0, timeout=timeout, seed=1)


def test_a_schedule_covers_warm_up_and_window_and_is_what_the_generator_reads(tmp_path: Path) -> None:
    (job,), schedule = _jobs(trial(Constant(arrival_rate=4, duration=2.0)), "http", "127.0.0.1", 1, tmp_path, ALONE)
    assert schedule is not None
    _write_inputs((job,), [], schedule)
    assert schedule.tolist() == [number / 4 for number in range(12)] == read_schedule(tmp_path).tolist()
    assert (job.open_loop, job.seconds) == (True, 3.0)


def test_the_generator_holds_as_many_requests_as_can_be_unanswered_at_the_worst_moment(tmp_path: Path) -> None:
    """Sized by the mean rate, 12.75/s, it would be full in a spike that alone brings 100 requests."""
    spike = Spike(arrival_rate=3, peak_rate=200, duration=10.0, spike_at=5.0, spike_duration=0.5)
    (job,), schedule = _jobs(trial(spike), "http", "127.0.0.1", 1, tmp_path, ALONE)
    assert schedule is not None
    assert np.count_nonzero((schedule >= 6) & (schedule < 6.5)) <= job.users < 200
    (job,), _ = _jobs(trial(spike, timeout=0.001), "http", "127.0.0.1", 1, tmp_path, ALONE)
    assert job.users == 16


def test_a_closed_loop_has_its_users_and_no_schedule_and_a_search_cannot_be_driven(tmp_path: Path) -> None:
    (job,), schedule = _jobs(trial(Closed(users=3, duration=1.0)), "grpc", "127.0.0.1", 1, tmp_path, ALONE)
    assert (job.users, job.open_loop, schedule) == (3, False, None)
    with pytest.raises(LoadError, match="no way to drive"):
        _jobs(trial(Capacity(duration=1.0)), "http", "127.0.0.1", 1, tmp_path, ALONE)
