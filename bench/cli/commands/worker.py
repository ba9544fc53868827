"""`bench worker`: part of the load of a run elsewhere."""

from __future__ import annotations

import click

from bench.cli.speak import complain


@click.command("worker")
@click.option("--connect", required=True, metavar="HOST:PORT", help="Where `bench run --listen` waits for workers.")
@click.option("--wait", default="60s", show_default=True, metavar="DURATION", help="How long to look for it.")
def worker(*, connect: str, wait: str) -> int:
    """Send part of the load that a run on another machine asks for.

    Ends when that run does.
    """
    from bench.errors import UsageError
    from bench.load.worker import parse_connect, work
    from bench.units import UnitError, parse_duration

    try:
        seconds = parse_duration(wait)
    except UnitError as failure:
        raise UsageError(failure.what, where="--wait", hint=failure.hint) from failure
    work(parse_connect(connect), wait=seconds, say=complain)
    return 0
