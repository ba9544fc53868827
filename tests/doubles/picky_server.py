"""A server that somebody else runs: it wants a token, may redirect, speaks TLS, and repeats whatever it is told.

It lives in a thread of the test, since nobody starts it for the harness. Standard library only.
"""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.doubles.scripted_server import shares


class PickyServer(ThreadingHTTPServer):
    """What it wants and what it saw."""

    daemon_threads = True

    def __init__(self, token: str, status: int, location: str, busy: int, fails_after: int | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token, self.status, self.location, self.busy = token, status, location, busy
        self.fails_after = fails_after
        self.seen: list[tuple[str, str]] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PickyServer
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        given = self.headers.get("Authorization", "")
        self.server.seen.append((self.command, self.headers["Host"]))
        if self.server.busy > 0:
            self.server.busy -= 1
            self._reply(503, {"error": "nobody is ready"})
        elif self.server.token and given != f"Bearer {self.server.token}":
            self._reply(401, {"error": f"who is {given}?"})
        elif self.server.status != 200:
            self._reply(self.server.status, {"error": f"no, {given}"})
        elif self._fails_now():
            self._reply(500, {"error": f"cannot serve {given}"}, f"Not for {given}")
        else:
            asked = json.loads(body)
            found = {"probabilities": shares(base64.b64decode(asked["image"]))} if "image" in asked else {}
            self._reply(200, {**found, "you": given})

    def _fails_now(self) -> bool:
        count, after = len(self.server.seen), self.server.fails_after
        return after is not None and count > after and count % 3 == 0

    def _reply(self, status: int, document: object, reason: str | None = None) -> None:
        body = json.dumps(document).encode()
        self.send_response(status, reason)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def picky_server(
    *,
    token: str = "",
    status: int = 200,
    location: str = "",
    busy: int = 0,
    fails_after: int | None = None,
    certificate: Path | None = None,
) -> Iterator[PickyServer]:
    """The server while the block lasts; `certificate` holds certificate and key, and makes it speak TLS.

    Every third request beyond the first `fails_after` fails, and says to whom.
    """
    server = PickyServer(token, status, location, busy, fails_after)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
