"""The kind `tfserving` through the stand-in for its program: every request form, batching, warm-up, and each fault."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import AnswerError, LaunchError
from bench.load.drive import generator
from bench.load.driven import with_kinds
from bench.model.files import ModelFiles, Reference
from bench.model.images import decoded_images
from bench.payload.photos import Photo
from bench.profiles import Constant
from bench.protocols.tfserving import answering_version
from bench.results import Outcome, Run, TrialRecord, load_run
from bench.running.counting import gained
from bench.scenario.plan import Trial
from bench.server import Server, known_kinds, load_kind
from bench.serving import launch
from bench.serving.asking import PROBE_TIMEOUT_SECONDS
from bench.serving.launch import Running, load_host, running
from bench.serving.launch import ask as ask_server

pytestmark = [pytest.mark.integration, pytest.mark.tensorflow]

DOUBLE = Path(__file__).parents[1] / "doubles" / "tensorflow_model_server"
KIND: Any = load_kind(known_kinds()["tfserving"])
MODULE: Any = sys.modules[KIND.__module__]
Ask, Batching, Model = MODULE.Ask, MODULE.Batching, MODULE.Model

Double = Callable[..., str]


@pytest.fixture
def double(tmp_path: Path) -> Double:
    """Path of a program that runs the stand-in with this interpreter, and makes it fail in some way."""

    def make(fault: str = "") -> str:
        program = tmp_path / "tensorflow_model_server"
        program.write_text(f'#!/bin/sh\nDOUBLE_FAULT="{fault}" exec "{sys.executable}" "{DOUBLE}" "$@"\n')
        program.chmod(0o755)
        return str(program)

    return make


class Work:
    """A model, what is asked of it and what it should answer."""

    def __init__(self, model: ModelFiles, reference: Reference, photos: tuple[Photo, ...]) -> None:
        self.model = replace(model, images=decoded_images(model, photos, lambda _: None))
        self.photos = tuple(photo.jpeg for photo in photos)
        self.right = np.load(reference.outputs)
        self.tolerance = reference.tolerance

    def start(
        self, server: Server, log: Path, model: ModelFiles | None = None, **how: Any
    ) -> contextlib.AbstractContextManager[Running]:
        chosen, python = model or self.model, Path(sys.executable)
        return running(server, model=chosen, python=python, cores=2, photos=self.photos, log=log, **how)

    def assert_right(self, server: Server, started: Running) -> None:
        """Each of two photos gets its own answer and not that of the other."""
        wire, host = server.wire(started.place), load_host(server, started.place)
        for number in range(2):
            request = wire.request(self.photos[number])
            answer = wire.answer(ask_server(wire, host, started.place.ports[server.load_port], request)[0])
            for other in range(2):
                assert (np.abs(answer - self.right[other]).max() <= self.tolerance) == (other == number)


@pytest.fixture(scope="module")
def work(b0_model: tuple[ModelFiles, Reference, tuple[Photo, ...]]) -> Work:
    return Work(*b0_model)


# ---------------------------------------------------------------- what can be asked


@pytest.fixture(scope="module")
def served(work: Work, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One start that every protocol can be asked of: batches of 1 and 4, warmed up, with a UNIX socket."""
    folder = tmp_path_factory.mktemp("served")
    program = folder / "tensorflow_model_server"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{DOUBLE}" "$@"\n')
    program.chmod(0o755)
    batching = Batching(max_batch_size=4, batch_timeout=0.02, allowed_batch_sizes=(1, 4))
    server = KIND(binary=str(program), protocol="grpc-unix", batching=batching, model_warmup=2)
    with work.start(server, folder / "server.log") as started:
        yield started


@pytest.mark.parametrize("request_form", ["jpeg", "tensor"])
@pytest.mark.parametrize("protocol", ["rest", "grpc", "grpc-unix"])
def test_every_protocol_and_request_form_answers_as_the_model_does(
    served: Running, work: Work, protocol: str, request_form: str
) -> None:
    work.assert_right(KIND(protocol=protocol, request=request_form), served)


