"""The gRPC client against gRPC's own server: every status, every size, every way in."""

from __future__ import annotations

import math
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.load.exchange import Deadlines, Reply
from bench.load.grpc_client import GRPC_STATUS, GrpcClient
from bench.load.job import Message
from tests.driving import listening

pytestmark = pytest.mark.integration

TIMEOUT = 20.0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """Port and UNIX socket of a server."""
    path = tmp_path_factory.mktemp("grpc") / "grpc.sock"
    with listening(sys.executable, "-m", "tests.doubles.grpc_methods", "PORT", str(path)) as port:
        yield port, path


def calls(host: str, port: int, *messages: Message, timeout: float = TIMEOUT) -> list[Reply]:
    """One after the other, by one user."""
    deadlines = Deadlines(timeout)
    client = GrpcClient(host, port, messages, deadlines)
    try:
        replies = [client.exchange(number) for number in range(len(messages))]
    finally:
        client.close()
        deadlines.close()
    return replies


def message(method: str, body: bytes = b"", *headers: tuple[str, str]) -> Message:
    return Message(f"/known.Known/{method}", headers, body)


@pytest.mark.parametrize("way", ["tcp", "unix"])
def test_messages_of_every_size_come_back_whole(place: tuple[int, Path], way: str) -> None:
    port, path = place
    bodies = [b"", b"x", bytes(range(256)), b"a" * 16_379, b"b" * 16_380, b"c" * 70_000, b"d" * 9_000_000, b"e"]
    host = "127.0.0.1" if way == "tcp" else f"unix:{path}"
    replies = calls(host, port, *(message("Echo", body) for body in bodies))
    assert [(reply.status, reply.error) for reply in replies] == [(200, "")] * len(bodies)
    assert [reply.body for reply in replies] == bodies
    for reply in replies:
        assert reply.sent_at < reply.first_byte_at <= reply.done_at


def test_a_large_answer_comes_whole_and_its_first_byte_before_its_last(place: tuple[int, Path]) -> None:
    (reply,) = calls("127.0.0.1", place[0], message("Grow", b"z"))
    assert reply.body == b"z" * 10_000_000
    assert reply.first_byte_at < reply.done_at


def test_a_refusal_keeps_its_name_and_its_text_in_one_line_and_the_connection_goes_on(
    place: tuple[int, Path],
) -> None:
    refused, fine = calls("127.0.0.1", place[0], message("Abort"), message("Echo", b"y"))
    assert refused.error == "gRPC RESOURCE_EXHAUSTED: queue is full: 100 % of größe second line"
    assert refused.status == GRPC_STATUS + 8
    assert fine.body == b"y"


def test_an_unknown_method_is_unimplemented(place: tuple[int, Path]) -> None:
    (reply,) = calls("127.0.0.1", place[0], message("Nothing"))
    assert reply.error.startswith("gRPC UNIMPLEMENTED")


def test_metadata_and_the_deadline_reach_the_server(place: tuple[int, Path]) -> None:
    known, left = calls("127.0.0.1", place[0], message("Header", b"", ("x-known", "v" * 300)), message("Deadline"))
    assert known.body == b"v" * 300
    assert TIMEOUT * 0.5 < float(left.body) <= TIMEOUT


def test_a_call_without_an_answer_is_timed_out_and_the_next_one_gets_its_own(place: tuple[int, Path]) -> None:
    began_at = time.monotonic()
    late, fine = calls("127.0.0.1", place[0], message("Hang"), message("Echo", b"mine"), timeout=0.5)
    assert late.error == "timed out"
    assert math.isnan(late.done_at)
    assert fine.body == b"mine"
    assert time.monotonic() - began_at < 10


def test_a_port_where_nobody_listens_refuses() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        (reply,) = calls("127.0.0.1", taken.getsockname()[1], message("Echo"))
    assert reply.error == "connection refused"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", "connection closed before a reply"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "reply is not HTTP/2"),
        (b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", "connection closed before a reply"),
    ],
)
def test_what_is_no_grpc_server_is_named(said: bytes, error: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65_536)
                peer.sendall(said)
                peer.shutdown(socket.SHUT_WR)
                peer.recv(65_536)

        thread = threading.Thread(target=answer)
        thread.start()
        (reply,) = calls("127.0.0.1", listener.getsockname()[1], message("Echo"))
        thread.join()
    assert reply.error == error
