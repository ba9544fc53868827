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

    `basis` is empty for those of a reference, and else says what they are.
    """

    outputs: NDArray[np.float32]
    tolerance: float
    photo_distance: float
    basis: str = ""


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
    """Which distinct replies are wrong, shape (replies,), the largest difference of the readable ones, one example."""

    wrong: NDArray[np.bool_]
    largest_difference: float | None
    example: str


def judge(read: Callable[[bytes], Answer], replies: Iterable[tuple[int, bytes]], right: Expectation) -> Judged:
    """Decode and compare every distinct reply: (payload, body) in the order of their numbers."""
    wrong: list[bool] = []
    largest: float | None = None
    example = ""
    for payload, body in replies:
        try:
            distance = difference(read(body), right.outputs[payload])
            largest = distance if largest is None else max(largest, distance)
            complaint = "" if distance <= right.tolerance else f"differs from the model's answer by {distance:.3g}"
        except AnswerError as failure:
            complaint = str(failure)
        wrong.append(bool(complaint))
        example = example or complaint
    return Judged(np.array(wrong, dtype=np.bool_), largest, example)


def answer_check(judged: Judged, answer: NDArray[np.int64], good: NDArray[np.bool_], right: Expectation) -> AnswerCheck:
    """The check of one trial, from the reply number of each row (negative: not kept) and which rows got a reply."""
    kept = good & (answer >= 0)
    wrong = int(np.count_nonzero(judged.wrong[answer[kept]])) if len(judged.wrong) else 0
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
    )