def test_warmup_records_are_replayed_before_the_ports_open(served: Running) -> None:
    log = launch.log_text(served.log, served.log_from)
    replayed = log.index("Number of warmup records read: 2.")
    assert replayed < log.index("Running gRPC ModelServer at")
    assert served.server.stage(log) == "its ports are open"
    parts = served.server.startup_parts(log)
    assert set(parts) == {"load", "warmup"}
    assert served.startup_seconds is not None
    assert 0 < sum(parts.values()) < served.startup_seconds


def test_what_the_server_counts_adds_up_and_polls_of_its_status_are_left_out(served: Running, work: Work) -> None:
    server = KIND(protocol="grpc")
    wire = server.wire(served.place)
    before = served.server.counters(served.place)
    rest = f"http://{served.place.host}:{served.place.ports[1]}/v1/models/model"
    subprocess.run([sys.executable, "-c", f"import urllib.request as u; u.urlopen({rest!r}).read()"], check=True)
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda number: ask_server(
                    wire, served.place.host, served.place.ports[0], wire.request(work.photos[number % 2])
                ),
                range(8),
            )
        )
    told = gained(before, served.server.counters(served.place))
    assert told["request_count"] == told["run_count"] == told["queue_count"] == 8
    assert told["batch_rows"] == 8 + told["padding_rows"]
    assert 2 <= told["batch_count"] < 8, "some were answered together"
    assert told["request_seconds"] >= told["run_seconds"] >= told["queue_seconds"] > 0


def test_the_model_in_the_cache_is_left_as_it_was(served: Running, work: Work) -> None:
    assert not list(work.model.saved_model.rglob("assets.extra"))


# ---------------------------------------------------------------- too much at once


def errors_of(server: Server, started: Running, work: Work, count: int) -> list[str]:
    """What goes wrong when this many requests come at once."""
    wire = server.wire(started.place)

    def one(_: int) -> str:
        try:
            ask_server(wire, started.place.host, started.place.ports[server.load_port], wire.request(work.photos[0]))
        except (AnswerError, OSError) as failure:  # UNAVAILABLE counts as no answer while a server is waited for
            return str(failure)
        return ""

    with ThreadPoolExecutor(count) as pool:
        return [error for error in pool.map(one, range(count)) if error]


def test_too_few_threads_and_a_full_batching_queue_are_told_apart(work: Work, double: Double, tmp_path: Path) -> None:
    # Two calls wait a second for company and hold both threads; over REST every batch of four but two is one too many.
    batching = Batching(max_batch_size=4, batch_timeout=1.0, num_batch_threads=1, max_enqueued_batches=1)
    server = KIND(binary=double(), protocol="grpc", grpc_max_threads=2, batching=batching)
    with work.start(server, tmp_path / "server.log") as started:
        over_grpc = errors_of(server, started, work, 24)
        over_rest = errors_of(replace(server, protocol="rest"), started, work, 24)
    assert over_grpc
    assert set(over_grpc) == {"gRPC RESOURCE_EXHAUSTED: Server Threadpool Exhausted"}
    assert over_rest
    refused = [error.startswith("HTTP 503") and "batch scheduling queue" in error for error in over_rest]
    assert all(refused), over_rest


