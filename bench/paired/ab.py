"""`bench ab`: two sides of one scenario, measured in pairs and judged.

The session is a run like any other and lies on disk as it goes; what it says is computed from there, so that
`bench compare` says the same of it ever after.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.catalogue import scenario_argument
from bench.compare.cells import COMPARED
from bench.compare.session import GAP_SECONDS, MODES, Mode, mode_of
from bench.compare.staged import judge_session
from bench.compare.statistics import smallest_visible
from bench.compare.surroundings import environment_key
from bench.compare.tabulate import Key
from bench.compare.verdict import Verdict
from bench.errors import UsageError
from bench.machine import facts as machine
from bench.names import slug
from bench.paired.gates import gates_of
from bench.paired.measure import Session, SessionPipeline, as_recorded, common_points, labelled
from bench.paired.noise import keep_noise, known_noise, typical_sd, workload_digest
from bench.paired.sides import Asked, Sides, parse_side, resolved
from bench.report.verdict_files import write_verdict
from bench.results import Run, RunFolder, load_run
from bench.results.pairing import NoiseRecord, Pairing, Side
from bench.running.progress import Progress, Silent
from bench.scenario.scenario import Scenario

RESULTS = Path("results")
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Visible:
    """The smallest change of one gated metric that a session will see, as a share, and where its spread comes from."""

    key: Key
    change: float
    aa_pairs: int


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """What a session is going to do: pairs, seconds, and what it will be able to see."""

    session: Session
    pairs: int
    seconds: float
    confirm_seconds: float
    visible: tuple[Visible, ...]


@dataclass(frozen=True, slots=True)
class SessionResult:
    """A session that ended: where it lies, what it says, and whether a person or a signal ended it."""

    folder: Path
    verdict: Verdict
    interrupted: bool

    def exit_code(self, *, strict: bool = False) -> int:
        """The verdict's own, or that of an interrupted command."""
        return INTERRUPTED if self.interrupted else self.verdict.code(strict=strict)


@contextlib.contextmanager
def planned(
    scenario: Scenario,
    *,
    baseline: str,
    candidate: str,
    mode: str = "default",
    pairs: int | None = None,
    gap: float = GAP_SECONDS,
    baseline_set: Sequence[str] = (),
    candidate_set: Sequence[str] = (),
    seed: int | None = None,
    confirm: bool = True,
) -> Iterator[SessionPlan]:
    """The session that was asked for, ready to be measured for as long as the block lasts.

    `baseline` and `candidate` are `NAME` or `NAME@REVISION`, `*_set` keys of that side's server or model alone, `gap`
    the idle seconds before each start. Without `confirm` nothing is measured again, so nothing can fail.
    Raises: UsageError, ScenarioError, LaunchError.
    """
    chosen_mode = mode_of(mode, pairs)
    if not gap >= 0:
        raise UsageError(f"the gap cannot be {gap:g} s", where="--gap", hint="for example 3s")
    one = parse_side(scenario, Side.BASELINE, baseline, baseline_set)
    two = parse_side(scenario, Side.CANDIDATE, candidate, candidate_set)
    with resolved(scenario, one, two) as sides:
        session = _session(
            scenario, sides, chosen_mode, gap, confirm, scenario.seed if seed is None else seed, one, two
        )
        slots = [slot for group in session.screen for slot in group]
        yield SessionPlan(
            session,
            chosen_mode.pairs,
            session.seconds(slots),
            session.seconds(session.confirm) if confirm else 0.0,
            _visible(session.pairing, chosen_mode),
        )


def ab(
    scenario: Scenario,
    *,
    baseline: str,
    candidate: str,
    mode: str = "default",
    pairs: int | None = None,
    gap: float = GAP_SECONDS,
    baseline_set: Sequence[str] = (),
    candidate_set: Sequence[str] = (),
    seed: int | None = None,
    confirm: bool = True,
    report: bool = True,
    out: Path | None = None,
    progress: Progress | None = None,
) -> SessionResult:
    """Measure one paired session and judge it; arguments as in `planned`.

    `report` draws the charts and the page; the verdict is written either way. Interrupted, it keeps what it has.
    Raises: as `planned` does, and ResultsError before anything is measured.
    """
    with planned(
        scenario,
        baseline=baseline,
        candidate=candidate,
        mode=mode,
        pairs=pairs,
        gap=gap,
        baseline_set=baseline_set,
        candidate_set=candidate_set,
        seed=seed,
        confirm=confirm,
    ) as plan:
        return run_session(plan, report=report, out=out, progress=progress)


