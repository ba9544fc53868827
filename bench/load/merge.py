"""The rows of several load workers as those of one, without one getting lost: numbers of errors and replies are redone.

Times stay seconds since each worker's own start, which is all that is ever compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.load.rows import read_answers, read_errors, read_rows

TEXT_LOST = "an error whose text was lost with its load worker"


@dataclass(frozen=True, slots=True)
class Part:
    """What one load worker recorded: rows, the texts of their error numbers, the replies of their answer numbers."""

    rows: NDArray[np.void]
    errors: tuple[str, ...]
    replies: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """What all recorded; `worker` is the place of each row's part, shape (n,)."""

    rows: NDArray[np.void]
    errors: tuple[str, ...]
    replies: tuple[tuple[int, bytes], ...]
    worker: NDArray[np.int64]


def read_part(folder: Path) -> Part:
    """What a worker left in its folder; nothing where it left nothing."""
    return Part(read_rows(folder), read_errors(folder), tuple(read_answers(folder)))


def merge(parts: Sequence[Part]) -> Merged:
    """All rows, part after part; equal errors get one number, and so do equal replies to one payload."""
    worker = np.repeat(np.arange(len(parts)), [len(part.rows) for part in parts])
    if len(parts) == 1:
        return Merged(parts[0].rows, parts[0].errors, parts[0].replies, worker)
    errors: dict[str, int] = {}
    replies: dict[tuple[int, bytes], int] = {}
    rows = np.concatenate([part.rows for part in parts])
    for index, part in enumerate(parts):
        own = rows[_span(parts, index)]
        texts = [errors.setdefault(text, len(errors)) for text in part.errors]
        if np.any(own["error"] >= len(texts)):
            texts += [errors.setdefault(TEXT_LOST, len(errors))] * (int(own["error"].max()) + 1 - len(texts))
        own["error"] = _renumbered(own["error"], texts)
        own["answer"] = _renumbered(own["answer"], [replies.setdefault(each, len(replies)) for each in part.replies])
    return Merged(rows, tuple(errors), tuple(replies), worker)


def _span(parts: Sequence[Part], index: int) -> slice:
    """Where the rows of one part lie among all: a view, so that writing to it changes them."""
    start = sum(len(part.rows) for part in parts[:index])
    return slice(start, start + len(parts[index].rows))


def _renumbered(numbers: NDArray[np.int32], new: Sequence[int]) -> NDArray[np.int32]:
    """Each number's new one; -1 (none) stays, and so becomes a number whose reply never reached the disk."""
    table = np.asarray([*new, -1], dtype=np.int32)
    return table[np.where((numbers >= 0) & (numbers < len(new)), numbers, -1)]