@pytest.fixture(scope="module")
def refusing(work: Work, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two models, one of them in two versions; each refuses what comes after two predictions."""
    folder = tmp_path_factory.mktemp("refusing")
    program = folder / "tensorflow_model_server"
    program.write_text(
        f'#!/bin/sh\nDOUBLE_TWINS=1 DOUBLE_FAULT=fails_after=2 exec "{sys.executable}" "{DOUBLE}" "$@"\n'
    )
    program.chmod(0o755)
    models = {
        "two": Model(versions=(3, 5), serve="all", labels={"old": 3}),
        "one": Model(batching=Batching(max_batch_size=2)),
    }
    server = KIND(binary=str(program), protocol="grpc", models=models, ask=Ask(label="old"))
    with work.start(server, folder / "server.log") as started:
        yield started


@pytest.mark.parametrize(
    ("ask", "version"),
    [(Ask(label="old"), "3"), (Ask(model="two", version=5), "5"), (Ask(model="two"), "5"), (Ask(model="one"), "1")],
)
def test_the_model_and_the_version_that_are_asked_for_answer(
    refusing: Running, work: Work, ask: Any, version: str
) -> None:
    kind: Any = refusing.server
    server = replace(kind, ask=ask)
    wire, host = server.wire(refusing.place), refusing.place.host
    reply, _ = ask_server(wire, host, refusing.place.ports[0], wire.request(work.photos[0]))
    assert answering_version(reply) == version
    assert np.abs(wire.answer(reply) - work.right[0]).max() <= work.tolerance


def test_batching_of_one_model_is_read_from_its_version_folder_and_counts_for_that_one_alone(
    refusing: Running, work: Work
) -> None:
    kind: Any = refusing.server
    server = replace(kind, ask=Ask(model="one"))
    wire, place = server.wire(refusing.place), refusing.place
    before = server.counters(place).get("batch_count", 0.0)
    reply, _ = ask_server(wire, place.host, place.ports[0], wire.request(work.photos[1]))
    assert np.abs(wire.answer(reply) - work.right[1]).max() <= work.tolerance
    assert server.counters(place)["batch_count"] == before + 1
    assert launch.log_text(refusing.log, refusing.log_from).count("Wrapping session to perform batch processing") == 1


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_every_kind_of_refusal_is_counted_as_what_it_means(
    refusing: Running, work: Work, tmp_path: Path, protocol: str
) -> None:
    kind: Any = refusing.server
    server = replace(kind, protocol=protocol)
    wire, place = server.wire(refusing.place), refusing.place
    trial = Trial(1, "refusing", 1, Constant(arrival_rate=30, duration=1.0), warmup=0.1, timeout=10.0, seed=1)
    with generator(tmp_path / "load.log") as load:
        load.wait_ready()
        driven = load.drive(
            trial,
            [wire.request(photo) for photo in work.photos],
            wire.transport,
            place.host,
            place.ports[server.load_port],
            tmp_path,
            lambda *_: None,
            lambda: True,
        )
    assert driven.failure is None
    exhausted, unavailable, late = {
        "grpc": ("gRPC RESOURCE_EXHAUSTED", "gRPC UNAVAILABLE", "gRPC DEADLINE_EXCEEDED"),
        "rest": ("HTTP 429 RESOURCE_EXHAUSTED", "HTTP 503 UNAVAILABLE", "HTTP 504 DEADLINE_EXCEEDED"),
    }[protocol]
    assert set(with_kinds(driven, server.error_kind).errors) == {
        f"{exhausted}: no handler thread was free (grpc_max_threads)",
        f"{exhausted}: the message is larger than allowed",
        f"{exhausted}: timed out in the batching queue",
        f"{exhausted}: the model ran out of memory",
        f"{unavailable}: the batching queue was full (max_enqueued_batches)",
        f"{late}: the run took longer than it may",
    }


# ---------------------------------------------------------------- failures


def refusal(work: Work, server: Server, log: Path, model: ModelFiles | None = None) -> str:
    """The error of a start that must fail, and must not last until its time-out."""
    began_at = time.monotonic()
    with pytest.raises(LaunchError) as caught, work.start(server, log, model):
        raise AssertionError("it started")
    assert time.monotonic() - began_at < 0.9 * PROBE_TIMEOUT_SECONDS, "nobody waits for whom it asks in vain"
    return str(caught.value)


@pytest.mark.parametrize(
    ("fault", "ended", "sentence"),
    [
        ("sigill", "killed by SIGILL", "tensorflow-model-server-universal"),
        ("sigkill", "killed by SIGKILL", "memory ran out"),
        ("no_memory", "killed by SIGABRT", "it ran out of memory"),
        ("unknown_op", "", "the model uses the operation NobodysOp"),
    ],
)
def test_a_start_that_fails_says_in_a_sentence_why(
    work: Work, double: Double, tmp_path: Path, fault: str, ended: str, sentence: str
) -> None:
    said = refusal(work, KIND(binary=double(fault)), tmp_path / "server.log")
    assert ended in said
    assert sentence in said


def test_a_model_that_is_not_loaded_in_time_is_told_with_how_far_it_came(
    work: Work, double: Double, tmp_path: Path
) -> None:
    with (
        pytest.raises(LaunchError, match="not ready after 3 s: it was still loading the model"),
        work.start(KIND(binary=double("stuck")), tmp_path / "server.log", start_timeout=3.0),
    ):
        raise AssertionError


def copied(work: Work, to: Path) -> ModelFiles:
    shutil.copytree(work.model.saved_model, to)
    return replace(work.model, saved_model=to)


def test_a_model_whose_weights_are_cut_off_is_damaged(work: Work, double: Double, tmp_path: Path) -> None:
    model = copied(work, tmp_path / "copy")
    (shard,) = (model.saved_model / "1" / "variables").glob("variables.data*")
    with shard.open("r+b") as file:
        file.truncate(shard.stat().st_size // 2)
    assert "damaged or were copied half" in refusal(work, KIND(binary=double()), tmp_path / "server.log", model)


def test_a_version_folder_that_is_empty_or_absent_never_gets_as_far_as_a_start(
    work: Work, double: Double, tmp_path: Path
) -> None:
    model = copied(work, tmp_path / "copy")
    (model.saved_model / "1" / "saved_model.pb").unlink()
    assert "without a saved_model.pb" in refusal(work, KIND(binary=double()), tmp_path / "server.log", model)
    shutil.rmtree(model.saved_model / "1")
    assert "no version folder" in refusal(work, KIND(binary=double()), tmp_path / "server.log", model)


def test_a_flag_that_the_program_does_not_know_ends_the_start_although_it_runs_on(
    work: Work, double: Double, tmp_path: Path
) -> None:
    server = KIND(binary=double("empty"), flags={"no_such_flag": 1})
    assert "has no flag no_such_flag" in refusal(work, server, tmp_path / "server.log")
    program = Path(double("empty"))
    program.write_text(program.read_text().replace('"$@"', '"$@" --from_elsewhere=1'))
    assert "has no flag --from_elsewhere" in refusal(work, KIND(binary=str(program)), tmp_path / "server.log")


@pytest.mark.parametrize(
    ("taken", "protocol", "sentence"),
    [
        (0, "rest", "gRPC port was taken"),
        (0, "grpc", "gRPC port was taken"),
        (1, "rest", "REST port was taken"),
        (1, "grpc", "REST port was taken"),
    ],
)
def test_a_port_that_somebody_takes_meanwhile_is_named(
    work: Work,
    double: Double,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    taken: int,
    protocol: str,
    sentence: str,
) -> None:
    ports = launch.free_ports(2)
    with socket.create_server((launch.HOST, ports[taken])):
        monkeypatch.setattr(launch, "free_ports", lambda *_: ports)
        said = refusal(work, KIND(binary=double("empty"), protocol=protocol), tmp_path / "server.log")
    assert sentence in said


# ---------------------------------------------------------------- a whole run


RUN = """
name: tfs
model: {{keras_application: EfficientNetB0}}
load:
  - {{profile: closed, users: 2, duration: 2s}}
  - {{profile: swap, arrival_rate: 8, duration: 5s, swap_at: 500ms}}
warmup: {{duration: 300ms}}
slo: {{percentile: 50, response_time: 10s, error_rate: 1%}}
servers:
  good:
    kind: tfserving
    binary: {good}
    protocol: grpc-unix
    request: tensor
    batching: {{max_batch_size: 2}}
    only: closed-2
  dying: {{kind: tfserving, binary: {dying}, only: closed-2}}
  swapping: {{kind: tfserving, binary: {good}, protocol: grpc, only: swap-8}}
"""


@pytest.fixture(scope="module")
def finished(work: Work, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of a server that is well, of one that dies, and of one whose model is exchanged."""
    folder = tmp_path_factory.mktemp("run")
    programs = {}
    for name, fault in (("good", "DOUBLE_TWINS=1"), ("dying", "DOUBLE_FAULT=dies_after=3")):
        programs[name] = folder / name
        programs[name].write_text(f'#!/bin/sh\n{fault} exec "{sys.executable}" "{DOUBLE}" "$@"\n')
        programs[name].chmod(0o755)
    (folder / "tfs.yaml").write_text(RUN.format(**programs))
    command = [sys.executable, "-m", "bench", "run", "tfs.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280)
    assert done.returncode == 13, done.stderr
    (manifest,) = folder.glob("results/*/*/run.json")
    return load_run(manifest.parent)


def trial_of(run: Run, server: str) -> TrialRecord:
    (trial,) = [trial for trial in run.trials if trial.server == server and trial.outcome is not Outcome.SKIPPED]
    return trial


def test_a_run_records_what_the_server_counted_over_the_window_alone(finished: Run) -> None:
    good = trial_of(finished, "good")
    samples, window = finished.samples(good), good.window
    assert (good.outcome, good.answers.wrong if good.answers else None) == (Outcome.OK, 0)
    assert samples is not None
    assert window is not None
    answered = int(np.count_nonzero(samples.ok & (samples.done_at >= window[0])))
    assert good.counts["ok"] > answered, "the warm-up has answers, too"
    # It is read within half a second after the window has begun, where that had to wait for a steady latency.
    assert 0.5 * answered < good.server_counters["request_count"] <= answered + 2
    assert abs(good.server_counters["batch_rows"] - good.server_counters["request_count"]) <= 2, "two users"
    assert good.encode_seconds is not None
    assert set(good.startup_parts) == {"load"}
    assert "(load " in (finished.folder / "report.html").read_text()
    assert "### Inside the servers" in (finished.folder / "report.md").read_text()
    summary = json.loads((finished.folder / "summary.json").read_text())
    assert max(row["request_bytes"] or 0 for row in summary["rows"]) > 224 * 224 * 3 * 4


def test_a_server_that_dies_while_it_is_loaded_is_explained(finished: Run) -> None:
    dying = trial_of(finished, "dying")
    assert (dying.outcome, dying.server_counters) == (Outcome.FAILED, {})
    assert (
        "killed by SIGKILL) during this trial: most likely the kernel killed it because memory ran out" in dying.reason
    )


def test_a_new_version_takes_over_without_a_lost_request_and_both_versions_are_judged_right(finished: Run) -> None:
    trial = trial_of(finished, "swapping")
    swap, window = trial.swap, trial.window
    assert swap is not None
    assert window is not None
    assert (trial.outcome, swap.failure) == (Outcome.OK, "")
    assert trial.answers is not None
    assert trial.answers.wrong == 0
    assert all(swap.answers[version] > 0 for version in "12"), "both have answered, and every answer was compared"
    times = [swap.copy_at, swap.renamed_at, swap.loading_at, swap.ready_at, swap.gone_at]
    known = [at for at in times if at is not None]
    assert len(known) == 5, swap
    assert known == sorted(known)
    assert known[0] == pytest.approx(window[0] + 0.5, abs=0.6), "half a second into the window"
    assert swap.first_new_at is not None
    assert swap.renamed_at is not None
    assert swap.first_new_at > swap.renamed_at
    (row,) = [it for it in json.loads((finished.folder / "summary.json").read_text())["rows"] if it["swaps"]]
    (figures,) = row["swaps"]
    assert figures["failed"] == 0
    assert figures["took_over"] == pytest.approx(swap.first_new_at - swap.renamed_at)
    assert "swapping lost none of" in (finished.folder / "report.md").read_text()
    assert "version 2 answers" in (finished.folder / "charts" / "over-time.svg").read_text()
