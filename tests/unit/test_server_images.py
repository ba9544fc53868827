"""Kinds that come as images: requests and answers against documented examples, and what is started with which words."""

from __future__ import annotations

import base64
import json
import re
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.errors import AnswerError, LaunchError, ScenarioError
from bench.protocols import Request
from bench.protocols.protobuf import field_bytes, fields
from bench.scenario.scenario import load_scenario
from bench.server import Missing, Place, known_kinds, load_kind

DATA = Path(__file__).parents[1] / "data" / "apis"
DEEPDETECT = json.loads((DATA / "deepdetect.json").read_text())
CLIPPER = json.loads((DATA / "clipper.json").read_text())
KSERVE = json.loads((DATA / "kserve-binary.json").read_text())
PHOTO = b"\xff\xd8 a photo"


def kind(name: str, **keys: Any) -> Any:
    return load_kind(known_kinds()[name])(**keys)


def shape(value: Any) -> Any:
    """A JSON document with every leaf replaced by its type."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "scratch").mkdir()
    return Place("127.0.0.1", (20123, 20124, 20125), None, tmp_path / "scratch", Path(sys.executable), 2, 8, (0, 1))


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program named docker, which has every image."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "docker").touch(0o755)
    (folder / "docker").write_text(
        """#!/bin/sh\ncase $1 in info) echo 28.1;; *) echo 'sha256:id ["i@sha256:x"]';; esac\n"""
    )
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def words(argv: tuple[str, ...] | list[str]) -> str:
    return " ".join(argv)


# ---------------------------------------------------------------- deepdetect


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "net.pt").write_text("weights")
    return tmp_path / "model"


def test_a_prediction_is_asked_of_deepdetect_as_its_reference_does(repository: Path, place: Place) -> None:
    server = kind("deepdetect", repository=str(repository), classes=3)
    request = server.wire(place).request(PHOTO)
    asked, documented = json.loads(request.body), DEEPDETECT["predict"]
    assert (request.method, request.target) == ("POST", "/predict")
    assert asked["data"] == [base64.b64encode(PHOTO).decode()]
    assert asked["parameters"]["input"] == documented["parameters"]["input"]
    assert asked["parameters"]["output"].pop("confidence_threshold") < 0, "else classes of probability 0 are left out"
    assert shape(asked) == shape(documented)


def test_a_service_is_described_to_deepdetect_as_its_reference_does(repository: Path) -> None:
    server = kind("deepdetect", repository=str(repository), classes=1000, input={"rgb": True})
    described = server.service(Path("/opt/models/resnet50/"))
    assert described["parameters"].pop("output") == {}
    assert {described["parameters"]["input"].pop(key) for key in ("width", "height", "rgb")} == {224, True}
    assert shape(described) == shape(DEEPDETECT["create"])
    assert described["parameters"] == DEEPDETECT["create"]["parameters"]


def test_an_answer_of_deepdetect_is_put_into_the_order_of_its_classes(repository: Path, place: Place) -> None:
    wire = kind("deepdetect", repository=str(repository), classes=3).wire(place)
    answer = wire.answer(json.dumps(DEEPDETECT["predicted"]).encode())
    assert answer == pytest.approx([0.20703653991222382, 0.07931024581193924, 0.24278657138347627])
    numbered = [{"prob": 0.1, "cat": "10"}, {"prob": 0.7, "cat": "2"}, {"prob": 0.2, "cat": "0"}]
    reply = {"status": {"code": 200}, "body": {"predictions": [{"classes": numbered}]}}
    assert wire.answer(json.dumps(reply).encode()) == pytest.approx([0.2, 0.7, 0.1]), "by number, 10 behind 2"


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (DEEPDETECT["errors"], "404 Not Found, 1002 Service Not Found"),
        (DEEPDETECT["predicted_rows"], "one photo was asked for, and 2 predictions came"),
        ({"status": {"code": 200}, "body": {}}, "no 'predictions'"),
        (
            {"status": {"code": 200}, "body": {"predictions": {"classes": {"prob": 1, "cat": "6"}}}},
            "1 different classes",
        ),
        ([1], "no 'status'"),
    ],
)
def test_what_is_no_answer_of_deepdetect_is_told(reply: Any, says: str, repository: Path, place: Place) -> None:
    with pytest.raises(AnswerError, match=says):
        kind("deepdetect", repository=str(repository), classes=3).wire(place).answer(json.dumps(reply).encode())


