"""Triton for real: its own environment, a real model, every form of KServe v2, and what numpy 2 does to it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import glob
import json
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.errors import AnswerError
from bench.measures.answers import Expectation, expectation, judge
from bench.model.files import ModelFiles, Reference
from bench.payload.photos import Photo, sample_photos
from bench.programs.environments import environment
from bench.protocols import Request, Wire
from bench.protocols.plain import JSON_HEADERS
from bench.protocols.protobuf import field_bytes, varint
from bench.server import Place, Server, find_kind, load_kind
from bench.serving.guarded import guarded
from bench.serving.launch import HOST, Running, ask, free_ports, log_tail, running

pytestmark = [pytest.mark.integration, pytest.mark.tensorflow, pytest.mark.triton]

KIND = find_kind("triton", Path())
REQUIREMENTS = KIND / "requirements.txt"
NUMPY_2 = "numpy==2.4.6"
PROTOCOLS = ("rest", "rest-binary", "grpc")
BROKEN_PHOTO = b"\xff\xd8 this is no photo"

PHOTOS = sample_photos()

Change = Callable[[Wire], Request]
Model = tuple[ModelFiles, Reference, tuple[Photo, ...]]


def triton(**keys: Any) -> Server:
    return load_kind(KIND)(**keys)


@pytest.fixture(scope="module", autouse=True)
def _triton_can_run() -> None:
    if missing := triton().missing():
        pytest.skip(f"{missing.reason} ({missing.fix})")


@pytest.fixture(scope="module")
def python(bench_cache: Path) -> Path:
    """The environment of the pinned requirements."""
    return environment("triton", REQUIREMENTS, lambda _: None)


@pytest.fixture(scope="module")
def numpy_2_python(bench_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same environment but for numpy, against the word of nvidia-pytriton, which asks for numpy 1."""
    folder = tmp_path_factory.mktemp("numpy-2")
    pins = re.findall(r"^[a-z0-9-]+==\S+", REQUIREMENTS.read_text(), re.MULTILINE)
    others = [pin for pin in pins if not pin.startswith("numpy==")]
    assert len(others) == len(pins) - 1
    (folder / "requirements.txt").write_text("\n".join([*others, NUMPY_2]))
    (folder / "overrides.txt").write_text(NUMPY_2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_OVERRIDE", str(folder / "overrides.txt"))
        return environment("triton-numpy-2", folder / "requirements.txt", lambda _: None)


@pytest.fixture(scope="module")
def right(b0_model: Model) -> Expectation:
    reference = b0_model[1]
    return expectation(list(np.load(reference.outputs)), reference.tolerance)


@contextlib.contextmanager
def started(b0_model: Model, python: Path, folder: Path, **keys: Any) -> Iterator[Running]:
    """Triton as the harness starts it."""
    model = b0_model[0]
    jpegs = [photo.jpeg for photo in PHOTOS]
    with running(
        triton(**keys), model=model, python=python, cores=2, photos=jpegs, log=folder / "server.log"
    ) as server:
        yield server


@pytest.fixture(scope="module")
def server(b0_model: Model, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with started(b0_model, python, tmp_path_factory.mktemp("triton")) as server:
        yield server


def complaint(place: Place, protocol: str, number: int, right: Expectation, change: Change | None = None) -> str:
    """Why the harness does not accept the answer to a photo; empty if it does. `change` makes another request of it."""
    speaker = triton(protocol=protocol)
    wire = speaker.wire(place)
    request = change(wire) if change else wire.request(PHOTOS[number].jpeg)
    try:
        body, _ = ask(wire, HOST, place.ports[speaker.load_port], request)
    except AnswerError as failure:  # an error that the server admits
        return str(failure)
    return judge(wire.answer, [(number, body)], right).example


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_form_answers_what_the_model_answers(server: Running, right: Expectation, protocol: str) -> None:
    assert [complaint(server.place, protocol, number, right) for number in range(len(PHOTOS))] == [""] * len(PHOTOS)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_answer_to_another_photo_is_not_accepted(server: Running, right: Expectation, protocol: str) -> None:
    def swapped(wire: Wire) -> Request:
        return wire.request(PHOTOS[1].jpeg)

    assert "differs from the model's answer" in complaint(server.place, protocol, 0, right, swapped)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_no_photo_is_refused_with_a_sentence(server: Running, protocol: str) -> None:
    speaker = triton(protocol=protocol)
    wire = speaker.wire(server.place)
    with pytest.raises(AnswerError, match="neither the bytes of a JPEG nor their base64 text"):
        ask(wire, HOST, server.place.ports[speaker.load_port], wire.request(b"GIF89a"))


def counted(place: Place, answered: int) -> dict[str, Any]:
    """Triton's own counts once they hold so many answers: it counts after it has answered."""
    until = time.monotonic() + 30
    while True:
        stats: dict[str, Any] = get_json(f"http://{HOST}:{place.ports[0]}/v2/models/classifier/stats")["model_stats"][0]
        if int(stats["inference_count"]) >= answered or time.monotonic() > until:
            return stats
        time.sleep(0.05)


def test_photos_that_share_a_batch_keep_their_answers_and_their_errors(
    b0_model: Model, python: Path, right: Expectation, tmp_path: Path
) -> None:
    batching = sys.modules[load_kind(KIND).__module__].Batching(max_batch_size=8, queue_delay=0.5)
    photos = [photo.jpeg for photo in PHOTOS]
    jpegs = [*photos, BROKEN_PHOTO, *photos]
    with started(b0_model, python, tmp_path, batching=batching, instances=2) as server:

        def reply(jpeg: bytes) -> bytes | None:
            try:
                return ask(server.wire, HOST, server.port, server.wire.request(jpeg))[0]
            except AnswerError:
                return None

        with concurrent.futures.ThreadPoolExecutor(len(jpegs)) as pool:
            replies = list(pool.map(reply, jpegs))
        stats = counted(server.place, len(jpegs) - 1)
    assert [body is None for body in replies] == [jpeg is BROKEN_PHOTO for jpeg in jpegs]
    good = [(number % (len(photos) + 1), body) for number, body in enumerate(replies) if body is not None]
    verdict = judge(server.wire.answer, good, right)
    assert not verdict.wrong.any(), verdict.example
    assert stats["execution_count"] < stats["inference_count"], "no batch was formed, so nothing was split"
    assert [left for pattern in triton().litter(server.place) for left in glob.glob(pattern)] == []  # noqa: PTH207 -- absolute


@contextlib.contextmanager
def merely_up(
    model: ModelFiles, python: Path, folder: Path, change: Callable[[Path], None] = lambda _: None
) -> Iterator[Place]:
    """Triton once its own health route calls it ready, whatever it then answers; `change` edits its repository."""
    server = triton()
    place = Place(HOST, free_ports(server.port_count), model, folder, python, cores=2)
    command = server.command(place)
    change(folder / "models")
    log = folder / "server.log"
    environment = {**os.environ, **command.env}
    with (
        log.open("wb") as words,
        guarded(command.argv, env=environment, stdout=words, stderr=words, sweep=server.litter(place)) as process,
    ):
        deadline = time.monotonic() + server.start_timeout_s
        while not is_ready(place):
            assert process.alive(), log_tail(log)
            assert time.monotonic() < deadline, log_tail(log)
            time.sleep(0.05)
        yield place


def is_ready(place: Place) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{place.port}/v2/health/ready", timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def get_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as reply:
        return json.load(reply)


def test_with_numpy_2_no_answer_is_ever_accepted(
    b0_model: Model, numpy_2_python: Path, right: Expectation, tmp_path: Path
) -> None:
    with merely_up(b0_model[0], numpy_2_python, tmp_path) as place:
        said = {
            (protocol, number): complaint(place, protocol, number, right) for protocol in PROTOCOLS for number in (0, 1)
        }
    assert all(said.values()), (
        said
    )  # reading the photo kills the process that runs the model, so every reply is an error


PROBE = '''
import json
import triton_python_backend_utils as pb

class TritonPythonModel:
    """Answers its own input: whatever comes out wrong was broken by reading or by writing a tensor."""
    def initialize(self, args):
        self.dlpack = args["model_name"] == "dlpack"
    def execute(self, requests):
        write = pb.Tensor.from_dlpack if self.dlpack else pb.Tensor
        arrays = [pb.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        return [pb.InferenceResponse([write("probabilities", array)]) for array in arrays]
'''


def write_probe(classes: int) -> Callable[[Path], None]:
    """Replaces the model by two that answer their input, one for each way of writing a tensor."""

    def change(repository: Path) -> None:
        shutil.rmtree(repository / "classifier")
        for name in ("tensor", "dlpack"):
            (repository / name / "1").mkdir(parents=True)
            (repository / name / "1" / "model.py").write_text(PROBE)
            (repository / name / "config.pbtxt").write_text(
                f'name: "{name}" backend: "python" max_batch_size: 0\n'
                f'input [ {{ name: "x" data_type: TYPE_FP32 dims: [ 1, {classes} ] }} ]\n'
                f'output [ {{ name: "probabilities" data_type: TYPE_FP32 dims: [ 1, {classes} ] }} ]\n'
                "instance_group [ { kind: KIND_CPU count: 1 } ]\n"
            )

    return change


def sending(values: NDArray[np.float32], name: str) -> Change:
    """A request to one of those two models: it sends numbers, and asks for the answer as the wire does."""

    def request(wire: Wire) -> Request:
        usual = wire.request(b"")
        target = usual.target.replace("classifier", name)
        if wire.transport == "grpc":
            tensor = field_bytes(1, b"x") + field_bytes(2, b"FP32") + field_bytes(3, varint(1) + varint(values.size))
            body = field_bytes(1, name.encode()) + field_bytes(5, tensor) + field_bytes(7, values.tobytes())
            return Request(target, body)
        wanted = json.JSONDecoder().raw_decode(usual.body.decode("latin-1"))[0]["outputs"]
        tensors = [{"name": "x", "shape": [1, values.size], "datatype": "FP32", "data": values.tolist()}]
        return Request(target, json.dumps({"inputs": tensors, "outputs": wanted}).encode(), JSON_HEADERS)

    return request


def probed(model: ModelFiles, python: Path, folder: Path, name: str, right: Expectation) -> list[str]:
    """What is said of the answers of one of the two models, by protocol, photo by photo."""
    with merely_up(model, python, folder, write_probe(model.classes)) as place:
        return [
            complaint(place, protocol, number, right, sending(right.outputs[number], name))
            for protocol in PROTOCOLS
            for number in (0, 1)
        ]


def test_with_the_pinned_numpy_numbers_pass_through_the_backend_unchanged(
    b0_model: Model, python: Path, right: Expectation, tmp_path: Path
) -> None:
    assert probed(b0_model[0], python, tmp_path, "tensor", right) == [""] * 6


def test_wrong_numbers_that_numpy_2_makes_without_an_error_are_not_accepted(
    b0_model: Model, numpy_2_python: Path, right: Expectation, tmp_path: Path
) -> None:
    said = probed(b0_model[0], numpy_2_python, tmp_path, "dlpack", right)
    assert all("differs from the model's answer" in words for words in said), said  # read, finite, complete and wrong


def test_good_replies_that_numpy_2_leaves_empty_are_not_accepted(
    b0_model: Model, numpy_2_python: Path, right: Expectation, tmp_path: Path
) -> None:
    json_a, json_b, *others = probed(b0_model[0], numpy_2_python, tmp_path, "tensor", right)
    assert "HTTP 500" in json_a
    assert "HTTP 500" in json_b
    assert others == [f"probabilities has shape [1, {b0_model[0].classes}] and 0 values"] * 4
