"""Scenario -> Plan: which server is started when, and which load points it then gets. Pure; prints and starts nothing.

A launch is one start of one server; its trials are the load points driven at it, one after the other. With
`trials: 3` every server is launched three times, in a seeded order that interleaves the servers (A B A B,
never A A B B), so a slow drift of the machine cannot favour one of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from bench.errors import ArtifactError, BenchError, ServerFolderError, UsageError
from bench.model.obtainable import why_not
from bench.names import did_you_mean, slug
from bench.profiles import Profile, Swap
from bench.scenario.estimate import seconds_of
from bench.scenario.inputs import known_signature
from bench.scenario.tune import tries, tuned_servers

if TYPE_CHECKING:  # pydantic is not needed to read a plan
    from bench.scenario.budget import Budget
    from bench.scenario.scenario import Scenario
    from bench.scenario.servers import ServerEntry
    from bench.server import Missing

FORMS_HINT = "docs/own-models.md and docs/onnx-models.md say which kinds and engines take which model"
TENSORS_HINT = "kinds that take tensors are listed in docs/own-models.md"


@dataclass(frozen=True, slots=True)
class Trial:
    """One load point driven at one launch of one server: warm-up, then the measured window.

    `repetition` and `number` count from 1; `seed` is that of the schedule and the same for every server.
    """

    number: int
    server: str
    repetition: int
    point: Profile
    warmup: float
    timeout: float
    seed: int
    warmup_most: float = 0.0
    """How long the warm-up may get while latency is not steady; no longer than `warmup` if that is more."""
    tune_point: int = 0
    """Which setting of a tuning it tries, counted from 1; 0 for anything else."""
    look: str = ""
    """What tells the looks of one search apart: `01-12.5`; empty for anything else."""

    @property
    def id(self) -> str:
        """Folder name below `trials/`: `003-flask-closed-8`; safe whatever the server is called."""
        look = f"-{self.look}" if self.look else ""
        return f"{self.number:03d}-{slug(self.server)}-{self.point.label}{look}"

    @property
    def seconds(self) -> float:
        """Warm-up and window as asked for; `estimate` tells how long they may get."""
        return self.warmup + self.point.duration


@dataclass(frozen=True, slots=True)
class Launch:
    """One start of one server and the trials it is started for."""

    server: str
    repetition: int
    trials: tuple[Trial, ...]


@dataclass(frozen=True, slots=True)
class Skip:
    """A server, or one load point of it, that will not be measured; `trial` is None for the whole server."""

    server: str
    reason: str
    fix: str = ""
    trial: Trial | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a run will do, in order, and everything it will leave out and why."""

    launches: tuple[Launch, ...]
    skips: tuple[Skip, ...]
    load_seconds: float
    """Seconds of load alone."""
    estimated_seconds: float
    """Load plus a guess of each kind's start-up and of waits; model building comes on top the first time."""
    most_seconds: float = 0.0
    """The estimate where each warm-up, look of a capacity search and wait after it is as long as it may get."""
    tries: tuple[Launch, ...] = ()
    """The settings that are tried of tuned servers, one launch each, before everything else."""

    @property
    def empty(self) -> bool:
        """Whether nothing would be measured."""
        return not self.launches


def missing_here(entry: ServerEntry) -> Missing | None:
    """What keeps a server from running on this machine; None if it can.

    Raises: ServerFolderError if the kind's own check fails, which is a fault of that folder.
    """
    try:
        return entry.server.missing()
    except BenchError:
        raise
    except Exception as failure:
        raise ServerFolderError(
            f"its check for what is missing failed: {failure!r}", where=str(entry.folder / "server.py")
        ) from failure


def _cannot_take(scenario: Scenario, entry: ServerEntry) -> Missing | None:
    """Why a server cannot be asked what this scenario asks, as far as its files tell."""
    from bench.server import Missing

    tensors, form = scenario.sends_tensors, entry.server.model_form
    if tensors and (unable := entry.server.cannot_take(known_signature(scenario))):
        return Missing(unable, TENSORS_HINT)
    if scenario.model is None or form is None:
        return None
    reason = why_not(form, scenario.model_path, tensors=tensors)
    return Missing(f"the model cannot be turned into {form}: {reason}", FORMS_HINT) if reason else None


