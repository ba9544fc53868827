"""One session through `bench ab`, kept as one line: its verdict, and the figures of every pair read from its rows."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from bench.compare.staged import screening
from bench.measures.metrics import good_times
from bench.measures.stats import percentiles
from bench.paired.ab import ab
from bench.results import Outcome, Run, TrialRecord, load_run
from bench.results.pairing import Side, Stage
from bench.samples import Floats
from bench.scenario.scenario import load_scenario
from tests.benchmarks.page import machine, watching
from tests.benchmarks.validation.parts import PARTS, Part

SCHEMA = 1
FIGURES = ("p50", "p95", "p99", "throughput", "errors", "requests")


@dataclass(frozen=True, slots=True)
class Session:
    """What one session said and measured.

    `pairs` holds, per figure, one (baseline, candidate) for every pair of the first stage, in the order of their
    numbers; `baseline_first` tells which of the two ran first. `pooled_p` is what a rank test says of all requests of
    either side together. `cells` are the final words of the gated cells, `flagged` the cells of the first stage that
    would have failed. `others` is how far other programs disturbed it, as `page.watching` counts; `revision` that of
    the part's definition.
    """

    part: str
    at: str
    seconds: float
    others: float
    load_average: float
    exit_code: int
    word: str
    sentence: str
    flagged: tuple[str, ...]
    cells: Mapping[str, str]
    first_stage: Mapping[str, str]
    pairs: Mapping[str, Sequence[Sequence[float]]]
    baseline_first: Sequence[bool]
    pooled_p: float | None
    machine: str = ""
    schema: int = SCHEMA
    revision: int = 1

    @property
    def gated_first_stage(self) -> tuple[str, ...]:
        """What the first stage said of the gated cells."""
        return tuple(self.first_stage[metric] for metric in self.cells)

    @property
    def count(self) -> int:
        """How many whole pairs it has."""
        return len(self.baseline_first)


def measure(part: Part) -> Session:
    """Run one session; its folder is gone afterwards."""
    scratch = Path(tempfile.mkdtemp(prefix="bench-validation-"))
    try:
        scenario = scratch / f"{part.name}.yaml"
        scenario.write_text(part.scenario, encoding="utf-8")
        began_at = time.monotonic()
        at = datetime.now(UTC).isoformat(timespec="seconds")
        with watching() as others:
            result = ab(
                load_scenario(scenario),
                baseline="base",
                candidate=part.candidate,
                pairs=part.pairs,
                gap=0.2,
                confirm=part.same,
                report=False,
                seed=time.time_ns() % 1_000_000,  # another order and other arrivals every time
                out=scratch / "results",
            )
        if result.interrupted:
            raise KeyboardInterrupt
        run = load_run(result.folder)
        pairs, baseline_first, pooled = _figures(run)
        first = screening(run)
        return Session(
            part=part.name,
            at=at,
            seconds=round(time.monotonic() - began_at, 1),
            others=round(others.share, 4),
            load_average=round(os.getloadavg()[0], 2),
            exit_code=result.exit_code(),
            word=str(result.verdict.word),
            sentence=result.verdict.sentence,
            flagged=tuple(key.metric for key in first.flagged),
            cells={line.cell.metric: str(line.cell.verdict) for line in result.verdict.gated},
            first_stage={key.metric: str(cell.verdict) for key, cell in first.cells.items()},
            pairs=pairs,
            baseline_first=baseline_first,
            pooled_p=pooled,
            machine=machine(),
            revision=part.revision,
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _figures(run: Run) -> tuple[dict[str, list[tuple[float, float]]], list[bool], float | None]:
    """Of every whole pair of the first stage."""
    assert run.manifest.pairing is not None
    trials = {trial.number: trial for trial in run.trials if trial.outcome is Outcome.OK}
    found: dict[int, dict[Side, tuple[TrialRecord, int]]] = {}
    for measured in run.manifest.pairing.measured:
        slot = measured.slot
        if slot.stage is Stage.SCREEN and not measured.failure and measured.trials[0] in trials:
            found.setdefault(slot.pair, {})[slot.side] = (trials[measured.trials[0]], slot.position)
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in FIGURES}
    first: list[bool] = []
    pooled: dict[Side, list[Floats]] = {side: [] for side in Side}
    for _, sides in sorted(found.items()):
        if len(sides) < len(Side):
            continue
        both = {side: _of_trial(run, trial) for side, (trial, _) in sides.items()}
        for name in FIGURES:
            pairs[name].append((both[Side.BASELINE][0][name], both[Side.CANDIDATE][0][name]))
        first.append(sides[Side.BASELINE][1] == 1)
        for side in Side:
            pooled[side].append(both[side][1])
    p = None
    if first:
        one, two = (np.concatenate(pooled[side]) for side in Side)
        p = float(scipy_stats.mannwhitneyu(one, two).pvalue)
    return pairs, first, p


def _of_trial(run: Run, trial: TrialRecord) -> tuple[dict[str, float], Floats]:
    samples = run.samples(trial)
    assert samples is not None
    assert trial.window is not None
    times = good_times(samples, "response_time")
    p50, p95, p99 = percentiles(times, (0.5, 0.95, 0.99))
    measured = int(np.count_nonzero(samples.measured))
    good = int(np.count_nonzero(samples.measured & samples.ok))
    inside = (samples.done_at >= trial.window[0]) & (samples.done_at < trial.window[1]) & samples.ok
    return {
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "throughput": float(np.count_nonzero(inside)) / (trial.window[1] - trial.window[0]),
        "errors": float(measured - good),
        "requests": float(measured),
    }, times


def append(store: Path, session: Session) -> None:
    """Keep one session; a line is written whole."""
    store.mkdir(parents=True, exist_ok=True)
    with (store / f"{session.part}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(session)) + "\n")


def read(store: Path, part: str) -> list[Session]:
    """Every session that was kept of a part; a line that was cut short is left out."""
    path = store / f"{part}.jsonl"
    sessions = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            document: Any = json.loads(line)
        except ValueError:
            continue
        if document.get("schema") == SCHEMA:
            sessions.append(Session(**document))
    return sessions


def sessions_of(store: Path) -> dict[str, list[Session]]:
    """By part: every session of its present definition; what was asked before is another question."""
    return {
        name: [session for session in read(store, name) if session.revision == part.revision]
        for name, part in PARTS.items()
    }


def merge(store: Path, sources: Sequence[Path]) -> int:
    """Add the sessions of other stores, such as were measured at the same time; how many were not there yet."""
    added = 0
    for source in sources:
        for name in PARTS:
            known = [repr(session) for session in read(store, name)]  # whole: two may begin in the same second
            for session in read(source, name):
                if repr(session) not in known:
                    append(store, session)
                    known.append(repr(session))
                    added += 1
    return added


def beside_others(sessions: Sequence[Session]) -> int:
    """How many of the sessions were measured while another one of them was."""
    spans = [(datetime.fromisoformat(session.at).timestamp(), session.seconds) for session in sessions]
    return sum(
        any(
            other < begin + seconds and begin < other + lasted
            for two, (other, lasted) in enumerate(spans)
            if two != one
        )
        for one, (begin, seconds) in enumerate(spans)
    )
