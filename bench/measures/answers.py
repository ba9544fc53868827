"""Whether a server answers what the model answers: every distinct reply of a trial against the reference.

Replies are compared after the load has ended, so checking costs the measurement nothing. This module opens no
connection and knows no server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.errors import AnswerError
from bench.protocols import Answer
from bench.results import AnswerCheck

MARGIN = 10.0
"""How many tolerances two photos must lie apart, or a server could answer one for the other unnoticed."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """The right answers: `outputs` of shape (photos, classes), and how far from them an answer may lie.

    To examples of tensors they are rows of all numbers that come out, which may differ in length.

    `basis` is empty for those of a reference, and else says what they are. `other_work` says how the server rounds on
    purpose. With a `least_agreement` its answers may lie at any distance, and that share of them has to have the right
    first class.
    """

    outputs: NDArray[np.float32] | tuple[Answer, ...]
    tolerance: float
    photo_distance: float
    basis: str = ""
    other_work: str = ""
    least_agreement: float | None = None


def expectation(outputs: Sequence[Answer], tolerance: float) -> Expectation:
    """Right answers with the distance between the two photos whose answers are closest.

    Shape: outputs (photos,) of (classes,).
    """
    stacked = np.stack([np.asarray(output, dtype=np.float32) for output in outputs])
    distances = [
        float(np.max(np.abs(stacked[i] - stacked[j]))) for i in range(len(stacked)) for j in range(i + 1, len(stacked))
    ]
    return Expectation(stacked, tolerance, min(distances, default=0.0))


def difference(answer: Answer, right: Answer) -> float:
    """Largest absolute difference of two answers.   Raises: AnswerError if their shapes differ or one is not finite."""
    if answer.shape != right.shape:
        raise AnswerError(f"answer has shape {answer.shape}, the model's has {right.shape}")
    if not np.all(np.isfinite(answer)):
        raise AnswerError("answer holds values that are not finite")
    return float(np.max(np.abs(answer - right)))


@dataclass(frozen=True, slots=True)
class Judged:
    """Which distinct replies are wrong, shape (replies,), the largest difference of the readable ones, one example.

    `other_top`, shape (replies,), tells which have another first class than the right answer, or none; `inputs`, of
    the same shape, which input each of them answers.
    """

    wrong: NDArray[np.bool_]
    largest_difference: float | None
    example: str
    other_top: NDArray[np.bool_]
    inputs: NDArray[np.int64]


def judge(read: Callable[[bytes], Answer], replies: Iterable[tuple[int, bytes]], right: Expectation) -> Judged:
    """Decode and compare every distinct reply: (payload, body) in the order of their numbers."""
    wrong: list[bool] = []
    other_top: list[bool] = []
    inputs: list[int] = []
    largest: float | None = None
    example = ""
    for payload, body in replies:
        inputs.append(payload)
        try:
            answered = read(body)
            distance = difference(answered, right.outputs[payload])
            largest = distance if largest is None else max(largest, distance)
            close = distance <= right.tolerance or right.least_agreement is not None
            complaint = "" if close else f"differs from the model's answer by {distance:.3g}"
            other_top.append(bool(np.argmax(answered) != np.argmax(right.outputs[payload])))
        except AnswerError as failure:
            complaint = str(failure)
            other_top.append(True)
        wrong.append(bool(complaint))
        example = example or complaint
    return Judged(
        np.array(wrong, dtype=np.bool_),
        largest,
        example,
        np.array(other_top, dtype=np.bool_),
        np.array(inputs, dtype=np.int64),
    )


def answer_check(judged: Judged, answer: NDArray[np.int64], good: NDArray[np.bool_], right: Expectation) -> AnswerCheck:
    """The check of one trial, from the reply number of each row (negative: not kept) and which rows got a reply."""
    kept = good & (answer >= 0)
    wrong, other_top = (
        int(np.count_nonzero(which[answer[kept]])) if len(which) else 0 for which in (judged.wrong, judged.other_top)
    )
    seen = np.unique(answer[kept]) if len(judged.inputs) else np.zeros(0, dtype=np.int64)
    asked, apart = np.unique(judged.inputs[seen]), np.unique(judged.inputs[seen][judged.other_top[seen]])
    return AnswerCheck(
        distinct=len(judged.wrong),
        checked=int(np.count_nonzero(kept)),
        unchecked=int(np.count_nonzero(good & (answer < 0))),
        wrong=wrong,
        largest_difference=judged.largest_difference,
        tolerance=right.tolerance,
        photo_distance=right.photo_distance,
        example=judged.example,
        basis=right.basis,
        other_top=other_top,
        other_work=right.other_work,
        least_agreement=right.least_agreement,
        inputs=len(asked),
        inputs_same_top=len(asked) - len(apart),
    )
