"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bench.scenario.scenario import Scenario


set_option = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one key of the scenario, for example load.0.duration=5s; list items count from 0.",
)


format_option = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="Text to read, or one JSON document."
)


def _folder(context: click.Context, parameter: click.Parameter, value: str | None) -> Path | None:  # noqa: ARG001
    if value is not None and not value.strip():
        from bench.errors import UsageError

        raise UsageError("an empty text is no folder", where="--out", hint="for example --out results, or leave it out")
    return None if value is None else Path(value)


def out_option(text: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """`--out DIR`; an empty text, which an unset variable of a script leaves, is refused."""
    return click.option("--out", metavar="DIR", callback=_folder, help=text)


def verdict_options(command: Callable[..., int]) -> Callable[..., int]:
    """`--strict`, `--junit` and `--markdown` of the commands that end with a verdict."""
    for option in (
        click.option("--markdown", type=click.Path(path_type=Path), metavar="FILE", help="Write it as Markdown too."),
        click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write it as JUnit XML too."),
        click.option("--strict", is_flag=True, help="Fail, with exit code 11, if it is inconclusive."),
    ):
        command = option(command)
    return command


def checked_scenario(name: str, assignments: Sequence[str]) -> Scenario:
    """The scenario that a person means, with what it points at looked at too."""
    from bench.catalogue import find_scenario
    from bench.scenario.scenario import check_files, load_scenario

    scenario = load_scenario(find_scenario(name), set=assignments)
    check_files(scenario)
    return scenario
