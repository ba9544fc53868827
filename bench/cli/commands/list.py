"""`bench list`: what there is."""

from __future__ import annotations

import click

from bench.cli.options import format_option
from bench.cli.speak import columns, print_json, print_text


@click.command("list")
@click.argument("what", type=click.Choice(["servers", "scenarios", "profiles", "metrics", "prices"]))
@format_option
def list_(*, what: str, form: str) -> int:
    """List what there is, one line each."""
    from bench.catalogue import CATALOGUES

    items = CATALOGUES[what]()
    if form == "json":
        print_json([{"name": item.name, "text": item.text} for item in items])
    else:
        for line in columns([(item.name, item.text) for item in items]):
            print_text(line)
    return 0
