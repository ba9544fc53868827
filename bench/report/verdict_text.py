"""Verdict -> what a terminal shows: the sentence, what was compared, the table, what to know about it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from bench import units
from bench.compare.cells import Cell, CellVerdict
from bench.compare.conclude import change_text, delta_text
from bench.compare.judge import MOST_USEFUL_PAIRS
from bench.compare.verdict import Line, Verdict
from bench.report.text import columns
from bench.report.view import one_line
from bench.results.pairing import Contender

SHAPES = {
    CellVerdict.REGRESSED: "▲",
    CellVerdict.IMPROVED: "▼",
    CellVerdict.NO_CHANGE: "=",
    CellVerdict.INCONCLUSIVE: "?",
    CellVerdict.NOT_COMPARABLE: "×",  # noqa: RUF001 -- a cross, not a letter
}
HEAD = ("load", "metric", "baseline", "candidate", "change [95 %]", "delta", "sees", "n", "verdict")
_RIGHT = (False, False, True, True, False, True, True, True, False)
_SHORT_COMMIT = 12


def verdict_text(verdict: Verdict, width: int = 100) -> str:
    """The verdict for a terminal; no line is wider than `width` columns, 80 at least."""
    width = max(80, width)
    parts = [_wrapped(verdict.sentence[:1].upper() + verdict.sentence[1:], width)]
    parts.append("\n".join(_wrapped(line, width, "  ") for line in compared(verdict)))
    parts.append(_table(verdict, width))
    parts.append(_lines(width, remarks(verdict.lines)))
    parts.append(_lines(width, diagnostics(verdict)))
    return "\n\n".join(part for part in parts if part) + "\n"


def compared(verdict: Verdict) -> Iterator[str]:
    """What stands against what, over how many pairs, and what the null control said."""
    yield f"baseline   {contender_text(verdict.baseline)}"
    yield f"candidate  {contender_text(verdict.candidate)}"
    if verdict.same:
        yield "A/A: both sides are the same thing, so every change here is this machine's doing"
    if not verdict.paired:
        yield f"unpaired runs {' and '.join(verdict.run_ids)}: drift between them cannot be separated from a change"
        return
    loads = dict.fromkeys(line.load for line in verdict.lines if line.load)
    confirm = f", {verdict.confirm_pairs} more to confirm" if verdict.confirm_pairs else ""
    took = "" if verdict.seconds is None else f", {units.duration_text(verdict.seconds)}"
    at = f" at {', '.join(loads)}" if loads else ""
    yield f"{verdict.pairs} pairs ({verdict.mode}){at}{confirm}, order by seed {verdict.seed}{took}"
    if verdict.null_pairs:
        yield f"null control: {null_text(verdict)}"


def null_text(verdict: Verdict) -> str:
    """`no change in 3 cells over 6 pairs`."""
    changed = [name(line) for line in verdict.null if line.cell.verdict.changed]
    said = f"changed in {', '.join(changed)}" if changed else f"nothing changed in {len(verdict.null)} cells"
    return f"{said} over {verdict.null_pairs} pairs of the baseline against itself"


def contender_text(contender: Contender) -> str:
    """`flask@main (3f2a9c1d04be)`; a working tree with changes of its own says so."""
    if not contender.revision:
        return contender.label
    state = f"{contender.revision[:_SHORT_COMMIT]}{', with changes that are not committed' if contender.dirty else ''}"
    return f"{contender.label} ({state})"


def name(line: Line) -> str:
    """`poisson-4 p95`."""
    return f"{line.load} {line.cell.metric}".strip()


def cells(line: Line) -> tuple[str, ...]:
    """The cells of one row, as text."""
    cell = line.cell
    return (
        line.load or "-",
        metric_text(cell.metric),
        value_text(cell, cell.baseline),
        value_text(cell, cell.candidate),
        change_text(cell),
        delta_text(cell),
        sees_text(cell),
        str(cell.pairs),
        word(line),
    )


def metric_text(metric: str) -> str:
    """The metric's name as people read it."""
    return metric.replace("_", " ").replace("startup", "start-up")


