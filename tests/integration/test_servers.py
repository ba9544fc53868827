from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import AnswerError
from bench.model.files import ModelFiles, Reference
from bench.payload.photos import Photo
from bench.protocols import Answer, Request
from bench.server import Server, known_kinds, load_kind
from bench.serving.affinity import process_cores
from bench.serving.guarded import Guarded
from bench.serving.launch import Running, ask, running

pytestmark = [pytest.mark.integration, pytest.mark.tensorflow]

DOUBLE = Path(__file__).parents[1] / "doubles" / "tensorflow_model_server"


@dataclass(frozen=True)
class Work:
    """What every server here is asked, and the right answers."""

    model: ModelFiles
    photos: tuple[bytes, ...]
    right: Any
    tolerance: float

    def start(self, server: Server, log: Path, core: int | None = None) -> AbstractContextManager[Running]:
        """With a core, on that one alone."""
        cores, cpuset = (2, ()) if core is None else (1, (core,))
        python = Path(sys.executable)
        return running(server, model=self.model, python=python, cores=cores, photos=self.photos, log=log, cpuset=cpuset)

    def agrees(self, photo: int, answer: Answer) -> bool:
        return bool(np.max(np.abs(answer - self.right[photo])) <= self.tolerance)


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    headers: dict[str, str]


@pytest.fixture(scope="module")
def work(b0_model: tuple[ModelFiles, Reference, tuple[Photo, ...]]) -> Work:
    model, reference, photos = b0_model
    assert reference.photo_distance > 10 * reference.tolerance, "else a server could answer one photo for another"
    return Work(model, tuple(photo.jpeg for photo in photos), np.load(reference.outputs), reference.tolerance)


def kind(name: str, **keys: object) -> Server:
    return load_kind(known_kinds()[name])(**keys)


def send(server: Running, *requests: Request, verb: str = "POST") -> list[Reply]:
    """Replies to requests sent one after the other, over one connection for as long as the server keeps it."""
    replies = []
    with closing(http.client.HTTPConnection(server.place.host, server.port, timeout=120)) as connection:
        for request in requests:
            connection.request(verb, request.target, request.body or None, dict(request.headers))
            reply = connection.getresponse()
            replies.append(Reply(reply.status, reply.read(), dict(reply.headers)))
    return replies


def connections_for(server: Running, request: Request, count: int) -> int:
    """How many connections it takes to send a request `count` times."""
    opened, connection = 0, http.client.HTTPConnection(server.place.host, server.port, timeout=120)
    with closing(connection):
        for _ in range(count):
            opened += connection.sock is None
            connection.request("POST", request.target, request.body, dict(request.headers))
            connection.getresponse().read()
    return opened


def assert_right_for_two_photos(server: Running, work: Work) -> None:
    requests = [server.wire.request(photo) for photo in work.photos[:2]]
    for number, reply in enumerate(send(server, *requests)):
        assert reply.status == 200
        assert work.agrees(number, server.wire.answer(reply.body))
        assert not work.agrees(1 - number, server.wire.answer(reply.body))


def at_once(server: Running, work: Work, count: int) -> list[tuple[int, Reply]]:
    """Photo and reply of `count` simultaneous requests."""
    photos = [number % 2 for number in range(count)]
    with ThreadPoolExecutor(count) as pool:
        replies = pool.map(lambda number: send(server, server.wire.request(work.photos[number]))[0], photos)
        return list(zip(photos, replies, strict=True))


# ---------------------------------------------------------------- flask


