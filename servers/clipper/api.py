"""Clipper's query API: a photo in base64, and a reply that may be the default instead of a prediction.

A query that is not answered within the application's latency SLO gets HTTP 200 with `"default": true`. That is no
answer: it is counted as a failure of its own kind while load runs, and refused wherever a reply is read.

Source: Clipper's API reference (`/<application>/predict`, `Query Result`) and its example of querying with an image.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from typing import ClassVar, Literal
from urllib.parse import quote

from bench.errors import AnswerError
from bench.protocols import Answer, ReplyRule, Request
from bench.protocols.plain import JSON_HEADERS, json_document, json_value, probabilities

LATE = "late: the default answer came in place of a prediction"
"""The kind of error that a default answer is."""
_RULE = ReplyRule(
    varies=r'"query_id"\s*:\s*[0-9]+',
    # at the end of the reply, where Clipper writes it: a model's own output may hold the same words
    fails=r'"default"\s*:\s*true\s*(,\s*"default_explanation"\s*:\s*"(?:[^"\\]|\\.)*"\s*)?\}\s*$',
    fails_as=LATE,
)


@dataclass(frozen=True, slots=True)
class ClipperApi:
    """`POST /<application>/predict` with `{"input": <base64>}`; `output` holds the list of class probabilities."""

    transport: ClassVar[Literal["http"]] = "http"
    application: str

    def request(self, photo: bytes) -> Request:
        """The request that asks for the class probabilities of one photo (JPEG bytes)."""
        body = json.dumps({"input": b64encode(photo).decode("ascii")}).encode()
        return Request(f"/{quote(self.application, safe='')}/predict", body, JSON_HEADERS, reply=_RULE)

    def answer(self, body: bytes) -> Answer:
        """Class probabilities, shape (classes,).   Raises: AnswerError, also for a default answer."""
        output = json_value(body, "output")
        document = json_document(body)
        if document.get("default") is not False:
            raise AnswerError(f"{LATE} ({document.get('default_explanation', 'Clipper does not say why')})")
        return probabilities(_unpacked(output), "output")


def _unpacked(output: object) -> object:
    """The list itself; a model whose text Clipper could not read as JSON has it in a string."""
    if not isinstance(output, str):
        return output
    try:
        return json.loads(output)
    except ValueError:
        return output
