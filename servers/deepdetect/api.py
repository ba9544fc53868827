"""DeepDetect's own REST API: a service that its server creates as it starts, and predictions of one photo.

Source: DeepDetect's API reference (docs/api.md: `PUT /services`, `POST /predict`), its README (`-service_start_list`).
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from bench.errors import AnswerError
from bench.protocols import Answer, ReplyRule, Request
from bench.protocols.plain import JSON_HEADERS, json_document, probabilities

EVERY_CLASS = -1.0
"""A confidence threshold that keeps classes of probability 0 too; the default, 0, leaves them out."""
_VARIES = r'"time":\s*[0-9.eE+-]+'


def service_line(name: str, service: Mapping[str, Any]) -> str:
    """One line of the file that `-service_start_list` names."""
    return f"service_create;{name};{json.dumps(service)}\n"


@dataclass(frozen=True, slots=True)
class DeepDetectApi:
    """`POST /predict` with one photo in base64, answered by every class with its probability."""

    transport: ClassVar[Literal["http"]] = "http"
    service: str
    classes: int
    width: int
    height: int

    def request(self, photo: bytes) -> Request:
        """The request that asks for the probability of every class of one photo (JPEG bytes)."""
        document = {
            "service": self.service,
            "parameters": {
                "input": {"width": self.width, "height": self.height},
                "output": {"best": self.classes, "confidence_threshold": EVERY_CLASS},
            },
            "data": [b64encode(photo).decode("ascii")],
        }
        return Request("/predict", json.dumps(document).encode(), JSON_HEADERS, reply=ReplyRule(varies=_VARIES))

    def answer(self, body: bytes) -> Answer:
        """Class probabilities in the order of the classes, shape (classes,).

        DeepDetect sorts by probability; here they are in the order of their names, by number where those are numbers.
        Raises: AnswerError.
        """
        document = json_document(body)
        status = _of(document, "status")
        if _of(status, "code") != 200:
            raise AnswerError(f"DeepDetect refuses: {_refusal(status)}")
        found = _of(_of(document, "body"), "predictions")
        if isinstance(found, list):
            if len(found) != 1:
                raise AnswerError(f"one photo was asked for, and {len(found)} predictions came")
            (found,) = found
        listed = _of(found, "classes")
        each = listed if isinstance(listed, list) else [listed]  # a single class comes without a list around it
        named = {str(_of(one, "cat")): _of(one, "prob") for one in each}
        if len(named) != len(each) or len(each) != self.classes:
            raise AnswerError(f"{len(named)} different classes came, and 'classes' is {self.classes}")
        by_number = all(name.isdecimal() for name in named)
        names = sorted(named, key=int) if by_number else sorted(named)
        return probabilities([named[name] for name in names], "prob")


def _of(value: Any, key: str) -> Any:
    if not isinstance(value, dict) or key not in value:
        raise AnswerError(f"the reply has no {key!r} where DeepDetect's API has one")
    return value[key]


def _refusal(status: Any) -> str:
    """`404 Not Found, 1002 Service Not Found`."""
    parts = [
        f"{status.get(code, '')} {status.get(text, '')}" for code, text in (("code", "msg"), ("dd_code", "dd_msg"))
    ]
    return ", ".join(part.strip() for part in parts if part.strip())
