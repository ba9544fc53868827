"""A history on disk: one file of JSON lines that only grows. Knows lines, not what their numbers mean.

Several sessions may end at the same time, so lines are added whole, under a lock; a line that cannot be read is named
and the others are used.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import ResultsError
from bench.files import disk_errors
from bench.history.rows import Judgement, NewerSchemaError, Row, from_document, to_document
from bench.names import json_text

DEFAULT = Path("results/history.jsonl")


@dataclass(frozen=True, slots=True)
class History:
    """What a history holds, in the order in which it was added, and what could not be read of it."""

    path: Path
    rows: tuple[Row, ...]
    judgements: tuple[Judgement, ...]
    warnings: tuple[str, ...]


def read_history(path: Path) -> History:
    """The history of a file; an empty one if there is none yet.

    Raises: ResultsError if it cannot be read, or if nothing in it can because a newer bench wrote it.
    """
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return History(path, (), (), ())
    except OSError as failure:
        raise ResultsError(f"cannot be read: {failure.strerror or failure}", where=str(path)) from failure
    entries: list[Row | Judgement] = []
    warnings: list[str] = []
    newer = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entries.append(from_document(json.loads(line)))
        except NewerSchemaError as why:
            newer += 1
            warnings.append(f"{path}:{number}: {why}; this line is left out")
        except (ValueError, RecursionError) as why:
            said = "is not JSON" if isinstance(why, json.JSONDecodeError | RecursionError) else str(why)
            warnings.append(f"{path}:{number}: {said}; this line is left out")
    if newer and not entries:
        raise ResultsError(
            "was written by a newer bench", where=str(path), hint="update bench, or name another file with --file"
        )
    rows = tuple(entry for entry in entries if isinstance(entry, Row))
    return History(path, rows, tuple(entry for entry in entries if isinstance(entry, Judgement)), tuple(warnings))


def append(path: Path, entries: Sequence[Row | Judgement]) -> int:
    """Add the entries that are not there yet, all or none of them; how many were added.

    A row is there if the same session already has one for its line.   Raises: ResultsError if it cannot be written.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            fresh = _not_there(path, entries)
            if fresh:
                lines = "".join(f"{json_text(to_document(entry), indent=None)}\n" for entry in fresh)
                _write(handle, _after_half_a_line(path) + lines)
            return len(fresh)
        finally:
            os.close(handle)  # which gives the lock back


def _not_there(path: Path, entries: Sequence[Row | Judgement]) -> list[Row | Judgement]:
    known = {(row.session, row.series, row.commit) for row in read_history(path).rows}
    fresh: list[Row | Judgement] = []
    for entry in entries:
        if isinstance(entry, Row):
            own = (entry.session, entry.series, entry.commit)
            if own in known:
                continue
            known.add(own)
        fresh.append(entry)
    return fresh


def _after_half_a_line(path: Path) -> str:
    """A line end where somebody was killed before writing one."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        if file.tell() == 0:
            return ""
        file.seek(-1, os.SEEK_END)
        return "" if file.read(1) == b"\n" else "\n"


def _write(handle: int, text: str) -> None:
    data = text.encode()
    before = os.fstat(handle).st_size
    try:
        written = 0
        while written < len(data):
            written += os.write(handle, data[written:])
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, before)  # a full disk must not leave half of a session
        raise