@pytest.mark.usefixtures("engine")
def test_deepdetect_serves_a_copy_of_the_model_that_its_start_list_names(repository: Path, place: Place) -> None:
    server = kind("deepdetect", repository=str(repository), classes=10, memory=1 << 30)
    command = server.command(place)
    shared = place.folder / "deepdetect"
    name, service, document = (shared / "services").read_text().strip().split(";", 2)
    assert [name, ";".join(["service_create", "sname", "JSON string"])] == [
        "service_create",
        DEEPDETECT["service_line"],
    ]
    assert service == json.loads(server.wire(place).request(PHOTO).body)["service"]
    assert json.loads(document)["model"]["repository"] == str(shared / "model")
    assert (shared / "model" / "net.pt").read_text() == "weights"
    assert words(command.argv).endswith(f"{server.image} -service_start_list {shared / 'services'}")
    assert "--publish 127.0.0.1:20123:8080" in words(command.argv)
    assert "--cpuset-cpus 0,1 --memory 1073741824 --memory-swap 1073741824" in words(command.argv).replace("0-1", "0,1")


# ---------------------------------------------------------------- clipper


def test_a_query_of_clipper_is_a_photo_in_base64(place: Place) -> None:
    request = kind("clipper", image="mine:1").wire(place).request(PHOTO)
    assert request.target == "/classifier/predict"
    assert json.loads(request.body) == {"input": base64.b64encode(PHOTO).decode()}
    assert list(json.loads(request.body)) == CLIPPER["query_body_keys"]


def test_what_clipper_is_told_has_the_keys_and_types_of_its_reference() -> None:
    server = kind("clipper", image="mine:1", latency_slo=0.1)
    assert shape(server.application()) == shape(CLIPPER["add_app"])
    assert server.application()["latency_slo_micros"] == CLIPPER["add_app"]["latency_slo_micros"]
    assert shape(server.registration()) == shape({**CLIPPER["add_model"], "labels": []})


def as_clipper_writes(document: dict[str, Any]) -> bytes:
    return json.dumps(
        {key: document[key] for key in ("query_id", "output", "default", "default_explanation") if key in document}
    ).encode()


def test_a_default_answer_is_a_failure_of_its_own_kind_although_its_status_is_good(place: Place) -> None:
    wire = kind("clipper", image="mine:1").wire(place)
    late = as_clipper_writes(CLIPPER["result"])
    with pytest.raises(AnswerError, match=r"late: .*within the specified latency SLO"):
        wire.answer(late)
    rule = rule_of(wire.request(PHOTO))
    assert re.search(rule.fails, late.decode())
    assert re.search(rule.fails, late.decode().replace(": ", ":").replace(", ", ","))
    assert not re.search(rule.fails, as_clipper_writes(CLIPPER["answered"]).decode())
    own = '{"query_id":1,"output":{"default":true},"default":false}'
    assert not re.search(rule.fails, own), "a model's own output may say the same words"
    assert rule.fails_as.startswith("late: ")


def test_replies_of_clipper_differ_by_more_than_their_number(place: Place) -> None:
    rule = rule_of(kind("clipper", image="mine:1").wire(place).request(PHOTO))
    first, second = (
        re.sub(rule.varies, "", f'{{"query_id": {n}, "output": [0.5], "default": false}}') for n in (1, 42)
    )
    assert first == second


@pytest.mark.parametrize(("output", "answer"), [([0.25, 0.75], [0.25, 0.75]), ("[0.25, 0.75]", [0.25, 0.75])])
def test_an_answer_of_clipper_is_the_list_that_its_model_wrote(output: Any, answer: list[float], place: Place) -> None:
    reply = {"query_id": 7, "output": output, "default": False}
    assert kind("clipper", image="mine:1").wire(place).answer(json.dumps(reply).encode()).tolist() == answer


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (CLIPPER["answered"], r"output is not a list of numbers: '\(749, 600\)'"),
        ({"error": "Json error", "cause": "Error parsing JSON"}, "the server answered an error: Json error"),
        ({"output": [1.0]}, "Clipper does not say why"),
    ],
)
def test_what_is_no_answer_of_clipper_is_told(reply: dict[str, Any], says: str, place: Place) -> None:
    with pytest.raises(AnswerError, match=says):
        kind("clipper", image="mine:1").wire(place).answer(json.dumps(reply).encode())


