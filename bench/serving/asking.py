"""One question to a server, outside of any measurement: is it there, and what does it say?

Load is sent by `load/`; this is for readiness, for looks between trials, and for checks of a server by itself.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import re
import shlex
import ssl
from pathlib import Path

from bench.credentials import Discretion, filled, names_in
from bench.errors import AnswerError
from bench.protocols import Request, Wire
from bench.serving.address import TLS, grpc_target

PROBE_TIMEOUT_SECONDS = 30.0
_SHOWN_BYTES = 200
_VARIABLE = re.compile(r"(\$\{[A-Za-z_][A-Za-z0-9_]*\})")


class StatusError(AnswerError):
    """A reply of another HTTP status than 200; `location` is where a redirect leads."""

    def __init__(self, status: int, said: str, location: str) -> None:
        super().__init__(f"HTTP {status}: {said}" if said else f"HTTP {status}")
        self.status = status
        self.location = location


def ask(
    wire: Wire, host: str, port: int, request: Request, timeout: float = PROBE_TIMEOUT_SECONDS
) -> tuple[bytes, str]:
    """Body of one good reply, and the worker it came from where the server says.

    Raises: OSError if no reply came, AnswerError for one that reports an error (StatusError over HTTP), UnsetError.
    """
    if wire.transport == "grpc":
        return _ask_grpc(host, port, request, timeout), ""
    headers = {name: filled(value) for name, value in request.headers}
    hide = Discretion([request.target, *(value for _, value in request.headers)])
    with contextlib.closing(_connection(host, port, timeout)) as connection:
        connection.request(request.method, filled(request.target), request.body, headers)
        reply = connection.getresponse()
        body = hide.bytes(reply.read())
        if reply.status != 200:
            said = body[:_SHOWN_BYTES].decode(errors="replace").strip()
            raise StatusError(reply.status, said, hide.text(reply.getheader("Location", "")))
        return body, reply.getheader("X-Worker", "")


def ask_many(wire: Wire, host: str, port: int, request: Request, count: int) -> set[str]:
    """Workers that answered `count` simultaneous requests: a busy one leaves the next to another."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        replies = list(pool.map(lambda _: ask(wire, host, port, request), range(count)))
    for body, _ in replies:
        wire.answer(body)
    return {worker for _, worker in replies if worker}


def check_path(host: str, port: int, path: str) -> None:
    """Return if a GET of this path is answered with a status of 2xx.   Raises: OSError, AnswerError, UnsetError."""
    with contextlib.closing(_connection(host, port, PROBE_TIMEOUT_SECONDS)) as connection:
        connection.request("GET", filled(path))
        reply = connection.getresponse()
        reply.read()
        if reply.status // 100 != 2:
            raise AnswerError(f"GET {path}: HTTP {reply.status}")


def curl_line(url: str, request: Request, body: Path) -> str:
    """The same question for a shell, which fills in the variables that the request names; `body` is a file."""
    method = [] if request.method == "POST" else ["-X", request.method]
    headers = [word for name, value in request.headers for word in ("-H", _quoted(f"{name}: {value}"))]
    words = ["curl", "-sS", *method, *headers, "--data-binary", shlex.quote(f"@{body}")]
    return " ".join([*words, _quoted(f"{url}{request.target}")])


def _quoted(text: str) -> str:
    """One word for a shell, in which only `${NAME}` means anything."""
    if not names_in([text]):
        return shlex.quote(text)
    parts = _VARIABLE.split(text)
    return "".join(f'"{part}"' if _VARIABLE.fullmatch(part) else shlex.quote(part) for part in parts if part)


def _connection(host: str, port: int, timeout: float) -> http.client.HTTPConnection:
    if not host.startswith(TLS):
        return http.client.HTTPConnection(host, port, timeout=timeout)
    context = ssl.create_default_context()
    return http.client.HTTPSConnection(host.removeprefix(TLS), port, timeout=timeout, context=context)


def _ask_grpc(host: str, port: int, request: Request, timeout: float) -> bytes:
    import grpc

    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    metadata = tuple((name, filled(value)) for name, value in request.headers)
    hide = Discretion(value for _, value in request.headers)
    with grpc.insecure_channel(grpc_target(host, port), options=[*options, ("grpc.enable_http_proxy", 0)]) as channel:
        call = channel.unary_unary(request.target, None, None)
        try:
            return bytes(call(request.body, timeout=timeout, metadata=metadata or None))
        except grpc.RpcError as failure:
            said = hide.text(failure.details() or "")
            if failure.code() is grpc.StatusCode.UNAVAILABLE:
                raise ConnectionRefusedError(said) from failure
            raise AnswerError(f"gRPC {failure.code().name}: {said}") from failure
