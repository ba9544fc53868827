"""What a dry run says beside its trials: who gets which cores, and what is tried of tuned servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.cli.speak import columns, count

if TYPE_CHECKING:
    from bench.scenario.budget import Budget
    from bench.scenario.plan import Plan
    from bench.scenario.scenario import Scenario

NOTHING_WOULD_BE = "Nothing would be measured here, so there would be nothing to choose."


def planned_budget(scenario: Scenario, plan: Plan, *, remote: bool) -> Budget:
    """The cores, for as many load workers as are likely to be needed; a calibration may say otherwise."""
    from bench.load.crew import crew_for
    from bench.scenario.budget import budget_of, generator_room, read_processor

    if remote:
        return budget_of(scenario, workers=max(1, scenario.workers or 0), remote=not scenario.workers)
    points = [trial.point for launch in plan.launches for trial in launch.trials]
    room = generator_room(read_processor(), scenario.cores)
    crew, _ = crew_for(scenario.workers, points, cores=room + 1, ceiling=None)
    return budget_of(scenario, workers=crew.local)


def tuning_lines(scenario: Scenario, plan: Plan) -> list[str]:
    """What is tried before everything else, and for how long; none where nothing is tuned."""
    from bench.scenario.tune import settings_text
    from bench.units import duration_text

    if not plan.tries:
        return []
    rows = [("#", "server", "setting", "", "load")]
    for launch in plan.tries:
        (trial,) = launch.trials
        setting = scenario.server(launch.server).tune[trial.tune_point - 1]
        note = "default" if setting.default else ""
        rows.append(
            (str(trial.number), launch.server, settings_text(setting.values), note, duration_text(trial.seconds))
        )
    return ["", f"tuning, before everything else: {tuning_text(scenario, plan)}", *columns(rows)]


def tuning_text(scenario: Scenario, plan: Plan) -> str:
    """`1.00 min of load for each of 2 servers, 9 settings`."""
    from bench.units import duration_text

    servers = len({launch.server for launch in plan.tries})
    each = f"each of {count(servers, 'server')}" if servers > 1 else "1 server"
    return f"{duration_text(scenario.tune_time)} of load for {each}, {count(len(plan.tries), 'setting')}"


def tries_list(scenario: Scenario, plan: Plan) -> list[dict[str, Any]]:
    """The same as JSON can hold it."""
    from bench.scenario.fields import plain

    found = []
    for launch in plan.tries:
        (trial,) = launch.trials
        setting = scenario.server(launch.server).tune[trial.tune_point - 1]
        found.append(
            {
                "number": trial.number,
                "id": trial.id,
                "server": launch.server,
                "settings": plain(setting.values),
                "default": setting.default,
                "seconds": trial.seconds,
            }
        )
    return found
