"""Which side is started when: pairs in a seeded, balanced, random order. Pure.

Blocks of one side (AAA BBB) turn a drift of the machine into a difference, and a strict ABBA cycle one that repeats
with its own period. Exactly half of the pairs begin with the baseline, and which ones is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from bench.errors import UsageError
from bench.results.pairing import Side, Slot, Stage

LEAST_PAIRS = 6
"""Fewer cannot reach a 5 % level by their signs alone, and give a t interval nobody can use."""
NULL_PAIRS = 6
MOST_INSTEAD = 3
"""So many pairs of a stage that the rig spoilt are measured once more; beyond that the rig is not fit to measure."""
GAP_SECONDS = 3.0
MODES: dict[str, tuple[int, ...]] = {
    "smoke": (6,),
    "default": (10,),
    "release": (20,),
    "sequential": (6, 12, 20),
}
"""Name of a mode -> the numbers of pairs after which the session is looked at."""


@dataclass(frozen=True, slots=True)
class Mode:
    """How many pairs, and whether there are looks on the way."""

    name: str
    looks: tuple[int, ...]

    @property
    def pairs(self) -> int:
        """The most pairs of the first stage."""
        return self.looks[-1]

    @property
    def confirm_pairs(self) -> int:
        """Fresh pairs of the second stage: as many as the first one could see a change with."""
        return self.looks[0] if len(self.looks) == 1 else 10


def mode_of(name: str = "default", pairs: int | None = None) -> Mode:
    """The mode of that name, or one with so many pairs.   Raises: UsageError."""
    if pairs is None:
        if name not in MODES:
            raise UsageError(f"unknown mode {name!r}", where="--mode", hint=f"known modes: {', '.join(MODES)}")
        return Mode(name, MODES[name])
    if pairs < LEAST_PAIRS:
        raise UsageError(
            f"{pairs} pairs cannot tell a change from chance",
            where="--pairs",
            hint=f"at least {LEAST_PAIRS}; 10 is the default, 20 is for a release",
        )
    return Mode("pairs as asked for", (pairs,))


def screen(mode: Mode, seed: int) -> tuple[tuple[Slot, ...], ...]:
    """The slots of the first stage, one group for each look; every group is balanced in itself."""
    ends = (0, *mode.looks)
    return tuple(
        _slots(Stage.SCREEN, range(begin + 1, end + 1), Random(f"{seed}/pairs/{begin}"))
        for begin, end in pairwise(ends)
    )


def confirm(mode: Mode, seed: int) -> tuple[Slot, ...]:
    """The slots of the second stage, with the pairs of the null control mixed among its own."""
    first = mode.pairs + 1
    rng = Random(f"{seed}/confirm")
    fresh = _slots(Stage.CONFIRM, range(first, first + mode.confirm_pairs), rng)
    begin = first + mode.confirm_pairs
    null = _slots(Stage.NULL, range(begin, begin + NULL_PAIRS), rng)
    pairs = [*zip(fresh[::2], fresh[1::2], strict=True), *zip(null[::2], null[1::2], strict=True)]
    rng.shuffle(pairs)
    return tuple(slot for pair in pairs for slot in pair)


def instead(stage: Stage, first: int, count: int, seed: int) -> tuple[Slot, ...]:
    """The slots of pairs that stand for others that the rig spoilt, numbered from `first` on."""
    return _slots(stage, range(first, first + count), Random(f"{seed}/instead/{first}"))


def _slots(stage: Stage, pairs: Sequence[int], rng: Random) -> tuple[Slot, ...]:
    """Two slots per pair; half of the pairs, the odd one as it falls, begin with the baseline."""
    firsts = [Side.BASELINE, Side.CANDIDATE] * (len(pairs) // 2)
    if len(pairs) % 2:
        firsts.append(rng.choice((Side.BASELINE, Side.CANDIDATE)))
    rng.shuffle(firsts)
    return tuple(
        Slot(stage, pair, position, side)
        for pair, first in zip(pairs, firsts, strict=True)
        for position, side in enumerate((first, other(first)), start=1)
    )


def other(side: Side) -> Side:
    """The one that it is compared with."""
    return Side.CANDIDATE if side is Side.BASELINE else Side.BASELINE
