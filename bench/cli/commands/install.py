"""`bench install`: the program of a kind of server."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.speak import complain, print_text


@click.command("install")
@click.argument("kind")
@click.option("--version", metavar="X.Y.Z", help="Which version; default: the newest, or the one that is there.")
@click.option("--repository", metavar="URL", help="Where from, for example a mirror; default: the maker's own.")
@click.option(
    "--timeout",
    default="30s",
    show_default=True,
    metavar="DURATION",
    help="How long to wait for an answer, or for its next bytes.",
)
def install(*, kind: str, version: str | None, repository: str | None, timeout: str) -> int:
    """Fetch the program of a KIND of server into the cache, once.

    KIND is a name from `bench list servers`: tfserving's program is fetched,
    of kinds with an environment of their own that is built. Needs no root and
    no Docker. Prints where it lies.
    """
    from bench.errors import UsageError
    from bench.server import Order, find_kind, load_kind
    from bench.units import UnitError, parse_duration

    try:
        seconds = parse_duration(f"{timeout}s" if timeout.replace(".", "", 1).isdigit() else timeout)
        if not seconds > 0:
            raise UnitError("a time-out has to be longer than nothing", "for example 30s")
    except UnitError as failure:
        raise UsageError(failure.what, where="--timeout", hint=failure.hint) from failure
    folder = find_kind(kind, Path.cwd())
    server = load_kind(folder)
    place = server.install(Order(version, repository, seconds), complain)
    if place is None and server.requirements is not None:
        from bench.programs.environments import environment

        place = environment(folder.name, folder / server.requirements, complain)
    if place is None:
        raise UsageError(f"there is nothing to install for {kind}", hint="everything it needs comes with bench")
    print_text(str(place))
    return 0
