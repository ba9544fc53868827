"""One function per way in which a measurement can be wrong, each with a stable id -> VALID | SUSPECT | INVALID.

A check reads what was recorded at one load point of one server and either keeps silent or says what is in
doubt, with the numbers that made it speak. This package knows nothing of files, prices or reports.
"""

from __future__ import annotations

from collections.abc import Iterable

from bench.samples import Samples, concatenate
from bench.validity import (  # each enters its checks into the table
    accuracy,
    cores,
    limits,
    replies,
    sending,
    steadiness,
    surroundings,
    swapping,
    watching,
)
from bench.validity.evidence import CHECKS, Check, Evidence, Reason, Verdict, cpu_seconds
from bench.validity.steadiness import steady_from

__all__ = [
    "CHECKS",
    "Check",
    "Evidence",
    "Reason",
    "Verdict",
    "accuracy",
    "cores",
    "cpu_seconds",
    "judge",
    "limits",
    "replies",
    "sending",
    "steadiness",
    "steady_from",
    "surroundings",
    "swapping",
    "verdict_of",
    "watching",
]

_GRAVITY = {Verdict.VALID: 0, Verdict.SUSPECT: 1, Verdict.INVALID: 2}


def judge(evidence: Evidence, measured: Samples | None = None) -> tuple[Reason, ...]:
    """Everything that is in doubt, the gravest first, notes last.

    `measured` are the measured rows of all parts one after the other, for a caller that has them already.
    """
    if measured is None:
        measured = concatenate([part.where(part.measured) for part in evidence.parts])
    reasons = [reason for check in CHECKS.values() if (reason := check.judge(evidence, measured))]
    return tuple(sorted(reasons, key=lambda reason: -_GRAVITY[reason.verdict]))


def verdict_of(reasons: Iterable[Reason]) -> Verdict:
    """The gravest verdict among the reasons; VALID if there is none."""
    return max((reason.verdict for reason in reasons), key=_GRAVITY.__getitem__, default=Verdict.VALID)
