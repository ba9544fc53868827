"""Files that are written whole or not at all, and the words for a disk that will not take them.

A reader, or a run that was killed, never meets half a file. This module knows nothing of what is in one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.errors import ResultsError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; renamed to `path` when the block ends well, removed when not.

    Raises: ResultsError if the disk is full or the folder cannot be written to.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with disk_errors(path):
            yield partial
            _flush(partial)
            partial.replace(path)
            _flush(path.parent)  # else a power cut can undo the rename
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def write_text(path: Path, text: str) -> None:
    """Write the text as UTF-8, whole or not at all.   Raises: ResultsError as `replacing` does."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns what the disk says while `path` is written into a ResultsError that a person can act on."""
    try:
        yield
    except OSError as failure:
        if failure.errno in _FULL:
            raise ResultsError(
                "the disk is full",
                where=str(path),
                hint="everything written before this file is kept; free some space or choose another --out",
            ) from failure
        if failure.errno in _REFUSED:
            raise ResultsError(
                "cannot be written: permission denied",
                where=str(path),
                hint="choose a folder you may write to with --out",
            ) from failure
        raise ResultsError(f"cannot be written: {failure.strerror or failure}", where=str(path)) from failure


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
