"""Cores: whether the server kept to its own, shared them with the load generator, or computes with more threads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bench.results import TrialRecord
from bench.samples import Samples
from bench.units import cores_text
from bench.validity.evidence import Evidence, Reason, Verdict, check, cpu_seconds

SHARED_SHARE = 0.8
"""Above 80 % busy, who comes has to wait for who runs."""
GENERATOR_AT_LEAST = 0.1
"""A generator that needs less than a tenth of a core takes nothing from the server."""


@check("outside-its-cores")
def outside_its_cores(evidence: Evidence, _: Samples) -> Reason | None:
    """A process of the server could run on cores beyond its budget, or kept to fewer than the budget gives it."""
    for seen in (trial.cores for trial in evidence.trials):
        if seen is None or not seen.budget or not seen.processes:
            continue
        numbers: dict[str, float | int | str] = {
            "budget": cores_text(seen.budget),
            "server": cores_text(seen.server),
            "processes": seen.processes,
        }
        if seen.outside:
            return Reason(
                "outside-its-cores",
                Verdict.SUSPECT,
                f"the server may use cores beyond its budget of {cores_text(seen.budget)}: {', '.join(seen.outside)}",
                "look for what sets an affinity in the server or its settings; the others had to keep to the budget",
                numbers,
            )
        if len(seen.server) < len(seen.budget):
            return Reason(
                "outside-its-cores",
                Verdict.VALID,
                f"the server keeps to the cores {cores_text(seen.server)} of its budget of {cores_text(seen.budget)}",
                "look for what sets an affinity in the server or its settings, if it should have as many as the others",
                numbers,
            )
    return None


@check("cores-shared")
def cores_shared(evidence: Evidence, _: Samples) -> Reason | None:
    """Server and load generator together needed nearly all of the cores that they share: each slowed the other down."""
    start, end = evidence.window
    if end <= start:
        return None
    for trial, watched in zip(evidence.trials, evidence.telemetry, strict=False):
        cores = _shared_cores(evidence, trial)
        used = cpu_seconds(watched, start, end)
        if cores is None or used is None or trial.generator_cpu_seconds is None:
            continue
        server, generator = used / (end - start), trial.generator_cpu_seconds / end
        if generator >= GENERATOR_AT_LEAST and server + generator > SHARED_SHARE * cores:
            return Reason(
                "cores-shared",
                Verdict.VALID,
                f"server ({server:.2g}) and load generator ({generator:.2g}) together kept {server + generator:.2g} of "
                f"{cores:g} cores busy: on a machine of its own the server has more to itself",
                "send from another machine to see what the server alone can do",
                {"server_cores": server, "generator_cores": generator, "cores": cores},
            )
    return None


def _shared_cores(evidence: Evidence, trial: TrialRecord) -> float | None:
    """Cores that both may use between them; None where they share none, or nobody knows how many there are."""
    seen = trial.cores
    if seen is None or not seen.server or not seen.generator:
        return evidence.cores if seen is None else None
    if not set(seen.server) & set(seen.generator):
        return None
    both = float(len({*seen.server, *seen.generator}))
    return both if evidence.cores is None else min(both, evidence.cores)


@check("more-threads-than-cores")
def more_threads_than_cores(evidence: Evidence, _: Samples) -> Reason | None:
    """The server computes with more processes and threads than its budget has cores."""
    cores = _budget(evidence)
    processes, threads = _computing(evidence)
    if cores is None or processes * threads <= math.ceil(cores):
        return None
    return Reason(
        "more-threads-than-cores",
        Verdict.VALID,
        f"the server computes with {processes} x {threads} threads on {cores:g} cores: they wait for each other",
        "give it as many as there are cores, and see whether latency falls",
        {"processes": processes, "threads": threads, "cores": cores},
    )


def _budget(evidence: Evidence) -> float | None:
    """Cores that the server may use: its budget, or in runs without one those of the machine."""
    given = [len(trial.cores.budget) for trial in evidence.trials if trial.cores is not None and trial.cores.budget]
    found = [float(min(given))] if given else []
    return min([*found, *([] if evidence.cores is None else [evidence.cores])], default=None)


def _computing(evidence: Evidence) -> tuple[int, int]:
    """Processes and threads in each: what the kind says of itself, or what can be read off its keys."""
    told = evidence.computing
    if {"processes", "threads"} <= told.keys():
        return told["processes"], told["threads"]
    options = evidence.options
    processes = _count(options, "workers", "instances")
    threads = _count(options, "tf_threads", "intra_op_threads", *(["threads"] if "instances" in options else []))
    return processes, threads


def _count(options: Mapping[str, Any], *names: str) -> int:
    return next((value for name in names if isinstance(value := options.get(name), int)), 1)