@pytest.mark.usefixtures("engine")
def test_clipper_is_started_in_the_order_of_its_own_client(place: Place) -> None:
    server = kind("clipper", image="mine:1", num_replicas=2, input_type="strings")
    command = server.command(place)
    steps = json.loads(Path(command.argv[-1]).read_text())["steps"]
    told = [step["url"].rpartition("/")[2] if "url" in step else step["name"] for step in steps]
    assert told == [
        "redis",
        "management frontend",
        "query frontend",
        "add_app",
        "model 1",
        "model 2",
        "add_model",
        "add_model_links",
    ]
    assert shape(steps[-1]["body"]) == shape(CLIPPER["add_model_links"])
    redis, query, model = (words(steps[index]["argv"]) for index in (0, 2, 4))
    assert "--publish 127.0.0.1:20123:1337 --publish 127.0.0.1:20124:1338" in redis
    assert f"--network container:{steps[0]['container']}" in query
    assert "--publish" not in query + model
    assert "--prediction_cache_size=0" in query
    assert "--env CLIPPER_IP=127.0.0.1 --env CLIPPER_INPUT_TYPE=strings" in model
    assert command.elsewhere is not None
    assert command.elsewhere.find[-5:] == tuple(step["container"] for step in steps if "argv" in step)


def test_which_part_of_clipper_ended_is_told_from_the_log() -> None:
    log = "I am Redis\nclipper: model 1 ended (exit code 125)\n"
    assert kind("clipper", image="mine:1").explain(log, 1) == "clipper: model 1 ended (exit code 125)"


# ---------------------------------------------------------------- tensorrt


def onnx_file(folder: Path, inputs: tuple[str, ...] = ("image:0",)) -> Path:
    """As much of an ONNX file as names take."""
    weights = field_bytes(5, field_bytes(8, b"weights"))
    values = b"".join(field_bytes(11, field_bytes(1, name.encode())) for name in ("weights", *inputs))
    file = folder / "model.onnx"
    file.write_bytes(field_bytes(7, weights + values + field_bytes(12, field_bytes(1, b"Identity:0"))))
    return file


@pytest.fixture
def with_model(place: Place, tmp_path: Path) -> Any:
    file = onnx_file(tmp_path)
    images = SimpleNamespace(of=lambda photo: np.full((2, 2, 3), len(photo), dtype=np.float32))
    model = SimpleNamespace(file=lambda _: file, height=2, width=2, classes=4, images=images)
    return Place(**{**{name: getattr(place, name) for name in Place.__slots__}, "model": model})


def rule_of(request: Request) -> Any:
    assert request.reply is not None
    return request.reply


def test_pixels_travel_in_binary_behind_the_json_as_documented(with_model: Place) -> None:
    request = kind("tensorrt", protocol="rest-binary").wire(with_model).request(PHOTO)
    headers = dict(request.headers)
    size = int(headers["Inference-Header-Content-Length"])
    head, raw = json.loads(request.body[:size]), request.body[size:]
    assert headers.keys() == KSERVE["headers"].keys()
    assert request.target == "/v2/models/classifier/infer"
    documented = {key: [each[0]] for key, each in KSERVE["request"].items() if key != "model_name"}
    assert shape(head) == shape(documented)
    assert head["inputs"][0] == {
        "name": "image:0",
        "shape": [1, 2, 2, 3],
        "datatype": "FP32",
        "parameters": {"binary_data_size": 48},
    }
    assert raw == struct.pack("<12f", *[float(len(PHOTO))] * 12)


def test_an_answer_of_triton_is_read_as_documented(with_model: Place) -> None:
    wire = kind("tensorrt", protocol="rest-binary").wire(with_model)
    (output,) = KSERVE["response"]["outputs"]
    mine = {**output, "name": "Identity:0", "shape": [1, 4], "parameters": {"binary_data_size": 16}}
    assert wire.answer(
        json.dumps({"outputs": [mine]}).encode() + struct.pack("<4f", 0.1, 0.2, 0.3, 0.4)
    ) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    with pytest.raises(AnswerError, match="it has: output0"):
        wire.answer(json.dumps(KSERVE["response"]).encode() + bytes(24))


def test_over_grpc_the_pixels_are_raw_contents(with_model: Place) -> None:
    request = kind("tensorrt").wire(with_model).request(PHOTO)
    found = {number: value for number, _, value in fields(request.body)}
    described = [value for _, _, value in fields(found[5])]  # type: ignore[arg-type]
    assert found[1] == b"classifier"
    assert described == [b"image:0", b"FP32", bytes([1, 2, 2, 3])]
    assert found[7] == struct.pack("<12f", *[float(len(PHOTO))] * 12)


@pytest.mark.usefixtures("engine")
def test_the_model_repository_names_tensorrt_and_what_the_onnx_file_is_called_inside(with_model: Place) -> None:
    command = kind("tensorrt", precision="FP16").command(with_model)
    folder = with_model.folder / "models" / "classifier"
    config = (folder / "config.pbtxt").read_text()
    assert 'backend: "onnxruntime"' in config
    assert 'name : "tensorrt" parameters { key: "precision_mode" value: "FP16" }' in config
    assert 'input [ { name: "image:0" data_type: TYPE_FP32 dims: [ -1, 2, 2, 3 ] } ]' in config
    assert (folder / "1" / "model.onnx").is_symlink()
    said = words(command.argv)
    assert "--gpus all" in said
    assert "--publish 127.0.0.1:20124:20124" in said
    assert f"target={(folder / '1' / 'model.onnx').resolve().parent},readonly" in said


