"""TLS in memory over a socket pair: what a caller of a socket sees."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.load.tls import TlsSocket

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on PATH, and a certificate is made with it")
    both = tmp_path_factory.mktemp("certificate") / "both.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=here", "-addext", "subjectAltName=DNS:here"),
            *("-keyout", str(both), "-out", str(both.with_suffix(".crt"))),
        ],
        check=True,
        capture_output=True,
    )
    both.write_text(both.with_suffix(".crt").read_text() + both.read_text())
    return both


@pytest.fixture
def pair(certificate: Path) -> Iterator[tuple[TlsSocket, ssl.SSLSocket]]:
    """Our end, and the server's, which blocks."""
    ours, theirs = socket.socketpair()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    found: list[ssl.SSLSocket] = []
    thread = threading.Thread(target=lambda: found.append(server.wrap_socket(theirs, server_side=True)))
    thread.start()
    secure = TlsSocket(ours, ssl.create_default_context(cafile=str(certificate)), "here")
    secure.handshake(lambda: None, lambda: None)
    thread.join()
    ours.setblocking(False)
    with ours, found[0]:
        yield secure, found[0]


def test_what_is_sent_arrives_and_what_comes_is_read(pair: tuple[TlsSocket, ssl.SSLSocket]) -> None:
    ours, theirs = pair
    assert ours.send(b"question") == 8
    assert theirs.recv(100) == b"question"
    with pytest.raises(BlockingIOError):
        ours.recv(100)  # tickets may have come, and are no reply
    theirs.sendall(b"answer")
    assert ours.recv(100) == b"answer"


def test_more_than_the_socket_takes_waits_for_a_flush(pair: tuple[TlsSocket, ssl.SSLSocket]) -> None:
    ours, theirs = pair
    much = bytes(range(256)) * 20_000
    got = bytearray()

    def read() -> None:
        while len(got) < len(much):
            got.extend(theirs.recv(65536))

    assert ours.send(much) == 0, "some of it is left"
    reader = threading.Thread(target=read)
    reader.start()
    ours.flush(lambda: None)
    reader.join(20)
    assert bytes(got) == much


@pytest.mark.parametrize("farewell", [True, False])
def test_the_end_of_the_stream_is_empty_with_and_without_a_farewell(
    farewell: bool, pair: tuple[TlsSocket, ssl.SSLSocket]
) -> None:
    ours, theirs = pair

    def part() -> None:
        with contextlib.suppress(OSError):  # nobody says farewell in return
            theirs.unwrap()

    if farewell:
        threading.Thread(target=part, daemon=True).start()
    else:
        theirs.shutdown(socket.SHUT_RDWR)
    for _ in range(1000):
        try:
            assert ours.recv(100) == b""
            return
        except BlockingIOError:
            threading.Event().wait(0.005)
    raise AssertionError("the end was never seen")
