"""What a run does, launch after launch: prepare, start, drive, and write down what came of it.

Everything that was measured is on disk before the next thing begins, so that a crash, a signal or a full disk
costs at most the trial in progress.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cost.price_file import all_prices
from bench.errors import ArtifactError, BenchError, UsageError
from bench.load.calibration import as_mapping
from bench.load.crew import Remote
from bench.load.drive import generator
from bench.payload.photos import payload_digest
from bench.results import (
    LOAD_LOG,
    Outcome,
    RunFolder,
    TuningRecord,
    load_run,
)
from bench.running.calibrate import calibration_for_run
from bench.running.hardware import hardware_of_run
from bench.running.launches import Launches
from bench.running.ledger import Ledger
from bench.running.load_workers import asked_of, choose_crew, refuse_too_much
from bench.running.materials import Materials, interpreters, prepare
from bench.running.progress import Progress
from bench.running.records import (
    TUNED_HINT,
    model_served,
    new_manifest,
    now_text,
    server_record,
    without_their_cores,
    without_their_form,
)
from bench.running.trial import blank_record
from bench.scenario.budget import budget_of
from bench.scenario.plan import Launch, Plan, missing_here
from bench.scenario.tune import settings_text, tuning_records, with_setting
from bench.serving.affinity import kept_to
from bench.summary.figures import Slo
from bench.summary.tuned import best_of

if TYPE_CHECKING:
    from bench.load.calibration import Calibration
    from bench.scenario.scenario import Scenario
    from bench.scenario.servers import ServerEntry

NOT_REACHED = "not reached: the run ended before its turn"


class Pipeline(Launches):
    """One run while it is being made: what is built, tuned and launched, in which order."""

    def __init__(
        self,
        scenario: Scenario,
        plan: Plan,
        folder: RunFolder,
        progress: Progress,
        asked_for: Sequence[str],
        remote: Remote | None,
    ) -> None:
        self._plan = plan
        self._asked_for = asked_for
        self._began_at = time.monotonic()
        self._tuned: dict[str, ServerEntry] = {}
        """Tuned variants with the setting that was best."""
        planned = {launch.server for launch in plan.launches}
        self._entries = [entry for entry in scenario.servers if entry.name in planned]
        left_out = {skip.server: (skip.reason, skip.fix) for skip in plan.skips if skip.trial is None}
        chosen = [entry for entry in scenario.servers if entry.name in planned or entry.name in left_out]
        book = all_prices(scenario.price_file)
        servers = [server_record(it, book, *left_out.get(it.name, (NOT_REACHED, ""))) for it in chosen]
        manifest = new_manifest(scenario, folder, tuple(servers), asked_for, remote)
        super().__init__(scenario, folder, progress, Ledger(manifest, folder, progress), remote)
        self._tries = [self._tried_entry(launch) for launch in plan.tries]

    def measure(self) -> None:
        """Build what is needed, then launch after launch; every record is saved as it comes."""
        self._folder.save_scenario(self._scenario.text)
        self._save()
        with self._load_from_elsewhere():
            self._measure()

    @contextlib.contextmanager
    def _load_from_elsewhere(self) -> Iterator[None]:
        """Let workers of other machines join while everything is being prepared; they stay for the whole run."""
        if self._remote is None:
            yield
            return
        with generator(self._folder.path / LOAD_LOG, self._crew, self._budget.generator) as self._load:
            self._load.wait_started()
            yield

    def _measure(self) -> None:
        for skip in self._plan.skips:
            if skip.trial is not None:
                kind = self._scenario.server(skip.server).kind
                self._folder.save_trial(blank_record(skip.trial, kind, Outcome.SKIPPED, skip.reason))
        with self._elsewhere():
            materials = prepare(self._scenario, [*self._entries, *self._tries], self._progress.stage)
            pythons, failed = interpreters(self._entries, self._progress.stage)
        failed = {**failed, **without_their_form(self._entries, materials)}
        failed |= without_their_cores(self._entries, self._budget)
        for name, failure in failed.items():
            self._give_up(name, failure)
        self._ledger.note(
            forms=tuple(asdict(each) for each in materials.forms), payload_digest=payload_digest(materials.payloads)
        )
        for entry in self._entries:
            self._ledger.know(entry.name, **model_served(entry, materials))
        launches = [launch for launch in self._plan.launches if launch.server not in failed]
        calibration = self._calibrate() if self._remote is None else None  # else it would tell of the wrong machine
        self._choose_workers(calibration, launches, materials, pythons)
        self._know_hardware(materials)
        if self._load is not None and self._remote is not None:
            self._progress.stage(f"waiting for load workers: bench worker --connect {self._remote.listen}")
            with self._elsewhere():
                self._load.wait_ready()
        self._ledger.note(budget=self._budget.as_mapping())
        with kept_to(() if self._budget.shared else self._budget.generator):
            self._tune(materials, pythons, failed)
            launches = [launch for launch in launches if self._has_setting(launch.server)]
            self._total = len(launches)
            for index, launch in enumerate(self._in_order(launches), start=1):
                self._progress.launch_started(launch.server, self._turn_of(launch), index, max(index, self._total))
                self._launch(launch, self._entry(launch.server), materials, pythons[launch.server])
                self._save()

    def _turn_of(self, launch: Launch) -> int:
        """Which start of its server a launch is, counted from 1, as a person is told."""
        return launch.repetition

    def _in_order(self, launches: Sequence[Launch]) -> Iterator[Launch]:
        """The launches one after the other; the next is asked for when everything of the one before is on disk."""
        yield from launches

    def _tried_entry(self, launch: Launch) -> ServerEntry:
        """The server of a launch with the setting that it tries."""
        entry = self._scenario.server(launch.server)
        return with_setting(entry, entry, launch.trials[0].tune_point)

    def _tune(self, materials: Materials, pythons: Mapping[str, Path], failed: Container[str]) -> None:
        """Try every setting of the tuned servers, then give the variant of each the best one."""
        base = [entry for entry in self._entries if entry.tune and entry.name not in failed]
        self._ledger.note(tuning=tuning_records(self._scenario, base, self._plan.tries))
        launches = [it for it in zip(self._plan.tries, self._tries, strict=True) if it[0].server not in failed]
        for index, (launch, entry) in enumerate(launches, start=1):
            (trial,) = launch.trials
            setting = settings_text(self._scenario.server(entry.name).tune[trial.tune_point - 1].values)
            self._progress.stage(f"tuning {entry.name} ({index} of {len(launches)}): {setting}")
            lack = missing_here(entry)
            with self._ledger.apart():  # what becomes of one setting is no fact of the server
                if lack is None:
                    self._launch(launch, entry, materials, pythons[entry.name])
                else:
                    self._record(blank_record(trial, entry.kind, Outcome.SKIPPED, lack.reason))
            self._save()
        for record in self._ledger.manifest.tuning:
            self._settle(record)

    def _settle(self, record: TuningRecord) -> None:
        """Give the tuned variant its setting, or say why it is not measured."""
        manifest = self._ledger.manifest
        number = best_of(load_run(self._folder.path), record, Slo.of(manifest.slo))
        self._ledger.note(tuning=tuple(replace(it, chosen=number) if it is record else it for it in manifest.tuning))
        count = len(record.tried)
        if number is None:
            reason = f"none of the {count} settings that were tried could be measured"
            self._ledger.know(record.tuned, outcome=Outcome.FAILED, reason=reason)
        elif record.tried[number - 1].default:
            reason = f"of {count} settings that were tried none was clearly better than that of {record.server}"
            self._ledger.know(record.tuned, reason=reason)
        else:
            base = self._scenario.server(record.server)
            entry = with_setting(self._scenario.server(record.tuned), base, number)
            self._tuned[record.tuned] = entry
            self._ledger.know(record.tuned, options=entry.options)
        self._save()

    def _has_setting(self, name: str) -> bool:
        """Whether it is known with which keys a server runs; of a tuned variant only once it was tuned."""
        return name in self._tuned or not self._scenario.server(name).tuned_from

    def _entry(self, name: str) -> ServerEntry:
        """The server as it is measured.   Raises: UsageError for a variant that was not tuned."""
        if not self._has_setting(name):
            raise UsageError(f"{name!r} has no settings yet: only `bench run` tunes it", hint=TUNED_HINT)
        return self._tuned.get(name) or self._scenario.server(name)

    def _know_hardware(self, materials: Materials) -> None:
        """What the servers' use of this machine will be compared with."""
        with self._elsewhere():
            hardware = hardware_of_run(materials.model, self._budget.server, self._progress.stage)
        self._ledger.note(hardware=hardware)

    def _calibrate(self) -> Calibration | None:
        """What the load generator can do here; a run goes on without it."""
        try:
            with self._elsewhere():
                calibration = calibration_for_run(self._progress.stage)
        except (BenchError, OSError) as failure:
            self._ledger.warn(f"the load generator could not be calibrated: {failure}")
            return None
        self._ledger.note(calibration=as_mapping(calibration))
        self._save()
        return calibration

    def _choose_workers(
        self,
        calibration: Calibration | None,
        launches: Sequence[Launch],
        materials: Materials,
        pythons: Mapping[str, Path],
    ) -> None:
        """How many load workers, the same for every server.   Raises: ScenarioError if they cannot send what is asked.

        Nothing is known of what workers on other machines can send, so nothing is refused if there are some.
        """
        if self._remote is not None:
            return
        asked = [
            asked_of(
                self._scenario.server(launch.server).server,
                [trial.point for trial in launch.trials],
                materials,
                pythons[launch.server],
                self._folder.path,
                self._budget.count,
            )
            for launch in launches
        ]
        self._crew, doubt = choose_crew(self._scenario, asked, calibration)
        self._budget = budget_of(self._scenario, workers=self._crew.local)
        if doubt:
            self._ledger.warn(doubt)
        if calibration is not None:
            workers = min(self._crew.local, len(self._budget.generator))
            refuse_too_much(self._scenario, asked, calibration, workers)

    def carry_out(self) -> bool:
        """Measure, and write how it ended whatever happened: whether a person or a signal cut it short."""
        interrupted = False
        try:
            self.measure()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            self.close(interrupted)
            self._progress.finished()
        return interrupted

    def close(self, interrupted: bool) -> None:
        """Write how the run ended."""
        wall = time.monotonic() - self._began_at
        self._ledger.note(
            finished_at="" if interrupted else now_text(),
            interrupted=interrupted,
            wall_seconds=wall,
            overhead_seconds=max(0.0, wall - self._not_ours),
        )
        self._save()

    def _give_up(self, name: str, failure: ArtifactError) -> None:
        """A server that cannot get what it needs here is skipped; an error only if it was asked for by name."""
        if name in self._asked_for:
            raise failure
        self._ledger.know(name, outcome=Outcome.SKIPPED, reason=failure.what, fix=failure.hint)
        self._ledger.warn("; ".join([f"{name} is skipped: {failure.what}", *failure.hint.splitlines()]))
