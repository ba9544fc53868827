"""Rows survive the disk as they are, and files that hold none say so."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import ResultsError
from bench.samples import (
    SCHEMA,
    TIME_GRAIN,
    TIMED_OUT,
    Samples,
    Telemetry,
    concatenate,
    read_samples,
    read_telemetry,
    write_samples,
    write_telemetry,
)
from tests.recorded import TFSERVING, Point, simulate

TIMES = st.one_of(st.just(float("nan")), st.floats(0, 1e6))
ROW = st.tuples(
    st.floats(0, 1e6), TIMES, TIMES, TIMES, st.integers(0, 2000), st.integers(-1, 2), st.booleans(),
    st.integers(0, 50), st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 7),
)  # fmt: skip
INSTANTS = ("intended_at", "sent_at", "first_byte_at", "done_at")
ERRORS = ("503 Service Unavailable", TIMED_OUT, "naïve error ✗")


def make(rows: list[tuple[Any, ...]], errors: tuple[str, ...] = ERRORS) -> Samples:
    rows = sorted(rows, key=lambda row: row[0])
    column = [np.asarray([row[place] for row in rows]) for place in range(11)]
    error = column[5].astype(np.int32)
    return Samples(
        intended_at=column[0].astype(np.float64),
        sent_at=column[1].astype(np.float64),
        first_byte_at=column[2].astype(np.float64),
        done_at=column[3].astype(np.float64),
        status=column[4].astype(np.int32),
        ok=error < 0,
        error=error,
        errors=errors,
        measured=column[6].astype(np.bool_),
        payload=column[7].astype(np.int32),
        request_bytes=column[8].astype(np.int64),
        response_bytes=column[9].astype(np.int64),
        worker=column[10].astype(np.int32),
    )


def texts(samples: Samples) -> list[str | None]:
    """Error of each row; the numbers behind them are the file's own business."""
    return [samples.errors[place] if place >= 0 else None for place in samples.error]


def assert_same(one: Samples, other: Samples) -> None:
    assert texts(one) == texts(other)
    for name in Samples.__dataclass_fields__:
        if name in INSTANTS:
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=0, atol=TIME_GRAIN / 2)
        elif name not in ("error", "errors"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
        if name != "errors":
            assert getattr(one, name).dtype == getattr(other, name).dtype, name


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, max_size=30))
def test_rows_survive_writing_and_reading_whatever_is_missing_in_them(tmp_path: Path, rows: list[Any]) -> None:
    samples = make(rows)
    write_samples(tmp_path / "samples.parquet", samples)
    assert_same(read_samples(tmp_path / "samples.parquet"), samples)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(*[st.floats(0, 1e5)] * 4).map(sorted), max_size=30))
def test_rounding_keeps_every_order_of_instants_and_writing_twice_changes_nothing(
    tmp_path: Path, instants: list[list[float]]
) -> None:
    path = tmp_path / "samples.parquet"
    write_samples(path, make([(*times, 200, -1, True, 0, 1, 1, 0) for times in instants]))
    once = read_samples(path)
    for earlier, later in pairwise(INSTANTS):
        assert np.all(getattr(once, earlier) <= getattr(once, later))
    assert np.all(np.diff(once.intended_at) >= 0)
    write_samples(path, once)
    again = read_samples(path)
    for name in INSTANTS:
        np.testing.assert_array_equal(getattr(again, name), getattr(once, name))


@pytest.mark.parametrize(
    "point", [Point(arrival_rate=8000.0, duration=25.0), Point(users=8, duration=16.0)], ids=["open", "closed"]
)
def test_rows_of_a_load_take_at_most_24_bytes_each(tmp_path: Path, point: Point) -> None:
    fast = replace(TFSERVING, service=0.00015)
    samples = simulate(fast, point, np.random.default_rng(1), np.random.default_rng(2))
    # Replies in JSON differ in length, which is the worst that the byte counts can do.
    lengths = np.random.default_rng(3).integers(21_000, 21_900, len(samples))
    assert len(samples) > 200_000
    write_samples(tmp_path / "s.parquet", replace(samples, response_bytes=lengths))
    assert (tmp_path / "s.parquet").stat().st_size / len(samples) < 24


def test_measured_rows_in_one_stretch_are_taken_without_a_copy() -> None:
    samples = make([(float(i), float(i), np.nan, i + 0.5, 200, -1, i > 3, 0, 1, 1, 0) for i in range(10)])
    assert np.shares_memory(samples.where(samples.measured).done_at, samples.done_at)
    scattered = samples.where(samples.intended_at % 2 == 0)
    assert scattered.intended_at.tolist() == [0, 2, 4, 6, 8]
    assert len(samples.where(np.zeros(10, dtype=np.bool_))) == 0


def test_an_empty_table_is_read_as_no_rows(tmp_path: Path) -> None:
    write_samples(tmp_path / "samples.parquet", make([], errors=()))
    assert len(read_samples(tmp_path / "samples.parquet")) == 0


