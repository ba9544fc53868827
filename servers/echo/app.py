"""The echo server's program: `python app.py HOST PORT DELAY_SECONDS PARALLEL [FAULTS]`.  Standard library only.

A request waits until one of PARALLEL imaginary workers is free, then takes DELAY_SECONDS. One thread sits on epoll:
it must answer faster than the load generator asks, and an event loop's own timers have a grain of a millisecond.
FAULTS is JSON with what `server.py` calls tail_share, tail_factor, error_share, work and quota.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import ctypes
import gc
import heapq
import json
import os
import random
import select
import socket
import sys
import time
import zlib
from collections.abc import Callable

_libc = ctypes.CDLL(None, use_errno=True)
_CLOCK_MONOTONIC, _TIMER_ABSTIME = 1, 1
_RECEIVE_BYTES = 256 * 1024
_MOST_KNOWN = 10_000
_BLOCK = bytes(4096)
monotonic = time.monotonic
cpu_time = time.thread_time


class _Itimerspec(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_long) for name in ("interval_s", "interval_ns", "value_s", "value_ns"))


def reply_to(body: bytes) -> bytes:
    """The whole HTTP reply: ten shares that follow from the photo's checksum, or a 400."""
    try:
        photo = base64.b64decode(json.loads(body)["image"], validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error) as failure:
        return http_reply(400, {"error": f"send {{'image': base64}}: {failure!r}"})
    digest = zlib.crc32(photo)
    shares = [1 + (digest >> (3 * i)) % 8 for i in range(10)]
    return http_reply(200, {"probabilities": [share / sum(shares) for share in shares]})


def http_reply(status: int, value: object) -> bytes:
    """A JSON reply as it goes over the wire."""
    body = json.dumps(value).encode()
    reason = {200: "OK", 400: "Bad Request", 500: "Internal Server Error"}[status]
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def workers(delay: float, parallel: int, draw: Callable[[], float] | None = None) -> Callable[[float], float]:
    """When a request that arrives at an instant will be done: `parallel` workers of fixed speed, one queue.

    `draw` gives each request its own delay.
    """
    free_at = [0.0] * parallel

    def done_at(arrived_at: float) -> float:
        done = max(arrived_at, free_at[0]) + (delay if draw is None else draw())
        heapq.heapreplace(free_at, done)
        return done

    return done_at


def some_slow(delay: float, share: float, factor: float) -> Callable[[], float]:
    """Draws the delay of each request: a share of them takes `factor` times as long."""
    draw = random.random
    return lambda: delay * factor if draw() < share else delay


class Processor:
    """Work that keeps one core busy, within a quota of CPU time as a control group gives it: used up, it stands still.

    Time in which others had the core is not counted, as a control group does not count it either.
    """

    _PERIOD = 0.1
    _CHUNK = 16

    def __init__(self, rounds: int, quota: float) -> None:
        self._rounds = rounds
        self._allowed = quota * self._PERIOD
        self._period = 0
        self._used = 0.0

    def work(self) -> float:
        """Do the work of one request; the instant at which it is done."""
        left = self._rounds
        while left > 0:
            self._wait_for_quota()
            began_at = cpu_time()
            for _ in range(min(left, self._CHUNK)):
                zlib.crc32(_BLOCK)
            left -= self._CHUNK
            self._used += cpu_time() - began_at
        return monotonic()

    def _wait_for_quota(self) -> None:
        if self._allowed >= self._PERIOD:
            return
        now = monotonic()
        period = int(now / self._PERIOD)
        if period > self._period:
            self._period, self._used = period, 0.0
        if self._used < self._allowed:
            return
        self._period, self._used = self._period + 1, 0.0
        time.sleep(max(0.0, self._period * self._PERIOD - now))


_FAULT = http_reply(500, {"error": "a fault that the scenario asked for"})


class Timer:
    """A timerfd on `time.monotonic()`; readable once its instant has come."""

    def __init__(self) -> None:
        self.fd: int = _libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK)
        self._spec = _Itimerspec()
        self._by_reference = ctypes.byref(self._spec)

    def arm(self, instant: float) -> None:
        """Fire at this instant instead of any earlier wish."""
        seconds = int(instant)
        self._spec.value_s = seconds
        self._spec.value_ns = int((instant - seconds) * 1e9) + 1
        _libc.timerfd_settime(self.fd, _TIMER_ABSTIME, self._by_reference, None)

    def clear(self) -> None:
        """Take note that it fired."""
        with contextlib.suppress(BlockingIOError):  # armed anew meanwhile
            os.read(self.fd, 8)


class Connection:
    """One keep-alive connection: what came of the next request, and what the last reply still has to send."""

    __slots__ = ("received", "socket", "unsent")

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.received = b""
        self.unsent = b""


