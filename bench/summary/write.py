"""`summary.json` and `summary.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from bench.files import write_text
from bench.measures import metrics
from bench.names import json_text, printable
from bench.results import (
    plain,
)
from bench.summary.figures import EMPTY, Row, Summary
from bench.summary.resources import Resources


def summary_json(summary: Summary) -> str:
    """The summary as JSON text; a figure that does not exist is null, NaN and infinity never appear."""
    rows, looks = (tuple(replace(row, spread=None) for row in each) for each in (summary.rows, summary.looks))
    document = plain(replace(summary, timelines=(), rows=rows, looks=looks))
    assert isinstance(document, dict)
    del document["timelines"]
    for row in (*document["rows"], *document["looks"]):
        del row["spread"]
    return json_text(document) + "\n"


def summary_csv(summary: Summary) -> str:
    """One line per row with a header; times become `response_time_p95`, a figure that does not exist is empty.

    Texts may be a server's own words, so what a terminal would obey is written as an escape.
    """
    lines = [{name: _shown(value) for name, value in _flat(row)} for row in summary.rows]
    header = [name for name, _ in _flat(EMPTY)]
    text = io.StringIO()
    writer = csv.DictWriter(text, header, lineterminator="\n", extrasaction="raise")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def write_summary(folder: Path, summary: Summary) -> None:
    """Write `summary.json` and `summary.csv`.   Raises: ResultsError if the folder cannot be written."""
    write_text(folder / "summary.json", summary_json(summary))
    write_text(folder / "summary.csv", summary_csv(summary))


def _shown(value: object) -> object:
    return printable(value) if isinstance(value, str) else value


def _flat(row: Row) -> Iterator[tuple[str, object]]:
    """Columns of one row, the same ones whatever is None."""
    for each in fields(row):
        value = getattr(row, each.name)
        if each.name in metrics.TIMES:
            for name in ("mean", *metrics.PERCENTILES, "max"):
                yield f"{each.name}_{name}", getattr(value, name, None)
        elif each.name in ("p95_interval", "cost_per_million", "capacity"):
            for end in ("value", "low", "high", "basis"):
                yield f"{each.name}_{end}", getattr(value, end, None)
        elif each.name == "answers":
            for name in ("checked", "unchecked", "wrong", "largest_difference"):
                yield f"answers_{name}", getattr(value, name, None)
        elif each.name == "resources":
            yield from _resources(value)
        elif each.name == "spread":
            continue
        elif each.name in _IN_ONE_CELL:
            yield each.name, _IN_ONE_CELL[each.name](value)
        else:
            yield each.name, value


def _resources(value: Resources | None) -> Iterator[tuple[str, object]]:
    """One column per figure, the energy as two; why one is missing stands in the JSON only."""
    for name in (each.name for each in fields(Resources)):
        own = getattr(value, name, None)
        if name == "energy_per_request":
            yield f"{name}_gross", getattr(own, "gross", None)
            yield f"{name}_net", getattr(own, "net", None)
        elif name != "missing":
            yield name, own


_IN_ONE_CELL: Mapping[str, Callable[[Any], str | None]] = {
    "reasons": lambda reasons: " ".join(reason.id for reason in reasons),
    "inside": lambda counters: "; ".join(f"{name} {value:g}" for name, value in counters.items()),
    "errors": lambda errors: "; ".join(f"{count} x {text}" for text, count in errors.items()),
    "trial_ids": " ".join,
    "swaps": lambda swaps: "; ".join(
        f"{it.failed} of {it.requests} failed, version {it.new} after {_seconds(it.took_over)}" for it in swaps
    ),
    "look": lambda look: None if look is None else look.result.value,
}


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} s"
