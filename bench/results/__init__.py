"""`results/` on disk: names, schema version, load, save, one trial at a time.

A run is written as it goes: killing it at any moment loses at most the trial in progress. Both halves of
bench meet only here; this package computes nothing.
"""

from __future__ import annotations

from bench.results.codec import plain
from bench.results.folder import (
    LOAD_LOG,
    MANIFEST,
    SAMPLES,
    SCENARIO,
    SERVER_LOG,
    TELEMETRY,
    TRIAL,
    TRIALS,
    Run,
    RunFolder,
    load_run,
)
from bench.results.record import (
    METHOD_VERSION,
    SCHEMA_VERSION,
    AnswerCheck,
    CoresSeen,
    Manifest,
    Outcome,
    ServerRecord,
    SwapRecord,
    TrialRecord,
    TriedRecord,
    TuningRecord,
)

__all__ = [
    "LOAD_LOG",
    "MANIFEST",
    "METHOD_VERSION",
    "SAMPLES",
    "SCENARIO",
    "SCHEMA_VERSION",
    "SERVER_LOG",
    "TELEMETRY",
    "TRIAL",
    "TRIALS",
    "AnswerCheck",
    "CoresSeen",
    "Manifest",
    "Outcome",
    "Run",
    "RunFolder",
    "ServerRecord",
    "SwapRecord",
    "TrialRecord",
    "TriedRecord",
    "TuningRecord",
    "load_run",
    "plain",
]
