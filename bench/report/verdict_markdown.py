"""Verdict -> Markdown for a pull request or a CI summary: the verdict line first, all else below or folded away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.compare.verdict import Line, Verdict
from bench.report.markdown import escaped
from bench.report.verdict_text import HEAD, cells, compared, diagnostics, remarks, value_text

METHOD = (
    "Each value is one trial: a fresh start, a warm-up, a window under the same arrivals for both sides of a pair. "
    "Pairs ran one after the other in a seeded, balanced, random order. Change: mean of the paired log-ratios with its "
    "Student t interval; a verdict takes an interval without zero and a change of at least delta. What would fail was "
    "measured again on fresh pairs, and only those decide (Holm). “Sees”: the change that 80 of 100 such sessions see."
)
UNPAIRED = (
    "Trials of two runs, compared by Welch's interval on their logarithms; drift cannot be separated from change."
)


def verdict_markdown(verdict: Verdict) -> str:
    """The verdict as GitHub-flavoured Markdown, everything from outside escaped."""
    gated = [line for line in verdict.lines if line.gated]
    rest = [line for line in verdict.lines if not line.gated]
    word, _, said = verdict.sentence.partition(":")
    first = f"**{escaped(word.upper())}**" + (f": {escaped(said)}" if said else "")
    parts = [f"### {escaped(verdict.name)}: {escaped(str(verdict.word))}", first]
    parts.append("\n".join(f"- {escaped(' '.join(line.split()))}" for line in compared(verdict)))
    parts.append(_table(gated))
    notes = [f"- {escaped(text)}" for text in (*remarks(gated), *diagnostics(verdict))]
    if notes:
        parts.append("\n".join(notes))
    parts.append(_folded("Informational cells, which never fail a session", _table(rest)))
    if verdict.values:
        parts.append(_folded("Every trial", _values(verdict)))
    said = METHOD if verdict.paired else UNPAIRED
    parts.append(_folded("Method and command", f"{said}\n\n`{verdict.command.replace('`', '')}`"))
    return "\n\n".join(parts) + "\n"


def _table(lines: Iterable[Line]) -> str:
    return _rows(HEAD, "|:--|:--|--:|--:|:--|--:|--:|--:|:--|", [cells(line) for line in lines])


def _rows(head: Sequence[str], rule: str, rows: Iterable[Sequence[str]]) -> str:
    shown = ["| " + " | ".join(map(escaped, row)) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(head) + " |", rule, *shown])


def _values(verdict: Verdict) -> str:
    units = {(line.load, line.cell.metric): line.cell for line in verdict.lines}
    rows = []
    for value in verdict.values:
        cell = units.get((value.load, value.metric))
        if value.metric == "error_rate" or cell is None:
            shown = "-" if value.value is None else f"{value.value:g}"
        else:
            shown = value_text(cell, value.value)
        where = (value.stage, str(value.pair), str(value.position), value.side, value.load or "-", value.metric)
        rows.append((*where, shown))
    head = ("stage", "pair", "place", "side", "load", "metric", "value")
    return _rows(head, "|:--|--:|--:|:--|:--|:--|--:|", rows)


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"
