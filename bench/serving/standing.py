"""A server that already runs somewhere: it is asked once, and neither started, nor watched, nor ended.

Every way in which it may not be there gets a sentence of its own; none of them repeats a credential.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from bench.errors import AnswerError, LaunchError
from bench.protocols import Wire
from bench.samples import TELEMETRY_COLUMNS
from bench.server import Standing
from bench.serving.address import TLS
from bench.serving.asking import StatusError, ask
from bench.serving.guarded import Guarded
from bench.telemetry import Sampler, sampling

NOT_SEEN = "it was not started here, so its processes cannot be watched"
_AGAIN_SECONDS = 0.5
_BUSY = (502, 503, 504, 429)
"""What a load balancer says while nobody behind it is ready."""


class NotOurs:
    """Stands where the harness holds a program of its own; there is nothing to watch and nothing to end."""

    pid: ClassVar[int] = 0

    def alive(self) -> bool:
        """Whoever runs it knows; what it does not answer shows in the rows."""
        return True

    def tree(self) -> list[int]:
        """No process of ours."""
        return []

    def poll(self) -> int | None:
        """It never ended for us."""
        return None

    def stop(self) -> int | None:
        """Nothing is stopped."""
        return None


@dataclass(frozen=True, slots=True)
class Unwatched:
    """What a sampler would tell, of a server whose processes cannot be seen."""

    missing: dict[str, str] = field(
        default_factory=lambda: dict.fromkeys((name for name in TELEMETRY_COLUMNS if name != "at"), NOT_SEEN)
    )
    cpu_share: float | None = None


@contextlib.contextmanager
def watching(process: Guarded | NotOurs, path: Path) -> Iterator[Sampler | Unwatched]:
    """Sample a server's processes into `path` while the block runs; of one that is not ours, say why nothing is."""
    if isinstance(process, NotOurs):
        yield Unwatched()
        return
    with sampling(process.tree, path) as sampler:
        yield sampler


def wait_for_answer(standing: Standing, wire: Wire, photo: bytes, patience: float) -> None:
    """Return once it has given a readable answer to a real request.

    Only who says to be busy is asked again, for `patience` seconds.
    Raises: LaunchError, with what is wrong and what would help.
    """
    request = wire.request(photo)
    host = f"{TLS}{standing.host}" if standing.tls else standing.host
    deadline = time.monotonic() + patience
    while True:
        try:
            wire.answer(ask(wire, host, standing.port, request)[0])
        except StatusError as failure:
            if failure.status not in _BUSY or time.monotonic() > deadline:
                raise _refused(standing, failure, patience) from failure
        except AnswerError as failure:
            raise LaunchError(
                f"{standing.url} answers, but not as its protocol says: {failure.what}",
                hint="see 'protocol', 'request' and 'response'; `bench serve` prints a curl line to try",
            ) from failure
        except (OSError, http.client.HTTPException) as failure:
            raise _unreachable(standing, failure) from failure
        else:
            return
        time.sleep(_AGAIN_SECONDS)


def _refused(standing: Standing, failure: StatusError, patience: float) -> LaunchError:
    status, where = failure.status, standing.url
    if status in (301, 302, 303, 307, 308):
        return LaunchError(
            f"{where} redirects (HTTP {status}) to {without_secrets(failure.location)}",
            hint="no redirect is followed, since each request would be measured twice: give the address it leads to",
        )
    if status in (401, 403, 407):
        sent = f"the headers sent were: {', '.join(standing.headers)}" if standing.headers else "no header was sent"
        return LaunchError(
            f"{where} asks for credentials (HTTP {status})",
            hint=f"{sent}; for example headers: {{Authorization: 'Bearer ${{API_TOKEN}}'}}, "
            "with API_TOKEN in the environment",
        )
    if status in (404, 405):
        return LaunchError(f"{where} has no such API (HTTP {status})", hint="see 'protocol', or 'request.path'")
    if status in _BUSY:
        return LaunchError(
            f"{where} was asked for {patience:g} s and is still busy, or nobody is behind it: {failure.what}",
            hint="start_timeout is how long it is asked; is what it stands for running?",
        )
    return LaunchError(f"{where} refuses the request: {failure.what}", hint="its own log tells more")


def _unreachable(standing: Standing, failure: Exception) -> LaunchError:
    where = standing.url
    if isinstance(failure, socket.gaierror):
        return LaunchError(f"{where} is not there: nobody knows the host {standing.host}", hint="check the name")
    if isinstance(failure, ssl.SSLCertVerificationError):
        return LaunchError(
            f"{where}: its certificate cannot be trusted: {failure.verify_message}",
            hint="with a certificate authority of your own: export SSL_CERT_FILE=ca.pem",
        )
    if isinstance(failure, ssl.SSLError):
        return LaunchError(f"{where} does not speak TLS as it should: {failure.reason}", hint="is it http, not https?")
    if isinstance(failure, TimeoutError):
        return LaunchError(f"{where} does not answer in time", hint="is a firewall between, or is it overloaded?")
    if isinstance(failure, ConnectionRefusedError):
        return LaunchError(f"{where} is not there: nothing listens on port {standing.port}", hint="is it running?")
    if isinstance(failure, http.client.RemoteDisconnected):
        return LaunchError(f"{where} closes the connection without a reply", hint="is it https, or gRPC?")
    if isinstance(failure, http.client.HTTPException):
        return LaunchError(f"{where} does not speak HTTP", hint="is it https, or gRPC?")
    return LaunchError(f"{where} cannot be reached: {failure}")


def without_secrets(url: str) -> str:
    """A URL that may be shown: no name or password, and of its query only that there is one."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "somewhere that is no URL"
    base = f"{parts.scheme}://{host}{parts.path}" if parts.scheme else f"{host}{parts.path}"
    return f"{base}?..." if parts.query else base or "nowhere"
