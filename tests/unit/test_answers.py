"""Answers are compared with the model's, reply by reply."""

from __future__ import annotations

import numpy as np
import pytest

from bench.errors import AnswerError
from bench.measures.answers import answer_check, difference, expectation, judge
from bench.protocols import Answer

CAT, DOG = np.array([0.9, 0.1], dtype=np.float32), np.array([0.2, 0.8], dtype=np.float32)
RIGHT = expectation([CAT, DOG], tolerance=1e-3)


def read(body: bytes) -> Answer:
    if body == b"garbage":
        raise AnswerError("not an answer")
    return np.frombuffer(body, dtype=np.float32)


def test_the_distance_of_two_photos_is_that_of_the_closest_pair() -> None:
    third = np.array([0.25, 0.75], dtype=np.float32)
    assert expectation([CAT, DOG, third], 1e-3).photo_distance == pytest.approx(0.05)


def test_one_photo_alone_cannot_be_told_from_another() -> None:
    assert expectation([CAT], 1e-3).photo_distance == 0.0


def test_an_answer_within_the_tolerance_is_right() -> None:
    judged = judge(read, [(0, (CAT + 5e-4).tobytes()), (1, DOG.tobytes())], RIGHT)
    assert not judged.wrong.any()
    assert judged.largest_difference == pytest.approx(5e-4, rel=1e-3)


def test_the_answer_to_another_photo_is_wrong() -> None:
    judged = judge(read, [(0, CAT.tobytes()), (1, CAT.tobytes())], RIGHT)
    assert judged.wrong.tolist() == [False, True]
    assert "0.7" in judged.example


def test_a_reply_that_cannot_be_read_is_wrong_and_says_why() -> None:
    judged = judge(read, [(0, b"garbage")], RIGHT)
    assert judged.wrong.tolist() == [True]
    assert judged.example == "not an answer"
    assert judged.largest_difference is None


@pytest.mark.parametrize("answer", [np.array([1.0], np.float32), np.array([np.nan, 1.0], np.float32)])
def test_another_shape_or_a_value_that_is_not_finite_is_no_answer(answer: Answer) -> None:
    with pytest.raises(AnswerError):
        difference(answer, CAT)


def test_replies_that_were_not_kept_are_counted_as_unchecked() -> None:
    judged = judge(read, [(0, CAT.tobytes()), (1, CAT.tobytes())], RIGHT)
    rows = np.array([0, 1, 1, -1, -1])
    got_reply = np.array([True, True, True, True, False])
    check = answer_check(judged, rows, got_reply, RIGHT)
    assert (check.distinct, check.checked, check.unchecked, check.wrong) == (2, 3, 1, 2)


def test_an_input_keeps_its_class_only_if_every_checked_answer_to_it_does() -> None:
    replies = [(0, CAT.tobytes()), (1, DOG.tobytes()), (1, CAT.tobytes())]
    judged = judge(read, replies, RIGHT)
    every = np.ones(3, dtype=np.bool_)
    check = answer_check(judged, np.array([0, 1, 2]), every, RIGHT)
    assert (check.inputs, check.inputs_same_top) == (2, 1)
    check = answer_check(judged, np.array([0, 1, -1]), every, RIGHT)
    assert (check.inputs, check.inputs_same_top) == (2, 2)
    nothing = answer_check(judge(read, [], RIGHT), np.array([-1]), np.array([True]), RIGHT)
    assert (nothing.inputs, nothing.inputs_same_top) == (0, 0)
