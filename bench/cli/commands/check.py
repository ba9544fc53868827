"""`bench check`: is a scenario right, and the files it names?"""

from __future__ import annotations

import click

from bench.cli.options import checked_scenario, set_option
from bench.cli.speak import columns, count, print_text


@click.command("check")
@click.argument("scenario")
@set_option
def check(*, scenario: str, assignments: tuple[str, ...]) -> int:
    """Check SCENARIO and the files it names; start nothing."""
    checked = checked_scenario(scenario, assignments)
    from bench.plan import make_plan
    from bench.units import duration_text

    plan = make_plan(checked)
    print_text(f"{checked.path}: ok")
    counts = (count(len(checked.servers), "server"), count(len(checked.points), "load point"))
    trials = count(sum(len(launch.trials) for launch in plan.launches), "trial")
    print_text(f"  {', '.join(counts)}: {trials}, about {duration_text(plan.estimated_seconds)}")
    skipped = [skip for skip in plan.skips if skip.trial is None]
    for line in columns([(f"  skipped: {skip.server}", skip.reason) for skip in skipped]):
        print_text(line)
    return 0
