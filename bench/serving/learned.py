"""What a server has to go on answering where no model tells what is right: its own first answers.

That finds answers which change, and one photo answered for another; it cannot find one that was wrong from the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.errors import AnswerError, LaunchError
from bench.measures.answers import MARGIN, Expectation, difference, expectation
from bench.protocols import Request
from bench.serving.asking import ask
from bench.serving.launch import Running

LARGEST_TOLERANCE = 1e-3
"""Of class probabilities: rounding, batching and threads move them by less."""
SMALLEST_TOLERANCE = 1e-6
BASIS = "the first answers that the server gave itself"
ONLY_STEADY = f"its answers were only compared with {BASIS}; one that is wrong from the start goes unnoticed"


def first_answers(running: Running, requests: Sequence[Request]) -> Expectation:
    """The answers to each request, asked twice.   Raises: LaunchError if they cannot be told apart, or change."""
    try:
        first, again = ([_answer(running, request) for request in requests] for _ in range(2))
        largest = max(difference(one, other) for one, other in zip(first, again, strict=True))
        shapes = {answer.shape for answer in first}
        if len(shapes) > 1:
            raise AnswerError(f"answers have different shapes: {sorted(shapes)}")
    except (AnswerError, OSError) as failure:
        raise LaunchError(f"it does not answer every photo readably: {failure}", where=str(running.log)) from failure
    apart = expectation(first, 0.0).photo_distance
    tolerance = float(np.clip(apart / MARGIN, 0.0, LARGEST_TOLERANCE))
    if tolerance < SMALLEST_TOLERANCE:
        raise LaunchError(
            f"it answers all photos alike: two of its answers differ by {apart:.3g}",
            hint="is the photo where its API expects it? `bench serve` prints a curl line to try",
        )
    if largest > tolerance:
        raise LaunchError(
            f"asked the same twice, it answers differently, by {largest:.3g}",
            hint="does it compute at random, such as with dropout left on?",
        )
    return replace(expectation(first, tolerance), basis=BASIS)


def _answer(running: Running, request: Request) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return running.wire.answer(ask(running.wire, running.host, running.port, request)[0])
