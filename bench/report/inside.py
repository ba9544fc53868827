"""What servers counted inside themselves, and what requests weigh, as small tables: where the time of a reply went."""

from __future__ import annotations

from bench import units
from bench.report import view
from bench.results import Outcome
from bench.summary import Row, Summary

INSIDE_HEAD = ("server", "load", "requests", "request", "run", "waited in queue", "rows a batch", "padding")
INSIDE_NOTE = (
    "Means of what the server counted from the beginning of the measured window to the last reply. A request "
    "lasts from its arrival at a handler to its answer there; a run is the model's part of it, with the wait in a "
    "batching queue. What is left of the service time is the network, sockets and waiting for a handler."
)
BODIES_HEAD = ("server", "request", "reply", "time to make a request")


def inside(summary: Summary) -> tuple[tuple[str, ...], ...]:
    """One line for each load point whose server told what it counted."""
    return tuple(_inside(row) for row in summary.rows if row.inside)


def _inside(row: Row) -> tuple[str, ...]:
    rows, padding = mean(row, "batch", "rows"), row.inside.get("padding_rows")
    total = row.inside.get("batch_rows")
    return (
        view.one_line(row.server),
        row.label,
        units.count_text(round(row.inside["request_count"])) if "request_count" in row.inside else "-",
        units.duration_text(mean(row, "request", "seconds")),
        units.duration_text(mean(row, "run", "seconds")),
        units.duration_text(mean(row, "queue", "seconds")),
        "-" if rows is None else f"{rows:.3g}",
        "-" if padding is None or not total else units.percent_text(padding / total),
    )


def mean(row: Row, name: str, unit: str) -> float | None:
    """Mean of what a server counts as `name`; None if it counted none of it."""
    count = row.inside.get(f"{name}_count")
    total = row.inside.get(f"{name}_{unit}")
    return total / count if count and total is not None else None


def bodies(summary: Summary) -> tuple[tuple[str, ...], ...]:
    """One line for each measured server: bytes of a request and of a reply, and how long it took to make a request."""
    first: dict[tuple[str, str], Row] = {}
    for row in summary.rows:
        if row.outcome is Outcome.OK and row.request_bytes is not None:
            first.setdefault((row.run_id, row.server), row)
    return tuple(
        (
            view.one_line(row.server),
            units.bytes_text(row.request_bytes),
            units.bytes_text(row.response_bytes),
            units.duration_text(row.encode_seconds),
        )
        for row in first.values()
    )
