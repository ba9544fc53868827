"""What all tables of kept sessions share: their pairs joined, their ratios, a cell of them, counts in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.compare import statistics as st
from bench.compare.cells import COMPARED, Cell
from bench.compare.judge import judge_cell
from tests.benchmarks.validation.parts import PARTS, Part
from tests.benchmarks.validation.record import Session

Floats = st.Floats
Kept = dict[str, list[Session]]
"""Part -> its sessions."""
COUNTS = (6, 10, 20)


def same() -> list[Part]:
    return [part for part in PARTS.values() if part.same]


def faulty() -> list[Part]:
    return [part for part in PARTS.values() if not part.same]


def joined(sessions: Sequence[Session]) -> dict[str, list[Sequence[float]]]:
    names = sessions[0].pairs if sessions else {"p50": []}
    return {name: [pair for session in sessions for pair in session.pairs[name]] for name in names}


def ratios(pairs: dict[str, list[Sequence[float]]], metric: str) -> Floats:
    both = np.asarray(pairs.get(metric, []), dtype=np.float64).reshape(-1, 2)
    return np.asarray(np.log(both[:, 1]) - np.log(both[:, 0]))


def cell(metric: str, pairs: object, delta: float) -> Cell:
    assert isinstance(pairs, dict)
    name = "errors" if metric == "error_rate" else metric
    both, sent = np.asarray(pairs[name], dtype=np.float64), np.asarray(pairs["requests"], dtype=np.float64)
    requests = (sent[:, 0].astype(int).tolist(), sent[:, 1].astype(int).tolist())
    return judge_cell(COMPARED[metric], both[:, 0], both[:, 1], delta=delta, requests=requests)


def of(count: int, total: int) -> str:
    return f"{count} of {total} ({100 * count / total:.0f} %)"
