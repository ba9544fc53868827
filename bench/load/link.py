"""What a master and its workers say to each other, over Locust's own protocol.  Inside gevent.

    worker  hello   who it is          master  welcome, or refused with the reason
    master  job     its share          worker  want ... (files that it lacks), then prepared
    master  ping    some times         worker  pong
    master  begin   in `lead` seconds  worker  tick ..., then finished, or failed with the reason
    master  want    rows and replies   worker  chunk ...                            then forget
    master  halt    send nothing more  master  farewell  the end; Locust's own `quit` follows

Every message about a trial carries its number, so that what comes too late is known as such.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import locust.runners

import bench
from bench.load.address import TOKEN_VARIABLE

CHUNK_BYTES = 2**20
"""Of a file, in one message: small beside memory, large beside a round trip."""
FROM_MASTER = ("welcome", "refused", "job", "ping", "begin", "halt", "want", "chunk", "forget", "farewell")
FROM_WORKER = ("hello", "want", "chunk", "prepared", "pong", "tick", "finished", "failed")
TOLD_TO_STOP, UNREACHABLE, REFUSED, MASTER_GONE = 0, 3, 4, 5
"""Exit codes of a worker process."""

_HEARTBEAT_SECONDS = 0.5
_MISSED_BEATS = 5
_MASTER_SILENT_SECONDS = 5.0


class LinkError(Exception):
    """The other side said something that it should not, or is gone."""


class Say(Protocol):
    """Tells the parent process something, as one line of JSON."""

    def __call__(self, kind: str, **facts: Any) -> None:
        """What kind of thing, and its facts."""
        ...


def set_heartbeat() -> None:
    """Have Locust notice in about three seconds that a worker is gone; a busy disk alone can silence one for two."""
    locust.runners.HEARTBEAT_INTERVAL = _HEARTBEAT_SECONDS
    locust.runners.HEARTBEAT_LIVENESS = _MISSED_BEATS
    locust.runners.MASTER_HEARTBEAT_TIMEOUT = _MASTER_SILENT_SECONDS
    locust.runners.WORKER_LOG_REPORT_INTERVAL = -1  # each side keeps its own log


def versions() -> dict[str, str]:
    """What has to be the same on both sides."""
    return {"bench": bench.__version__, "locust": locust.__version__}


def token() -> str:
    """The secret that both sides were given, or nothing."""
    return os.environ.get(TOKEN_VARIABLE, "")


def read_chunk(folder: Path, allowed: Sequence[str], request: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a file that a `want` asks for; `size` is that of the whole file.   Raises: LinkError."""
    name, offset = request["file"], request["offset"]
    if name not in allowed:
        raise LinkError(f"no such file: {name!r}")
    path = folder / name
    if not path.exists():
        return {"job": request["job"], "file": name, "offset": offset, "size": 0, "data": b""}
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(CHUNK_BYTES)
    return {"job": request["job"], "file": name, "offset": offset, "size": path.stat().st_size, "data": data}


def fetch(folder: Path, names: Sequence[str], ask: Callable[[str, int], Mapping[str, Any]]) -> int:
    """Copy these files from the other side, chunk after chunk; `ask` gets a name and an offset.  Bytes copied.

    Raises: LinkError if a chunk is not the one that was asked for.
    """
    total = 0
    for name in names:
        with (folder / name).open("wb") as file:
            at, size = 0, 1
            while at < size:
                chunk = ask(name, at)
                size = int(chunk["size"])
                if (chunk["file"], chunk["offset"]) != (name, at) or (size > at and not chunk["data"]):
                    raise LinkError(f"got another part of {chunk['file']} than was asked for")
                file.write(chunk["data"])
                at += len(chunk["data"])
                total += len(chunk["data"])
    return total
