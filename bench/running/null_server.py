"""Calibration's own server: `python null_server.py PORT DELAY_SECONDS http|grpc`.  Standard library only.

It answers every request with the same bytes, DELAY_SECONDS after the last byte of the request was here, and does as
little else as it can, so that what is measured against it is the load generator. It counts bytes where a server would
parse: every request of a connection has to be as long as the first one (HTTP), and what a gRPC call carries is not
looked at.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import select
import socket
import struct
import sys
import time
from collections import deque
from typing import Protocol

_HOST = "127.0.0.1"
_RECEIVE_BYTES = 2**20
_monotonic = time.monotonic

BODY = b'{"probabilities": [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]}'
_HTTP_REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Peer(Protocol):
    """What one connection says, protocol by protocol."""

    greeting: bytes

    def take(self, data: memoryview) -> tuple[bytes, list[bytes]]:
        """Bytes to send at once, and one reply per request that these bytes complete."""
        ...


class HttpPeer:
    """Counts bytes: the first request's head says how long each of them is."""

    greeting = b""

    def __init__(self) -> None:
        self._head = b""
        self._length = 0
        self._have = 0

    def take(self, data: memoryview) -> tuple[bytes, list[bytes]]:
        """One reply per `length` bytes."""
        if not self._length and not self._learn(data):
            return b"", []
        self._have += len(data)
        whole, self._have = divmod(self._have, self._length)
        return b"", [_HTTP_REPLY] * whole

    def _learn(self, data: memoryview) -> bool:
        """The length of a request, once its head is here; what came before counts too."""
        seen = self._head + bytes(data)
        end = seen.find(b"\r\n\r\n")
        if end < 0:
            self._head = seen
            return False
        self._have = len(self._head)
        self._length = end + 4
        for line in seen[:end].lower().split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name == b"content-length":
                self._length += int(value)
        return True


# ---- just enough of HTTP/2 to answer gRPC's unary calls: RFC 9113 frames, RFC 7541 literals ------------------------

