"""What every command says, and where: results to stdout, everything else to stderr, both printable."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click


def print_text(text: str) -> None:
    """A result, to stdout."""
    from bench.names import printable

    click.echo(printable(text))


def print_json(document: Any) -> None:
    """A result as one JSON document, to stdout."""
    from bench.names import json_text

    click.echo(json_text(document))


def complain(text: str) -> None:
    """To stderr: what a person should know that is no result."""
    from bench.names import printable

    click.echo(printable(text), err=True)


def columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The rows with their columns aligned, by the cells that a terminal needs for them; nothing is cut."""
    from rich.cells import cell_len

    from bench.names import printable

    if not rows:
        return []
    shown = [tuple(printable(cell).replace("\n", " ") for cell in row) for row in rows]
    widths = [max(cell_len(row[column]) for row in shown) for column in range(len(shown[0]))]
    return [
        "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    ]


def count(number: int, noun: str) -> str:
    """`1 server`, `2 servers`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def terminal_width() -> int:
    """Columns of the terminal; 100 where there is none, and at least 80."""
    import shutil

    return max(80, shutil.get_terminal_size((100, 24)).columns) if sys.stdout.isatty() else 100
