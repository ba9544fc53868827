"""A model given as an ONNX file: what it is kept under, which forms are made of it, and what a scenario may say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import ArtifactError, BenchError, ScenarioError
from bench.forms import onnx_model
from bench.forms.onnx_model import build_onnx_model, build_onnx_tensor_model, onnx_reference, onnx_tensor_reference
from bench.forms.variants import with_sources
from bench.model.files import ModelSpec
from bench.model.flops import model_flops
from bench.model.obtainable import FROM_ONNX, GIVEN_AS_ONNX, ONLY_F32
from bench.payload.examples import generated
from bench.payload.photos import Photo
from bench.scenario.scenario import check_files, load_scenario
from bench.server import ModelForm
from tests.onnx_files import CLASSES, mean_colour, model_proto, node, two_inputs, value_info, written

PHOTOS = (Photo("a.jpg", b"\xff\xd8a"), Photo("b.jpg", b"\xff\xd8b"), Photo("a again.jpg", b"\xff\xd8a"))


def quiet(_: str) -> None:
    pass


class Child:
    """Stands for `adapt_onnx.py`; keeps its jobs."""

    def __init__(self) -> None:
        self.jobs: list[dict[str, Any]] = []
        self.outputs = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
        self.failure: ArtifactError | None = None
        self.lacking: dict[str, str] = {}

    def run(self, _program: Path, job: dict[str, Any], folder: Path, *_: object) -> None:
        self.jobs.append(job)
        if self.failure is not None:
            raise self.failure
        if job["task"] == "adapt":
            (folder / "model.onnx").write_bytes(b"adapted")
            (folder / "model.json").write_text(json.dumps({"classes": CLASSES}))
        elif job["task"] == "prepare":
            for name in ("model.onnx", "model.xml", "model.bin"):
                (folder / name).write_bytes(b"made")
            (folder / "model.json").write_text(json.dumps(self.lacking))
        elif job["task"] == "ask":
            rows: dict[str, Any] = {str(number): row for number, row in enumerate(self.outputs)}
            np.savez(folder / "outputs.npz", **rows)
        else:
            np.save(folder / "outputs.npy", self.outputs)


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Child:
    fake = Child()
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(onnx_model, "run_child", fake.run)
    monkeypatch.setattr(onnx_model, "environment", lambda *_: Path("/python"))
    monkeypatch.setattr(onnx_model, "decoded_images", lambda *_: type("Images", (), {"file": Path("/images.npy")}))
    return fake


def test_it_is_made_ready_once_and_anew_for_other_bytes_pixels_or_weights_beside_it(
    child: Child, tmp_path: Path
) -> None:
    file = written(tmp_path / "mine.onnx", mean_colour())
    first = build_onnx_model(ModelSpec(None, file), quiet)
    assert build_onnx_model(ModelSpec(None, file), quiet) == first
    assert len(child.jobs) == 1
    assert (first.name, first.height, first.width, first.classes) == ("mine", 8, 6, CLASSES)
    others = [build_onnx_model(ModelSpec(None, file, pixels="0-1"), quiet)]
    written(file, mean_colour(location="w.bin"))
    for weights in (b"1", b"2"):
        written(tmp_path / "w.bin", weights)
        others.append(build_onnx_model(ModelSpec(None, file), quiet))
    assert len({first.folder, *(it.folder for it in others)}) == 4
    assert [(job["layout"], job["pixels"]) for job in child.jobs[:2]] == [("NCHW", "0-255"), ("NCHW", "0-1")]


@pytest.mark.parametrize("replaced", ["m.onnx", "w.bin"])
def test_a_file_that_is_replaced_while_it_is_read_is_refused_and_not_kept_also_one_of_weights_beside_it(
    child: Child, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: str
) -> None:
    spec = ModelSpec(None, written(tmp_path / "m.onnx", mean_colour(location="w.bin")))
    written(tmp_path / "w.bin", b"1")

    def run_meanwhile(*job: Any) -> None:
        child.run(*job)
        (tmp_path / replaced).write_bytes(mean_colour() if replaced == "m.onnx" else b"2")

    monkeypatch.setattr(onnx_model, "run_child", run_meanwhile)
    with pytest.raises(ScenarioError, match="the file of model m changed while it was read"):
        build_onnx_model(spec, quiet)
    assert [entry.name for entry in (tmp_path / "cache" / "models").iterdir() if entry.suffix != ".lock"] == []


def test_it_has_no_form_that_only_tensorflow_makes_and_says_why(child: Child, tmp_path: Path) -> None:
    model = build_onnx_model(ModelSpec(None, written(tmp_path / "m.onnx", mean_colour())), quiet)
    forms: tuple[ModelForm, ...] = ("h5", "keras", "saved_model", "litert", "keras_pruned")
    assert [model.file(form) for form in forms] == [None] * len(forms)
    assert {model.missing[form] for form in forms} == {GIVEN_AS_ONNX}
    assert not set(FROM_ONNX) & set(model.missing)
    with pytest.raises(ArtifactError, match="only TensorFlow's operations are counted"):
        model_flops(model, quiet)


def test_forms_of_an_onnx_file_need_no_frozen_graph() -> None:
    wanted = {"onnx_int8", "openvino", "litert"}
    assert with_sources(wanted, pruned_by_layer=False, from_onnx=True) == ("onnx", "onnx_int8", "openvino")


def test_what_the_child_refuses_is_the_file_s_fault_and_what_breaks_is_not(child: Child, tmp_path: Path) -> None:
    spec = ModelSpec(None, written(tmp_path / "m.onnx", mean_colour()))
    child.failure = ArtifactError("it uses the operator com.acme:Frobnicate", hint="export it again")
    with pytest.raises(ScenarioError, match="Frobnicate"):
        build_onnx_model(spec, quiet)
    child.failure = ArtifactError("building m failed (exit code 1)", where="/cache/build.log")
    with pytest.raises(ArtifactError, match="exit code 1"):
        build_onnx_model(spec, quiet)


def test_the_same_photo_twice_does_not_count_as_answered_alike(child: Child, tmp_path: Path) -> None:
    model = build_onnx_model(ModelSpec(None, written(tmp_path / "m.onnx", mean_colour())), quiet)
    assert onnx_reference(model, PHOTOS, quiet).photo_distance == 1.0
    assert onnx_reference(model, PHOTOS, quiet).outputs.is_file()
    assert [job["task"] for job in child.jobs] == ["adapt", "answer"]


def test_photos_that_it_answers_alike_are_an_error_that_names_them(child: Child, tmp_path: Path) -> None:
    model = build_onnx_model(ModelSpec(None, written(tmp_path / "m.onnx", mean_colour())), quiet)
    child.outputs = np.full((3, 2), 0.5, np.float32)
    with pytest.raises(ArtifactError, match=r"answers a\.jpg and b\.jpg only 0 apart"):
        onnx_reference(model, PHOTOS, quiet)


def test_a_model_of_other_inputs_comes_as_it_is_and_as_openvino_s(child: Child, tmp_path: Path) -> None:
    spec = ModelSpec(None, written(tmp_path / "two.onnx", two_inputs()))
    model = build_onnx_tensor_model(spec, quiet)
    assert build_onnx_tensor_model(spec, quiet) == model
    assert [job["task"] for job in child.jobs] == ["prepare"]
    assert model.signature is not None
    assert [(it.name, it.given, it.dtype) for it in model.signature.inputs] == [
        ("size_area", "size/area", "float32"),
        ("room_count", "room:count", "int64"),
    ]
    assert set(model.forms) == {"onnx", "openvino"}
    assert model.missing["onnx_int8"] == ONLY_F32
    assert model.missing["saved_model"] == GIVEN_AS_ONNX


def test_what_openvino_lacks_costs_only_its_own_form(child: Child, tmp_path: Path) -> None:
    child.lacking = {"openvino": "OpenVINO cannot read it: no such operator"}
    model = build_onnx_tensor_model(ModelSpec(None, written(tmp_path / "two.onnx", two_inputs())), quiet)
    assert set(model.forms) == {"onnx"}
    assert "no such operator" in model.missing["openvino"]


def test_examples_are_asked_once(child: Child, tmp_path: Path) -> None:
    model = build_onnx_tensor_model(ModelSpec(None, written(tmp_path / "two.onnx", two_inputs())), quiet)
    assert model.signature is not None
    examples = generated(model.signature, 3, 1)
    child.outputs = np.eye(3, dtype=np.float32)
    first, outputs = onnx_tensor_reference(model, examples, quiet)
    assert onnx_tensor_reference(model, examples, quiet)[0] == first
    assert [job["task"] for job in child.jobs] == ["prepare", "ask"]
    assert [output.tolist() for output in outputs] == child.outputs.tolist()


def test_without_a_payload_an_onnx_file_gets_what_it_takes(tmp_path: Path) -> None:
    written(tmp_path / "m.onnx", mean_colour())
    written(tmp_path / "two.onnx", two_inputs())
    for model, tensors in (("{path: m.onnx}", False), ("{path: two.onnx}", True)):
        checked(tmp_path, model)
        assert load_scenario(tmp_path / "q.yaml").sends_tensors is tensors


# ---- scenarios --------------------------------------------------------------------------------------------------

SCENARIO = """name: q
model: {model}
load: [{{profile: closed, users: 1, duration: 3s}}]
servers: {{a: {{kind: fastapi, engine: onnxruntime}}}}
"""


def checked(tmp_path: Path, model: str, more: str = "") -> None:
    file = tmp_path / "q.yaml"
    file.write_text(SCENARIO.format(model=model) + more)
    check_files(load_scenario(file))


def test_a_scenario_takes_an_onnx_file_and_says_what_its_pixels_are(tmp_path: Path) -> None:
    written(tmp_path / "m.onnx", mean_colour())
    for pixels in ("", ", pixels: 0-1", ", pixels: -1-1", ", pixels: imagenet"):
        checked(tmp_path, f"{{path: m.onnx{pixels}}}")
    spec = load_scenario(tmp_path / "q.yaml").model_spec
    assert spec is not None
    assert (spec.path, spec.pixels) == (tmp_path / "m.onnx", "imagenet")


def test_pixels_are_recorded_where_they_can_be_chosen_and_nowhere_else(tmp_path: Path) -> None:
    file = tmp_path / "q.yaml"
    for model, recorded in (("{path: m.onnx}", "0-255"), ("{keras_application: EfficientNetB0}", None)):
        file.write_text(SCENARIO.format(model=model))
        keys = load_scenario(file).model
        assert keys is not None
        assert keys.model_dump().get("pixels") == recorded


@pytest.mark.parametrize(
    ("model", "more", "said"),
    [
        ("{path: m.keras, pixels: 0-1}", "", "q.yaml:2: model: 'pixels' goes with an ONNX file"),
        ("{path: m.onnx, pixels: 1-0}", "", "q.yaml:2: model.pixels"),
        ("{path: broken.onnx}", "", r"q.yaml:2: model.path: .*broken.onnx is not an ONNX model"),
        (
            "{path: rows.onnx}",
            "payload: {images: sample}\n",
            r"q.yaml:5: payload.images: .*photos, and the model takes x float32 \(None, 4\)",
        ),
    ],
)
def test_what_an_onnx_file_cannot_be_is_told_with_its_line(model: str, more: str, said: str, tmp_path: Path) -> None:
    written(tmp_path / "m.onnx", mean_colour())
    written(tmp_path / "broken.onnx", b"hello world")
    rows = model_proto([value_info("x", ("n", 4))], [node("Softmax", ["x"], "y")], [value_info("y", ("n", 4))])
    written(tmp_path / "rows.onnx", rows)
    with pytest.raises(BenchError, match=said):
        checked(tmp_path, model, more)