def run_session(
    plan: SessionPlan, *, report: bool = True, out: Path | None = None, progress: Progress | None = None
) -> SessionResult:
    """Measure what was planned, while its block lasts; as `ab`."""
    shown = progress or Silent()
    session = plan.session
    folder = RunFolder.create(out or RESULTS, slug(session.scenario.name), datetime.now(UTC))
    pipeline = SessionPipeline(session, folder, shown)
    interrupted = pipeline.carry_out()
    run = load_run(folder.path)
    verdict = judge_session(run)
    _keep_noise(run, verdict)
    write_verdict(verdict, folder.path)
    if report:
        from bench.report import write_report

        write_report([folder.path])
    return SessionResult(folder.path, verdict, interrupted)


def _session(
    scenario: Scenario, sides: Sides, mode: Mode, gap: float, confirms: bool, seed: int, *asked: Asked
) -> Session:
    points = common_points(scenario, sides.baseline, sides.candidate)
    if not points:
        raise UsageError("the two servers have no load point in common", hint="look at their keys 'only'")
    one, two = sides.baseline.contender, sides.candidate.contender
    null = f"{one.label} (null control)"
    both = labelled(scenario, sides, null, seed)
    resolved_keys = as_recorded(both, sides)
    workload = workload_digest(
        {
            "load": [point.label for point in points],
            "resolved": {key: resolved_keys[key] for key in ("payload", "model", "load", "warmup", "timeout", "slo")},
            "server": sides.baseline.entry.options,
            "kind": sides.baseline.entry.kind,
        }
    )
    labels = {point.label for point in points}
    gates = tuple(gate for gate in gates_of(scenario) if not gate.load or gate.load in labels)
    pairing = Pairing(
        mode=mode.name,
        looks=mode.looks,
        gap=gap,
        seed=seed,
        baseline=one,
        candidate=two,
        same=sides.same,
        gates=gates,
        workload=workload,
        null_server=null,
        noise=known_noise(environment_key(machine.facts()), workload),
    )
    return Session(both, sides, mode, gap, confirms, points, pairing, _command(scenario, mode, gap, seed, asked))


def _command(scenario: Scenario, mode: Mode, gap: float, seed: int, asked: Sequence[Asked]) -> str:
    """The command line that does the same again."""
    words = ["bench", "ab", scenario_argument(scenario.path)]
    for side in asked:
        words += [side.flag, side.text]
        for change in side.changes:
            words += [f"{side.flag}-set", change]
    if len(mode.looks) > 1:
        words.append("--sequential")
    elif mode.name in MODES:
        words += [] if mode.name == "default" else ["--mode", mode.name]
    else:
        words += ["--pairs", str(mode.pairs)]
    if gap != GAP_SECONDS:
        words += ["--gap", f"{gap:g}s"]
    if seed != scenario.seed:
        words += ["--seed", str(seed)]
    for assignment in scenario.assignments:
        words += ["--set", assignment]
    return shlex.join(words)


def _visible(pairing: Pairing, mode: Mode) -> tuple[Visible, ...]:
    """For every gate that is a ratio, what so many pairs can see."""
    known = {Key(noise.load, noise.metric): noise for noise in pairing.noise}
    found = []
    for gate in pairing.gates:
        key = Key(gate.load, gate.metric)
        if COMPARED[gate.metric].test != "log-ratio":
            continue
        noise: NoiseRecord | None = known.get(key)
        sd = typical_sd(gate.metric) if noise is None else noise.sd
        change = smallest_visible(sd, mode.pairs, gate.delta)
        found.append(Visible(key, change, 0 if noise is None else noise.pairs))
    return tuple(found)


def _keep_noise(run: Run, verdict: Verdict) -> None:
    """What a server differed from itself by, for the sessions to come."""
    pairing = run.manifest.pairing
    if pairing is None or not pairing.finished:
        return
    lines = verdict.lines if verdict.same else verdict.null
    cells = [
        NoiseRecord(line.cell.metric, line.load, line.cell.sd, line.cell.pairs)
        for line in lines
        if line.cell.sd is not None and COMPARED[line.cell.metric].test == "log-ratio"
    ]
    keep_noise(environment_key(run.manifest.environment), pairing.workload, run.manifest.run_id, cells)
