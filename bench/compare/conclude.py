"""Cells and circumstances -> the word, the sentence and the exit codes of a comparison. Pure.

What voids a session comes before what it found, and what could not be judged never reads as a pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench import units
from bench.compare.cells import Cell, CellVerdict
from bench.compare.tabulate import Key
from bench.compare.verdict import (
    INCONCLUSIVE,
    NOT_COMPARABLE,
    NOTHING_MEASURED,
    PASSED,
    REGRESSED,
    Line,
    Word,
)
from bench.results.pairing import Pairing

Conclusion = tuple[Word, str, int, int]
"""Word, sentence, exit code, exit code under --strict."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a session came to. `unconfirmed` would fail, but its fresh pairs are missing; `void` changed in the null."""

    lines: Sequence[Line]
    unconfirmed: Sequence[Key]
    void: Sequence[str]
    null_pairs: int
    failures: Sequence[str]
    pairing: Pairing
    pairs: int
    confirm_pairs: int


def conclusion(found: Findings) -> Conclusion:
    """Void, nothing measured, unfinished, regressed, failed, not comparable, inconclusive, improved, no change."""
    gated = [line for line in found.lines if line.gated]
    regressed = [line for line in gated if line.cell.verdict is CellVerdict.REGRESSED and line.cell.can_gate]
    confirmed = [line for line in regressed if line.confirmed]
    stopped = _stopped(found)
    if found.void:
        said = f"void: the baseline differs from itself in {', '.join(found.void)} over {found.null_pairs} pairs"
        return Word.VOID, said, NOT_COMPARABLE, NOT_COMPARABLE
    if stopped is not None:
        return stopped
    if confirmed and found.pairing.same:
        said = f"void: both sides are the same, and yet {_named(confirmed[0])}"
        return Word.VOID, said, NOT_COMPARABLE, NOT_COMPARABLE
    if confirmed:
        said = f"regressed: {len(confirmed)} of {_cells(len(gated))} ({_named(confirmed[0])}, confirmed)"
        return Word.REGRESSED, said, REGRESSED, REGRESSED
    if found.failures:
        return _failed(found)
    return _undisputed(gated, found)


def _stopped(found: Findings) -> Conclusion | None:
    """A session that was given up or cut short."""
    pairing = found.pairing
    if pairing.stopped:
        said = f"nothing measured: {pairing.stopped}"
        return Word.NOTHING_MEASURED, said, NOTHING_MEASURED, NOTHING_MEASURED
    if not pairing.finished:
        what = f"{found.pairs} of {pairing.looks[-1]} pairs"
        if found.unconfirmed:
            what = f"{', '.join(map(str, found.unconfirmed))} would fail, and was not confirmed"
        said = f"not comparable: the session was cut short ({what})"
        return Word.NOT_COMPARABLE, said, NOT_COMPARABLE, NOT_COMPARABLE
    if found.pairs < pairing.looks[0]:
        said = f"not comparable: of {pairing.looks[0]} pairs only {found.pairs} are there"
        return Word.NOT_COMPARABLE, said, NOT_COMPARABLE, NOT_COMPARABLE
    return None


def _failed(found: Findings) -> Conclusion:
    count = len(found.failures)
    more = f" and {count - 1} more" if count > 1 else ""
    said = f"nothing to rely on: {count} of the starts failed ({found.failures[0]}{more})"
    return Word.NOTHING_MEASURED, said, NOTHING_MEASURED, NOTHING_MEASURED


def _undisputed(gated: Sequence[Line], found: Findings) -> Conclusion:
    """No gate failed; is that because they all passed?"""
    judged = [line for line in gated if line.cell.can_gate and line.cell.verdict is not CellVerdict.NOT_COMPARABLE]
    lost = [line for line in gated if line.cell.verdict is CellVerdict.NOT_COMPARABLE]
    mute = [line for line in gated if line not in judged and line not in lost]
    if lost or not judged:
        why = next(
            (f"{_key(line)}: {next(iter(line.cell.notes), 'no figure')}" for line in (*lost, *mute)),
            "there are no gates",
        )
        return Word.NOT_COMPARABLE, f"not comparable: {why}", NOT_COMPARABLE, NOT_COMPARABLE
    if found.unconfirmed:
        said = f"not comparable: {', '.join(map(str, found.unconfirmed))} would fail, and no fresh pairs say whether"
        return Word.NOT_COMPARABLE, said, NOT_COMPARABLE, NOT_COMPARABLE
    open_ones = [line for line in judged if line.cell.verdict is CellVerdict.INCONCLUSIVE] + mute
    aa = "A/A, both sides are the same: " if found.pairing.same else ""
    if open_ones:
        said = f"{aa}inconclusive: {len(open_ones)} of {_cells(len(gated))} ({_named(open_ones[0])})"
        return Word.INCONCLUSIVE, said, PASSED, INCONCLUSIVE
    better = [line for line in judged if line.cell.verdict is CellVerdict.IMPROVED]
    if better:
        said = f"{aa}improved: {len(better)} of {_cells(len(gated))} ({_named(better[0])}); none regressed"
        return Word.IMPROVED, said, PASSED, PASSED
    said = f"{aa}no change in any of {_cells(len(gated))}, over {found.pairs} pairs"
    return Word.NO_CHANGE, said, PASSED, PASSED


def _cells(count: int) -> str:
    return f"{count} gated cell{'s' if count != 1 else ''}"


def _key(line: Line) -> Key:
    return Key(line.load, line.cell.metric)


def _named(line: Line) -> str:
    """`poisson-4 p95 +8.1 % [+5.9, +10.4], delta 5 %`."""
    return f"{_key(line)} {change_text(line.cell)}, delta {delta_text(line.cell)}"


def change_text(cell: Cell) -> str:
    """`+8.1 % [+5.9, +10.4]`; of errors in percentage points; `-` where there is none."""
    if cell.change is None:
        return "-"
    unit = "pp" if cell.change_is == "difference" else "%"
    digits = 2 if cell.change_is == "difference" else 1
    if cell.low is None or cell.high is None or cell.low == cell.high:
        return f"{100 * cell.change:+.{digits}f} {unit}"
    low, high = (f"{100 * end:+.{digits}f}" for end in (cell.low, cell.high))
    return f"{100 * cell.change:+.{digits}f} {unit} [{low}, {high}]"


def delta_text(cell: Cell) -> str:
    """`5 %`; the raised one where the noise floor is higher; of errors in percentage points."""
    if cell.change_is == "difference":
        return f"{100 * cell.delta:.2g} pp"
    if cell.metric == "error_rate":
        return "-"
    return units.percent_text(cell.effective_delta)
