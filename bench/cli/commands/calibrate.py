"""`bench calibrate`: what the load generator can do here."""

from __future__ import annotations

import click

from bench.cli.options import format_option
from bench.cli.speak import columns, complain, print_json, print_text


@click.command("calibrate")
@click.option(
    "--seconds",
    type=click.IntRange(min=5, max=600),
    default=40,
    metavar="N",
    help="About how long it takes, 5 to 600; default: 40.",
)
@format_option
def calibrate(*, seconds: int, form: str) -> int:
    """Measure what the load generator itself can do on this machine.

    The figures are kept for later runs; do it while nothing else runs.
    """
    from bench.load.calibration import as_mapping, store_calibration, table
    from bench.running.calibrate import calibrate

    measured = calibrate(seconds=seconds, say=complain)
    if form == "json":
        print_json(as_mapping(measured))
    else:
        for line in columns(table(measured)):
            print_text(line)
        print_text(f"\n{measured.sentence}")
    complain(f"kept in {store_calibration(measured)}")
    return 0
