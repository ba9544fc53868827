"""What a run does with one server at a time: start it, drive its trials, start it again if it died, look for capacity.

Which server comes when, and with what setting, is the pipeline's to say.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import ArtifactError, LaunchError, LoadError
from bench.load.crew import ALONE, Crew, Remote
from bench.load.drive import Generator, generator
from bench.load.split import most_in_flight
from bench.measures.capacity import Look, Result, look_text
from bench.measures.stats import values_needed
from bench.profiles import Swap
from bench.results import (
    LOAD_LOG,
    SERVER_LOG,
    Outcome,
    Run,
    RunFolder,
    TrialRecord,
)
from bench.running.ledger import Ledger
from bench.running.materials import Materials
from bench.running.progress import Progress
from bench.running.records import (
    measures,
)
from bench.running.search import CapacitySearch, is_search, served_rate, unloaded_seconds, wait_idle
from bench.running.trial import Subject, blank_record, run_trial
from bench.scenario.budget import budget_before_load
from bench.scenario.estimate import IDLE_TIMEOUTS
from bench.scenario.plan import Launch, Trial
from bench.serving.launch import HOST, Running, running
from bench.serving.learned import ONLY_STEADY, first_answers
from bench.summary import look_of
from bench.telemetry import memory_now

if TYPE_CHECKING:
    from bench.measures.answers import Expectation
    from bench.protocols import Request
    from bench.scenario.scenario import Scenario
    from bench.scenario.servers import ServerEntry

SEARCH_CUT = "the search was cut short"
CUT_SHORT = "interrupted: the run ended before anything of it was measured to its end"


class Launches:
    """The launches of a run: the budget and the load that they share, and what became of each trial."""

    def __init__(
        self, scenario: Scenario, folder: RunFolder, progress: Progress, ledger: Ledger, remote: Remote | None
    ) -> None:
        self._scenario = scenario
        self._folder = folder
        self._progress = progress
        self._ledger = ledger
        self._remote = remote
        self._crew = ALONE if remote is None else Crew(scenario.workers or 0, remote)
        self._budget = budget_before_load(scenario, remote=remote is not None)
        self._load: Generator | None = None
        """The load processes of the whole run, where some are on other machines."""
        self._not_ours = 0.0
        """Seconds of building, starting and loading: the rest is the harness's own."""
        self._searches: dict[str, CapacitySearch] = {}
        self._throughputs: dict[tuple[str, int], float] = {}
        """The most requests/s that a closed loop got from a server, by its name and repetition."""

    def _launch(self, launch: Launch, entry: ServerEntry, materials: Materials, python: Path) -> None:
        """All trials of one launch; a server that dies is started again for the trials that are left."""
        if self._ledger.servers[entry.name].outcome is Outcome.SKIPPED:
            self._ledger.know(entry.name, reason=CUT_SHORT)  # what is true should the run end now, however it does
            self._save()
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
                known = self._ledger.servers[entry.name].outcome
                untold = known is Outcome.SKIPPED or isinstance(failure, LaunchError | ArtifactError)
                if untold and known is not Outcome.OK:
                    self._ledger.know(entry.name, outcome=Outcome.FAILED, reason=str(failure))

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
            self._ledger.know(entry.name, version=entry.server.version(server.place), **measures(server))
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
        self._ledger.warn(f"{name}: {ONLY_STEADY}")
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
        run = Run(self._folder.path, self._ledger.manifest, (record,), ())
        return look_of(run, self._ledger.servers[record.server], record)

    def _drive(self, trial: Trial, subject: Subject, load: Generator) -> TrialRecord:
        seconds = trial.warmup + trial.point.duration
        self._progress.trial_started(trial, seconds)
        record = run_trial(trial, subject, load, self._folder, self._progress)
        self._not_ours += load.seconds
        self._record(record)
        if record.outcome is Outcome.OK:
            self._ledger.know(trial.server, outcome=Outcome.OK, reason="")
        elif not self._ledger.measured(trial.server):
            self._ledger.know(trial.server, outcome=Outcome.FAILED, reason=record.reason)
        return record

    def _record(self, record: TrialRecord) -> None:
        self._folder.save_trial(record)
        self._progress.trial_done(record)

    def _save(self) -> None:
        self._ledger.save()

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
