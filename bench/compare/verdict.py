"""What a comparison says in the end: its cells, the sentence, the exit code. Values only; nothing is computed here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bench.compare.cells import Cell, CellVerdict
from bench.results.pairing import Contender

VERDICT_VERSION = 1
"""Of verdict.json."""
PASSED, REGRESSED, INCONCLUSIVE, NOT_COMPARABLE, NOTHING_MEASURED = 0, 10, 11, 12, 13


class Word(StrEnum):
    """The whole comparison in a word."""

    REGRESSED = "regressed"
    IMPROVED = "improved"
    NO_CHANGE = "no change"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not comparable"
    VOID = "void"
    NOTHING_MEASURED = "nothing measured"


@dataclass(frozen=True, slots=True)
class Line:
    """One cell where it stands; `load` is empty for what belongs to a whole start.

    `gated` cells can fail the comparison, the others are informational. `confirmed` tells that fresh pairs decided.
    """

    load: str
    cell: Cell
    gated: bool
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Shift:
    """How each quantile of response time moved at one load point: shares, with simultaneous 95 % intervals."""

    load: str
    quantiles: tuple[float, ...]
    change: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    pairs: int
    delta: float


@dataclass(frozen=True, slots=True)
class TrialValue:
    """The gated metric of one trial, for the table of raw values."""

    stage: str
    pair: int
    position: int
    side: str
    load: str
    metric: str
    value: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A comparison of two servers, from one paired session or from two runs of different times.

    `exit_code` is that of a plain reading, `exit_code_strict` counts what is inconclusive as a failure. `null` are the
    cells of the baseline against itself. `seconds` is how long it took to measure.
    """

    name: str
    run_ids: tuple[str, ...]
    started_at: str
    seconds: float | None
    word: Word
    sentence: str
    exit_code: int
    exit_code_strict: int
    baseline: Contender
    candidate: Contender
    same: bool
    paired: bool
    mode: str
    seed: int
    pairs: int
    confirm_pairs: int
    null_pairs: int
    lines: tuple[Line, ...]
    null: tuple[Line, ...]
    warnings: tuple[str, ...]
    diagnostics: tuple[str, ...]
    shifts: tuple[Shift, ...]
    values: tuple[TrialValue, ...]
    command: str
    method_version: int
    version: int = VERDICT_VERSION

    @property
    def gated(self) -> tuple[Line, ...]:
        """The cells that can fail it."""
        return tuple(line for line in self.lines if line.gated)

    def code(self, *, strict: bool = False) -> int:
        """The exit code of a command that says this."""
        return self.exit_code_strict if strict else self.exit_code


WORSE_FIRST = (
    CellVerdict.REGRESSED,
    CellVerdict.NOT_COMPARABLE,
    CellVerdict.INCONCLUSIVE,
    CellVerdict.IMPROVED,
    CellVerdict.NO_CHANGE,
)
"""The order of a table: what needs somebody comes first."""
