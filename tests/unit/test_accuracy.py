"""Servers that round on purpose: judged by the agreement that the scenario asks for, and never below it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.errors import AnswerError
from bench.measures.answers import answer_check, expectation, judge
from bench.protocols import Answer
from bench.results import AnswerCheck, Outcome, TrialRecord
from bench.samples import Samples
from bench.validity import CHECKS, Verdict
from bench.validity.evidence import Evidence, Reason

CAT, DOG = np.array([0.9, 0.1], dtype=np.float32), np.array([0.2, 0.8], dtype=np.float32)
SAME = expectation([CAT, DOG], tolerance=1e-3)
ROUNDED = replace(SAME, other_work="int8 weights", least_agreement=0.99)
NEAR = np.array([0.7, 0.3], dtype=np.float32)
"""Far outside the tolerance of CAT, and still a cat."""


def read(body: bytes) -> Answer:
    if body == b"garbage":
        raise AnswerError("not an answer")
    return np.frombuffer(body, dtype=np.float32)


def checked(answers: list[tuple[int, bytes]], asked: object = ROUNDED) -> AnswerCheck:
    judged = judge(read, answers, asked)  # type: ignore[arg-type]
    rows = np.arange(len(answers))
    return answer_check(judged, rows, np.ones(len(answers), dtype=np.bool_), asked)  # type: ignore[arg-type]


def reason(check: str, answers: AnswerCheck) -> Reason | None:
    trial = TrialRecord("1", 1, "a", "fastapi", 1, "closed", "closed-1", Outcome.OK, answers=answers)
    evidence = Evidence.__new__(Evidence)
    object.__setattr__(evidence, "trials", (trial,))
    return CHECKS[check].judge(evidence, Samples.__new__(Samples))


def test_a_rounded_answer_is_right_by_its_first_class_where_the_scenario_asks_for_agreement() -> None:
    found = checked([(0, NEAR.tobytes()), (1, DOG.tobytes())])
    assert (found.wrong, found.other_top, found.agreement) == (0, 0, 1.0)
    assert found.largest_difference == pytest.approx(0.2, abs=1e-6)
    assert reason("below-agreement", found) is None


def test_without_a_stated_agreement_it_is_held_to_the_same_answers() -> None:
    found = checked([(0, NEAR.tobytes())], replace(SAME, other_work="int8 weights"))
    assert found.wrong == 1
    told = reason("other-work", found)
    assert told is not None
    assert "accuracy: {top1_agreement: 99%}" in told.advice


def test_below_the_agreement_asked_for_it_is_invalid_so_that_it_wins_nothing() -> None:
    found = checked([(0, CAT.tobytes()), (1, CAT.tobytes())])
    assert found.agreement == 0.5
    told = reason("below-agreement", found)
    assert told is not None
    assert told.verdict is Verdict.INVALID
    assert "50 %" in told.what


def test_a_reply_that_cannot_be_read_agrees_in_nothing() -> None:
    found = checked([(0, b"garbage"), (1, DOG.tobytes())])
    assert (found.wrong, found.agreement) == (1, 0.5)


def test_a_server_that_has_to_answer_the_same_gets_no_such_mark() -> None:
    found = checked([(0, CAT.tobytes())], SAME)
    assert reason("other-work", found) is None
    assert reason("below-agreement", found) is None
