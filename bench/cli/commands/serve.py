"""`bench serve`: one server, as a trial would start it."""

from __future__ import annotations

import contextlib
import sys
import time

import click

from bench.cli.options import checked_scenario, set_option
from bench.cli.speak import complain, print_text
from bench.errors import LaunchError

_LOOK_SECONDS = 0.2


@click.command("serve")
@click.argument("scenario")
@click.argument("name")
@set_option
def serve(*, scenario: str, name: str, assignments: tuple[str, ...]) -> int:
    """Start one server as a trial would and print a curl line.

    NAME is a server of SCENARIO; Ctrl-C stops it.
    """
    checked = checked_scenario(scenario, assignments)
    from bench.running.serve import serve

    with serve(checked, name, complain) as served:
        print_text(f"{name} answers at {served.url}, its log is {served.log}\n\n{served.curl}\n")
        sys.stdout.flush()
        complain("Ctrl-C stops it")
        with contextlib.suppress(KeyboardInterrupt):  # the way it is meant to end
            while served.alive():
                time.sleep(_LOOK_SECONDS)
            from bench.serving.launch import log_tail

            raise LaunchError("the server ended by itself", where=name, hint=log_tail(served.log))
    return 0
