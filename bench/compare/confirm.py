"""Screen, then confirm: what fails on the first pairs is measured again on fresh ones, and only those decide.

Stage 1 flags; Holm shares one error budget among the flagged cells of stage 2. Knows cells, not servers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from bench.compare.cells import Cell, CellVerdict
from bench.compare.statistics import FAMILY_ALPHA, benjamini_hochberg, holm

Key = TypeVar("Key")


def flagged(cells: Mapping[Key, Cell]) -> tuple[Key, ...]:
    """The keys of cells that would fail the gate and are measured again."""
    return tuple(key for key, cell in cells.items() if cell.verdict is CellVerdict.REGRESSED)


def confirmed(fresh: Mapping[Key, Cell], alpha: float = FAMILY_ALPHA) -> dict[Key, Cell]:
    """The cells of the fresh pairs with their final verdicts; give it those that were flagged, and no others.

    Regressed stays what Holm rejects in the bad direction and is still as large as delta. What only the fresh
    interval calls regressed becomes inconclusive; everything else keeps its word.
    """
    keys = list(fresh)
    rejected = holm([math.nan if fresh[key].p_worse is None else fresh[key].p_worse for key in keys], alpha)  # type: ignore[misc]
    return {key: _final(fresh[key], holds) for key, holds in zip(keys, rejected, strict=True)}


def _final(cell: Cell, holds: bool) -> Cell:
    if cell.verdict is CellVerdict.REGRESSED:
        if holds:
            return replace(cell, notes=("confirmed on fresh pairs", *cell.notes))
        why = "flagged twice, but not beyond the chance of one false alarm among all flagged cells"
        return replace(cell, verdict=CellVerdict.INCONCLUSIVE, notes=(why, *cell.notes))
    return replace(cell, notes=("not confirmed on fresh pairs", *cell.notes))


def exploratory(cells: Sequence[Cell], q: float = 0.10) -> tuple[bool, ...]:
    """Which informational cells stand out with at most a share q of false ones among them; they never gate."""
    return benjamini_hochberg([math.nan if cell.p is None else cell.p for cell in cells], q)