class App:
    """Answers every request at the instant that `done_at(arrived_at)` names; a Content-Length is all it reads."""

    def __init__(self, listener: socket.socket, done_at: Callable[[float], float], error_share: float = 0.0) -> None:
        self._listener = listener
        self._done_at = done_at
        self._error_share = error_share
        self._due: list[tuple[float, int, Connection, bytes]] = []
        self._turn = 0
        self._timer = Timer()
        self._epoll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._lengths: dict[bytes, int] = {}
        self._replies: dict[bytes, bytes] = {}

    def serve_for_ever(self) -> None:
        """Answer until we are killed."""
        handlers: dict[int, Callable[[float], object]] = {
            self._timer.fd: self._wake,
            self._listener.fileno(): self._accept,
        }
        for fd in handlers:
            self._epoll.register(fd, select.EPOLLIN)
        connections, poll = self._connections, self._epoll.poll
        while True:
            events = poll()
            now = monotonic()  # what is ready now has arrived now, however long the others before it take
            for fd, event in events:
                connection = connections.get(fd)
                if connection is None:
                    handlers.get(fd, _nothing)(now)
                elif event & select.EPOLLOUT:
                    self.send(connection, b"")
                else:
                    self._receive(connection, now)

    def _accept(self, _: float) -> None:
        try:
            connection, _address = self._listener.accept()
        except OSError:
            return  # gone again already
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[connection.fileno()] = Connection(connection)
        self._epoll.register(connection.fileno(), select.EPOLLIN)

    def _close(self, connection: Connection) -> None:
        if connection.socket.fileno() >= 0:
            del self._connections[connection.socket.fileno()]
            connection.socket.close()

    def _receive(self, connection: Connection, now: float) -> None:
        try:
            data = connection.socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return
        data = connection.received + data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            end += 4
            whole = end + self._length(data[:end])
            if len(data) < whole:
                break
            body, data = data[end:whole], data[whole:]
            self.answer(connection, body, now)
        connection.received = data

    def _length(self, head: bytes) -> int:
        """The head's Content-Length; heads are few, so each is read once."""
        length = self._lengths.get(head)
        if length is None:
            lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
            length = next((int(value) for name, _, value in lines if name == b"content-length"), 0)
            if len(self._lengths) < _MOST_KNOWN:
                self._lengths[head] = length
        return length

    def answer(self, connection: Connection, body: bytes, now: float) -> None:
        """Take a request that is here as a whole since `now`."""
        reply = self._replies.get(body)
        if reply is None:
            reply = reply_to(body)
            if len(self._replies) < _MOST_KNOWN:
                self._replies[body] = reply
        if self._error_share and random.random() < self._error_share:
            reply = _FAULT
        done_at = self._done_at(now)
        if done_at <= now:
            self.send(connection, reply)
            return
        self._turn += 1
        heapq.heappush(self._due, (done_at, self._turn, connection, reply))
        if self._due[0][1] == self._turn:
            self._timer.arm(done_at)

    def _wake(self, now: float) -> None:
        self._timer.clear()
        due = self._due
        while due and due[0][0] <= now:
            _, _, connection, reply = heapq.heappop(due)
            self.send(connection, reply)
            if due and due[0][0] > now:
                now = monotonic()
        if due:
            self._timer.arm(due[0][0])

    def send(self, connection: Connection, reply: bytes) -> None:
        """Send a reply, or what is left of the ones before it."""
        reply = connection.unsent + reply
        try:
            sent = connection.socket.send(reply)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(connection)
            return
        if sent < len(reply) or connection.unsent:
            connection.unsent = reply[sent:]
            wanted = select.EPOLLIN | (select.EPOLLOUT if connection.unsent else 0)
            self._epoll.modify(connection.socket.fileno(), wanted)


def _nothing(_: float) -> None:
    """An event of a connection that was closed meanwhile."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket with room for every user at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=4096)
    listener.setblocking(False)
    return listener


def main(host: str, port: str, delay: str, parallel: str, faults: str = "{}") -> None:
    """Serve with the delay, and the faults, that were asked for."""
    asked = json.loads(faults)
    seconds, share = float(delay), asked.get("tail_share", 0.0)
    draw = some_slow(seconds, share, asked["tail_factor"]) if share else None
    done_at = workers(seconds, int(parallel), draw)
    if asked.get("work"):
        processor = Processor(asked["work"], asked["quota"])
        waits = done_at

        def done_at(_: float) -> float:
            return waits(processor.work())

    app = App(listen(host, int(port)), done_at, asked.get("error_share", 0.0))
    gc.freeze()
    gc.disable()  # a pause of the collector would be a delay that nobody asked for
    app.serve_for_ever()


if __name__ == "__main__":
    main(*sys.argv[1:6])