_DATA, _HEADERS, _SETTINGS, _PING, _WINDOW_UPDATE = 0, 1, 4, 6, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME = struct.Struct(">BHBBI")
_WIDEST = 2**31 - 1
_REPLENISH_BYTES = 2**24


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return _FRAME.pack(len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload


def _literal(name: bytes, value: bytes) -> bytes:
    """A header that changes no table, so that every stream gets the same bytes."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


_INITIAL_WINDOW, _FRAME_SIZE, _STREAMS = 4, 5, 3
_SETTINGS_VALUES = ((_INITIAL_WINDOW, _WIDEST), (_FRAME_SIZE, 2**20), (_STREAMS, 100_000))
_STATUS = _frame(_HEADERS, _END_HEADERS, 0, b"\x88" + _literal(b"content-type", b"application/grpc"))[9:]
_TRAILERS = _literal(b"grpc-status", b"0")
_MESSAGE = struct.pack(">BI", 0, len(BODY)) + BODY


class GrpcPeer:
    """Answers a call once its request has ended; flow control is opened wide, once for all and as bytes come."""

    greeting = _frame(_SETTINGS, 0, 0, b"".join(struct.pack(">HI", *each) for each in _SETTINGS_VALUES)) + _frame(
        _WINDOW_UPDATE, 0, 0, struct.pack(">I", _WIDEST - 65_535)
    )

    def __init__(self) -> None:
        self._rest = b""
        self._skip = len(_PREFACE)
        """Bytes to come that nobody needs: the preface, then what HEADERS and DATA carry."""
        self._ends = 0
        """The stream that ends with what is skipped; 0: none."""
        self._consumed = 0

    def take(self, data: memoryview) -> tuple[bytes, list[bytes]]:
        """A reply per ended stream; acknowledgements and window updates at once."""
        if self._rest:
            data, self._rest = memoryview(self._rest + bytes(data)), b""
        at, size = 0, len(data)
        now: list[bytes] = []
        replies: list[bytes] = []
        while True:
            skipped = min(size - at, self._skip)
            at += skipped
            self._skip -= skipped
            if self._ends and not self._skip:
                replies.append(_grpc_reply(self._ends))
                self._ends = 0
            if at == size:
                break
            used = self._frame(data, at, size - at, now)
            if not used:
                self._rest = bytes(data[at:])
                break
            at += used
        if self._consumed > _REPLENISH_BYTES:
            now.append(_frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", self._consumed)))
            self._consumed = 0
        return b"".join(now), replies

    def _frame(self, data: memoryview, at: int, left: int, now: list[bytes]) -> int:
        """How many bytes of the frame that begins here are done with; 0 if more of it has to come first."""
        if left < _FRAME.size:
            return 0
        high, low, kind, flags, stream = _FRAME.unpack_from(data, at)
        length = (high << 16) | low
        if kind in (_DATA, _HEADERS):
            self._skip = length
            self._ends = stream if flags & _END_STREAM else 0
            if kind == _DATA:
                self._consumed += length
            return _FRAME.size
        end: int = _FRAME.size + length
        if left < end:
            return 0
        if kind == _SETTINGS and not flags & _ACK:
            now.append(_frame(_SETTINGS, _ACK, 0))
        elif kind == _PING and not flags & _ACK:
            now.append(_frame(_PING, _ACK, 0, bytes(data[at + _FRAME.size : at + end])))
        return end


def _grpc_reply(stream: int) -> bytes:
    return (
        _frame(_HEADERS, _END_HEADERS, stream, _STATUS)
        + _frame(_DATA, 0, stream, _MESSAGE)
        + _frame(_HEADERS, _END_HEADERS | _END_STREAM, stream, _TRAILERS)
    )


# ---- the loop ------------------------------------------------------------------------------------------------------

_TIMER_ABSTIME = 1


class _Itimerspec(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_long) for name in ("interval_s", "interval_ns", "value_s", "value_ns"))


class _Connection:
    """One socket with what could not be sent yet."""

    def __init__(self, connected: socket.socket, peer: Peer) -> None:
        self.socket = connected
        self.peer = peer
        self.unsent = b""

    def send(self, data: bytes) -> bool:
        """Send, or keep for later; whether all of it left."""
        if not self.unsent:
            try:
                sent = self.socket.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                return True  # it is gone, and its end is noticed where it is read
            if sent == len(data):
                return True
            data = data[sent:]
        self.unsent += data
        return False

    def resume(self) -> bool:
        """Send what was kept; whether all of it left."""
        data, self.unsent = self.unsent, b""
        return self.send(data)


class NullServer:
    """One thread, one epoll, one timer; replies are due in the order in which requests came."""

    def __init__(self, port: int, delay: float, peer: type[HttpPeer | GrpcPeer]) -> None:
        self._delay = delay
        self._peer = peer
        self._listener = socket.create_server((_HOST, port), backlog=4096)
        self._listener.setblocking(False)
        self._epoll = select.epoll()
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._timer = self._libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK)
        self._epoll.register(self._timer, select.EPOLLIN)
        self._spec = _Itimerspec()
        self._due: deque[tuple[float, _Connection, bytes]] = deque()
        self._connections: dict[int, _Connection] = {}
        self._buffer = bytearray(_RECEIVE_BYTES)
        self._view = memoryview(self._buffer)

    def serve(self) -> None:
        """Answer until we are killed."""
        listener, timer, connections = self._listener.fileno(), self._timer, self._connections
        while True:
            for number, event in self._epoll.poll():
                if number == listener:
                    self._accept()
                elif number == timer:
                    with contextlib.suppress(BlockingIOError):
                        os.read(timer, 8)
                    self._send_due()
                elif event & select.EPOLLOUT:
                    if connections[number].resume():
                        self._epoll.modify(number, select.EPOLLIN)
                else:
                    self._read(number, connections[number])

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                connected, _ = self._listener.accept()
                connected.setblocking(False)
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = _Connection(connected, self._peer())
                self._connections[connected.fileno()] = connection
                self._epoll.register(connected.fileno(), select.EPOLLIN)
                if connection.peer.greeting:
                    self._send(connection, connection.peer.greeting)

    def _read(self, number: int, connection: _Connection) -> None:
        try:
            size = connection.socket.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if not size:
            self._epoll.unregister(number)
            del self._connections[number]
            connection.socket.close()
            return
        now, replies = connection.peer.take(self._view[:size])
        if now:
            self._send(connection, now)
        if not replies:
            return
        if not self._delay:
            self._send(connection, b"".join(replies))
            return
        due_at = _monotonic() + self._delay
        if not self._due:
            self._arm(due_at)
        self._due.append((due_at, connection, b"".join(replies)))

    def _send(self, connection: _Connection, data: bytes) -> None:
        if not connection.send(data) and connection.socket.fileno() in self._connections:
            self._epoll.modify(connection.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _send_due(self) -> None:
        due, now = self._due, _monotonic()
        while due and due[0][0] <= now:
            _, connection, reply = due.popleft()
            self._send(connection, reply)
        if due:
            self._arm(due[0][0])

    def _arm(self, instant: float) -> None:
        self._spec.value_s = int(instant)
        self._spec.value_ns = int((instant - int(instant)) * 1e9) + 1
        self._libc.timerfd_settime(self._timer, _TIMER_ABSTIME, ctypes.byref(self._spec), None)


def main() -> None:
    """Serve as the arguments say."""
    port, delay, protocol = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    server = NullServer(port, delay, GrpcPeer if protocol == "grpc" else HttpPeer)
    gc.freeze()
    gc.disable()  # a pause of the collector would be taken for the generator's
    server.serve()


if __name__ == "__main__":
    main()
