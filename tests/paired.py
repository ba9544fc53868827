"""Paired sessions as `bench ab` leaves them on disk, their rows drawn at random: for tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.compare.session import Mode, confirm, screen
from bench.results import Manifest, Outcome, Run, RunFolder, ServerRecord, TrialRecord, load_run
from bench.results.pairing import Contender, GateRecord, Measured, Pairing, Side, Slot, Stage
from bench.samples import Samples, write_samples

RATE, WARMUP, SECONDS = 400.0, 0.2, 2.0
LOAD = "poisson-400"
NULL = "old (null control)"
ENVIRONMENT = {"cpu": {"model": "Example CPU", "usable_cores": 2}, "memory_bytes": 8_000_000_000, "gpus": []}
GATES = (GateRecord("p95", LOAD, 0.05), GateRecord("error_rate", LOAD, 0.0))


@dataclass(frozen=True)
class Recorded:
    """What a session is to hold. `slower` is by how much the candidate is, in the first stage and on fresh pairs.

    `errors` are the shares of both sides, `failed` the slots that did not work, by pair and side, `drift` what the
    second slot of a null pair has on top of the first.
    """

    pairs: int = 10
    slower: float = 1.0
    again: float | None = None
    errors: tuple[float, float] = (0.0, 0.0)
    failed: Mapping[tuple[int, Side], str] = field(default_factory=dict)
    wrong: tuple[int, ...] = ()
    spoilt: tuple[int, ...] = ()
    drift: float = 1.0
    confirmed: bool = False
    finished: bool = True
    stopped: str = ""
    same: bool = False
    rate: float = RATE
    achieved: float = 1.0
    spread: float = 0.01
    gates: tuple[GateRecord, ...] = GATES
    seed: int = 1
    environment: Mapping[str, Any] = field(default_factory=lambda: ENVIRONMENT)
    price: float | None = None


def write_session(folder: Path, how: Recorded) -> Run:
    """Write the session as a run folder and load it."""
    mode = Mode("pairs as asked for", (how.pairs,))
    slots = [slot for group in screen(mode, how.seed) for slot in group]
    if how.confirmed:
        slots += confirm(mode, how.seed)
    folder.mkdir(parents=True)
    (folder / "trials").mkdir()
    run = RunFolder(folder)
    measured = []
    for number, slot in enumerate(slots, start=1):
        server = NULL if slot.stage is Stage.NULL else ("old", "new")[slot.side is Side.CANDIDATE]
        failure = how.failed.get((slot.pair, slot.side), "")
        _write_trial(run, number, slot, server, how, failure)
        measured.append(Measured(slot, server, (number,), failure))
    run.save_manifest(_manifest(run.run_id, how, mode, measured))
    return load_run(folder)


def _write_trial(run: RunFolder, number: int, slot: Slot, server: str, how: Recorded, failure: str) -> None:
    identity = f"{number:03d}-{slot.stage}"
    record = TrialRecord(
        id=identity,
        number=number,
        server=server,
        kind="echo",
        repetition=number,
        profile="poisson",
        label=LOAD,
        outcome=Outcome.FAILED if failure else Outcome.OK,
        reason=failure,
        arrival_rate=how.rate,
        duration=SECONDS,
        warmup=WARMUP,
        timeout=30.0,
        window=(WARMUP, WARMUP + SECONDS),
        startup_seconds=0.2 + 0.001 * number,
        generator_workers=2,
        lost_workers=("worker 2: not heard of any more",) if slot.pair in how.spoilt else (),
    )
    run.save_trial(record)
    if not failure:
        write_samples(run.trial(identity) / "samples.parquet", _rows(number, slot, how))


def _rows(number: int, slot: Slot, how: Recorded) -> Samples:
    rng = np.random.default_rng([how.seed, number])
    candidate = slot.side is Side.CANDIDATE and slot.stage is not Stage.NULL
    slower = how.slower if slot.stage is Stage.SCREEN or how.again is None else how.again
    factor = slower if candidate else 1.0
    if slot.stage is Stage.NULL and slot.side is Side.CANDIDATE:
        factor *= how.drift
    factor *= float(np.exp(rng.normal(0, how.spread)))
    n = int(how.rate * (WARMUP + SECONDS))
    intended = np.asarray((np.arange(n) + 0.5) / how.rate, dtype=np.float64)
    service = 0.020 * factor * np.exp(rng.normal(0, 0.2, n))
    if candidate and how.achieved < 1:
        service = service + intended * (1 / how.achieved - 1)
    share = how.errors[1 if candidate else 0]
    error = np.where(rng.random(n) < share, 0, -1)
    if candidate and slot.pair in how.wrong:
        error[rng.random(n) < 0.1] = 1
    done = intended + service
    return Samples(
        intended_at=intended,
        sent_at=intended + 0.0001,
        first_byte_at=done - 0.0001,
        done_at=done,
        status=np.where(error == 0, 503, 200).astype(np.int64),
        ok=error < 0,
        error=error.astype(np.int64),
        errors=("503", "wrong answer"),
        measured=intended >= WARMUP,
        payload=rng.integers(0, 3, n),
        request_bytes=np.full(n, 1000, dtype=np.int64),
        response_bytes=np.full(n, 100, dtype=np.int64),
        worker=np.zeros(n, dtype=np.int64),
    )


def _manifest(run_id: str, how: Recorded, mode: Mode, measured: Sequence[Measured]) -> Manifest:
    price = None if how.price is None else {"per_hour": how.price, "count": 1}
    names = ("old", "new", *((NULL,) if how.confirmed else ()))
    return Manifest(
        run_id=run_id,
        name="paired",
        question="Did it change?",
        scenario={"load": [{"profile": "poisson", "arrival_rate": how.rate}], "payload": {"images": "sample"}},
        scenario_file="paired.yaml",
        command="bench ab paired.yaml --baseline old --candidate new",
        started_at="2026-11-23T05:00:00+00:00",
        slo={"percentile": 95, "response_time": 0.5, "error_rate": 0.5},
        references=(),
        servers=tuple(
            ServerRecord(name=name, kind="echo", title="echo", options={}, outcome=Outcome.OK, price=price)
            for name in names
        ),
        environment=how.environment,
        versions={"numpy": "2"},
        seed=how.seed,
        finished_at="2026-11-23T05:10:00+00:00",
        wall_seconds=600.0,
        pairing=Pairing(
            mode=mode.name,
            looks=mode.looks,
            gap=3.0,
            seed=how.seed,
            baseline=Contender("old", "old", "old", "3f2a9c1d04be" * 3),
            candidate=Contender("new", "new", "new"),
            same=how.same,
            gates=how.gates,
            workload="w",
            null_server=NULL,
            measured=tuple(measured),
            finished=how.finished,
            stopped=how.stopped,
        ),
    )
