"""What a check reads and what it says: verdict, reason, evidence, and the table that checks enter themselves into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from bench.results import TrialRecord
from bench.samples import Bools, Floats, Samples, Telemetry

STATIONARY = ("closed", "constant", "poisson", "gamma", "capacity")
"""Profiles whose load is the same from beginning to end; in the others a change of latency is what was asked for."""


class Verdict(StrEnum):
    """What a row is worth."""

    VALID = "VALID"
    SUSPECT = "SUSPECT"
    INVALID = "INVALID"


@dataclass(frozen=True, slots=True)
class Reason:
    """One way in which a measurement is in doubt: stable id, severity, the numbers that made it fire, advice.

    A reason with the verdict VALID is a note: what a reader has to know, though the numbers are right.
    """

    id: str
    verdict: Verdict
    what: str
    advice: str
    numbers: Mapping[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one row of a summary rests on.

    `parts` are all rows of each of its `trials`, warm-up included; `window` is (start, end) of the measured part,
    the same in each. `percentile` is the SLO's share (0.95), `error_limit` its share of errors. What follows may
    be missing, and then the checks that need it are silent: `telemetry` of each trial, the server's resolved
    `options`, the run's `environment` and its `calibration`, the `processes` and `threads` that compute in the server.
    """

    parts: tuple[Samples, ...]
    trials: tuple[TrialRecord, ...]
    window: tuple[float, float]
    open_loop: bool
    percentile: float = 0.95
    error_limit: float = 0.0
    telemetry: tuple[Telemetry | None, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] | None = None
    computing: Mapping[str, int] = field(default_factory=dict)

    @property
    def stationary(self) -> bool:
        """Whether the load was meant to be the same all the time."""
        return all(trial.profile in STATIONARY for trial in self.trials)

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return self.window[1] - self.window[0]

    @property
    def cores(self) -> float | None:
        """Cores' worth of time that server and generator may use together; None where nobody looked."""
        facts = self.environment.get("cpu")
        known = facts if isinstance(facts, Mapping) else {}
        found = [known.get(name) for name in ("usable_cores", "quota_cores")]
        return min((float(cores) for cores in found if isinstance(cores, int | float)), default=None)


Judge = Callable[[Evidence, Samples], Reason | None]
"""Gets the evidence and, beside it, its measured rows, which nearly every check is about."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table."""

    id: str
    title: str
    judge: Judge


CHECKS: dict[str, Check] = {}
"""Every check by its id."""


def check(check_id: str) -> Callable[[Judge], Judge]:
    """Enter a function into CHECKS; its docstring's first line is the title."""

    def enter(function: Judge) -> Judge:
        CHECKS[check_id] = Check(check_id, (function.__doc__ or check_id).splitlines()[0], function)
        return function

    return enter


def ended_at(samples: Samples, timeout: float) -> Floats:
    """When the generator was free of each request: its reply, or the time-out; NaN if it never left."""
    return np.where(np.isnan(samples.done_at), samples.sent_at + timeout, samples.done_at)


def in_flight(samples: Samples, moments: Floats, timeout: float) -> Floats:
    """How many requests of one trial were sent before each moment and not answered by then; shape of `moments`."""
    left = ~np.isnan(samples.sent_at)
    sent = np.sort(samples.sent_at[left])
    ended = np.sort(ended_at(samples, timeout)[left])
    return np.asarray(
        np.searchsorted(sent, moments, side="left") - np.searchsorted(ended, moments, side="right"), dtype=np.float64
    )


def alone(samples: Samples, timeout: float) -> Bools:
    """Which rows of one trial were sent while nothing else was in flight; their time holds no wait of any queue."""
    sent, ended = samples.sent_at, ended_at(samples, timeout)
    order = slice(None) if np.all(sent[1:] >= sent[:-1]) else np.argsort(sent, kind="stable")  # never sent: last
    free_at = np.fmax.accumulate(ended[order])
    found = np.append(True, free_at[:-1] <= sent[order][1:])[: len(sent)] & ~np.isnan(sent[order])
    result = np.zeros(len(samples), dtype=np.bool_)
    result[order] = found
    return result


def cpu_seconds(telemetry: Telemetry | None, start: float, end: float) -> float | None:
    """CPU seconds that the server's processes used between two moments; None where they were not watched."""
    if telemetry is None:
        return None
    known = ~np.isnan(telemetry.cpu_seconds)
    at, spent = telemetry.at[known], telemetry.cpu_seconds[known]
    if len(at) < 2 or at[0] > start + UNWATCHED or at[-1] < end - UNWATCHED:
        return None  # what was not watched cannot be told
    used = float(np.interp(end, at, spent) - np.interp(start, at, spent))
    return used if used >= 0 else None


UNWATCHED = 1.5
"""Seconds at either end that may lack telemetry, which comes at 1 Hz or faster."""
