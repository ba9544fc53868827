"""The generator's own record of a trial: fixed-size rows and the distinct replies, written as they come.

A row costs about a microsecond to write and survives the death of the generator once its block is flushed.
The child writes, the parent reads; only reading needs numpy.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FIELDS = (
    ("intended_at", "f8"),
    ("sent_at", "f8"),
    ("first_byte_at", "f8"),
    ("done_at", "f8"),
    ("response_bytes", "i8"),
    ("status", "i4"),
    ("error", "i4"),
    ("payload", "i4"),
    ("answer", "i4"),
)
ROW = struct.Struct("<ddddqiiii")
_BLOCK_ROWS = 4096
NO_ERROR = -1
UNCHECKED = -1
"""Answer number of a reply that was not kept, because the store was full, or of a row without a good reply."""
_ANSWER = struct.Struct("<iI")
_ANSWER_STORE_BYTES = 64 * 2**20
_ERROR_KINDS = 200


OUTPUTS = ("rows.bin", "answers.bin", "errors.json")
"""Files of a job's folder that the child writes."""


class Recorder:
    """Writes rows and distinct replies of one trial into the job's folder."""

    def __init__(self, folder: Path) -> None:
        self._rows: BinaryIO = (folder / "rows.bin").open("wb", buffering=0)
        self._answers: BinaryIO = (folder / "answers.bin").open("wb", buffering=2**16)
        self._errors_path = folder / "errors.json"
        self._block = bytearray(_BLOCK_ROWS * ROW.size)
        self._filled = 0
        self._known: dict[tuple[int, bytes], int] = {}
        self._stored_bytes = 0
        self._errors: dict[str, int] = {}
        self.rows = 0
        self.failures = 0

    def add(
        self,
        intended_at: float,
        sent_at: float,
        first_byte_at: float,
        done_at: float,
        response_bytes: int,
        status: int,
        error: int,
        payload: int,
        answer: int,
    ) -> None:
        """Append one row; NaN where a time never came."""
        at = self._filled
        ROW.pack_into(
            self._block,
            at,
            intended_at,
            sent_at,
            first_byte_at,
            done_at,
            response_bytes,
            status,
            error,
            payload,
            answer,
        )
        self._filled = at + ROW.size
        self.rows += 1
        if error != NO_ERROR:
            self.failures += 1
        if self._filled == len(self._block):
            self.flush()

    def flush(self) -> None:
        """Hand what is buffered to the operating system, replies before the rows that name them."""
        self._answers.flush()
        self._rows.write(memoryview(self._block)[: self._filled])
        self._filled = 0

    def answer(self, payload: int, body: bytes) -> int:
        """Number of this distinct reply to this payload, kept for checking; UNCHECKED once the store is full."""
        key = (payload, body)
        number = self._known.get(key)
        if number is None:
            if self._stored_bytes + len(body) > _ANSWER_STORE_BYTES:
                return UNCHECKED
            number = len(self._known)
            self._known[key] = number
            self._stored_bytes += len(body)
            self._answers.write(_ANSWER.pack(payload, len(body)))
            self._answers.write(body)
        return number

    def error(self, text: str) -> int:
        """Number of this kind of error; beyond a limit of kinds everything new is `other`."""
        number = self._errors.get(text)
        if number is None:
            if len(self._errors) >= _ERROR_KINDS:
                return self.error("other") if text != "other" else self._errors.setdefault("other", len(self._errors))
            number = len(self._errors)
            self._errors[text] = number
            self._write_errors()
        return number

    def close(self) -> None:
        """Flush and close; the row files are complete after this."""
        self.flush()
        self._rows.close()
        self._answers.close()
        self._write_errors()

    def _write_errors(self) -> None:
        """Whole or not at all: whoever kills this process leaves the texts of all rows."""
        partial = self._errors_path.with_suffix(".partial")
        partial.write_text(json.dumps(list(self._errors)))
        partial.replace(self._errors_path)


def read_rows(folder: Path) -> NDArray[np.void]:
    """Rows as a structured array in the order they were finished; a torn last row is left out."""
    import numpy as np

    data = (folder / "rows.bin").read_bytes() if (folder / "rows.bin").exists() else b""
    whole = len(data) - len(data) % ROW.size
    return np.frombuffer(data[:whole], dtype=np.dtype([(name, "<" + kind) for name, kind in FIELDS]))


def read_errors(folder: Path) -> tuple[str, ...]:
    """Texts of the error numbers in the rows."""
    path = folder / "errors.json"
    return tuple(json.loads(path.read_text())) if path.exists() else ()


def read_answers(folder: Path) -> Iterator[tuple[int, bytes]]:
    """(payload, body) of each distinct reply, in the order of their numbers; a torn last one is left out."""
    path = folder / "answers.bin"
    data = path.read_bytes() if path.exists() else b""
    at = 0
    while at + _ANSWER.size <= len(data):
        payload, size = _ANSWER.unpack_from(data, at)
        at += _ANSWER.size
        if at + size > len(data):
            return
        yield payload, data[at : at + size]
        at += size
