"""Scenario -> Plan: which server is started when, and which load points it then gets. Pure; prints and starts nothing.

A launch is one start of one server; its trials are the load points driven at it, one after the other. With
`trials: 3` every server is launched three times, in a seeded order that interleaves the servers (A B A B,
never A A B B), so a slow drift of the machine cannot favour one of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.profiles import Profile


@dataclass(frozen=True, slots=True)
class Trial:
    """One load point driven at one launch of one server: warm-up, then the measured window."""

    number: int
    server: str
    repetition: int
    point: Profile
    warmup: float
    timeout: float
    seed: int

    @property
    def id(self) -> str:
        """Folder name below `trials/`: `003-flask-closed-8`."""
        return f"{self.number:03d}-{self.server}-{self.point.label}"


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
    """Load plus a guess of each kind's start-up; model building comes on top the first time."""
