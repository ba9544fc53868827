"""One user's HTTP/1.1 connection inside gevent: prepared bytes out, a parsed reply with its instants back.

llhttp (through geventhttpclient) parses; this module only moves bytes and reads the clock. The connection is
kept as long as the server allows, and how often one had to be opened is counted.
"""

from __future__ import annotations

import contextlib
import errno
import socket as sockets
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import gevent
import gevent.socket
from gevent.hub import get_hub
from geventhttpclient._parser import HTTPParseError, HTTPResponseParser

from bench.load.exchange import Deadlines, Reply, TimedOut
from bench.load.job import Message

_native_socket = gevent.monkey.get_original("socket", "socket")
_getcurrent = gevent.getcurrent
_monotonic = time.monotonic
_RECEIVE_BYTES = 256 * 1024
_IDLE_SECONDS = 0.05
"""A connection that rested longer than this is looked at before it is used again; looking costs a system call."""
_END_OF_HEAD = b"\r\n\r\n"
_MOST_KNOWN_HEADS = 512
_IN_PROGRESS = (errno.EINPROGRESS, errno.EWOULDBLOCK)


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


class HttpClient:
    """Connection of one user; `opened` counts how often it had to connect."""

    def __init__(self, host: str, port: int, messages: Sequence[Message], deadlines: Deadlines) -> None:
        self._address = (host, port)
        self._wire = [_encode(message, host, port) for message in messages]
        self._in_flight = deadlines.in_flight
        self._hub = get_hub()
        self._socket: sockets.socket | None = None
        self._reader: Any = None  # gevent's watchers carry no types
        self._writer: Any = None
        self._parser = _Parser()
        self._greenlet: gevent.Greenlet | None = None
        self._idle_since = 0.0
        self.opened = 0

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
            return Reply.failure(started_at, _connection_error(failure))
        finally:
            self._in_flight.pop(self, None)

    def expire(self) -> None:
        """End the wait of the user in `exchange`: its time is over."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None:
            self._stop_watching()
            self._hub.loop.run_callback(greenlet.throw, TimedOut)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._reader.close()
            self._writer.close()
            self._socket.close()
            self._socket = None

    def _exchange(self, wire: bytes, started_at: float) -> Reply:
        if self._socket is not None and started_at - self._idle_since > _IDLE_SECONDS and self._closed_meanwhile():
            self.close()
        if self._socket is None:
            self._connect()
        connection = self._socket
        assert connection is not None
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

    def _closed_meanwhile(self) -> bool:
        """Whether the server closed the idle connection; asking first is honest, sending twice is not."""
        assert self._socket is not None
        try:
            self._socket.recv(1, sockets.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True  # end of stream, or bytes that belong to no request

    def _connect(self) -> None:
        self.opened += 1
        connection = _native_socket(
            sockets.AF_INET6 if ":" in self._address[0] else sockets.AF_INET, sockets.SOCK_STREAM
        )
        connection.setblocking(False)
        connection.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
        loop = self._hub.loop
        self._socket = connection
        self._reader = loop.io(connection.fileno(), 1)
        self._writer = loop.io(connection.fileno(), 2)
        self._parser = _Parser()
        code = connection.connect_ex(self._address)
        if code in _IN_PROGRESS:
            self._wait(self._writer)
            code = connection.getsockopt(sockets.SOL_SOCKET, sockets.SO_ERROR)
        if code:
            raise OSError(code, errno.errorcode.get(code, "connect failed"))

    def _send_rest(self, wire: bytes, sent: int) -> None:
        connection = self._socket
        assert connection is not None
        view = memoryview(wire)
        while sent < len(wire):
            try:
                sent += connection.send(view[sent:])
            except BlockingIOError:
                self._wait(self._writer)

    def _receive(self) -> bytes:
        """What comes next, empty at the end of the stream."""
        connection = self._socket
        assert connection is not None
        while True:
            self._wait(self._reader)
            try:
                return connection.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                continue

    def _end_of_stream(self) -> None:
        """A reply without a length ends with its connection; any other has been cut off."""
        with contextlib.suppress(HTTPParseError):
            self._parser.feed(b"")
        if not self._parser.complete:
            raise ConnectionAbortedError(errno.ECONNABORTED, "closed in the middle of a reply")

    def _wait(self, watcher: Any) -> None:
        self._greenlet = current = _getcurrent()
        watcher.start(current.switch)
        try:
            self._hub.switch()
        finally:
            self._greenlet = None
            watcher.stop()

    def _stop_watching(self) -> None:
        if self._socket is not None:
            self._reader.stop()
            self._writer.stop()


def _encode(message: Message, host: str, port: int) -> bytes:
    shown = f"[{host}]" if ":" in host else host
    lines = [f"POST {message.target} HTTP/1.1", f"Host: {shown}:{port}", f"Content-Length: {len(message.body)}"]
    lines += [f"{name}: {value}" for name, value in message.headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + message.body


def _connection_error(failure: OSError) -> str:
    known = {
        errno.ECONNREFUSED: "connection refused",
        errno.ECONNRESET: "connection closed before a reply",
        errno.EPIPE: "connection closed before a reply",
        errno.ECONNABORTED: "connection closed in the middle of a reply",
        errno.EADDRNOTAVAIL: "no local port left",
        errno.EMFILE: "too many open files",
    }
    return known.get(failure.errno or 0, f"connection failed: {failure.strerror or failure}")
