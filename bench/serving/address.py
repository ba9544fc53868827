"""`HOST:PORT`, where a master of load workers listens.  Standard library only."""

from __future__ import annotations

import socket
from dataclasses import dataclass

TLS = "tls:"
"""Before the name of a host that is spoken to over TLS."""
TOKEN_VARIABLE = "BENCH_LOAD_TOKEN"  # noqa: S105 -- the variable's name
"""Holds a secret that a worker must know to be admitted; empty admits every worker that reaches the port."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host, as a name or a number, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def zmq_host(self) -> str:
        """The host as ZeroMQ wants it inside `tcp://HOST:PORT`."""
        return f"[{self.host}]" if ":" in self.host else self.host

    def resolved(self) -> Address:
        """The same with a number for a name, IPv4 if it has one.   Raises: OSError if the name is unknown."""
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        found.sort(key=lambda entry: entry[0] != socket.AF_INET)
        return Address(str(found[0][4][0]), self.port)


def parse_address(text: str) -> Address:
    """`10.0.0.5:5557`, `loadmaster:5557` or `[fd00::5]:5557`.   Raises: ValueError."""
    host, separator, port = text.strip().rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not separator or not host or any(sign in host for sign in "[]/ ") or not port.isascii() or not port.isdigit():
        raise ValueError(f"not an address: {text!r}")
    if ":" in host and not text.strip().startswith("["):
        raise ValueError(f"an IPv6 address goes into brackets: {text!r}")
    if not 0 < int(port) < 65536:
        raise ValueError(f"a port lies between 1 and 65535: {text!r}")
    return Address(host, int(port))


def addresses_of(host: str, port: int) -> tuple[str, ...]:
    """Every address of a host, as numbers, IPv4 first if it has any.   Raises: OSError if the name is unknown."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    family = found[0][0]
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found if entry[0] == family))


def grpc_target(host: str, port: int) -> str:
    """What a channel is opened to: `HOST:PORT`, an IPv6 address in brackets, or a UNIX socket `unix:PATH` as it is."""
    if host.startswith("unix:"):
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
