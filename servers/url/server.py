"""Something that already runs, here or behind a load balancer: it is asked, and otherwise left alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar
from urllib.parse import SplitResult, urlsplit

from annotated_types import MinLen

from bench.credentials import Discretion, names_in
from bench.errors import LaunchError
from bench.server import Command, Place, Standing
from bench.serving.own import OwnServer, Spoken
from bench.serving.refusing import Sent, check_target
from bench.units import UnitError

if TYPE_CHECKING:
    from bench.protocols import Wire

_PORTS = {"http": 80, "https": 443, "grpc": 0}
_EXAMPLE = "for example https://models.example.com/v1/predict, or http://127.0.0.1:8501"


@dataclass(frozen=True, kw_only=True)
class Server(OwnServer):
    """A URL; what it costs and uses over there cannot be seen from here."""

    title: ClassVar[str] = "something that already runs, at a URL"
    needs: ClassVar[str] = "a URL of your own"
    start_timeout_s: ClassVar[float] = 10.0
    """How long it may say to be busy (502, 503) before it is given up; anything else is told at once."""

    url: Annotated[str, MinLen(1)]
    """`http://`, `https://` or `grpc://`, host, port and the path that comes before the API's own."""

    def __post_init__(self) -> None:
        """Refuse what is no such URL, and credentials in it."""
        super().__post_init__()
        if any(character.isspace() or not character.isprintable() for character in self.url):
            raise UnitError("'url' holds a space or a character that cannot be seen", "write %20 for a space")
        parts = self._parts()
        if parts.username or parts.password:
            raise UnitError(
                "'url' holds a name or a password",
                "keep it in an environment variable: headers: {Authorization: 'Basic ${BASIC_AUTH}'}",
            )
        if parts.scheme not in _PORTS or not parts.hostname:
            raise UnitError("'url' is no URL that load can be sent to", _EXAMPLE)
        if names_in([parts.netloc]):
            raise UnitError("the host and the port of 'url' cannot come from a variable", "the path and the query can")
        if parts.fragment:
            raise UnitError("'url' has a part behind '#', which is never sent", "leave it out")
        check_target("'url'", f"{parts.path}?{parts.query}")
        if self.speaks_grpc != (parts.scheme == "grpc"):
            wanted = "grpc://host:port" if self.speaks_grpc else "http:// or https://"
            grpc = "name a protocol of gRPC, for example protocol: kserve-grpc"
            hint = grpc if parts.scheme == "grpc" else _EXAMPLE
            raise UnitError(f"the protocol {self.protocol or 'plain'} is spoken at {wanted}", hint)
        if parts.scheme == "grpc" and not parts.port:
            raise UnitError("a grpc:// URL needs a port", "for example grpc://127.0.0.1:8500")

    def _parts(self) -> SplitResult:
        try:
            parts = urlsplit(self.url)
            _ = parts.port
        except ValueError as failure:
            raise UnitError("'url' is no URL that load can be sent to", _EXAMPLE) from failure
        return parts

    @property
    def standing(self) -> Standing:
        """Its host and port."""
        parts = self._parts()
        port = parts.port or _PORTS[parts.scheme]
        names = tuple(self.all_headers)
        return Standing(parts.hostname or "", port, parts.scheme == "https", names, parts.scheme)

    @property
    def sent(self) -> Sent:
        """Its path and query too."""
        return {**super().sent, ("url",): self.url}

    def version(self, place: Place) -> str:  # noqa: ARG002 -- it is not of this machine
        """Nothing is known of it but where it is."""
        return f"at {self.standing.url}"

    def wire(self, place: Place) -> Wire:
        """The API below the URL's path, with the headers on each request."""
        parts = self._parts()
        whole = self.request is not None and not self.request.path  # the URL's path is the API's
        return Spoken(
            self.api(place, path=""),
            tuple(self.all_headers.items()),
            Discretion(self.sent.values()),
            prefix=(parts.path or "/") if whole else parts.path.rstrip("/"),
            suffix=f"?{parts.query}" if parts.query else "",
        )

    def command(self, place: Place) -> Command:  # noqa: ARG002 -- nobody asks
        """There is none."""
        raise LaunchError(f"{self.standing.url} is not started here")
