"""One capacity search at one launch of a server: which trial comes next, and what a trial that was driven says.

What to look at is decided in `capacity.py` and what a look says is judged from its rows on disk; here looks become
trials. Every server is given the same draws at its n-th look, stretched to the rate of that look.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar

from bench.errors import AnswerError
from bench.measures.capacity import START_SHARE, Look, Search, next_rate
from bench.profiles import Capacity, Closed, Poisson, Profile, has_schedule
from bench.protocols import Request
from bench.results import Outcome, TrialRecord
from bench.scenario.estimate import PROBE_SECONDS
from bench.scenario.plan import Trial, schedule_seed
from bench.serving.launch import Running, ask

PROBE_USERS = 8
MOST_REQUESTS = 1_000_000
"""Of one look, and so the highest rate that is looked at."""
IDLE_FACTOR, IDLE_SLACK = 1.5, 0.005
"""A server is idle once one request takes less than half as long again as before any load, or 5 ms more."""
_ASKED = 3
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class LookLoad(Poisson):
    """The load of one look."""

    name: ClassVar[str] = "capacity"

    @property
    def label(self) -> str:
        """That of the search: its looks are one load point."""
        return "capacity"


@dataclass(frozen=True, kw_only=True)
class Probe(Closed):
    """A short closed loop that tells where a search begins, where no closed loop was measured before it."""

    name: ClassVar[str] = "capacity"

    @property
    def label(self) -> str:
        """That of the search."""
        return "capacity"


class CapacitySearch:
    """A search while it goes on; it outlives a server that dies at too high a rate and is started again."""

    def __init__(self, trial: Trial, *, seed: int, needed: int, throughput: float | None) -> None:
        """`needed` requests make a look, `throughput` (1/s) is the most that a closed loop got, if there was one."""
        assert isinstance(trial.point, Capacity)
        self._trial = trial
        self._point = trial.point
        self._seed = seed
        self._needed = needed
        self._throughput = throughput
        self._probed = False
        self.looks: list[Look] = []

    def next_trial(self) -> Trial | None:
        """What is driven next, None once the search is over."""
        if self._probe_first():
            seconds = min(PROBE_SECONDS, self._point.duration)
            return self._driven(Probe(users=PROBE_USERS, duration=seconds), "00-probe", "probe")
        rate = next_rate(self._search(), self.looks)
        if rate is None:
            return None
        number = len(self.looks) + 1
        trial = self._driven(
            LookLoad(arrival_rate=rate, duration=self._point.duration), f"{number:02d}-{rate:g}", f"look-{number}"
        )
        return replace(trial, point=replace(trial.point, duration=self._look_seconds(trial, rate)))  # type: ignore[type-var]  # every profile is a dataclass

    def saw(self, record: TrialRecord, judge: Callable[[TrialRecord], Look]) -> Look | None:
        """Take note of a trial that was driven; the look, None for the probe."""
        if record.look == 0:
            self._probed = True
            self._throughput = served_rate(record)
            return None
        look = judge(record)
        self.looks.append(look)
        return look

    def _probe_first(self) -> bool:
        bounded = self._point.from_rate is not None and self._point.to_rate is not None
        return self._throughput is None and not self._probed and not bounded

    def _search(self) -> Search:
        point = self._point
        # The lowest rate at which enough requests come in the longest look, whatever the draws.
        least = (self._needed + 3 * math.sqrt(self._needed)) / (point.longest * point.duration)
        low = max(least, point.from_rate or 0.0)
        high = min(MOST_REQUESTS / point.duration, point.to_rate or math.inf)
        if self._throughput:
            start = START_SHARE * self._throughput
        else:
            start = math.sqrt(low * high) if point.to_rate is not None else low
        return Search(start, low, high, point.precision, point.most_looks)

    def _driven(self, load: Profile, look: str, draws: str) -> Trial:
        """A trial of this search; only the first meets a server that may still be cold."""
        trial = self._trial
        return replace(
            trial,
            point=load,
            look=look,
            seed=schedule_seed(self._seed, f"{trial.point.label}/{draws}", trial.repetition),
            warmup_most=trial.warmup_most if not self.looks and not self._probed else trial.warmup,
        )

    def _look_seconds(self, trial: Trial, rate: float) -> float:
        """So long that enough requests fall into the window: its usual length or, at a low rate, longer."""
        longest = Poisson(arrival_rate=rate, duration=self._point.longest * self._point.duration)
        lengths = [
            self._until_enough(longest, warmup, trial.seed)
            for warmup in {trial.warmup, max(trial.warmup, trial.warmup_most)}
        ]
        return min(max(self._point.duration, *lengths), longest.duration)

    def _until_enough(self, longest: Poisson, warmup: float, seed: int) -> float:
        times = (at - warmup for at in longest.send_times(warmup, Random(seed)) if at >= warmup)
        last = next(itertools.islice(times, self._needed - 1, None), math.inf)
        return last + 1e-3


def served_rate(record: TrialRecord) -> float | None:
    """Good replies per second of a closed-loop trial, roughly; None where it has none."""
    if record.outcome is not Outcome.OK or record.window is None or not record.users:
        return None
    return record.counts.get("ok", 0) / record.window[1] or None


def unloaded_seconds(running: Running, request: Request) -> float:
    """What one request takes while there is no load: the median of a few."""
    return sorted(_asked(running, request) for _ in range(_ASKED))[_ASKED // 2]


def wait_idle(running: Running, request: Request, unloaded: float, most: float) -> bool:
    """Return once the server has worked off what an overload left behind: whether it did within `most` seconds."""
    deadline = time.monotonic() + most
    limit = max(IDLE_FACTOR * unloaded, unloaded + IDLE_SLACK)
    for _ in _until(deadline):
        if not running.process.alive():
            return False
        if max(_asked(running, request), _asked(running, request)) <= limit:
            return True
    return False


def _until(deadline: float) -> Iterator[None]:
    while time.monotonic() < deadline:
        yield
        time.sleep(_PAUSE_SECONDS)


def _asked(running: Running, request: Request) -> float:
    """Seconds until one request is answered, infinity if it is not."""
    began_at = time.monotonic()
    with contextlib.suppress(OSError, http.client.HTTPException, AnswerError):
        ask(running.wire, running.host, running.port, request)
        return time.monotonic() - began_at
    return math.inf


def is_search(trial: Trial) -> bool:
    """Whether a planned trial stands for many."""
    return isinstance(trial.point, Capacity) and not has_schedule(trial.point)
