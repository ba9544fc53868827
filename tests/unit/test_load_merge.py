"""Rows of several workers become rows of one, without loss and with the same meaning."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bench.load.merge import TEXT_LOST, Merged, Part, merge, read_part
from bench.load.rows import FIELDS, NO_ERROR, UNCHECKED, Recorder

DTYPE = np.dtype([(name, "<" + kind) for name, kind in FIELDS])
Seen = tuple[int, float, str | None, tuple[int, bytes] | None]


def part(outcomes: list[tuple[str | None, tuple[int, bytes] | None]], start: float = 0.0) -> Part:
    """What a worker records of these outcomes: an error's text, or a reply to a payload, or neither."""
    errors: dict[str, int] = {}
    replies: dict[tuple[int, bytes], int] = {}
    rows = []
    for number, (error, reply) in enumerate(outcomes):
        error_number = NO_ERROR if error is None else errors.setdefault(error, len(errors))
        answer = UNCHECKED if reply is None else replies.setdefault(reply, len(replies))
        rows.append((start + number, 0.0, 0.0, 0.0, 0, 200, error_number, 0, answer))
    return Part(np.array(rows, dtype=DTYPE), tuple(errors), tuple(replies))


def meaning(
    rows: np.ndarray, errors: tuple[str, ...], replies: tuple[tuple[int, bytes], ...], worker: int
) -> list[Seen]:
    """Each row's worker, time, error text and reply, whatever their numbers."""
    return [
        (
            worker,
            float(row["intended_at"]),
            None if row["error"] < 0 else errors[row["error"]],
            None if row["answer"] < 0 else replies[row["answer"]],
        )
        for row in rows
    ]


def meaning_of(merged: Merged) -> list[Seen]:
    return [
        seen
        for place, row in enumerate(merged.rows)
        for seen in meaning([row], merged.errors, merged.replies, int(merged.worker[place]))  # type: ignore[arg-type]
    ]


failures = st.tuples(st.sampled_from(["timed out", "HTTP 500", "connection refused"]), st.none())
answers = st.tuples(st.none(), st.tuples(st.integers(0, 2), st.sampled_from([b"a", b"b", b""])) | st.none())


@given(st.lists(st.lists(failures | answers, max_size=12), min_size=1, max_size=5))
def test_every_row_keeps_its_error_its_reply_and_its_worker(
    outcomes: list[list[tuple[str | None, tuple[int, bytes] | None]]],
) -> None:
    parts = [part(each) for each in outcomes]
    before = [seen for index, each in enumerate(parts) for seen in meaning(each.rows, each.errors, each.replies, index)]
    merged = merge(parts)
    assert meaning_of(merged) == before
    assert len(set(merged.errors)) == len(merged.errors)
    assert len(set(merged.replies)) == len(merged.replies)


def test_the_parts_themselves_are_left_as_they_were() -> None:
    first, second = part([("timed out", None)]), part([("HTTP 500", None), (None, (0, b"a"))])
    merge([first, second])
    assert second.rows["error"].tolist() == [0, NO_ERROR]
    assert second.rows["answer"].tolist() == [UNCHECKED, 0]


def test_a_reply_that_never_reached_the_disk_is_unchecked_and_an_error_without_its_text_stays_an_error() -> None:
    torn = Part(part([("timed out", None), (None, (1, b"a"))]).rows, errors=(), replies=())
    merged = merge([part([(None, None)]), torn])
    assert merged.rows["answer"].tolist() == [UNCHECKED] * 3
    assert [merged.errors[number] for number in merged.rows["error"][1:2]] == [TEXT_LOST]
    assert merged.rows["error"][2] == NO_ERROR


def test_a_worker_that_left_nothing_is_a_part_without_rows(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.add(1.0, 1.0, math.nan, math.nan, 0, 0, recorder.error("timed out"), 0, UNCHECKED)
    recorder.close()
    merged = merge([read_part(tmp_path / "nothing"), read_part(tmp_path)])
    assert merged.worker.tolist() == [1]
    assert merged.errors == ("timed out",)
