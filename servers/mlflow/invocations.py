"""How MLflow's scoring server is asked, and how its answers read."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import ClassVar, Literal

from bench.errors import AnswerError
from bench.protocols import Answer, Request
from bench.protocols.plain import JSON_HEADERS, json_value, probabilities


@dataclass(frozen=True, slots=True)
class Invocations:
    """`POST /invocations` with a table of one row; the reply holds a row of probabilities."""

    transport: ClassVar[Literal["http"]] = "http"

    def request(self, photo: bytes) -> Request:
        """The request that asks for the class probabilities of one photo (JPEG bytes)."""
        body = b'{"dataframe_split": {"columns": ["image"], "data": [["' + b64encode(photo) + b'"]]}}'
        return Request("/invocations", body, JSON_HEADERS)

    def answer(self, body: bytes) -> Answer:
        """Class probabilities, shape (classes,).   Raises: AnswerError."""
        rows = json_value(body, "predictions")
        if not isinstance(rows, list) or len(rows) != 1:
            raise AnswerError(f"predictions is not one row: {str(rows)[:80]}")
        return probabilities(rows[0], "predictions[0]")