def make_plan(
    scenario: Scenario,
    *,
    servers: Sequence[str] = (),
    missing: Callable[[ServerEntry], Missing | None] = missing_here,
    budget: Budget | None = None,
) -> Plan:
    """The launches of every server that can run, interleaved over the repetitions, and what is left out.

    `servers` limits the plan to these names. A server that cannot run is a skip here, with a `budget` also one that
    is to get more cores than there are; whether that is an error because it was asked for by name is the run's
    business.
    Raises: UsageError for a name that the scenario does not have.
    """
    chosen = _chosen(scenario, servers)
    skips: list[Skip] = []
    runnable: list[ServerEntry] = []
    for entry in chosen:
        lack = missing(entry) or _cannot_take(scenario, entry)
        lack = lack or (_missing_cores(entry, budget) if budget is not None else None)
        if lack is None:
            runnable.append(entry)
        else:
            skips.append(Skip(entry.name, lack.reason, lack.fix))
    launches: list[Launch] = []
    tried = _tries(scenario, runnable)
    number = len(tried)
    for repetition in range(1, scenario.trials + 1):
        order = list(runnable)
        Random(f"{scenario.seed}/order/{repetition}").shuffle(order)
        for entry in order:
            trials = []
            for point in sorted(scenario.points, key=_needs_a_start):
                if not _left_out(entry, point):
                    number += 1
                    trials.append(_trial(scenario, entry, point, number, repetition))
            launches += _launches(entry.name, repetition, trials)
    for entry in runnable:
        for point in scenario.points:
            reason = _left_out(entry, point)
            if reason:
                number += 1
                skips.append(Skip(entry.name, reason, trial=_trial(scenario, entry, point, number, 1)))
    load, estimated, most = seconds_of(scenario, (*tried, *launches))
    return Plan(tuple(launches), tuple(skips), load, estimated, most, tried)


def _missing_cores(entry: ServerEntry, budget: Budget) -> Missing | None:
    from bench.server import Missing

    try:
        entry.server.cores_wanted(budget.server, budget.usable)
    except ArtifactError as failure:
        return Missing(failure.what, failure.hint)
    return None


def _launches(server: str, repetition: int, trials: Sequence[Trial]) -> list[Launch]:
    """One start for all trials but those that exchange the model: each of them needs a server of its own.

    The others would be measured at a server that looks for new versions, or that has one.
    """
    plain = tuple(trial for trial in trials if not _needs_a_start(trial.point))
    swaps = [(trial,) for trial in trials if _needs_a_start(trial.point)]
    return [Launch(server, repetition, part) for part in (plain, *swaps) if part]


def _needs_a_start(point: Profile) -> bool:
    return isinstance(point, Swap)


def _chosen(scenario: Scenario, names: Sequence[str]) -> tuple[ServerEntry, ...]:
    known = {entry.name: entry for entry in scenario.servers}
    for name in names:
        if name not in known:
            raise UsageError(f"the scenario has no server {name!r}", hint=did_you_mean(name, known, "servers"))
    asked = {known[name].tuned_from or name for name in names}  # a server and its tuned variant are measured together
    return tuple(entry for entry in scenario.servers if not names or (entry.tuned_from or entry.name) in asked)


def _left_out(entry: ServerEntry, point: Profile) -> str:
    """Why a server does not get a load point; empty if it does."""
    if entry.only and point.label not in entry.only:
        return f"{point.label}: the scenario gives this server only {', '.join(entry.only)}"
    if isinstance(point, Swap) and (reason := entry.server.cannot_swap()):
        return f"{point.label}: {reason}"
    return ""


def _trial(scenario: Scenario, entry: ServerEntry, point: Profile, number: int, repetition: int) -> Trial:
    return Trial(
        number=number,
        server=entry.name,
        repetition=repetition,
        point=point,
        warmup=scenario.warmup.duration,
        warmup_most=scenario.warmup.most,
        timeout=scenario.timeout,
        seed=schedule_seed(scenario.seed, point.label, repetition),
    )


def _tries(scenario: Scenario, runnable: Sequence[ServerEntry]) -> tuple[Launch, ...]:
    """One launch for each setting that is tried, the first of all that a run does."""
    trials = [
        Trial(
            number=number,
            server=each.server,
            repetition=0,
            point=each.load,
            warmup=each.warmup,
            timeout=scenario.timeout,
            seed=schedule_seed(scenario.seed, "tune", 0),
            tune_point=each.number,
        )
        for number, each in enumerate(tries(scenario, tuned_servers(scenario, runnable)), start=1)
    ]
    return tuple(Launch(trial.server, trial.repetition, (trial,)) for trial in trials)


def schedule_seed(seed: int, label: str, repetition: int) -> int:
    """Seed of a trial's schedule, 0 to 2**32 - 1; the server has no part in it, so all get the same schedule."""
    digest = hashlib.sha256(f"{seed}/{label}/{repetition}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
