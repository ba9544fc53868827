"""`bench list`: what there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bench.cli.options import format_option
from bench.cli.speak import columns, print_json, print_text

if TYPE_CHECKING:
    from bench.catalogue import Item, Kind


@click.command("list")
@click.argument("what", type=click.Choice(["servers", "scenarios", "profiles", "metrics", "prices"]))
@format_option
def list_(*, what: str, form: str) -> int:
    """List what there is, one line each.

    Of servers also what they need, and whether this machine has it: here,
    missing with the reason, or not built, which the first run does.
    """
    from bench.catalogue import CATALOGUES

    items = CATALOGUES[what]()
    if form == "json":
        print_json([asdict(item) for item in items])
    else:
        for line in columns(_rows(items)):
            print_text(line)
    return 0


def _rows(items: Sequence[Item]) -> list[tuple[str, ...]]:
    from bench.catalogue import Kind

    kinds = [item for item in items if isinstance(item, Kind)]
    if not kinds:
        return [(item.name, item.text) for item in items]
    return [(kind.name, _state(kind), f"needs {kind.needs}", f"{kind.text}{_lack(kind)}") for kind in kinds]


def _state(kind: Kind) -> str:
    """`not built`: it can run here, once its environment is built."""
    if not kind.here:
        return "missing"
    return "here" if kind.built else "not built"


def _lack(kind: Kind) -> str:
    return "" if kind.here else f" - {kind.reason}{f' ({kind.fix})' if kind.fix else ''}"
