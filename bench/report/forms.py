"""The model's forms as a small table: size, build time and accuracy, beside the speed of each server that ran them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench import units
from bench.report import view
from bench.results import Outcome
from bench.summary import Row, ServerSummary, Summary

FORMS_TITLE = "The model's forms"
FORMS_HEAD = (
    "form",
    "server",
    "p50",
    "same class",
    "differs by",
    "on disk",
    "zipped",
    "in memory",
    "server's memory",
    "start",
    "built in",
)
FORMS_NOTE = (
    "p50: service time at the lowest load. Same class: how many of the payload's photos have the first class that "
    "the model as it was given puts first, and differs by: the largest difference of two probabilities, both when the "
    "form was built. Zipped: the only size that zeros among the weights make smaller. In memory: by how much a process "
    "with its runtime grew until it had the form loaded and had answered once. Server's memory and start: until its "
    "first answer. Built in: from the model in memory, or the form that it is made from, once, kept in the cache."
)


def forms_rows(summary: Summary) -> tuple[tuple[str, ...], ...]:
    """One line for each form and server that ran it, the fastest first; then the forms that no server ran."""
    lines = [line for figures in summary.forms for line in _lines(figures, summary)]
    return tuple(cells for _, cells in sorted(lines, key=lambda line: line[0]))


def _lines(figures: Mapping[str, Any], summary: Summary) -> Iterator[tuple[float, tuple[str, ...]]]:
    servers = [it for it in summary.servers if it.run_id == figures["run_id"] and _ran(figures, it, summary)]
    for server in servers:
        p50 = _p50(server, summary)
        cost = (
            units.bytes_text(server.ready_memory.get("pss_bytes")),
            units.duration_text(server.startup_seconds),
        )
        yield (
            float("inf") if p50 is None else p50,
            _cells(figures, view.one_line(server.server), units.duration_text(p50), cost),
        )
    if not servers:
        yield float("inf"), _cells(figures, "-", "-", ("-", "-"))


def _cells(figures: Mapping[str, Any], server: str, p50: str, cost: tuple[str, str]) -> tuple[str, ...]:
    """One line; of a form that could not be made, the reason in place of its accuracy."""
    name, photos, same = view.one_line(str(figures["name"])), figures["photos"], figures["same_top"]
    if figures["failure"]:
        return (name, server, p50, "-", view.one_line(str(figures["failure"])), "-", "-", "-", *cost, "-")
    return (
        name,
        server,
        p50,
        "-" if same is None else f"{same} of {photos}",
        "-" if figures["largest_difference"] is None else f"{figures['largest_difference']:.2g}",
        units.bytes_text(figures["size_bytes"]),
        units.bytes_text(figures.get("compressed_bytes")),
        units.bytes_text(figures.get("memory_bytes")),
        *cost,
        units.duration_text(figures["build_seconds"]),
    )


def _ran(figures: Mapping[str, Any], server: ServerSummary, summary: Summary) -> bool:
    """Whether this server computed this variant; one form can be computed in several precisions."""
    if server.model_form != figures["form"]:
        return False
    variants = [it["name"] for it in summary.forms if (it["form"], it["run_id"]) == (figures["form"], server.run_id)]
    return len(variants) == 1 or str(figures["name"]).endswith(f"-{server.options.get('precision')}")


def _p50(server: ServerSummary, summary: Summary) -> float | None:
    """Of the service time at the lowest load that was measured, one user before any rate."""
    own = [row for row in summary.rows if (row.server, row.run_id) == (server.server, server.run_id)]
    rows = [row for row in own if row.outcome is Outcome.OK and row.service_time is not None]
    lowest = min(rows, key=_load, default=None)
    return None if lowest is None or lowest.service_time is None else lowest.service_time.p50


def _load(row: Row) -> tuple[bool, float]:
    return row.users is None, row.users or row.arrival_rate or 0.0
