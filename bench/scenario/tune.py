"""The tuning of servers: which setting is tried when and for how long, as trials of a plan; pure, starts nothing.

Every tuned server gets the same seconds of load, divided over what is tried of it; the settings of all servers are
tried in one seeded order, so that a slow drift of the machine favours none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from bench.profiles import Closed

if TYPE_CHECKING:  # neither pydantic nor numpy is needed to read a plan
    from bench.results import TuningRecord
    from bench.scenario.plan import Launch
    from bench.scenario.scenario import Scenario
    from bench.scenario.servers import ServerEntry

WARMUP_SHARE = 0.25
"""Of the time that a setting gets: load that is recorded, but in no figure."""


@dataclass(frozen=True, kw_only=True)
class TuneLoad(Closed):
    """The load that a setting is tried with: a short closed loop that keeps the server busy."""

    name: ClassVar[str] = "closed"
    number: int = 0

    @property
    def label(self) -> str:
        """Which setting it is."""
        return f"tune-{self.number}"


def settings_text(values: Mapping[str, Any]) -> str:
    """`workers 2, threads 4`; what nothing was said of is `default`."""
    return ", ".join(f"{key} {_said(value)}" for key, value in values.items())


def _said(value: Any) -> str:
    if value is None:
        return "default"
    return str(value).lower() if isinstance(value, bool) else str(value)


def tuned_servers(scenario: Scenario, runnable: Sequence[ServerEntry]) -> tuple[ServerEntry, ...]:
    """The servers whose tuned variant is part of a run."""
    return tuple(scenario.server(entry.tuned_from) for entry in runnable if entry.tuned_from)


def seconds_each(scenario: Scenario, entry: ServerEntry) -> float:
    """Seconds of load for each setting of a server, warm-up included."""
    return scenario.tune_time / len(entry.tune)


@dataclass(frozen=True, slots=True)
class Try:
    """One setting of one server, by its number from 1: the load it gets, and the seconds of it before the window."""

    server: str
    number: int
    load: TuneLoad
    warmup: float


def tries(scenario: Scenario, tuned: Sequence[ServerEntry]) -> tuple[Try, ...]:
    """Every setting of each server, in their seeded order."""
    order = [(entry, number) for entry in tuned for number in range(1, len(entry.tune) + 1)]
    Random(f"{scenario.seed}/tune").shuffle(order)
    return tuple(_try(scenario, entry, number) for entry, number in order)


def _try(scenario: Scenario, entry: ServerEntry, number: int) -> Try:
    seconds = seconds_each(scenario, entry)
    load = TuneLoad(users=scenario.tune_users, duration=(1 - WARMUP_SHARE) * seconds, number=number)
    return Try(entry.name, number, load, WARMUP_SHARE * seconds)


def tuning_records(
    scenario: Scenario, tuned: Sequence[ServerEntry], launches: Sequence[Launch]
) -> tuple[TuningRecord, ...]:
    """What is going to be tried, for the manifest."""
    from bench.results import TriedRecord, TuningRecord
    from bench.scenario.fields import plain

    ids = {(trial.server, trial.tune_point): trial.id for launch in launches for trial in launch.trials}
    variants = {entry.tuned_from: entry.name for entry in scenario.servers if entry.tuned_from}
    return tuple(
        TuningRecord(
            server=entry.name,
            tuned=variants[entry.name],
            seconds=seconds_each(scenario, entry),
            users=scenario.tune_users,
            tried=tuple(
                TriedRecord(
                    number, plain(setting.values), setting.default, _options(entry, number), ids[entry.name, number]
                )
                for number, setting in enumerate(entry.tune, start=1)
            ),
        )
        for entry in tuned
    )


def with_setting(entry: ServerEntry, base: ServerEntry, number: int) -> ServerEntry:
    """An entry with a setting that was tried of another, `number` counting from 1."""
    return replace(entry, server=base.tune[number - 1].server)


def _options(entry: ServerEntry, number: int) -> dict[str, object]:
    return with_setting(entry, entry, number).options