def word(line: Line, *, brief: bool = False) -> str:
    """`▲ regressed, confirmed`; in brief without what the notes say too."""
    cell = line.cell
    said = f"{SHAPES[cell.verdict]} {cell.verdict}"
    if brief:
        return said
    if cell.verdict is CellVerdict.INCONCLUSIVE and cell.pairs_needed is not None:
        said += f", ~{cell.pairs_needed} pairs" if cell.pairs_needed <= MOST_USEFUL_PAIRS else ""
    if line.confirmed and cell.verdict is CellVerdict.REGRESSED:
        said += ", confirmed"
    if line.gated and not cell.can_gate and cell.verdict is not CellVerdict.NOT_COMPARABLE:
        said += ", cannot gate"
    return said


def value_text(cell: Cell, value: float | None) -> str:
    """A value of the cell's metric with its unit; `-` where there is none."""
    return units.value_text(value, cell.unit)


def sees_text(cell: Cell) -> str:
    """The change that 80 of 100 such sessions would have seen."""
    if cell.smallest_visible is None:
        return "-"
    if cell.change_is == "difference":
        return f"{100 * cell.smallest_visible:.2g} pp"
    return units.percent_text(float(f"{cell.smallest_visible:.2g}"))


def remarks(lines: Sequence[Line]) -> Iterator[str]:
    """What is to be known of the cells; what several have in common is said once."""
    by_note: dict[str, list[str]] = {}
    for line in lines:
        if line.cell.notes:
            by_note.setdefault(line.cell.note, []).append(name(line))
    yield from (f"{', '.join(names)}: {note}" for note, names in by_note.items())


def diagnostics(verdict: Verdict) -> Iterator[str]:
    """What the session says of itself, then its warnings."""
    yield from (f"note: {said}" for said in verdict.diagnostics)
    yield from (f"warning: {said}" for said in verdict.warnings)


def _table(verdict: Verdict, width: int) -> str:
    """The table; its load column is left out where there is but one load point, which stands above."""
    several = len({line.load for line in verdict.lines if line.load}) > 1
    shown = range(0 if several else 1, len(HEAD))
    head, right = [HEAD[place] for place in shown], [_RIGHT[place] for place in shown]
    rows = [[cells(line)[place] for place in shown] for line in verdict.lines]
    if sum(max(columns(row[place]) for row in (head, *rows)) + 1 for place in range(len(head))) > width + 1:
        rows = [[*row[:-1], word(line, brief=True)] for line, row in zip(verdict.lines, rows, strict=True)]
    widths = [max(columns(row[place]) for row in (head, *rows)) for place in range(len(head))]
    gap = "  " if sum(widths) + 2 * (len(head) - 1) <= width else " "
    excess = sum(widths) + len(gap) * (len(head) - 1) - width
    for place, least in ((len(head) - 1, 16), (0, 10), (len(head) - 1, 8), (0, 4)):
        give = min(max(0, excess), max(0, widths[place] - least))
        widths[place] -= give
        excess -= give
    out = [_row(head, widths, right, gap), _row(["-" * wide for wide in widths], widths, right, gap)]
    for before, line, row in zip((None, *verdict.lines), verdict.lines, rows, strict=False):
        if before is not None and before.gated and not line.gated:
            out.append("informational, never fails a session:")
        out.append(_row(row, widths, right, gap))
    return "\n".join(out)


def _row(row: Sequence[str], widths: Sequence[int], right: Sequence[bool], gap: str) -> str:
    first, *rest = [one_line(cell) for cell in row]  # names differ at their ends, words at their beginnings
    fitted = [_cut(first, widths[0], middle=True), *map(_cut, rest, widths[1:])]
    padded = [
        " " * (wide - columns(cell)) + cell if to_right else cell + " " * (wide - columns(cell))
        for cell, wide, to_right in zip(fitted, widths, right, strict=True)
    ]
    return gap.join(padded).rstrip()


def _cut(text: str, width: int, *, middle: bool = False) -> str:
    kept = len(text)
    shown = text
    while columns(shown) > width and kept > 0:
        kept -= 1
        tail = kept // 2 if middle else 0
        shown = text[: kept - tail] + "…" + (text[-tail:] if tail else "")
    return shown


def _lines(width: int, texts: Iterator[str]) -> str:
    return "\n".join(_wrapped(text, width, "  ") for text in texts)


def _wrapped(text: str, width: int, hang: str = "") -> str:
    return "\n".join(textwrap.wrap(one_line(text), width, subsequent_indent=hang, break_on_hyphens=False))
