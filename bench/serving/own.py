"""What the kinds for a person's own server share: the API that it speaks, its headers, and how its answers are judged.

`command`, `docker` and `url` build on it; a kind in a folder of its own writes a `wire` instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any, Literal

from bench.credentials import Discretion, holds_password, names_in, unset, written_out
from bench.errors import AnswerError
from bench.payload.signature import Signature
from bench.protocols import Answer, Request, Wire
from bench.protocols.named import GRPC, Named
from bench.server import Missing, Place, Server
from bench.units import UnitError

_SECRET_FLAG = re.compile(r"--?(?:[\w-]*[-_])?(?:api[-_]?key|token|secret|password|passwd)", re.IGNORECASE)
_ASSIGNED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_SCRIPT_FLAG = re.compile(r"-[a-z]*c")
"""What comes before a script for a shell, which fills in variables itself: `sh -c`, `bash -ec`."""
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_YOURS = ("host", "content-length", "connection", "transfer-encoding")


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

    def missing(self) -> Missing | None:
        """An environment variable that is not set."""
        return lacking(self.all_headers.values())

    def wire(self, place: Place) -> Wire:
        """The API, with the headers on each request."""
        inner = self.api(place)
        headers = tuple(self.all_headers.items())
        return Spoken(inner, headers, Discretion(self.all_headers.values())) if headers else inner

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


def lacking(texts: Any) -> Missing | None:
    """Missing, if one of the texts names an environment variable that is not set."""
    names = unset(texts)
    if not names:
        return None
    said = f"the environment variable {names[0]} is not set" + (f" (nor {', '.join(names[1:])})" if names[1:] else "")
    return Missing(said, " ".join(["export", *(f"{name}=..." for name in names)]))


def check_headers(headers: dict[str, str]) -> None:
    """Refuse headers that cannot be sent, and credentials that are written out.   Raises: UnitError."""
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or name.lower() in _NOT_YOURS:
            raise UnitError(f"{name!r} cannot be a header here", f"these are set for you: {', '.join(_NOT_YOURS)}")
        if not value.isprintable() or not value.isascii():
            raise UnitError(f"the header {name} holds a character that no header may hold", "")
        refuse_secret(f"the header {name}", name, value)


def refuse_secret(what: str, name: str, value: str) -> None:
    """Refuse a credential that is written out; its value is not repeated.   Raises: UnitError."""
    if written_out(name, value):
        variable = _variable(name)
        raise UnitError(
            f"{what} looks like a credential and is written out",
            f"keep it in an environment variable and write ${{{variable}}}; results then hold the name only",
        )


def check_arguments(arguments: Sequence[str]) -> None:
    """Refuse what only a shell would understand, and credentials, in a command line that no shell reads.

    Raises: UnitError.
    """
    assigned = _ASSIGNED.match(arguments[0]) if arguments else None
    if assigned is not None:
        raise UnitError(
            f"'run' begins with {assigned[1]}=, which only a shell would set", f"give it in env: {{{assigned[1]}: ...}}"
        )
    for argument, before in zip(arguments, ("", *arguments), strict=False):
        names = names_in([argument])
        if names and not _SCRIPT_FLAG.fullmatch(before):
            raise UnitError(
                f"${{{names[0]}}} in 'run' stays as it is: no shell reads the command line",
                f"give it in env: {{{names[0]}: '${{{names[0]}}}'}} and have the program take it from there; a command "
                "line can be read by everybody on this machine",
            )
        if holds_password(argument):
            raise UnitError(
                "a URL in 'run' holds a name or a password",
                "everybody on this machine can read it there; keep it in an environment variable, which env passes on",
            )
    _refuse_secret_flags(arguments)


def _refuse_secret_flags(arguments: Sequence[str]) -> None:
    """Refuse `--token=...` and `--token ...` with a value that is written out.   Raises: UnitError."""
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue="-"):
        flag, given, value = argument.partition("=")
        value = value if given else following
        written = value and not value.startswith("-") and "{" not in value
        if _SECRET_FLAG.fullmatch(flag) and written:
            variable = _variable(flag)
            raise UnitError(
                f"the value of {flag} in 'run' looks like a credential and is written out",
                f"everybody on this machine can read it there; give it in env: {{{variable}: '${{{variable}}}'}}",
            )


def _variable(name: str) -> str:
    """The environment variable that a credential of this name would be kept in: `--api-key` as API_KEY."""
    return re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
