"""`bench check`: is a scenario right, and the files it names; or is a folder a server?"""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.options import checked_scenario, set_option
from bench.cli.planned import NOTHING_WOULD_BE, tuning_text
from bench.cli.speak import columns, complain, count, print_text

_FAILED = 13


@click.command("check")
@click.argument("scenario", required=False)
@click.option(
    "--server-folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Try the server in this folder instead: it starts, answers, fails cleanly, stops, leaves nothing behind. "
    "--set then gives its keys, for example --set delay=5ms.",
)
@set_option
def check(*, scenario: str | None, server_folder: Path | None, assignments: tuple[str, ...]) -> int:
    """Check SCENARIO and the files it names; start nothing.

    With --server-folder: start the server in that folder once, and say what is missing (exit code 13).
    """
    if (scenario is None) == (server_folder is None):
        raise click.UsageError("give a SCENARIO or a --server-folder")
    if server_folder is not None:
        return _check_folder(server_folder, assignments)
    assert scenario is not None
    return _check_scenario(scenario, assignments)


def _check_scenario(scenario: str, assignments: tuple[str, ...]) -> int:
    checked = checked_scenario(scenario, assignments)
    from bench.cli.commands.run import fixes
    from bench.scenario.budget import budget_before_load
    from bench.scenario.plan import make_plan
    from bench.units import duration_text

    plan = make_plan(checked, budget=budget_before_load(checked))
    print_text(f"{checked.path}: ok")
    counts = (count(len(checked.servers), "server"), count(len(checked.points), "load point"))
    trials = count(sum(len(launch.trials) for launch in plan.launches), "trial")
    print_text(f"  {', '.join(counts)}: {trials}, about {duration_text(plan.estimated_seconds)}")
    if plan.tries:
        print_text(f"  tuning: {tuning_text(checked, plan)}")
    skipped = [skip for skip in plan.skips if skip.trial is None]
    for line in columns([(f"  skipped: {skip.server}", skip.reason) for skip in skipped]):
        print_text(line)
    for line in fixes(plan):
        print_text(f"  {line}".rstrip())
    if plan.empty:
        print_text(f"  {NOTHING_WOULD_BE}")
    return 0


def _check_folder(folder: Path, assignments: tuple[str, ...]) -> int:
    from bench.errors import ServerFolderError
    from bench.running.conformance import examine

    if not (folder / "server.py").is_file():
        raise ServerFolderError(
            f"no server.py in {folder}", hint="a server is a folder that holds server.py; copy servers/echo to begin"
        )
    good = True
    for step in examine(folder.absolute(), set=assignments, say=complain):
        good = good and step.ok
        print_text(f"{'ok    ' if step.ok else 'failed'}  {step.name}: {step.text}")
        if step.hint and not step.ok:
            for line in step.hint.splitlines():
                print_text(f"        {line}")
    return 0 if good else _FAILED