@pytest.fixture(scope="module")
def flask(work: Work, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with work.start(kind("flask"), tmp_path_factory.mktemp("flask") / "server.log") as server:
        yield server
    assert isinstance(server.process, Guarded)
    assert server.process.killed == 0, "it ends on SIGTERM and leaves no process behind"


def test_flask_answers_as_the_model_does_and_closes_each_connection(flask: Running, work: Work) -> None:
    assert_right_for_two_photos(flask, work)
    assert connections_for(flask, flask.wire.request(work.photos[0]), 3) == 3


def test_flask_gives_each_of_several_simultaneous_photos_its_own_answer(flask: Running, work: Work) -> None:
    for photo, reply in at_once(flask, work, 8):
        assert work.agrees(photo, flask.wire.answer(reply.body))


@pytest.mark.parametrize(
    "body", [b"", b"no JSON", b"[]", b"{}", b'{"image": 1}', b'{"image": "%"}', b'{"image": "AAAA"}']
)
def test_flask_answers_bad_input_with_400_and_a_json_error(flask: Running, body: bytes) -> None:
    (reply,) = send(flask, Request("/predict", body))
    assert reply.status == 400
    assert json.loads(reply.body)["error"]
    with pytest.raises(AnswerError, match="answered an error"):
        flask.wire.answer(reply.body)


def test_flask_that_loads_the_model_in_each_request_still_answers_as_it_does(work: Work, tmp_path: Path) -> None:
    with work.start(kind("flask", load_per_request=True, threaded=False), tmp_path / "server.log") as server:
        assert_right_for_two_photos(server, work)


# ---------------------------------------------------------------- gunicorn


def test_two_gunicorn_workers_answer_each_under_its_own_number_and_close_connections(
    work: Work, tmp_path: Path
) -> None:
    with work.start(kind("gunicorn", workers=2), tmp_path / "server.log") as server:
        assert_right_for_two_photos(server, work)
        replies = at_once(server, work, 8)
        assert all(work.agrees(photo, server.wire.answer(reply.body)) for photo, reply in replies)
        assert len({reply.headers["X-Worker"] for _, reply in replies}) == 2
        assert "X-Worker" in send(server, Request("/predict", b"{}"))[0].headers
        assert connections_for(server, server.wire.request(work.photos[0]), 3) == 3


def test_gunicorn_with_threads_keeps_its_connection_and_all_of_it_keeps_to_its_core(work: Work, tmp_path: Path) -> None:
    core = max(os.sched_getaffinity(0))
    with work.start(kind("gunicorn", threads=4), tmp_path / "server.log", core) as server:
        assert_right_for_two_photos(server, work)
        master_and_worker = server.process.tree()
        assert len(master_and_worker) == 2, "one worker on one core"
        assert [process_cores(pid) for pid in master_and_worker] == [{core}] * 2
        assert set(server.threads.values()) == {"1"}
        assert connections_for(server, server.wire.request(work.photos[0]), 3) == 1
        assert all(work.agrees(photo, server.wire.answer(reply.body)) for photo, reply in at_once(server, work, 8))


# ---------------------------------------------------------------- tfserving, through the stand-in


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of a program that runs the stand-in with this interpreter."""
    program = tmp_path_factory.mktemp("double") / "tensorflow_model_server"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{DOUBLE}" "$@"\n')
    program.chmod(0o755)
    return str(program)


@pytest.fixture(scope="module")
def tfserving(work: Work, double: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Started for REST; its gRPC port is open all the same."""
    log = tmp_path_factory.mktemp("tfserving") / "server.log"
    keys = {"binary": double, "flags": {"num_load_threads": 0}, "batching": batching(max_batch_size=4)}
    with work.start(kind("tfserving", **keys), log) as server:
        yield server


def batching(**keys: object) -> object:
    made: object = sys.modules[load_kind(known_kinds()["tfserving"]).__module__].Batching(**keys)
    return made


def test_tfserving_answers_over_rest_as_the_model_does_and_keeps_its_connection(tfserving: Running, work: Work) -> None:
    assert_right_for_two_photos(tfserving, work)
    assert connections_for(tfserving, tfserving.wire.request(work.photos[0]), 3) == 1


def test_tfserving_answers_over_grpc_as_the_model_does(tfserving: Running, work: Work) -> None:
    grpc = kind("tfserving", protocol="grpc")
    wire, port = grpc.wire(tfserving.place), tfserving.place.ports[grpc.load_port]
    for number, photo in enumerate(work.photos[:2]):
        body, _ = ask(wire, tfserving.place.host, port, wire.request(photo))
        assert work.agrees(number, wire.answer(body))
        assert not work.agrees(1 - number, wire.answer(body))
    with pytest.raises(AnswerError, match="INVALID_ARGUMENT"):
        ask(wire, tfserving.place.host, port, wire.request(b"not a photo"))


@pytest.mark.parametrize(
    ("verb", "path", "body", "status", "error"),
    [
        ("GET", "/v1/models/nope", b"", 404, "Could not find any versions of model nope"),
        ("GET", "/v1/models", b"", 400, "Missing model name in request."),
        ("GET", "/v1/models/model:predict", b"", 400, "Malformed request: GET /v1/models/model:predict"),
        ("POST", "/v1/models/nope:predict", b"{}", 404, "Servable not found for request: Latest(nope)"),
        (
            "POST",
            "/v1/models/model/versions/9:predict",
            b"{}",
            404,
            "Servable not found for request: Specific(model, 9)",
        ),
        ("POST", "/v1/models/model:predict", b"", 400, "JSON Parse error: The document is empty"),
        ("POST", "/v1/models/model:predict", b"x", 400, "JSON Parse error: Invalid value. at offset: 0"),
        ("POST", "/v1/models/model:predict", b"{}", 400, "Missing 'inputs' or 'instances' key"),
    ],
)
def test_the_stand_in_refuses_in_the_words_of_the_real_program(
    tfserving: Running, verb: str, path: str, body: bytes, status: int, error: str
) -> None:
    (reply,) = send(tfserving, Request(path, body), verb=verb)
    assert (reply.status, json.loads(reply.body)["error"]) == (status, error)


def test_the_stand_in_reports_its_model_as_the_real_program_does(tfserving: Running) -> None:
    (status,) = send(tfserving, Request("/v1/models/model", b""), verb="GET")
    (version,) = json.loads(status.body)["model_version_status"]
    assert (version["version"], version["state"]) == ("1", "AVAILABLE")
    (metadata,) = send(tfserving, Request("/v1/models/model/metadata", b""), verb="GET")
    signature = json.loads(metadata.body)["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["jpeg"]["dtype"] == "DT_STRING"
    assert signature["outputs"]["probabilities"]["tensor_shape"]["dim"][1]["size"] == "1000"


def test_the_stand_in_owns_up_to_being_one(tfserving: Running) -> None:
    assert "double" in tfserving.server.version(tfserving.place)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--help"], "--model_base_path="),
        (["--port=many"], "--model_base_path="),
        (["--model_name=m"], "Failed to start server. Error: INVALID_ARGUMENT"),
        (["--model_base_path=/m", "--batching_parameters_file=/b"], "without setting server_options.enable_batching"),
        (["--model_base_path=/m", "--enable_batching", "--batching_parameters_file=/absent"], "INVALID_ARGUMENT"),
    ],
)
def test_the_stand_in_exits_with_255_where_the_real_program_does(double: str, flags: list[str], said: str) -> None:
    done = subprocess.run([double, *flags], capture_output=True, text=True, timeout=60)
    assert done.returncode == 255
    assert said in done.stdout


def test_the_stand_in_runs_on_past_an_unknown_flag_and_waits_for_a_missing_model(double: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [double, "--port", "8500", f"--model_base_path={tmp_path / 'absent'}", "--file_system_poll_wait_seconds=0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == "unknown argument: --port\n"
            complaints = [
                line for line, _ in zip(process.stderr, range(4), strict=False) if "Could not find base path" in line
            ]
            assert len(complaints) == 2
            assert process.poll() is None
        finally:
            process.kill()
