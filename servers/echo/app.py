"""The echo server's program: `python app.py HOST PORT DELAY_SECONDS PARALLEL`.  Standard library only.

A request waits until one of PARALLEL imaginary workers is free, then takes DELAY_SECONDS. Replies leave on a
timerfd, because an event loop's own timers have a grain of a millisecond.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ctypes
import gc
import heapq
import json
import os
import sys
import time
import zlib

_libc = ctypes.CDLL(None, use_errno=True)
_CLOCK_MONOTONIC, _TIMER_ABSTIME = 1, 1
_monotonic = time.monotonic


class _Itimerspec(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_long) for name in ("interval_s", "interval_ns", "value_s", "value_ns"))


def reply_to(body: bytes) -> bytes:
    """The whole HTTP reply: ten shares that follow from the photo's checksum, or a 400."""
    try:
        photo = base64.b64decode(json.loads(body)["image"], validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error) as failure:
        return _http(400, {"error": f"send {{'image': base64}}: {failure!r}"})
    digest = zlib.crc32(photo)
    shares = [1 + (digest >> (3 * i)) % 8 for i in range(10)]
    return _http(200, {"probabilities": [share / sum(shares) for share in shares]})


def _http(status: int, value: object) -> bytes:
    body = json.dumps(value).encode()
    reason = {200: "OK", 400: "Bad Request"}[status]
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Queue:
    """Parallel workers with a fixed service time and one queue between them."""

    def __init__(self, delay: float, parallel: int) -> None:
        self._delay = delay
        self._free_at = [0.0] * parallel
        self._due: list[tuple[float, int, asyncio.Transport, bytes]] = []
        self._turn = 0
        self._armed_for = 0.0
        self._spec = _Itimerspec()
        self._fd = _libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK)
        asyncio.get_running_loop().add_reader(self._fd, self._wake)

    def put(self, transport: asyncio.Transport, reply: bytes) -> None:
        """Let a worker take this request, now or when one is free."""
        now = _monotonic()
        done_at = max(now, heapq.heappop(self._free_at)) + self._delay
        heapq.heappush(self._free_at, done_at)
        if done_at <= now:
            transport.write(reply)
            return
        self._turn += 1
        heapq.heappush(self._due, (done_at, self._turn, transport, reply))
        if self._due[0][0] == done_at:
            self._arm(done_at)

    def _wake(self) -> None:
        os.read(self._fd, 8)
        now = _monotonic()
        while self._due and self._due[0][0] <= now:
            _, _, transport, reply = heapq.heappop(self._due)
            if not transport.is_closing():
                transport.write(reply)
        if self._due:
            self._arm(self._due[0][0])

    def _arm(self, instant: float) -> None:
        self._spec.value_s = int(instant)
        self._spec.value_ns = int((instant - int(instant)) * 1e9) + 1
        _libc.timerfd_settime(self._fd, _TIMER_ABSTIME, ctypes.byref(self._spec), None)


class Connection(asyncio.Protocol):
    """One keep-alive connection; reads requests with a Content-Length, nothing else."""

    def __init__(self, queue: Queue, known: dict[bytes, bytes]) -> None:
        self._queue = queue
        self._known = known
        self._data = bytearray()
        self._needed = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where replies go."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect until a request is whole, then queue its reply."""
        self._data += data
        while len(self._data) >= self._needed:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            length = self._content_length(bytes(self._data[:end]))
            self._needed = end + 4 + length
            if len(self._data) < self._needed:
                return
            body = bytes(self._data[end + 4 : self._needed])
            del self._data[: self._needed]
            self._needed = 0
            reply = self._known.get(body)
            if reply is None:
                reply = self._known[body] = reply_to(body)
            assert self._transport is not None
            self._queue.put(self._transport, reply)
            if not self._data:
                return

    @staticmethod
    def _content_length(head: bytes) -> int:
        for line in head.lower().split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name == b"content-length":
                return int(value)
        return 0


async def serve(host: str, port: int, delay: float, parallel: int) -> None:
    """Answer until we are killed."""
    queue = Queue(delay, parallel)
    known: dict[bytes, bytes] = {}
    server = await asyncio.get_running_loop().create_server(lambda: Connection(queue, known), host, port, backlog=4096)
    gc.freeze()
    gc.disable()  # a pause of the collector would be a delay that nobody asked for
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
