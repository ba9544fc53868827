"""HTTPS for one user: the same client, with TLS between it and its socket.

TLS itself is computed in memory (`ssl.MemoryBIO`), so that the waits stay those of `connection.py`. Certificates are
verified against the machine's own list, or the one that SSL_CERT_FILE names; there is no way to turn that off.
"""

from __future__ import annotations

import socket as sockets
import ssl
from collections.abc import Callable, Sequence
from typing import Any

from bench.load.exchange import Deadlines
from bench.load.http_client import HttpClient
from bench.load.job import Message

_RECEIVE_BYTES = 256 * 1024


class TlsSocket:
    """A connected, non-blocking socket with TLS on it: what `connection.py` asks of a socket, and no more."""

    def __init__(self, raw: sockets.socket, context: ssl.SSLContext, name: str) -> None:
        self._raw = raw
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._goes, server_hostname=name)
        self._unsent = memoryview(b"")

    def handshake(self, wait_to_read: Callable[[], None], wait_to_write: Callable[[], None]) -> None:
        """Agree on keys and look at the certificate.   Raises: OSError, of which ssl.SSLError is one."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.flush(wait_to_write)
                wait_to_read()
                self._take()
            else:
                self.flush(wait_to_write)
                return

    def send(self, data: bytes) -> int:
        """All of it, or 0 if some of what it was made into has to wait for `flush`."""
        self._tls.write(data)
        return 0 if self._push() else len(data)

    def flush(self, wait_to_write: Callable[[], None]) -> None:
        """Return once nothing is left to send."""
        while self._push():
            wait_to_write()

    def recv(self, count: int, _flags: int = 0) -> bytes:
        """What has come, empty at the end of the stream.   Raises: BlockingIOError if nothing has, as a socket does."""
        ended = self._take() == 0
        parts = []
        while True:
            try:
                part = self._tls.read(count)
            except ssl.SSLWantReadError:
                break
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):  # with a farewell, or without one
                ended = True
                break
            if not part:
                ended = True
                break
            parts.append(part)
        if parts or ended:
            return b"".join(parts)
        raise BlockingIOError

    def fileno(self) -> int:
        """That of the socket below."""
        return self._raw.fileno()

    def close(self) -> None:
        """Close the socket; who is in the middle of a trial does not wait for a farewell."""
        self._raw.close()

    def _take(self) -> int | None:
        """Hand what came to TLS: how many bytes; None if nothing came, 0 at the end of the stream."""
        try:
            data = self._raw.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return None
        if data:
            self._came.write(data)
        else:
            self._came.write_eof()
        return len(data)

    def _push(self) -> bool:
        """Send what TLS made of it: whether some is left."""
        if self._goes.pending:
            self._unsent = memoryview(bytes(self._unsent) + self._goes.read())
        while self._unsent:
            try:
                self._unsent = self._unsent[self._raw.send(self._unsent) :]
            except BlockingIOError:
                return True
        return False


class HttpsClient(HttpClient):
    """The HTTP client over TLS."""

    default_port = 443

    def __init__(
        self,
        host: str,
        port: int,
        messages: Sequence[Message],
        deadlines: Deadlines,
        context: ssl.SSLContext,
        address: str = "",
    ) -> None:
        super().__init__(host, port, messages, deadlines, address)
        self._name, self._context = host, context
        self._secure: TlsSocket | None = None

    def _connect(self) -> Any:
        raw = super()._connect()
        self._secure = secure = TlsSocket(raw, self._context, self._name)
        secure.handshake(lambda: self._wait(self._reader), lambda: self._wait(self._writer))
        self._socket = secure  # type: ignore[assignment]  # it does what is asked of a socket here
        return secure

    def _send_rest(self, wire: bytes, sent: int) -> None:  # noqa: ARG002 -- TLS holds what is left
        assert self._secure is not None
        self._secure.flush(lambda: self._wait(self._writer))
