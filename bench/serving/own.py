"""What the kinds for a person's own server share: the API that it speaks, its headers, and how its answers are judged.

`command`, `docker` and `url` build on it; a kind in a folder of its own writes a `wire` instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bench.credentials import Discretion
from bench.errors import AnswerError
from bench.payload.signature import Signature
from bench.protocols import Answer, Request, Wire
from bench.protocols.named import GRPC, Named
from bench.server import Missing, Mistake, Place, Server
from bench.serving.refusing import Sent, check_body, check_headers, check_target, lacking, unsendable_texts
from bench.units import UnitError


@dataclass(frozen=True, kw_only=True)
class RequestTemplate:
    """How a request looks; `body` is `jpeg`, the photo as it is, or JSON in which `{image_b64}` stands for it."""

    method: Literal["POST", "PUT", "PATCH"] = "POST"
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = "jpeg"

    def __post_init__(self) -> None:
        from bench.protocols.template import IMAGE, JPEG, holds_image

        if self.path and not self.path.startswith("/"):
            raise UnitError(f"request.path must begin with '/', got {self.path!r}", "for example /predict")
        if self.body != JPEG and not holds_image(self.body):
            raise UnitError("request.body has no place for the photo", f"write {IMAGE} where it goes, or 'body: jpeg'")
        check_target("'request.path'", self.path)
        check_body(self.body)


@dataclass(frozen=True, kw_only=True)
class ResponseTemplate:
    """Where in a JSON reply the list of class probabilities stands: `predictions[0].scores`."""

    probabilities: str

    def __post_init__(self) -> None:
        from bench.protocols.template import parse_path

        try:
            parse_path(self.probabilities)
        except ValueError as failure:
            raise UnitError(str(failure), "") from failure


@dataclass(frozen=True, kw_only=True)
class OwnServer(Server):
    """A server that somebody else wrote; its API is named (`protocol`) or described (`request`, `response`)."""

    protocol: Named | None = None
    request: RequestTemplate | None = None
    response: ResponseTemplate | None = None
    model_name: str = "model"
    """What the server calls its model, where its API has the name in the path."""
    headers: dict[str, str] = field(default_factory=dict)
    answers: Literal["model", "steady"] = "model"
    """Compared with the model's, or only with the first ones that it gives itself."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant, and secrets that are written out."""
        if self.protocol is not None and (self.request or self.response):
            raise UnitError(
                "give 'protocol', or 'request' and 'response', not both", "the one says what the other does"
            )
        if (self.request is None) != (self.response is None):
            raise UnitError(
                "'request' and 'response' go together",
                "for example request: {path: /classify, body: jpeg}, response: {probabilities: scores}",
            )
        check_headers(self.all_headers)
        if self.speaks_grpc and self.all_headers != {key.lower(): value for key, value in self.all_headers.items()}:
            raise UnitError("names of gRPC metadata are written in lower case", "for example authorization")

    @property
    def speaks_grpc(self) -> bool:
        """Whether its API is one over gRPC."""
        return self.protocol in GRPC

    @property
    def all_headers(self) -> dict[str, str]:
        """Headers of every request."""
        return {**self.headers, **(self.request.headers if self.request else {})}

    @property
    def judged_by_model(self) -> bool:
        """Whether its answers are compared with those of the scenario's model."""
        return self.answers == "model"

    @property
    def may_learn(self) -> bool:
        """Without a model its own first answers are what later ones are compared with."""
        return True

    def cannot_take(self, signature: Signature | None) -> str:  # noqa: ARG002 -- any that its API can say
        """A described API has a place for a photo."""
        return "" if self.request is None else "its 'request' describes where a photo goes, and the payload is tensors"

    @property
    def sent(self) -> Sent:
        """Texts of requests that may name variables; they are filled in by what sends."""
        found: dict[tuple[str, ...], str] = {("headers", name): value for name, value in self.headers.items()}
        if self.request is None:
            return found | {("model_name",): self.model_name}
        found |= {("request", "headers", name): value for name, value in self.request.headers.items()}
        return found | {("request", "path"): self.request.path}

    def missing(self) -> Missing | None:
        """An environment variable that is not set."""
        return lacking(self.sent.values())

    def mistakes(self) -> tuple[Mistake, ...]:
        """Variables whose values cannot be sent."""
        return unsendable_texts(self.sent)

    def wire(self, place: Place) -> Wire:
        """The API, with the headers on each request."""
        inner = self.api(place)
        discretion, headers = Discretion(self.sent.values()), tuple(self.all_headers.items())
        return Spoken(inner, headers, discretion) if headers or discretion else inner

    def api(self, place: Place, path: str = "/predict") -> Wire:
        """The API alone; one that is described without a path is at this one."""
        if self.request is None or self.response is None:
            from bench.protocols.named import tensor_wire_of, wire_of

            name = self.protocol or "plain"
            if place.model is not None and place.model.signature is not None:
                return tensor_wire_of(name, self.model_name, place.model.signature)
            return wire_of(name, self.model_name, place.model.classes if place.model else None)
        from bench.protocols.template import Template, parse_path

        steps = parse_path(self.response.probabilities)
        return Template(self.request.path or path, self.request.body, steps, self.request.method)


@dataclass(frozen=True)
class Spoken:
    """A wire whose requests carry headers of the person's own, and whose complaints repeat no secret.

    What comes before and behind the API's own path is put there too, for a server that lives below one.
    """

    inner: Wire
    headers: tuple[tuple[str, str], ...]
    discretion: Discretion
    prefix: str = ""
    suffix: str = ""

    @property
    def transport(self) -> Literal["http", "grpc"]:
        """What carries the bytes."""
        return self.inner.transport

    def request(self, photo: bytes) -> Request:
        """The API's request; a header of the person's own goes before one of the API."""
        made = self.inner.request(photo)
        own = {name.lower() for name, _ in self.headers}
        kept = tuple((name, value) for name, value in made.headers if name.lower() not in own)
        return replace(made, target=f"{self.prefix}{made.target}{self.suffix}", headers=(*kept, *self.headers))

    def answer(self, body: bytes) -> Answer:
        """Class probabilities, shape (classes,).   Raises: AnswerError."""
        try:
            return self.inner.answer(body)
        except AnswerError as failure:
            raise AnswerError(self.discretion.text(failure.what)) from None
