"""Measuring a paired session: a run whose launches are the slots of pairs, one fresh start each.

What comes next is decided from what lies on disk: after a look, whether it goes on; after the first stage, which load
points are measured again, on fresh pairs and with the baseline in both slots between them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.compare.session import MOST_INSTEAD, NULL_PAIRS, Mode, confirm, instead, screen
from bench.compare.staged import Screening, screening
from bench.compare.values import pairs_of, read_starts, spoilt
from bench.load.drive import Generator, generator
from bench.paired.sides import Chosen, Sides
from bench.profiles import Profile
from bench.results import LOAD_LOG, Outcome, RunFolder, TrialRecord, load_run
from bench.results.pairing import Measured, Pairing, Side, Slot, Stage
from bench.running.materials import Materials, prepare
from bench.running.pipeline import Pipeline
from bench.running.progress import Progress
from bench.running.records import model_served
from bench.scenario.estimate import seconds_of
from bench.scenario.plan import Launch, Plan, Trial, schedule_seed
from bench.scenario.scenario import Scenario
from bench.scenario.servers import ServerEntry

MOST_FAILURES = 3
"""A side that failed so often is given up."""


@dataclass(frozen=True, slots=True)
class Session:
    """Everything that is decided before a session begins. `scenario` holds both sides under their labels."""

    scenario: Scenario
    sides: Sides
    mode: Mode
    gap: float
    confirms: bool
    points: tuple[Profile, ...]
    pairing: Pairing
    command: str

    @property
    def screen(self) -> tuple[tuple[Slot, ...], ...]:
        """The slots of the first stage, look by look."""
        return screen(self.mode, self.pairing.seed)

    @property
    def confirm(self) -> tuple[Slot, ...]:
        """The slots of the second stage."""
        return confirm(self.mode, self.pairing.seed)

    def seconds(self, slots: Sequence[Slot]) -> float:
        """About how long so many starts take, with the idle gap before each."""
        return len(slots) * self.seconds_each(self.points)

    def seconds_each(self, points: Sequence[Profile]) -> float:
        """About how long one start at these load points takes, with the idle gap before it."""
        each = 0.0
        for side in Side:
            launch = self.launch(Slot(Stage.SCREEN, 1, 1, side), 1, points)
            each += seconds_of(self.scenario, [launch])[1] / len(Side)
        return self.gap + each

    def launch(self, slot: Slot, first: int, points: Sequence[Profile]) -> Launch:
        """The start that a slot stands for, its trials numbered from `first` on."""
        server = self.server_in(slot)
        repetition = slot.pair if slot.stage is not Stage.NULL else 2 * slot.pair + slot.position
        return Launch(server, repetition, self._trials(server, repetition, slot.pair, first, points))

    def server_in(self, slot: Slot) -> str:
        """Label of what stands in a slot."""
        if slot.stage is Stage.NULL:
            return self.pairing.null_server
        return self.sides.of(slot.side).contender.label

    def _trials(
        self, server: str, repetition: int, pair: int, first: int, points: Sequence[Profile]
    ) -> tuple[Trial, ...]:
        return tuple(
            Trial(
                number=number,
                server=server,
                repetition=repetition,
                point=point,
                warmup=self.scenario.warmup.duration,
                warmup_most=self.scenario.warmup.most,
                timeout=self.scenario.timeout,
                seed=schedule_seed(self.pairing.seed, point.label, pair),
            )
            for number, point in enumerate(points, start=first)
        )


class SessionPipeline(Pipeline):
    """The pipeline of a run, with the slots of a session for launches."""

    def __init__(self, session: Session, folder: RunFolder, progress: Progress) -> None:
        self._session = session
        self._pairing = session.pairing
        slots = [slot for group in session.screen for slot in group]
        launches = tuple(
            session.launch(slot, 1 + place * len(session.points), session.points) for place, slot in enumerate(slots)
        )
        labels = (session.pairing.baseline.label, session.pairing.candidate.label)
        seconds = session.seconds(slots)
        super().__init__(
            session.scenario, Plan(launches, (), seconds, seconds, seconds), folder, progress, labels, None
        )
        self._next_number = 1
        self._failed: dict[str, str] = {}
        self._confirming = False
        self._next_pair = session.mode.pairs + session.mode.confirm_pairs + NULL_PAIRS + 1
        self._stood_in: dict[Stage, int] = {}
        self._candidate_materials: Materials | None = None
        self._kept = contextlib.ExitStack()
        self._generator: Generator | None = None
        null = session.pairing.null_server
        self._entries = list(session.scenario.servers)
        self._ledger.add(replace(self._ledger.servers[labels[0]], name=null))
        self._ledger.note(
            scenario=as_recorded(session.scenario, session.sides),
            command=session.command,
            fail_if=(),
            references=(),
            pairing=session.pairing,
        )

    @property
    def path(self) -> Path:
        """Where the session lies."""
        return self._folder.path

    def measure(self) -> None:
        """As a run does, but with one load generator for all starts: both sides get the same, and pairs take less."""
        try:
            super().measure()
        finally:
            self._kept.close()

    @contextlib.contextmanager
    def _load_processes(self, log: Path) -> Iterator[Generator]:
        del log  # the generator outlives the launch; every trial keeps its part of what it says
        if self._generator is None or not self._generator.alive():
            self._kept.close()
            words = self._folder.path / LOAD_LOG
            self._generator = self._kept.enter_context(generator(words, self._crew, self._budget.generator))
        yield self._generator

    def _in_order(self, launches: Sequence[Launch]) -> Iterator[Launch]:
        del launches  # those of the longest first stage; which of them come is decided on the way
        session = self._session
        seen: Screening | None = None
        for group in session.screen:
            yield from self._slots(group, session.points)
            yield from self._instead(Stage.SCREEN, session.points)
            if self._pairing.stopped:
                return
            seen = self._look()
            if seen.decided:
                break
        if seen is not None and seen.flagged and session.confirms:
            points = self._points_again(seen)
            words = ", ".join(str(key) for key in seen.flagged)
            self._progress.stage(f"{words} would fail: measured again on fresh pairs, with a null control")
            self._confirming = True
            self._expect(len(session.confirm), points)
            yield from self._slots(session.confirm, points)
            for stage in (Stage.CONFIRM, Stage.NULL):
                yield from self._instead(stage, points)
        self._pairing = replace(self._pairing, finished=not self._pairing.stopped)

    def _slots(self, slots: Sequence[Slot], points: Sequence[Profile]) -> Iterator[Launch]:
        for slot in slots:
            if self._next_number > 1:
                time.sleep(self._session.gap)
                self._not_ours += self._session.gap
            launch = self._session.launch(slot, self._next_number, points)
            self._next_number += len(points)
            yield launch
            self._note(slot, launch)
            if self._pairing.stopped:
                return

    def _instead(self, stage: Stage, points: Sequence[Profile]) -> Iterator[Launch]:
        """Fresh pairs for those that the rig spoilt, so that one late send does not cost a small session its verdict.

        Which ones that are, the checks of the load generator say; what a server did is never measured once more.
        """
        if self._pairing.stopped:
            return
        self._save()
        lost = spoilt(pairs_of(read_starts(load_run(self._folder.path)), stage))
        count = min(lost, MOST_INSTEAD) - self._stood_in.get(stage, 0)
        if count > 0:
            self._progress.stage(f"{count} more for pairs that this machine, not a server, spoilt")
            self._stood_in[stage] = self._stood_in.get(stage, 0) + count
            first, self._next_pair = self._next_pair, self._next_pair + count
            slots = instead(stage, first, count, self._pairing.seed)
            self._expect(max(0, self._total - len(self._pairing.measured)) + len(slots), points)
            yield from self._slots(slots, points)

    def _expect(self, launches: int, points: Sequence[Profile]) -> None:
        """Tell how many starts are left from here and how long they take about, where it is not what was planned."""
        self._total = len(self._pairing.measured) + launches
        self._progress.expect(launches * self._session.seconds_each(points))

    def _turn_of(self, launch: Launch) -> int:
        """Counted in the order of measuring: pairs are numbered ahead, those of the null control far ahead."""
        return 1 + sum(each.server == launch.server for each in self._pairing.measured)

    def _note(self, slot: Slot, launch: Launch) -> None:
        """Enter what was just measured; give the session up where a side does not work."""
        failure = next((self._failed[trial.id] for trial in launch.trials if trial.id in self._failed), "")
        numbers = tuple(trial.number for trial in launch.trials)
        measured = (*self._pairing.measured, Measured(slot, launch.server, numbers, failure))
        self._pairing = replace(self._pairing, measured=measured)
        if failure:
            failures = [each for each in measured if each.failure and each.server == launch.server]
            worked = any(not each.failure and each.server == launch.server for each in measured)
            first = next(iter(failure.splitlines()), "failed")
            if not worked:
                self._pairing = replace(self._pairing, stopped=f"{launch.server}: {first}")
            elif len(failures) >= MOST_FAILURES:
                self._pairing = replace(
                    self._pairing, stopped=f"{launch.server} failed {len(failures)} times, at last: {first}"
                )
        self._save()

    def _look(self) -> Screening:
        self._save()
        return screening(load_run(self._folder.path))

    def _points_again(self, seen: Screening) -> tuple[Profile, ...]:
        """The load points of what was flagged; all of them where it belongs to the whole start."""
        loads = {key.load for key in seen.flagged}
        return tuple(point for point in self._session.points if "" in loads or point.label in loads)

    def _record(self, record: TrialRecord) -> None:
        super()._record(record)
        if record.outcome is Outcome.FAILED and not record.look:
            self._failed[record.id] = record.reason
        else:
            self._failed.pop(record.id, None)

    def _launch(self, launch: Launch, entry: ServerEntry, materials: Materials, python: Path) -> None:
        own = materials
        if launch.server == self._pairing.candidate.label:
            own = self._materials_of_candidate(materials)
        super()._launch(launch, entry, own, python)

    def _materials_of_candidate(self, common: Materials) -> Materials:
        """Those of the baseline, unless the candidate serves another model."""
        chosen = self._session.sides.candidate
        if chosen.scenario.model_spec == self._session.sides.baseline.scenario.model_spec:
            return common
        if self._candidate_materials is None:
            entry = replace(chosen.entry, name=chosen.contender.label)
            with self._elsewhere():
                self._candidate_materials = prepare(chosen.scenario, [entry], self._progress.stage)
            self._ledger.know(entry.name, **model_served(entry, self._candidate_materials))
        return self._candidate_materials

    def _save(self) -> None:
        self._ledger.note(pairing=self._pairing)
        self._ledger.save(hidden=() if self._confirming else (self._pairing.null_server,))


def labelled(scenario: Scenario, sides: Sides, null: str, seed: int) -> Scenario:
    """The common scenario with the two sides, and the baseline once more as its own null control, for servers."""
    entries = [
        replace(chosen.entry, name=chosen.contender.label, tune=(), tuned_from="")
        for chosen in (sides.baseline, sides.candidate)
    ]
    servers = (*entries, replace(entries[0], name=null))
    return scenario.model_copy(
        update={
            "servers": servers,
            "fail_if": (),
            "references": (),
            "seed": seed,
            "model": sides.baseline.scenario.model,
        }
    )


def as_recorded(scenario: Scenario, sides: Sides) -> dict[str, Any]:
    """The resolved keys, the model under the path that a person gave it: where it was checked out is no part of it."""
    found = dict(scenario.resolved())
    if sides.baseline.model_from:
        found["model"] = {**found["model"], "path": sides.baseline.model_from}
    return found


def common_points(scenario: Scenario, one: Chosen, two: Chosen) -> tuple[Profile, ...]:
    """The load points that both sides get, in the order of the file."""
    return tuple(
        point
        for point in scenario.points
        if all(not chosen.entry.only or point.label in chosen.entry.only for chosen in (one, two))
    )
