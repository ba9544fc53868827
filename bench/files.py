"""Files that are written whole or not at all, and the words for a disk that will not take them.

A reader, or a run that was killed, never meets half a file. This module knows nothing of what is in one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.errors import UnwritableError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; renamed to `path` when the block ends well, removed when not.

    Raises: UnwritableError if the disk is full or the folder cannot be written to.
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
    """Write the text as UTF-8, whole or not at all.   Raises: UnwritableError as `replacing` does."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns what the disk says while `path` is written into an UnwritableError that a person can act on."""
    try:
        yield
    except OSError as failure:
        if failure.errno in _FULL:
            raise UnwritableError(
                "the disk is full",
                where=str(path),
                hint="everything written before this file is kept; free some space or choose another --out",
            ) from failure
        if failure.errno in _REFUSED:
            raise UnwritableError(
                f"cannot be written: {_REFUSED[failure.errno]}",
                where=str(path),
                hint="choose a folder you may write to with --out",
            ) from failure
        in_the_way = isinstance(failure, NotADirectoryError | FileExistsError)
        raise UnwritableError(
            f"cannot be written: {failure.strerror or failure}",
            where=str(path),
            hint="a file is where a folder has to be; choose another one with --out" if in_the_way else "",
        ) from failure


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
