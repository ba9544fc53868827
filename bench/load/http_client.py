"""One user's HTTP/1.1 connection inside gevent: prepared bytes out, a parsed reply with its instants back.

llhttp (through geventhttpclient) parses; this module only moves bytes and reads the clock. The connection is
kept as long as the server allows, and how often one had to be opened is counted. A host with several addresses is
given one of them, `address`; requests still carry its name.
"""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from geventhttpclient._parser import HTTPParseError, HTTPResponseParser

from bench.load.connection import Connection, connection_error
from bench.load.exchange import Deadlines, Reply, TimedOut
from bench.load.job import Message

_monotonic = time.monotonic
_IDLE_SECONDS = 0.05
"""A connection that rested longer than this is looked at before it is used again; looking costs a system call."""
_END_OF_HEAD = b"\r\n\r\n"
_MOST_KNOWN_HEADS = 512


class _Head(NamedTuple):
    """What llhttp made of a head whose reply had a length and left the connection open."""

    status: int
    body_bytes: int


_known_heads: dict[bytes, _Head] = {}
"""Heads repeat; a byte-identical one at the beginning of a reply means the same again, and llhttp is spared."""


def _remember_head(head: bytes, status: int, body_bytes: int) -> None:
    if len(_known_heads) >= _MOST_KNOWN_HEADS:  # a server that numbers or dates its replies
        _known_heads.clear()
    _known_heads[head] = _Head(status, body_bytes)


class _Parser(HTTPResponseParser):
    """llhttp, keeping nothing but the body; interim (1xx) replies are skipped."""

    def __init__(self) -> None:
        super().__init__()
        self.complete = False
        self.parts: list[bytearray] = []

    def renew(self) -> None:
        self.complete = False
        self.parts = []

    def body(self) -> bytes:
        """The reply's body, chunks joined."""
        return bytes(self.parts[0]) if len(self.parts) == 1 else b"".join(self.parts)

    def _on_message_begin(self) -> None:
        pass

    def _on_status(self, text: str) -> None:
        pass

    def _on_header_field(self, text: str) -> None:
        pass

    def _on_header_value(self, text: str) -> None:
        pass

    def _on_headers_complete(self) -> bool:
        return False

    def _on_body(self, part: bytearray) -> None:
        self.parts.append(part)

    def _on_message_complete(self) -> None:
        if self.get_code() >= 200:
            self.complete = True


class HttpClient(Connection):
    """Connection of one user; `opened` counts how often it had to connect."""

    default_port: ClassVar[int] = 80

    def __init__(
        self, host: str, port: int, messages: Sequence[Message], deadlines: Deadlines, address: str = ""
    ) -> None:
        super().__init__(address or host, port)
        self._wire = [_encode(message, self._host_header(host, port)) for message in messages]
        self._in_flight = deadlines.in_flight
        self._parser = _Parser()
        self._idle_since = 0.0

    def exchange(self, payload: int) -> Reply:
        """Send the prepared request of a payload and wait for its whole reply; failures are replies too."""
        wire = self._wire[payload]
        started_at = _monotonic()
        self._in_flight[self] = started_at
        try:
            return self._exchange(wire, started_at)
        except TimedOut:
            self.close()
            return Reply.failure(started_at, "timed out")
        except HTTPParseError:
            self.close()
            return Reply.failure(started_at, "reply is not HTTP")
        except OSError as failure:
            self.close()
            return Reply.failure(started_at, connection_error(failure))
        finally:
            self._in_flight.pop(self, None)

    def _host_header(self, host: str, port: int) -> str:
        shown = f"[{host}]" if ":" in host else host
        return shown if port == self.default_port else f"{shown}:{port}"

    def _exchange(self, wire: bytes, started_at: float) -> Reply:
        if self._socket is not None and started_at - self._idle_since > _IDLE_SECONDS and self._closed_meanwhile():
            self.close()
        connection = self._socket
        if connection is None:
            connection = self._connect()
            self._parser = _Parser()
        sent = connection.send(wire)  # the connection is idle, so there is room for at least some of it
        if sent < len(wire):
            self._send_rest(wire, sent)
        data = self._receive()
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "closed before a reply")
        first_byte_at = self._idle_since = _monotonic()
        end = data.find(_END_OF_HEAD) + 4
        known = _known_heads.get(data[:end])
        if known is not None and len(data) - end == known.body_bytes:
            return Reply(started_at, first_byte_at, first_byte_at, known.status, data[end:], "")
        return self._parse(data, end, started_at, first_byte_at)

    def _parse(self, data: bytes, end: int, started_at: float, first_byte_at: float) -> Reply:
        """Read a reply with llhttp; `data` is what came first, and if a head is in it, it ends at `end`."""
        parser = self._parser
        parser.renew()
        first = data
        while True:
            parser.feed(data)
            if parser.complete:
                break
            data = self._receive()
            if not data:
                self._end_of_stream()
                break
        done_at = self._idle_since = first_byte_at if data is first else _monotonic()
        body, status = parser.body(), parser.get_code()
        if not parser.should_keep_alive():
            self.close()
        elif data is first and 0 < len(body) == len(data) - end:
            _remember_head(data[:end], status, len(body))
        return Reply(started_at, first_byte_at, done_at, status, body, "")

    def _end_of_stream(self) -> None:
        """A reply without a length ends with its connection; any other has been cut off."""
        with contextlib.suppress(HTTPParseError):
            self._parser.feed(b"")
        if not self._parser.complete:
            raise ConnectionAbortedError(errno.ECONNABORTED, "closed in the middle of a reply")


def _encode(message: Message, host: str) -> bytes:
    lines = [f"{message.method} {message.target} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(message.body)}"]
    lines += [f"{name}: {value}" for name, value in message.headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + message.body
