"""The plain JSON of tutorials: POST /predict with a photo in base64, and a list of probabilities back.

What reads an answer out of any JSON reply lives here too. This module knows nothing of who serves it.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from bench.errors import AnswerError
from bench.protocols import Answer, Request

JSON_HEADERS = (("Content-Type", "application/json"),)


@dataclass(frozen=True, slots=True)
class PlainJson:
    """`{"image": "<base64 of the JPEG>"}` -> `{"probabilities": [..]}`."""

    transport: ClassVar[Literal["http"]] = "http"
    path: str = "/predict"

    def request(self, photo: bytes) -> Request:
        """The request that asks for the class probabilities of one photo (JPEG bytes)."""
        return Request(self.path, b'{"image": "' + b64encode(photo) + b'"}', JSON_HEADERS)

    def answer(self, body: bytes) -> Answer:
        """Class probabilities, shape (classes,).   Raises: AnswerError."""
        return probabilities(json_value(body, "probabilities"), "probabilities")


def json_value(body: bytes, key: str) -> Any:
    """What a JSON object holds under a key.

    Raises: AnswerError if the body is no JSON object or lacks the key; it quotes the server's own `error`.
    """
    reply = json_document(body)
    if not isinstance(reply, dict):
        raise AnswerError(f"the reply is not a JSON object: {_start_of(body)}")
    if key in reply:
        return reply[key]
    if "error" in reply:
        raise AnswerError(f"the server answered an error: {reply['error']}")
    raise AnswerError(f"the reply has no {key!r}: {_start_of(body)}")


def json_document(body: bytes) -> Any:
    """What the body of a reply says in JSON.   Raises: AnswerError if it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as failure:  # ValueError: not JSON, not text, or a number of absurd length
        raise AnswerError(f"the reply is not JSON ({failure}): {_start_of(body)}") from failure


def probabilities(values: object, name: str) -> Answer:
    """A flat list of JSON numbers as an answer, shape (classes,).

    Raises: AnswerError for anything else, an empty list and a value that float32 cannot hold included.
    """
    if not isinstance(values, list) or not values:
        raise AnswerError(f"{name} is not a list of numbers: {_short(values)}")
    for position, value in enumerate(values):
        if type(value) not in (float, int):  # bool is an int to isinstance, and no probability
            raise AnswerError(f"{name}[{position}] is not a number: {_short(value)}")
    try:
        with np.errstate(over="ignore"):  # what overflows becomes inf, which is refused below
            answer = np.array(values, dtype=np.float64).astype(np.float32)
    except OverflowError as failure:  # a whole number of more than 308 digits
        raise AnswerError(f"{name} holds a number beyond float range") from failure
    return finite(answer, name)


def finite(answer: Answer, name: str) -> Answer:
    """The answer itself.   Raises: AnswerError if a value in it is NaN or infinite."""
    bad = np.flatnonzero(~np.isfinite(answer))
    if len(bad):
        raise AnswerError(
            f"{name}[{bad[0]}] is {answer[bad[0]]}, not a probability ({len(bad)} of {len(answer)} are not)"
        )
    return answer


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _start_of(body: bytes) -> str:
    return _short(body[:200].decode(errors="replace")) if body else "(empty)"
