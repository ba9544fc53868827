"""One user's connection inside gevent: bytes out, bytes in, and an end of the wait when time is over.

What the bytes mean is up to the clients built on it. Watchers last as long as the connection, because making one
for every wait costs more than the wait.
"""

from __future__ import annotations

import errno
import socket as sockets
import ssl
from typing import Any

import gevent
import gevent.monkey
import gevent.socket
from gevent.hub import get_hub

from bench.load.exchange import Expiring, TimedOut

_native_socket = gevent.monkey.get_original("socket", "socket")
_getcurrent = gevent.getcurrent
_RECEIVE_BYTES = 256 * 1024
_IN_PROGRESS = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN)
_KNOWN_ERRORS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ENOENT: "connection refused",  # a UNIX socket that is not there
    errno.ECONNRESET: "connection closed before a reply",
    errno.EPIPE: "connection closed before a reply",
    errno.ECONNABORTED: "connection closed in the middle of a reply",
    errno.EADDRNOTAVAIL: "no local port left",
    errno.EMFILE: "too many open files",
}
UNIX = "unix:"


class Connection(Expiring):
    """Connection of one user, opened when it is first needed; `opened` counts how often that was."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._hub = get_hub()
        self._socket: sockets.socket | None = None
        self._reader: Any = None  # gevent's watchers carry no types
        self._writer: Any = None
        self._greenlet: gevent.Greenlet | None = None
        self.opened = 0

    def expire(self) -> None:
        """End the wait of the user on this connection: its time is over."""
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

    def _connect(self) -> sockets.socket:
        """Open it.   Raises: OSError, TimedOut."""
        self.opened += 1
        host, port = self._address
        unix = host.startswith(UNIX)
        family = sockets.AF_UNIX if unix else sockets.AF_INET6 if ":" in host else sockets.AF_INET
        connection: sockets.socket = _native_socket(family, sockets.SOCK_STREAM)
        connection.setblocking(False)
        if not unix:
            connection.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
        loop = self._hub.loop
        self._socket = connection
        self._reader = loop.io(connection.fileno(), 1)
        self._writer = loop.io(connection.fileno(), 2)
        code = connection.connect_ex(host.removeprefix(UNIX) if unix else (host, port))
        if code in _IN_PROGRESS:
            self._wait(self._writer)
            code = connection.getsockopt(sockets.SOL_SOCKET, sockets.SO_ERROR)
        if code:
            raise OSError(code, errno.errorcode.get(code, "connect failed"))
        return connection

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


def connection_error(failure: OSError) -> str:
    """What a row says of a connection that failed."""
    if isinstance(failure, ssl.SSLError):
        return f"TLS failed: {getattr(failure, 'verify_message', '') or failure.reason or failure}"
    return _KNOWN_ERRORS.get(failure.errno or 0, f"connection failed: {failure.strerror or failure}")