@pytest.mark.usefixtures("engine")
def test_a_plan_needs_no_accelerator(with_model: Place, tmp_path: Path) -> None:
    plan = tmp_path / "mine.plan"
    plan.touch()
    kind("tensorrt", plan=str(plan)).command(with_model)
    folder = with_model.folder / "models" / "classifier"
    config = (folder / "config.pbtxt").read_text()
    assert 'backend: "tensorrt"' in config
    assert "execution_accelerators" not in config
    assert (folder / "1" / "model.plan").resolve() == plan


@pytest.mark.parametrize("inputs", [(), ("a", "b")])
def test_an_onnx_model_of_another_shape_is_refused(inputs: tuple[str, ...], with_model: Place, tmp_path: Path) -> None:
    onnx_file(tmp_path, inputs)
    with pytest.raises(LaunchError, match=f"has {len(inputs)} inputs and 1 outputs"):
        kind("tensorrt").wire(with_model)


def test_half_precision_is_other_work() -> None:
    assert (kind("tensorrt").other_work, kind("tensorrt", precision="FP16").other_work) == ("", "FP16")


# ---------------------------------------------------------------- all of them


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("{kind: deepdetect}", "'repository' is missing"),
        ("{kind: deepdetect, repository: ., classes: 10, mllib: caffe}", "must be one of 'torch' or 'tensorrt'"),
        ("{kind: deepdetect, repository: ., classes: 10, input: {width: 5}}", "input.width is set by another key"),
        ("{kind: clipper}", "'image' is missing"),
        ("{kind: clipper, image: mine, latency_slo: 0s}", "must be greater than 0"),
        ("{kind: clipper, image: --privileged}", "'image' is no name of an image"),
        ("{kind: tensorrt, cpuset: all}", "cpuset is a list"),
        ("{kind: tensorrt, precision: INT8}", "must be one of"),
    ],
)
def test_keys_that_cannot_be_meant_are_refused_with_their_line(keys: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "model: {keras_application: EfficientNetB0}\n"
        f"load: [{{profile: closed, users: 1, duration: 1s}}]\nservers:\n  mine: {keys}\n"
    )
    with pytest.raises(ScenarioError) as raised:
        load_scenario(path)
    assert str(raised.value).startswith(f"{path}:4: ")
    assert says in str(raised.value)


@pytest.mark.parametrize("name", ["deepdetect", "clipper", "tensorrt"])
def test_without_an_engine_a_kind_of_an_image_is_not_here_and_says_what_helps(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    lack = load_kind(known_kinds()[name]).here()
    assert isinstance(lack, Missing)
    assert lack.fix
    assert "needs its image" in load_kind(known_kinds()[name]).title


@pytest.fixture
def empty_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that answers and has no image."""
    program = tmp_path / "docker"
    program.touch(0o755)
    program.write_text(
        "#!/bin/sh\nif [ $1 = info ]; then echo 28.1; else echo 'Error: No such image' >&2; exit 1; fi\n"
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")


@pytest.mark.usefixtures("empty_engine")
@pytest.mark.parametrize("name", ["deepdetect", "clipper"])
def test_without_its_image_the_command_that_gets_it_is_told(name: str) -> None:
    loaded: Any = load_kind(known_kinds()[name])
    lack = loaded.here()
    assert isinstance(lack, Missing)
    assert lack.fix == f"docker pull {loaded.usual_image}"


@pytest.mark.usefixtures("empty_engine")
def test_every_image_that_is_not_here_is_told_at_once_and_one_s_own_can_be_built() -> None:
    server = kind("clipper", image="my-model:1")
    lack = server.missing()
    assert lack is not None
    assert all(f"the image {image} is not on this machine" in lack.reason for image in server.images)
    assert lack.fix.count("docker pull ") == len(server.images) == 4
    assert lack.fix.endswith(" && docker pull my-model:1, or docker build -t my-model:1 FOLDER")


@pytest.mark.parametrize(
    "image",
    ["mine", "a/b-c__d.e/f:3", "Registry.example:5000/x@sha256:" + "0" * 64, "[::1]:5000/x:V1.0-rc", "3f2ab0"],
)
def test_whatever_docker_takes_for_an_image_is_taken(image: str) -> None:
    assert kind("docker", image=image, port=80).images == (image,)
