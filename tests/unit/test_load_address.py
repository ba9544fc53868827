"""`HOST:PORT` as people write it."""

from __future__ import annotations

import pytest

from bench.errors import UsageError
from bench.load.crew import parse_listen
from bench.load.worker import parse_connect
from bench.serving.address import Address, grpc_target, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10.0.0.5:5557", "10.0.0.5", 5557),
        (" loadmaster:1 ", "loadmaster", 1),
        ("[fd00::5]:65535", "fd00::5", 65535),
    ],
)
def test_an_address_is_read_and_written_the_same(text: str, host: str, port: int) -> None:
    assert parse_address(text) == Address(host, port)
    assert str(parse_address(text)) == text.strip()


@pytest.mark.parametrize(
    "text",
    ["", "5557", ":5557", "host", "host:", "host:0", "host:65536", "host:-1", "host:5x", "fd00::5:5557", "a b:1"],
)
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    for parse in (parse_listen, parse_connect):
        with pytest.raises(UsageError, match=r"address|port|host"):
            parse(text)


def test_servers_cannot_listen_on_every_address_so_the_master_must_not() -> None:
    with pytest.raises(UsageError, match="stands for every address"):
        parse_listen("0.0.0.0:5557")
    with pytest.raises(UsageError, match="IPv4 addresses only"):
        parse_listen("[::1]:5557")
    assert parse_listen("localhost:5557") == parse_listen("127.0.0.1:5557") == Address("127.0.0.1", 5557)


def test_a_grpc_channel_is_opened_to_a_host_and_port_or_to_a_unix_socket_as_it_is() -> None:
    assert grpc_target("127.0.0.1", 8500) == "127.0.0.1:8500"
    assert grpc_target("fd00::5", 8500) == "[fd00::5]:8500"
    assert grpc_target("unix:/tmp/a/grpc.sock", 8500) == "unix:/tmp/a/grpc.sock"
