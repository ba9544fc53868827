"""What the load process writes is what the harness reads."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load import rows
from bench.load.job import (
    Job,
    Message,
    decode_job,
    encode_job,
    read_messages,
    read_schedule,
    write_messages,
    write_schedule,
)
from bench.load.rows import NO_ERROR, ROW, UNCHECKED, Recorder, read_answers, read_errors, read_rows
from bench.profiles import Poisson


def test_rows_come_back_as_they_were_recorded(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    refused = recorder.error("connection refused")
    recorder.add(1.0, 1.5, 2.0, 3.0, 77, 200, NO_ERROR, 2, recorder.answer(2, b"yes"))
    recorder.add(4.0, 4.5, math.nan, math.nan, 0, 0, refused, 1, UNCHECKED)
    recorder.close()
    first, second = read_rows(tmp_path)
    assert first.tolist() == (1.0, 1.5, 2.0, 3.0, 77, 200, NO_ERROR, 2, 0)
    assert math.isnan(second["done_at"])
    assert read_errors(tmp_path)[second["error"]] == "connection refused"
    assert list(read_answers(tmp_path)) == [(2, b"yes")]
    assert (recorder.rows, recorder.failures) == (2, 1)


def test_more_rows_than_a_block_holds_all_come_back_in_order(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    for number in range(10_000):
        recorder.add(float(number), 0.0, 0.0, 0.0, 0, 200, NO_ERROR, 0, UNCHECKED)
    recorder.close()
    assert read_rows(tmp_path)["intended_at"].tolist() == list(range(10_000))


def test_what_was_flushed_is_there_though_the_recorder_died(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.add(1.0, 1.0, 1.0, 1.0, 3, 200, NO_ERROR, 0, recorder.answer(0, b"yes"))
    recorder.add(2.0, 2.0, math.nan, math.nan, 0, 0, recorder.error("timed out"), 0, UNCHECKED)
    recorder.flush()
    recorder.add(3.0, 3.0, 3.0, 3.0, 2, 200, NO_ERROR, 0, recorder.answer(0, b"no"))
    assert read_rows(tmp_path)["intended_at"].tolist() == [1.0, 2.0]
    assert list(read_answers(tmp_path)) == [(0, b"yes")]
    assert read_errors(tmp_path) == ("timed out",)
    recorder.close()


def test_a_torn_last_row_and_a_torn_last_reply_are_left_out(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    for body in (b"one", b"two"):
        recorder.add(0.0, 0.0, 0.0, 0.0, 0, 200, NO_ERROR, 0, recorder.answer(0, body))
    recorder.close()
    for name, cut in (("rows.bin", ROW.size // 2), ("answers.bin", 1)):
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[:-cut])
    assert len(read_rows(tmp_path)) == 1
    assert list(read_answers(tmp_path)) == [(0, b"one")]


def test_nothing_written_reads_as_no_rows(tmp_path: Path) -> None:
    assert len(read_rows(tmp_path)) == 0
    assert list(read_answers(tmp_path)) == []
    assert read_errors(tmp_path) == ()


def test_the_same_reply_is_kept_once_per_payload(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    numbers = [recorder.answer(0, b"a"), recorder.answer(1, b"a"), recorder.answer(0, b"a"), recorder.answer(0, b"b")]
    recorder.close()
    assert numbers == [0, 1, 0, 2]


def test_a_full_store_leaves_new_replies_unchecked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_ANSWER_STORE_BYTES", 4)
    recorder = Recorder(tmp_path)
    assert recorder.answer(0, b"abc") == 0
    assert recorder.answer(0, b"def") == UNCHECKED
    assert recorder.answer(0, b"abc") == 0
    recorder.close()


def test_kinds_of_errors_beyond_the_limit_are_counted_as_other(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    numbers = {recorder.error(f"error {n}") for n in range(500)}
    recorder.close()
    assert len(numbers) <= rows._ERROR_KINDS + 1
    assert read_errors(tmp_path)[-1] == "other"


def test_requests_come_back_byte_for_byte(tmp_path: Path) -> None:
    messages = [
        Message("/a", (("X", "1"),), b"\x00\xff"),
        Message("/b", (), b""),
        Message("/c", (), b"xyz", "PUT", "a", "b", "c"),
    ]
    write_messages(tmp_path, messages)
    assert read_messages(tmp_path) == messages


@given(seed=st.integers(0, 2**32), rate=st.floats(0.5, 500))
def test_a_schedule_survives_the_disk_exactly(seed: int, rate: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("schedule")
    times = list(Poisson(arrival_rate=rate, duration=1.0).send_times(1.0, Random(seed)))
    assert write_schedule(folder, times) == len(times)
    assert np.array_equal(np.array(read_schedule(folder)), np.array(times))


def test_a_job_survives_its_line() -> None:
    job = Job("/tmp/x", "grpc", "127.0.0.1", 1234, True, 8, 0.5, 1.5, 2.0, 3.0)
    assert decode_job(encode_job(job)) == job
    assert encode_job(job).count(b"\n") == 1
