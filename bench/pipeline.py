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

from bench.affinity import kept_to
from bench.budget import budget_before_load, budget_of, generator_room, read_processor
from bench.calibrate import calibration_for_run
from bench.calibration import as_mapping, check_targets
from bench.capacity import Look, Result, look_text
from bench.errors import ArtifactError, BenchError, LaunchError, LoadError, ScenarioError, UsageError
from bench.estimate import IDLE_TIMEOUTS
from bench.hardware import hardware_of_run
from bench.launch import HOST, Running, running
from bench.learned import ONLY_STEADY, first_answers
from bench.load.crew import ALONE, Crew, Remote, crew_for
from bench.load.drive import Generator, generator
from bench.load.split import most_in_flight
from bench.materials import Materials, interpreters, prepare
from bench.payload import payload_digest
from bench.plan import Launch, Plan, Trial, missing_here
from bench.price_file import all_prices
from bench.profiles import Swap
from bench.progress import Progress
from bench.records import (
    TUNED_HINT,
    measures,
    model_bytes,
    new_manifest,
    now_text,
    server_record,
    without_their_cores,
    without_their_form,
)
from bench.results import (
    LOAD_LOG,
    SERVER_LOG,
    Outcome,
    Run,
    RunFolder,
    TrialRecord,
    TuningRecord,
    load_run,
)
from bench.search import CapacitySearch, is_search, served_rate, unloaded_seconds, wait_idle
from bench.server import Place
from bench.stats import values_needed
from bench.summary import look_of
from bench.summary.figures import Slo
from bench.summary.tuned import best_of
from bench.telemetry import memory_now
from bench.trial import Subject, blank_record, run_trial
from bench.tune import settings_text, tuning_records, with_setting

if TYPE_CHECKING:
    from bench.answers import Expectation
    from bench.calibration import Calibration, Transport
    from bench.profiles import Profile
    from bench.protocols import Request
    from bench.scenario import Scenario
    from bench.scenario_servers import ServerEntry

SEARCH_CUT = "the search was cut short"
NOT_REACHED = "not reached: the run ended before its turn"


