"""Where processes listen, as the kernel tells: for the sentence that a server on the wrong port deserves."""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

_LISTEN = "0A"
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


def listening(pids: Iterable[int]) -> tuple[tuple[str, int], ...]:
    """Address and TCP port of everything that these processes listen on, each once, by port."""
    sockets = {inode: place for table in _TABLES for inode, place in _table(Path(table))}
    found = {sockets[inode] for pid in pids for inode in _inodes(pid) if inode in sockets}
    return tuple(sorted(found, key=lambda place: (place[1], place[0])))


def elsewhere_text(pids: Iterable[int], ports: Sequence[int]) -> str:
    """`it listens on port 8000 and not on 20123`; empty if it listens nowhere, or where it should."""
    places = listening(pids)
    asked = " or ".join(str(port) for port in ports)
    if not places:
        return ""
    astray = [(host, port) for host, port in places if port not in ports]
    if len(astray) < len(places):
        wrong = [host for host, port in places if port in ports and not _reachable(host)]
        return f"it listens on {wrong[0]} alone, and is asked at 127.0.0.1" if wrong else ""
    shown = ", ".join(str(port) for port in dict.fromkeys(port for _, port in astray))
    return f"it listens on port {shown} and was to listen on {asked}: does its command line pass on {{port}}?"


def _reachable(host: str) -> bool:
    return host in ("0.0.0.0", "::") or host.startswith("127.")  # noqa: S104 -- compared, not bound


def _table(path: Path) -> list[tuple[str, tuple[str, int]]]:
    """Inode and place of each listening socket."""
    try:
        lines = path.read_text().splitlines()[1:]
    except OSError:
        return []
    rows = [line.split() for line in lines]
    return [(row[9], _place(row[1])) for row in rows if len(row) > 9 and row[3] == _LISTEN]


def _place(text: str) -> tuple[str, int]:
    """`0100007F:1F90` -> ("127.0.0.1", 8080); words of four bytes, each in the machine's order."""
    address, _, port = text.partition(":")
    words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
    return str(ipaddress.ip_address(b"".join(words))), int(port, 16)


def _inodes(pid: int) -> list[str]:
    found = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = Path(entry.path).readlink().name
                if target.startswith("socket:["):
                    found.append(target[len("socket:[") : -1])
    return found
