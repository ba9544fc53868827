"""`bench run`: measure, or with --dry-run say what would be."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.options import checked_scenario, format_option, out_option, set_option
from bench.cli.planned import NOTHING_WOULD_BE, planned_budget, tries_list, tuning_lines
from bench.cli.speak import columns, count, print_json, print_text, terminal_width

if TYPE_CHECKING:
    from bench.scenario.plan import Plan
    from bench.scenario.scenario import Scenario

_NOTHING_MEASURED = 13


@click.command("run")
@click.argument("scenario")
@click.option("--server", "servers", multiple=True, metavar="NAME", help="Only this server; may be repeated.")
@set_option
@out_option("Where results go; default: results.")
@click.option("--dry-run", is_flag=True, help="Print the plan with its estimated time and stop.")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help="Have the load sent by workers of other machines, which join here (bench worker); servers listen there too.",
)
@click.option(
    "--workers-expected",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="With --listen: how many workers to wait for; default: 1.",
)
@format_option
def run(
    *,
    scenario: str,
    servers: tuple[str, ...],
    assignments: tuple[str, ...],
    out: Path | None,
    dry_run: bool,
    listen: str | None,
    workers_expected: int | None,
    form: str,
) -> int:
    """Measure every server of SCENARIO and write the report.

    SCENARIO is a file, or the name of one that comes with bench. Exit codes:
    0 good, 2 wrong usage or scenario, 10 a fail_if of the scenario held,
    12 a row is INVALID, 13 nothing measured or a trial failed, 130 interrupted.
    """
    checked = checked_scenario(scenario, assignments)
    from bench.running.progress import make_progress
    from bench.running.run import plan_run, run
    from bench.scenario.budget import budget_text

    plan = plan_run(checked, server=servers, remote=listen is not None)
    if dry_run:
        budget = planned_budget(checked, plan, remote=listen is not None)
        if form == "json":
            print_json(_plan_dict(plan) | {"tries": tries_list(checked, plan), "budget": budget.as_mapping()})
        else:
            print_text(_plan_text(checked, plan, budget_text(budget)))
        return _NOTHING_MEASURED if plan.empty else 0
    progress = make_progress(sys.stderr, plan.estimated_seconds)
    try:
        result = run(
            checked, server=servers, out=out, listen=listen, workers_expected=workers_expected, progress=progress
        )
    finally:
        progress.finished()
    if form == "json":
        from bench.summary import summary_json

        print_text(summary_json(result.summary))
    else:
        from bench.report.text import summary_text

        print_text(summary_text(result.summary, width=terminal_width()))
        for line in fixes(plan):
            print_text(line)
        print_text(f"\nreport: {result.folder / 'report.html'}")
    return result.exit_code


def _plan_text(scenario: Scenario, plan: Plan, cores: str) -> str:
    from bench.units import duration_text

    lines = [scenario.question or scenario.name, *tuning_lines(scenario, plan), ""]
    rows = [("#", "server", "repetition", "load point", "warm-up", "window")]
    rows += [
        (
            str(trial.number),
            trial.server,
            f"{trial.repetition} of {scenario.trials}",
            trial.point.label,
            duration_text(trial.warmup),
            _window_text(trial.point),
        )
        for launch in plan.launches
        for trial in launch.trials
    ]
    lines += columns(rows) if not plan.empty else [NOTHING_WOULD_BE]
    if plan.skips:
        lines += ["", "skipped"]
        lines += columns([(f"  {skip.server}", skip.reason) for skip in plan.skips])
        lines += fixes(plan)
    return "\n".join([*lines, "", *([] if plan.empty else _seconds_lines(plan)), cores])


def _seconds_lines(plan: Plan) -> list[str]:
    from bench.units import duration_text

    starts = count(len(plan.launches) + len(plan.tries), "server start")
    searches = any(hasattr(trial.point, "most_looks") for launch in plan.launches for trial in launch.trials)
    most = f"at most about {duration_text(plan.most_seconds)}, if every warm-up, look and wait for a server to be idle "
    most += "lasts as long as it may"
    return [
        f"about {duration_text(plan.estimated_seconds)}: {duration_text(plan.load_seconds)} of load and {starts}; "
        "a model that is not in the cache yet is built first",
        *([most] if searches else []),
    ]


def _window_text(point: Any) -> str:
    """How long a load point's window is; of a search how many looks it may take, and how long each may get."""
    from bench.units import duration_text

    seconds = duration_text(point.duration)
    looks = getattr(point, "most_looks", None)
    return seconds if looks is None else f"up to {looks} looks of {seconds}, {point.longest:g} times that at low rates"


def _plan_dict(plan: Plan) -> dict[str, Any]:
    def trial_dict(trial: Any) -> dict[str, Any]:
        return {
            "number": trial.number,
            "id": trial.id,
            "server": trial.server,
            "repetition": trial.repetition,
            "profile": trial.point.name,
            "label": trial.point.label,
            "warmup": trial.warmup,
            "duration": trial.point.duration,
            "seed": trial.seed,
        }

    return {
        "estimated_seconds": plan.estimated_seconds,
        "most_seconds": plan.most_seconds,
        "load_seconds": plan.load_seconds,
        "launches": [
            {"server": it.server, "repetition": it.repetition, "trials": [trial_dict(trial) for trial in it.trials]}
            for it in plan.launches
        ],
        "skips": [
            {
                "server": skip.server,
                "reason": skip.reason,
                "fix": skip.fix,
                "trial": None if skip.trial is None else trial_dict(skip.trial),
            }
            for skip in plan.skips
        ],
    }


def fixes(plan: Plan) -> list[str]:
    """Each fix once, with the servers that it would bring back."""
    by_fix: dict[str, list[str]] = {}
    for skip in plan.skips:
        if skip.fix:
            by_fix.setdefault(skip.fix, []).append(skip.server)
    return ["", *(f"to run {', '.join(names)}: {fix}" for fix, names in by_fix.items())] if by_fix else []
