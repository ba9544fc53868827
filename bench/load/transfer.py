"""Files of a trial in chunks, each asked for by its name and offset, so that only one at a time is in flight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

CHUNK_BYTES = 2**20
"""Of a file, in one message: small beside memory, large beside a round trip."""


class LinkError(Exception):
    """The other side said something that it should not, or is gone."""


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
