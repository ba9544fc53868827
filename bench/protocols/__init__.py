"""How a request looks on the wire and how an answer reads, one module per API.

A protocol is pure: payload bytes in, request bytes out, and the other way round. It opens no
connection and keeps no time; the load generator sends what was prepared here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Answer = NDArray[np.float32]
"""Class probabilities of one photo; shape (classes,)."""


@dataclass(frozen=True, slots=True)
class ReplyRule:
    """What tells more of a reply than its status; both are regular expressions over the body's bytes, as Latin-1.

    `varies` finds what differs from reply to reply and says nothing of the answer, such as a number of the request: it
    is left out before equal replies are kept once. A reply in which `fails` is found has failed, although its status is
    good, as the kind of error `fails_as`.
    """

    varies: str = ""
    fails: str = ""
    fails_as: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, prepared before any clock starts.

    `target` is the path of an HTTP request (`/v1/models/m:predict`) or a full gRPC method name
    (`/tensorflow.serving.PredictionService/Predict`). `headers` are extra HTTP headers or gRPC metadata;
    Host, Content-Length and Connection are the load generator's business. Where target or headers hold `${NAME}`, the
    value of that environment variable takes its place as the request is sent, and nowhere before.
    `reply` is what the load process has to know of replies, where status 200 and a body do not say it all.
    """

    target: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "POST"
    reply: ReplyRule | None = None


class Wire(Protocol):
    """One API spoken to one server: how a request looks and how an answer reads."""

    @property
    def transport(self) -> Literal["http", "grpc"]:
        """What carries the bytes."""
        ...

    def request(self, photo: bytes) -> Request:
        """The request that asks for the class probabilities of one photo (JPEG bytes)."""
        ...

    def answer(self, body: bytes) -> Answer:
        """Class probabilities, shape (classes,), read from the body of a good reply.

        Raises: AnswerError if the bytes are not such an answer.
        """
        ...