def test_rows_without_any_error_are_read_as_such(tmp_path: Path) -> None:
    write_samples(tmp_path / "s.parquet", make([(1.0, 1.0, 1.1, 1.2, 200, -1, True, 0, 1, 1, 0)], errors=()))
    read = read_samples(tmp_path / "s.parquet")
    assert read.errors == ()
    assert read.error.tolist() == [-1]


def test_many_row_groups_with_different_dictionaries_are_read_as_one_table(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    rows: list[tuple[Any, ...]] = [
        (float(i), float(i), np.nan, i + 0.5, 200, i % 4 - 1, i % 3 > 0, 0, 1, 1, 0) for i in range(1000)
    ]
    write_samples(path, make(rows))
    table = pq.read_table(path)
    pq.write_table(table, path, row_group_size=37)
    assert_same(read_samples(path), make(rows))


def test_rows_of_several_writers_are_put_in_the_order_of_their_intended_times(tmp_path: Path) -> None:
    rows: list[tuple[Any, ...]] = [
        (float(i), float(i), np.nan, i + 0.5, 200, -1, True, 0, 1, 1, 0) for i in (0, 2, 1, 3)
    ]
    samples = make(rows).where(np.asarray([0, 2, 1, 3]))
    write_samples(tmp_path / "s.parquet", samples)
    assert read_samples(tmp_path / "s.parquet").intended_at.tolist() == [0, 1, 2, 3]


def test_a_text_column_that_is_no_dictionary_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    write_samples(path, make([(1.0, 1.0, np.nan, 2.0, 200, 1, True, 0, 1, 1, 0)]))
    table = pq.read_table(path)
    plain = table.cast(pa.schema([(f.name, pa.string() if f.name in ("error", "phase") else f.type) for f in SCHEMA]))
    pq.write_table(plain, path)
    read = read_samples(path)
    assert read.has_error(TIMED_OUT).tolist() == [True]
    assert read.measured.tolist() == [True]


def test_a_missing_file_a_damaged_one_and_a_missing_column_are_named(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    with pytest.raises(ResultsError, match=r"s\.parquet: cannot be read"):
        read_samples(path)
    write_samples(path, make([(1.0, 1.0, np.nan, 2.0, 200, -1, True, 0, 1, 1, 0)]))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ResultsError, match=r"s\.parquet: cannot be read"):
        read_samples(path)
    path.write_bytes(whole)
    pq.write_table(pq.read_table(path).drop_columns(["done_at"]), path)
    with pytest.raises(ResultsError, match="lacks the column 'done_at'"):
        read_samples(path)


def test_a_column_of_another_type_is_refused_by_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    write_samples(path, make([(1.0, 1.0, np.nan, 2.0, 200, -1, True, 0, 1, 1, 0)]))
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, "intended_at", pa.array(["soon"])), path)
    with pytest.raises(ResultsError, match=r"s\.parquet: holds a column of another type"):
        read_samples(path)


def test_several_trials_together_keep_every_row_with_its_own_error() -> None:
    bad, good = (np.nan, 2.0, 500), (np.nan, 2.0, 200)
    one = make([(1.0, 1.0, *bad, 0, True, 0, 1, 1, 0)], errors=("a",))
    two = make([(0.5, 1.0, *bad, 1, True, 0, 1, 1, 0), (3.0, 1.0, *good, -1, True, 0, 1, 1, 0)], errors=("b", "a"))
    both = concatenate([one, two])
    assert texts(both) == ["a", "a", None]
    assert both.ok.tolist() == [False, False, True]


def test_a_reply_that_never_came_has_no_time() -> None:
    samples = make([(1.0, 1.5, np.nan, np.nan, 0, 1, True, 0, 1, 1, 0)])
    assert np.isnan(samples.response_time[0])
    assert np.isnan(samples.service_time[0])
    assert samples.send_lag[0] == 0.5


def test_a_full_disk_is_said_and_leaves_no_half_file(tmp_path: Path) -> None:
    (tmp_path / "s.parquet.partial").symlink_to("/dev/full")
    with pytest.raises(ResultsError, match="the disk is full"):
        write_samples(tmp_path / "s.parquet", make([(1.0, 1.0, np.nan, 2.0, 200, -1, True, 0, 1, 1, 0)]))
    assert list(tmp_path.iterdir()) == []


def test_telemetry_survives_and_further_columns_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    seen = Telemetry(np.asarray([0.0, 1.0]), np.asarray([2.0, np.nan]), np.asarray([5.0, 6.0]))
    write_telemetry(path, seen)
    pq.write_table(pq.read_table(path).append_column("power_watts", pa.array([1.0, 2.0])), path)
    again = read_telemetry(path)
    for name in ("at", "cpu_seconds", "rss_bytes"):
        np.testing.assert_array_equal(getattr(again, name), getattr(seen, name))
