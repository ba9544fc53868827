"""One user's unary gRPC calls inside gevent: prepared bytes out, a status and a message back, with their instants.

gRPC's own library takes a thread and a lock for every reply when gevent runs it, which is most of what it would be
measured with. So the calls are framed here, over HTTP/2, and nothing of a message is decoded.
"""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Sequence
from urllib.parse import unquote

from bench.load.connection import UNIX, Connection, connection_error
from bench.load.exchange import Deadlines, Reply, TimedOut
from bench.load.http2 import Exchange, Headers, Http2Error, Prepared, StreamReset, header_block
from bench.load.job import Message
from bench.serving.address import grpc_target

GRPC_STATUS = 1000
"""Added to a gRPC status code other than OK, to tell it from an HTTP status."""
CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
_UNKNOWN, _DEADLINE_EXCEEDED = 2, 4
_OF_HTTP = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
"""gRPC's meaning of an HTTP status in a reply that has none of its own."""
_OF_RESET = {7: 14, 8: 1, 11: 8, 12: 7}
"""gRPC's meaning of a stream's reset: refused, cancelled, enhance your calm, inadequate security; else INTERNAL."""
_INTERNAL = 13
_IDLE_SECONDS = 0.05
"""A connection that rested longer than this is looked at before it is used again."""
_SHOWN = 80
_monotonic = time.monotonic


class GrpcClient(Connection):
    """The calls of one user, on a connection of its own; `opened` counts how often it had to connect."""

    def __init__(self, host: str, port: int, messages: Sequence[Message], deadlines: Deadlines) -> None:
        super().__init__(host, port)
        self._calls = [_prepare(message, host, port, deadlines.timeout) for message in messages]
        self._timeout = deadlines.timeout
        self._in_flight = deadlines.in_flight
        self._http = Exchange()
        self._idle_since = 0.0

    def exchange(self, payload: int) -> Reply:
        """Make the prepared call of a payload and wait for its reply; failures are replies too."""
        call = self._calls[payload]
        started_at = _monotonic()
        self._in_flight[self] = started_at
        try:
            return self._make(call, started_at)
        except TimedOut:
            self.close()
            return Reply.failure(started_at, "timed out")
        except StreamReset as failure:
            self._idle_since = done_at = _monotonic()
            return _refused(started_at, math.nan, done_at, _OF_RESET.get(failure.code, _INTERNAL), str(failure))
        except Http2Error:
            self.close()
            return Reply.failure(started_at, "reply is not HTTP/2")
        except OSError as failure:
            self.close()
            return Reply.failure(started_at, connection_error(failure))
        finally:
            self._in_flight.pop(self, None)

    def _make(self, call: Prepared, started_at: float) -> Reply:
        if self._socket is not None and not self._fit_for_more(started_at):
            self.close()
        connection = self._socket
        if connection is None:
            connection = self._connect()
            self._http = Exchange()
        http2 = self._http
        self._send(http2.begin(call))
        first_byte_at = math.nan
        while not http2.ended:
            data = self._receive()
            if not data:
                raise _cut_off(http2.answered)
            at = _monotonic()
            http2.feed(data)
            if http2.answered and first_byte_at != first_byte_at:  # the first time
                first_byte_at = at
            if more := http2.pending():
                self._send(more)
        self._idle_since = at
        return self._reply(started_at, first_byte_at, at)

    def _send(self, wire: bytes) -> None:
        connection = self._socket
        assert connection is not None
        try:
            sent = connection.send(wire)
        except BlockingIOError:
            sent = 0
        if sent < len(wire):
            self._send_rest(wire, sent)

    def _fit_for_more(self, now: float) -> bool:
        """Whether the connection takes another call; what the server said meanwhile is read first."""
        if not self._http.usable:
            return False
        if now - self._idle_since <= _IDLE_SECONDS:
            return True
        assert self._socket is not None
        try:
            while data := self._socket.recv(65_536):
                self._http.feed(data)
                if more := self._http.pending():
                    self._send(more)
        except BlockingIOError:
            return self._http.usable
        except (OSError, Http2Error):
            return False
        return False  # end of stream

    def _reply(self, started_at: float, first_byte_at: float, done_at: float) -> Reply:
        http2 = self._http
        status, text = _status(http2.trailers or http2.headers)
        if status is None:
            http = dict(http2.headers).get(":status", "")
            status = _OF_HTTP.get(int(http) if http.isdigit() else 0, _UNKNOWN)
            text = "the reply has no status" if http == "200" else f"HTTP {http}"
        if status != 0:
            if status == _DEADLINE_EXCEEDED and done_at - started_at >= self._timeout * 0.99:
                return Reply.failure(started_at, "timed out")
            return _refused(started_at, first_byte_at, done_at, status, text)
        body = http2.body
        if len(body) < 5 or body[0] != 0 or len(body) != 5 + int.from_bytes(body[1:5], "big"):
            return _refused(started_at, first_byte_at, done_at, _INTERNAL, "the reply is not one plain message")
        return Reply(started_at, first_byte_at, done_at, 200, body[5:], "")


def _status(trailers: Headers) -> tuple[int | None, str]:
    """The status of gRPC itself and its text; None where the reply has none."""
    found = dict(trailers)
    code = found.get("grpc-status", "")
    if not code.isdigit():
        return None, ""
    return int(code), unquote(found.get("grpc-message", ""))


def _refused(sent_at: float, first_byte_at: float, done_at: float, code: int, text: str) -> Reply:
    name = CODES[code] if code < len(CODES) else f"status {code}"
    said = " ".join(text.split())[:_SHOWN]
    error = f"gRPC {name}: {said}" if said else f"gRPC {name}"
    return Reply(sent_at, first_byte_at, done_at, GRPC_STATUS + code, b"", error)


def _cut_off(answered: bool) -> OSError:
    if answered:
        return ConnectionAbortedError(errno.ECONNABORTED, "closed in the middle of a reply")
    return ConnectionResetError(errno.ECONNRESET, "closed before a reply")


def _prepare(message: Message, host: str, port: int, timeout: float) -> Prepared:
    headers = (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", message.target),
        (":authority", "localhost" if host.startswith(UNIX) else grpc_target(host, port)),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "bench"),
        ("grpc-accept-encoding", "identity"),
        ("grpc-timeout", f"{min(99_999_999, math.ceil(timeout * 1000))}m"),
        *message.headers,
    )
    return Prepared(header_block(headers), b"\x00" + len(message.body).to_bytes(4, "big") + message.body)
