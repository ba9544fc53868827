"""`bench run`: scenario -> plan -> materials -> launch -> load -> rows -> summary and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.load.crew import LISTEN_EXAMPLE, Remote, parse_listen
from bench.names import slug
from bench.report import write_report
from bench.results import Outcome, RunFolder, load_run
from bench.running.pipeline import Pipeline
from bench.running.progress import Progress
from bench.running.records import refuse_missing
from bench.scenario.budget import budget_before_load
from bench.scenario.plan import Plan, make_plan
from bench.summary import Summary, Verdict, summarise

if TYPE_CHECKING:
    from bench.scenario.scenario import Scenario

RESULTS = Path("results")
REGRESSED, NOT_VALID, FAILED, INTERRUPTED = 10, 12, 13, 130


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run that ended: where it lies, what it says, and the exit code that goes with it."""

    folder: Path
    summary: Summary
    exit_code: int


def plan_run(scenario: Scenario, *, server: Sequence[str] = (), remote: bool = False) -> Plan:
    """What a run of this scenario would do; `remote` tells that other machines send the load.

    Raises: UsageError for an unknown server, ScenarioError for cores that are not here, LaunchError if a server that
    was asked for by name cannot run here.
    """
    plan = make_plan(scenario, servers=server, budget=budget_before_load(scenario, remote=remote))
    refuse_missing(plan, server)
    return plan


def run(
    scenario: Scenario,
    *,
    server: Sequence[str] = (),
    out: Path | None = None,
    listen: str | None = None,
    workers_expected: int | None = None,
    progress: Progress,
) -> RunResult:
    """Measure every server of the scenario, or those named, and write the report.

    With `listen` (`HOST:PORT`) the load comes from that many workers of other machines, which join there.
    Raises: UsageError, ScenarioError, ResultsError before anything is measured; LaunchError if a server that was
    asked for by name cannot run here. A server that fails later is a row of the result.
    """
    plan = plan_run(scenario, server=server, remote=listen is not None)
    remote = _remote_workers(listen, workers_expected)
    folder = RunFolder.create(out or RESULTS, slug(scenario.name), datetime.now(UTC))
    pipeline = Pipeline(scenario, plan, folder, progress, server, remote)
    interrupted = pipeline.carry_out()
    write_report([folder.path])
    summary = summarise([load_run(folder.path)])
    return RunResult(folder.path, summary, INTERRUPTED if interrupted else exit_code(summary))


def _remote_workers(listen: str | None, expected: int | None) -> Remote | None:
    if listen is not None:
        return Remote(parse_listen(listen), expected or 1)
    if expected is not None:
        raise UsageError("workers can only join where --listen says", where="--workers-expected", hint=LISTEN_EXAMPLE)
    return None


def exit_code(summary: Summary) -> int:
    """0 good, 10 a `fail_if` held, 12 a row is INVALID, 13 nothing measured or a trial failed."""
    outcomes = [row.outcome for row in summary.rows]
    if Outcome.FAILED in outcomes or Outcome.OK not in outcomes:
        return FAILED
    if any(server.outcome is Outcome.FAILED for server in summary.servers):
        return FAILED
    if any(row.verdict is Verdict.INVALID for row in summary.rows):
        return NOT_VALID
    return REGRESSED if summary.failed_checks else 0