class Pipeline:
    """One run while it is being made: what is known of each server so far, and the time that was not ours."""

    def __init__(
        self,
        scenario: Scenario,
        plan: Plan,
        folder: RunFolder,
        progress: Progress,
        asked_for: Sequence[str],
        remote: Remote | None,
    ) -> None:
        self._scenario = scenario
        self._plan = plan
        self._folder = folder
        self._progress = progress
        self._asked_for = asked_for
        self._remote = remote
        self._crew = ALONE if remote is None else Crew(scenario.workers or 0, remote)
        self._load: Generator | None = None
        self._began_at = time.monotonic()
        self._not_ours = 0.0
        self._warnings: list[str] = []
        self._searches: dict[str, CapacitySearch] = {}
        self._tuned: dict[str, ServerEntry] = {}
        """Tuned variants with the setting that was best."""
        self._tries = [self._tried_entry(launch) for launch in plan.tries]
        self._budget = budget_before_load(scenario, remote=remote is not None)
        self._throughputs: dict[tuple[str, int], float] = {}
        """The most requests/s that a closed loop got from a server, by its name and repetition."""
        planned = {launch.server for launch in plan.launches}
        self._entries = [entry for entry in scenario.servers if entry.name in planned]
        left_out = {skip.server: (skip.reason, skip.fix) for skip in plan.skips if skip.trial is None}
        chosen = [entry for entry in scenario.servers if entry.name in planned or entry.name in left_out]
        book = all_prices(scenario.price_file)
        self._servers = {
            entry.name: server_record(entry, book, *left_out.get(entry.name, (NOT_REACHED, ""))) for entry in chosen
        }
        self._manifest = new_manifest(scenario, folder, tuple(self._servers.values()), asked_for, remote)

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
        self._manifest = replace(
            self._manifest,
            forms=tuple(asdict(each) for each in materials.forms),
            payload_digest=payload_digest(materials.payloads),
        )
        for entry in self._entries:
            self._know(entry.name, model_bytes=model_bytes(entry, materials))
        launches = [launch for launch in self._plan.launches if launch.server not in failed]
        calibration = self._calibrate() if self._remote is None else None  # else it would tell of the wrong machine
        self._choose_workers(calibration, launches, materials, pythons)
        self._know_hardware(materials)
        if self._load is not None and self._remote is not None:
            self._progress.stage(f"waiting for load workers: bench worker --connect {self._remote.listen}")
            with self._elsewhere():
                self._load.wait_ready()
        self._manifest = replace(self._manifest, budget=self._budget.as_mapping())
        with kept_to(() if self._budget.shared else self._budget.generator):
            self._tune(materials, pythons, failed)
            launches = [launch for launch in launches if self._has_setting(launch.server)]
            for index, launch in enumerate(self._in_order(launches), start=1):
                self._progress.launch_started(launch.server, launch.repetition, index, max(index, len(launches)))
                self._launch(launch, self._entry(launch.server), materials, pythons[launch.server])
                self._save()

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
        self._manifest = replace(self._manifest, tuning=tuning_records(self._scenario, base, self._plan.tries))
        launches = [it for it in zip(self._plan.tries, self._tries, strict=True) if it[0].server not in failed]
        for index, (launch, entry) in enumerate(launches, start=1):
            (trial,) = launch.trials
            setting = settings_text(self._scenario.server(entry.name).tune[trial.tune_point - 1].values)
            self._progress.stage(f"tuning {entry.name} ({index} of {len(launches)}): {setting}")
            known = dict(self._servers)  # what becomes of one setting is no fact of the server
            lack = missing_here(entry)
            if lack is None:
                self._launch(launch, entry, materials, pythons[entry.name])
            else:
                self._record(blank_record(trial, entry.kind, Outcome.SKIPPED, lack.reason))
            self._servers = known
            self._save()
        for record in self._manifest.tuning:
            self._settle(record)

    def _settle(self, record: TuningRecord) -> None:
        """Give the tuned variant its setting, or say why it is not measured."""
        number = best_of(load_run(self._folder.path), record, Slo.of(self._manifest.slo))
        records = (replace(it, chosen=number) if it is record else it for it in self._manifest.tuning)
        self._manifest = replace(self._manifest, tuning=tuple(records))
        count = len(record.tried)
        if number is None:
            reason = f"none of the {count} settings that were tried could be measured"
            self._know(record.tuned, outcome=Outcome.FAILED, reason=reason)
        elif record.tried[number - 1].default:
            reason = f"of {count} settings that were tried none was clearly better than that of {record.server}"
            self._know(record.tuned, reason=reason)
        else:
            base = self._scenario.server(record.server)
            entry = with_setting(self._scenario.server(record.tuned), base, number)
            self._tuned[record.tuned] = entry
            self._know(record.tuned, options=entry.options)
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
        self._manifest = replace(self._manifest, hardware=hardware)

    def _calibrate(self) -> Calibration | None:
        """What the load generator can do here; a run goes on without it."""
        try:
            with self._elsewhere():
                calibration = calibration_for_run(self._progress.stage)
        except (BenchError, OSError) as failure:
            self._warn(f"the load generator could not be calibrated: {failure}")
            return None
        self._manifest = replace(self._manifest, calibration=as_mapping(calibration))
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
        asked = [self._asked(launch, materials, pythons[launch.server]) for launch in launches]
        points = [trial.point for launch in launches for trial in launch.trials]
        ceiling = min((calibration.limit(*it[1:]) for it in asked), default=None) if calibration else None
        room = generator_room(read_processor(), self._scenario.cores)
        self._crew, doubt = crew_for(self._scenario.workers, points, cores=room + 1, ceiling=ceiling)
        self._budget = budget_of(self._scenario, workers=self._crew.local)
        if calibration is None:
            if doubt:
                self._warn(doubt)
            return
        workers = min(self._crew.local, len(self._budget.generator))
        problems: dict[str, None] = {}
        for launched, transport, size in asked:
            found = check_targets(launched, calibration, workers, transport=transport, request_bytes=size)
            problems |= dict.fromkeys(found)
        if problems:
            hint = (
                "lower the rate, or send from other machines (--listen and `bench worker`)\n"
                "`bench calibrate` on the quiet machine tells whether the ceiling is higher than that"
            )
            raise ScenarioError("; ".join(problems), where=str(self._scenario.path), hint=hint)

    def _asked(self, launch: Launch, materials: Materials, python: Path) -> tuple[list[Profile], Transport, int]:
        """The load points of a launch, and how its largest request is sent."""
        server = self._scenario.server(launch.server).server
        ports = tuple(range(1, server.port_count + 1))  # requests are only looked at here, not sent
        place = Place(HOST, ports, materials.model, self._folder.path, python, self._budget.count)
        wire = server.wire(place)
        size = len(wire.request(max(materials.payloads, key=len)).body)
        return [trial.point for trial in launch.trials], wire.transport, size

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
        self._manifest = replace(
            self._manifest,
            finished_at="" if interrupted else now_text(),
            interrupted=interrupted,
            wall_seconds=wall,
            overhead_seconds=max(0.0, wall - self._not_ours),
        )
        self._save()

    def _launch(self, launch: Launch, entry: ServerEntry, materials: Materials, python: Path) -> None:
        """All trials of one launch; a server that dies is started again for the trials that are left."""
        pending = list(launch.trials)
        while pending:
            first = pending[0]
            try:
                self._start(pending, entry, materials, python)
            except (LaunchError, LoadError, ArtifactError) as failure:
                # Nothing was driven since the start: the same would happen to the rest. Else only that trial failed.
                lost = pending if pending[0] is first else pending[:1]
                for trial in list(lost):
                    self._record(blank_record(trial, entry.kind, Outcome.FAILED, str(failure)))
                    pending.remove(trial)
                if isinstance(failure, LaunchError | ArtifactError) and not self._servers_measured(entry.name):
                    self._know(entry.name, outcome=Outcome.FAILED, reason=str(failure))

    def _start(self, pending: list[Trial], entry: ServerEntry, materials: Materials, python: Path) -> None:
        """One start of the server; takes the trials that it drives from `pending`."""
        folder = self._folder.trial(pending[0].id)
        right = materials.right_answers(entry)
        started_at = time.monotonic()
        with (
            self._load_processes(folder / LOAD_LOG) as load,
            running(
                entry.server,
                model=materials.model,
                python=python,
                cores=self._budget.count,
                cpuset=entry.server.cores_wanted(self._budget.server, self._budget.usable),
                photos=materials.payloads,
                log=folder / SERVER_LOG,
                host=HOST if self._remote is None else self._remote.listen.host,
                in_flight=_in_flight(pending),
                start_timeout=entry.start_timeout,
                swaps=any(isinstance(trial.point, Swap) for trial in pending),
            ) as server,
        ):
            self._not_ours += time.monotonic() - started_at
            self._know(entry.name, version=entry.server.version(server.place), **measures(server))
            encoding_at = time.monotonic()
            requests = tuple(server.wire.request(payload) for payload in materials.payloads)
            encode_seconds = (time.monotonic() - encoding_at) / len(requests)
            if right is None:
                right = self._learned(entry.name, server, requests)
            held = {} if entry.server.standing else memory_now(server.process.tree)
            subject = Subject(entry.kind, server, requests, right, encode_seconds, held)
            load.wait_ready()
            while pending and server.process.alive() and load.alive():
                trial = pending[0]
                if not is_search(trial):
                    self._throughputs[trial.server, trial.repetition] = max(
                        served_rate(self._drive(trial, subject, load)) or 0.0,
                        self._throughputs.get((trial.server, trial.repetition), 0.0),
                    )
                elif not self._search(trial, subject, load):
                    continue  # with the same trial, once the server is back
                pending.pop(0)

    def _learned(self, name: str, server: Running, requests: Sequence[Request]) -> Expectation:
        """What a server has to go on answering, for want of a model; everybody is told.   Raises: LaunchError."""
        right = first_answers(server, requests)
        said = f"{name}: {ONLY_STEADY}"
        if said not in self._warnings:
            self._warn(said)
        return right

    def _load_processes(self, log: Path) -> contextlib.AbstractContextManager[Generator]:
        """Those of this launch, or of the whole run if some are on other machines."""
        if self._load is not None:
            return contextlib.nullcontext(self._load)
        return generator(log, self._crew, self._budget.generator)

    def _search(self, trial: Trial, subject: Subject, load: Generator) -> bool:
        """Drive the looks of a capacity search, or those that are left after a restart: whether it is over."""
        blank = blank_record(trial, subject.kind, Outcome.SKIPPED, SEARCH_CUT)
        self._folder.save_trial(blank)
        search = self._searches.setdefault(trial.id, self._new_search(trial))
        with self._elsewhere():
            unloaded = unloaded_seconds(subject.running, subject.requests[0])
        while (following := search.next_trial()) is not None:
            if not (subject.running.process.alive() and load.alive()):
                return False
            look = search.saw(self._drive(following, subject, load), self._judge)
            if look is not None:
                self._progress.stage(f"{trial.server} {trial.point.label}: {look_text(look)}")
            if look is None or look.result is not Result.MET:
                with self._elsewhere():
                    wait_idle(subject.running, subject.requests[0], unloaded, IDLE_TIMEOUTS * trial.timeout)
        self._folder.save_trial(replace(blank, outcome=Outcome.OK, reason=""))
        return True

    def _new_search(self, trial: Trial) -> CapacitySearch:
        needed = values_needed(self._scenario.slo.percentile / 100)
        throughput = self._throughputs.get((trial.server, trial.repetition)) or None
        return CapacitySearch(trial, seed=self._scenario.seed, needed=needed, throughput=throughput)

    def _judge(self, record: TrialRecord) -> Look:
        """What a look says, from what lies on disk of it: as any later report will read it."""
        run = Run(self._folder.path, self._manifest, (record,), ())
        return look_of(run, self._servers[record.server], record)

    def _drive(self, trial: Trial, subject: Subject, load: Generator) -> TrialRecord:
        seconds = trial.warmup + trial.point.duration
        self._progress.trial_started(trial, seconds)
        record = run_trial(trial, subject, load, self._folder, self._progress)
        self._not_ours += load.seconds
        self._record(record)
        if record.outcome is Outcome.OK:
            self._know(trial.server, outcome=Outcome.OK, reason="")
        elif not self._servers_measured(trial.server):
            self._know(trial.server, outcome=Outcome.FAILED, reason=record.reason)
        return record

    def _record(self, record: TrialRecord) -> None:
        self._folder.save_trial(record)
        self._progress.trial_done(record)

    def _servers_measured(self, name: str) -> bool:
        return self._servers[name].outcome is Outcome.OK

    def _give_up(self, name: str, failure: ArtifactError) -> None:
        """A server that cannot get what it needs here is skipped; an error only if it was asked for by name."""
        if name in self._asked_for:
            raise failure
        self._know(name, outcome=Outcome.SKIPPED, reason=failure.what, fix=failure.hint)
        self._warn("; ".join([f"{name} is skipped: {failure.what}", *failure.hint.splitlines()]))

    def _know(self, name: str, **facts: object) -> None:
        self._servers[name] = replace(self._servers[name], **facts)  # type: ignore[arg-type]

    def _warn(self, text: str) -> None:
        self._warnings.append(text)
        self._progress.warning(text)

    def _save(self) -> None:
        self._manifest = replace(self._manifest, servers=tuple(self._servers.values()), warnings=tuple(self._warnings))
        self._folder.save_manifest(self._manifest)

    @contextlib.contextmanager
    def _elsewhere(self) -> Iterator[None]:
        """Time that is not the harness's own: building, starting, loading."""
        began_at = time.monotonic()
        try:
            yield
        finally:
            self._not_ours += time.monotonic() - began_at


def _in_flight(trials: Sequence[Trial]) -> int:
    """The most requests that will be under way at once; 0 where a search is going to find that out."""
    if any(is_search(trial) for trial in trials):
        return 0
    return max(most_in_flight(trial.point, trial.timeout) for trial in trials)
