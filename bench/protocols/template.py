"""An HTTP API that a person described: where a photo goes in a request, and where the probabilities stand in a reply.

The body is the JPEG itself or JSON in which `{image_b64}` stands for it in base64. This module connects to nothing.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from bench.errors import AnswerError
from bench.protocols import Answer, Request
from bench.protocols.plain import JSON_HEADERS, json_document, probabilities

JPEG = "jpeg"
"""What a template says for a body that is the photo itself."""
IMAGE = "{image_b64}"
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")
_EXAMPLE = "for example 'probabilities', 'predictions[0].scores', or '$' for a reply that is the list itself"


@dataclass(frozen=True, slots=True)
class Template:
    """One described API; `body` is `jpeg` or any JSON value, `probabilities` the path to a list of numbers."""

    transport: ClassVar[Literal["http"]] = "http"
    path: str
    body: Any
    probabilities: tuple[str | int, ...]
    method: str = "POST"

    def request(self, photo: bytes) -> Request:
        """The request that asks for the class probabilities of one photo (JPEG bytes)."""
        if self.body == JPEG:
            return Request(self.path, photo, (("Content-Type", "image/jpeg"),), self.method)
        image = b64encode(photo).decode("ascii")
        return Request(self.path, json.dumps(_with_image(self.body, image)).encode(), JSON_HEADERS, self.method)

    def answer(self, body: bytes) -> Answer:
        """Class probabilities, shape (classes,).   Raises: AnswerError, which tells how far the path leads."""
        value, done = json_document(body), "$"
        for step in self.probabilities:
            value = _step(value, step, done)
            done = f"{done}[{step}]" if isinstance(step, int) else f"{done}.{step}"
        return probabilities(value, done.removeprefix("$.") or "the reply")


def parse_path(text: str) -> tuple[str | int, ...]:
    """`$.predictions[0].scores` as its steps.   Raises: ValueError."""
    rest = text.strip().removeprefix("$")
    steps: list[str | int] = []
    at = 0
    while at < len(rest):
        found = _STEP.match(rest, at)
        if found is None:
            raise ValueError(f"not a JSON path: {text!r}; {_EXAMPLE}")
        steps.append(int(found[2]) if found[2] else found[1])
        at = found.end()
    if not text.strip():
        raise ValueError(f"an empty JSON path; {_EXAMPLE}")
    return tuple(steps)


def holds_image(body: Any) -> bool:
    """Whether a JSON value has a place for the photo."""
    if isinstance(body, str):
        return IMAGE in body
    if isinstance(body, dict):
        return any(holds_image(value) for value in body.values())
    return isinstance(body, list | tuple) and any(holds_image(value) for value in body)


def _with_image(body: Any, image: str) -> Any:
    if isinstance(body, str):
        return body.replace(IMAGE, image)
    if isinstance(body, dict):
        return {key: _with_image(value, image) for key, value in body.items()}
    return [_with_image(value, image) for value in body] if isinstance(body, list | tuple) else body


def _step(value: Any, step: str | int, done: str) -> Any:
    if isinstance(step, int):
        if isinstance(value, list) and step < len(value):
            return value[step]
        found = f"a list of {len(value)}" if isinstance(value, list) else f"a {type(value).__name__}"
        raise AnswerError(f"the reply has no [{step}] at {done}, which is {found}")
    if isinstance(value, dict):
        if step in value:
            return value[step]
        keys = ", ".join(repr(key) for key in list(value)[:8]) or "none"
        raise AnswerError(f"the reply has no {step!r} at {done}; the keys there: {keys}")
    raise AnswerError(f"the reply has no {step!r} at {done}, which is a {type(value).__name__}")
