"""About how long a plan takes, and how long at most; guesses for people, nothing waits for them.

The guesses are of EfficientNet-B5 and B0 on two cores. Knows servers only by whether they run a model; starts nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.profiles import Capacity, Closed

if TYPE_CHECKING:  # a plan has its estimate
    from bench.scenario.plan import Launch, Trial
    from bench.scenario.scenario import Scenario
    from bench.scenario.servers import ServerEntry

PROBE_SECONDS = 5.0
"""A probe before a search is at most that long, and no longer than a look."""
IDLE_TIMEOUTS = 2
"""So many time-outs an overloaded server gets to work off what is left before it is looked at again."""
_MODEL_START_SECONDS = 11.0
_PLAIN_START_SECONDS = 1.5
_TRIAL_SECONDS = 1.5
"""Until the last reply is there and the rows are written."""
_SETTLE_SECONDS = 1.0
"""More of that after a look: until the server has worked off what an overload left."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What is guessed of one server before it is started; `plain` ones answer without computing, and soon.

    `start` is in seconds; `percentile` is that of the SLO: it says how many requests make a look of a search.
    """

    plain: bool
    start: float
    percentile: float

    def load(self, trial: Trial) -> float:
        """Seconds of warm-up and window as they usually get."""
        if isinstance(trial.point, Capacity):
            looks = trial.point.most_looks
            return looks * self._look(trial.point) + self._warmup(trial) + (looks - 1) * trial.warmup
        return self._warmup(trial) + trial.point.duration

    def most(self, trial: Trial) -> float:
        """The same where latency is late to be steady, each look as long as it may get and the server then not idle."""
        longest = max(trial.warmup, trial.warmup_most)
        if isinstance(trial.point, Capacity):
            looks = trial.point.most_looks
            waits = looks * IDLE_TIMEOUTS * trial.timeout
            return longest + (looks - 1) * trial.warmup + trial.point.most_seconds + waits
        return longest + trial.point.duration

    def overhead(self, launch: Launch) -> float:
        """Seconds of one launch that are no load point's: its start, what follows each load, a search's probe."""
        searches = [trial for trial in launch.trials if isinstance(trial.point, Capacity)]
        looks = sum(trial.point.most_looks for trial in searches if isinstance(trial.point, Capacity))
        after_all = _TRIAL_SECONDS * (looks + len(launch.trials) - len(searches))
        after_looks = 0.0 if self.plain else _SETTLE_SECONDS * looks
        return self.start + after_all + after_looks + sum(_probe(trial, launch) for trial in searches)

    def _warmup(self, trial: Trial) -> float:
        """The first at a server that computes: latency takes a while to be steady, so half-way to the longest."""
        return trial.warmup if self.plain else (trial.warmup + max(trial.warmup, trial.warmup_most)) / 2

    def _look(self, point: Capacity) -> float:
        """The window of one look.

        It has to last until enough requests came, and their rate is what the search is to find: as likely twice as
        long as half as long as the geometric middle of the shortest and the longest. Searches with B5 took 1.9 times
        `duration` for a look and searches with B0 2.2 times, where the middle is 2.4.
        """
        longest = point.longest * point.duration
        shortest = min(longest, self._until_enough(point, point.to_rate or math.inf))
        if point.from_rate is not None:
            longest = min(longest, self._until_enough(point, point.from_rate))
        return shortest if self.plain else math.sqrt(shortest * longest)

    def _until_enough(self, point: Capacity, rate: float) -> float:
        """Seconds of a look at that rate, were it as long as it needs to be."""
        if math.isinf(rate):
            return point.duration
        from bench.measures.stats import values_needed  # numpy would be all that a check has to wait for

        return max(point.duration, values_needed(self.percentile / 100) / rate)


def _probe(search: Trial, launch: Launch) -> float:
    """Seconds of the closed loop that tells where a search begins; none where that is known otherwise."""
    point = search.point
    bounded = isinstance(point, Capacity) and point.from_rate is not None and point.to_rate is not None
    measured = any(isinstance(trial.point, Closed) for trial in launch.trials[: launch.trials.index(search)])
    if bounded or measured:
        return 0.0
    return search.warmup + min(PROBE_SECONDS, point.duration) + _TRIAL_SECONDS


def pace_of(scenario: Scenario, entry: ServerEntry) -> Pace:
    """The guess for one server."""
    plain = entry.server.model_form is None
    return Pace(
        plain=plain and not entry.server.may_learn,
        start=_PLAIN_START_SECONDS if plain else _MODEL_START_SECONDS,
        percentile=scenario.slo.percentile,
    )


def seconds_of(scenario: Scenario, launches: Sequence[Launch]) -> tuple[float, float, float]:
    """Of all launches together: load as it usually is; the same with starts and waits; and that at most."""
    load = estimated = most = 0.0
    paces = {entry.name: pace_of(scenario, entry) for entry in scenario.servers}
    for launch in launches:
        pace = paces[launch.server]
        usual, overhead = sum(pace.load(trial) for trial in launch.trials), pace.overhead(launch)
        load += usual
        estimated += usual + overhead
        most += sum(pace.most(trial) for trial in launch.trials) + overhead
    return load, estimated, most
