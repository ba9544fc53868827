"""What exchanges of a model cost, as a small table: downtime as a number."""

from __future__ import annotations

from bench import units
from bench.report import view
from bench.summary import Row, Summary, SwapFigures

SWAP_HEAD = (
    "server",
    "load",
    "requests",
    "failed",
    "slowest",
    "slowest before",
    "copying",
    "took over after",
    "seen by",
    "both in memory",
)
SWAP_NOTE = (
    "While requests came at a constant rate, a new version of the model was copied beside the old one and renamed, "
    "which is when the server can find it. Requests: those due from the beginning of the copy to the window's end. "
    "Took over: from the rename to the first answer of the new version or, where answers do not tell their version, "
    "until the server said that it was ready. What the server says is asked every 50 ms."
)


def swaps(summary: Summary) -> tuple[tuple[str, ...], ...]:
    """One line for each exchange that was made."""
    return tuple(_line(row, figures) for row in summary.rows for figures in row.swaps)


def _line(row: Row, figures: SwapFigures) -> tuple[str, ...]:
    return (
        view.one_line(row.server),
        view.one_line(row.label),
        units.count_text(figures.requests),
        units.count_text(figures.failed),
        units.duration_text(figures.worst),
        units.duration_text(figures.worst_before),
        units.duration_text(figures.copying),
        units.duration_text(figures.took_over),
        figures.seen_by,
        units.duration_text(figures.both_loaded),
    )
