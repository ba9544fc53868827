"""How a paired session lies in `run.json`: its two sides, its pairs in the order they were measured, its gates.

Plain values for `results.py` to keep; nothing here measures, compares or formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PAIRING_VERSION = 1
"""Of what stands below; one that is newer cannot be judged here."""


class Side(StrEnum):
    """The two things that are compared."""

    BASELINE = "baseline"
    CANDIDATE = "candidate"


class Stage(StrEnum):
    """What a pair is for."""

    SCREEN = "screen"
    """Finds what may have changed."""
    CONFIRM = "confirm"
    """Fresh pairs for what would fail the gate; only these decide."""
    NULL = "null"
    """The baseline in both slots: whatever changes there, the rig did it."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One fresh start of one side within a pair; `position` is 1 or 2, `pair` counts from 1 over all stages.

    `side` names the slot: in a null pair the baseline stands in both.
    """

    stage: Stage
    pair: int
    position: int
    side: Side


@dataclass(frozen=True, slots=True)
class Measured:
    """A slot that was taken: the numbers of its trials by load point, and why it failed where it did."""

    slot: Slot
    server: str
    trials: tuple[int, ...]
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Contender:
    """One side as it was asked for and as it was found.

    `server` is its name in the scenario, `label` its name in the session's tables. `revision` is the commit that it
    was taken from, made at `committed_at` (ISO 8601), with `dirty` for a working tree with changes of its own; all
    are empty where no git holds its folder. `changes` are the keys set for this side alone. `digest` tells its program
    apart from another.
    """

    server: str
    label: str
    asked: str
    revision: str = ""
    dirty: bool = False
    changes: tuple[str, ...] = ()
    digest: str = ""
    committed_at: str = ""


@dataclass(frozen=True, slots=True)
class GateRecord:
    """One metric that can fail the session; `load` is the label of its load point, empty for a whole server."""

    metric: str
    load: str
    delta: float


@dataclass(frozen=True, slots=True)
class NoiseRecord:
    """Standard deviation of one metric's log-ratio between two trials of the same server, from `pairs` A/A pairs."""

    metric: str
    load: str
    sd: float
    pairs: int


@dataclass(frozen=True, slots=True)
class Pairing:
    """A paired session. `looks` are the numbers of pairs after which it is judged, one unless it is sequential.

    `gap` is the idle time before each start, in seconds. `null_server` names the trials of the null control in the
    run. `finished` is false while it goes on and when it was cut short; `stopped` says why it was given up.
    `same` tells that both sides are the same thing, an A/A session.
    """

    mode: str
    looks: tuple[int, ...]
    gap: float
    seed: int
    baseline: Contender
    candidate: Contender
    same: bool
    gates: tuple[GateRecord, ...]
    workload: str
    null_server: str
    measured: tuple[Measured, ...] = ()
    noise: tuple[NoiseRecord, ...] = ()
    finished: bool = False
    stopped: str = ""
    version: int = PAIRING_VERSION
