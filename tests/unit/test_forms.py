"""Forms of the model: where they lie, how far their answers are from the reference, and whom their failure costs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.errors import ArtifactError, LaunchError
from bench.forms import building as forms
from bench.forms import converters, export_forms, variants
from bench.forms.building import FormFigures, Forms, build_forms, distance
from bench.forms.form_asking import Held, Question
from bench.model.files import ModelFiles
from bench.payload.photos import Photo
from bench.running.materials import Materials
from bench.running.records import model_served
from bench.server import Place
from bench.serving.placeholders import values_at

RIGHT = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]], dtype=np.float32)
PHOTOS = (Photo("one.jpg", b"1"), Photo("two.jpg", b"2"))


def quiet(_: str) -> None:
    """Nobody listens."""


def test_a_form_that_only_rounds_agrees_and_its_largest_difference_is_told() -> None:
    photos, same, largest = distance(RIGHT + np.float32(0.01), RIGHT)
    assert (photos, same) == (2, 2)
    assert largest == pytest.approx(0.01, rel=1e-4)


def test_another_first_class_agrees_in_one_photo_less() -> None:
    other = RIGHT[:, [1, 0, 2]].copy()
    other[1] = RIGHT[1]
    assert distance(other, RIGHT)[1] == 1
    assert FormFigures("x", "x", 1, 1.0, *distance(other, RIGHT)).agreement == 0.5


def test_outputs_that_are_no_numbers_agree_in_nothing() -> None:
    assert distance(np.full_like(RIGHT, np.nan), RIGHT) == (2, 0, None)
    assert distance(RIGHT[:, :2], RIGHT) == (2, 0, None)


def _model(folder: Path) -> ModelFiles:
    sizes = {"saved_model": 45}
    return ModelFiles(
        "m", folder, None, None, folder / "saved_model", 8, 8, 3, sizes, build_seconds={"saved_model": 1.5}
    )


class Children:
    """What the children leave, without converters and runtimes; remembers what they were asked."""

    def __init__(self) -> None:
        self.failing: dict[str, str] = {}
        self.built: list[list[str]] = []
        self.there: list[list[str]] = []
        self.asked: list[Question] = []

    def build(self, _python: Path, building: Path, _name: str, _say: object) -> None:
        job = json.loads((building / "job.json").read_text())
        self.built.append(job["build"])
        self.there.append(sorted(job["there"]))
        built: dict[str, Mapping[str, object]] = {form: {"compressed_bytes": 40} for form in job["given"]}
        for form in job["build"]:
            (building / form).mkdir()
            if form in self.failing:
                built[form] = {"failure": self.failing[form]}
            else:
                (building / form / variants.FILES[form]).write_bytes(b"12345")
                built[form] = {"seconds": 2.5, "compressed_bytes": 4}
        (building / "done.json").write_text(json.dumps({"built": built}))

    @contextlib.contextmanager
    def ask(
        self, _python: Path, question: Question, _images: Path, _scratch: Path, outputs: Path
    ) -> Iterator[SimpleNamespace]:
        self.asked.append(question)
        np.save(outputs, RIGHT)
        yield SimpleNamespace(held=Held(1000, 5000, 0.5))


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Children:
    fake = Children()
    monkeypatch.setattr(forms, "environment", lambda *_: Path("/python"))
    monkeypatch.setattr(forms, "decoded_images", lambda *_: SimpleNamespace(file=Path("/images.npy")))
    monkeypatch.setattr(forms, "_run_child", fake.build)
    monkeypatch.setattr(forms, "asked", fake.ask)
    monkeypatch.setattr("bench.forms.engines.cpu_has", lambda *_: True)
    return fake


def test_a_form_is_built_and_asked_once_with_all_that_the_model_came_in(tmp_path: Path, children: Children) -> None:
    first = build_forms(_model(tmp_path / "m"), {"onnx"}, PHOTOS, RIGHT, quiet)
    again = build_forms(_model(tmp_path / "m"), {"onnx"}, PHOTOS, RIGHT, quiet)
    assert children.built == [["frozen", "onnx"]]
    assert [it.name for it in children.asked] == ["saved_model", "frozen", "onnx"]
    assert first == again
    assert first.files["onnx"].read_bytes() == b"12345"
    rows = {it.name: (it.size_bytes, it.compressed_bytes, it.build_seconds, it.agreement) for it in first.figures}
    assert rows == {"saved_model": (45, 40, 1.5, 1.0), "frozen": (5, 4, 2.5, 1.0), "onnx": (5, 4, 2.5, 1.0)}
    assert {(it.memory_bytes, it.process_bytes, it.load_seconds) for it in first.figures} == {(1000, 5000, 0.5)}


def test_other_photos_ask_the_form_again_and_build_nothing(tmp_path: Path, children: Children) -> None:
    build_forms(_model(tmp_path / "m"), {"openvino"}, PHOTOS, RIGHT, quiet)
    children.asked.clear()
    build_forms(_model(tmp_path / "m"), {"openvino"}, PHOTOS[:1], RIGHT[:1], quiet)
    assert len(children.built) == 1
    assert [it.name for it in children.asked] == ["saved_model", "frozen", "openvino-f32", "openvino-bf16"]


def test_a_form_that_is_made_from_another_brings_it_or_finds_it(tmp_path: Path, children: Children) -> None:
    build_forms(_model(tmp_path / "m"), {"openvino_int8"}, PHOTOS, RIGHT, quiet)
    build_forms(_model(tmp_path / "m"), {"openvino_int8", "onnx_int8"}, PHOTOS, RIGHT, quiet)
    assert children.built == [["frozen", "openvino", "openvino_int8"], ["onnx", "onnx_int8"]]
    assert children.there == [[], ["frozen", "openvino", "openvino_int8"]]


def test_without_keras_layers_what_is_pruned_is_made_from_the_saved_model(tmp_path: Path, children: Children) -> None:
    build_forms(_model(tmp_path / "m"), {"onnx_pruned"}, PHOTOS, RIGHT, quiet)
    assert children.built == [["frozen", "onnx_pruned"]]
    assert variants.with_sources({"onnx_pruned"}, pruned_by_layer=True) == ("frozen", "keras_pruned", "onnx_pruned")


def test_a_form_that_cannot_be_made_costs_only_itself(tmp_path: Path, children: Children) -> None:
    children.failing["onnx"] = "ValueError: no such operator: Frobnicate"
    built = build_forms(_model(tmp_path / "m"), {"onnx", "litert"}, PHOTOS, RIGHT, quiet)
    assert set(built.files) == {"frozen", "litert"}
    (failed,) = [it for it in built.figures if it.form == "onnx"]
    assert "Frobnicate" in failed.failure
    assert failed.agreement is None


def test_a_form_that_another_file_stands_in_for_has_a_row_with_the_reason_and_is_not_asked(
    tmp_path: Path, children: Children
) -> None:
    model = _model(tmp_path / "m")
    sizes = {"h5": 30, "keras": 30, "saved_model": 45}
    lost = replace(model, size_bytes=sizes, replaced={"h5": "Keras says: no such layer"})
    figures = {it.name: it for it in build_forms(lost, {"onnx"}, PHOTOS, RIGHT, quiet).figures}
    assert (figures["h5"].failure, figures["h5"].size_bytes) == ("Keras says: no such layer", None)
    assert "h5" not in {it.name for it in children.asked}


def test_the_record_of_a_server_names_the_form_that_it_really_got(tmp_path: Path) -> None:
    model = replace(_model(tmp_path), size_bytes={"h5": 30, "keras": 30}, replaced={"h5": "lost"})
    entry: Any = SimpleNamespace(server=SimpleNamespace(model_form="h5"))
    served = model_served(entry, Materials((), model, None))
    assert (served["model_form"], served["model_bytes"]) == ("keras", 30)
    whole = replace(model, replaced={}, size_bytes={"h5": 90, "keras": 30})
    served = model_served(entry, Materials((), whole, None))
    assert (served["model_form"], served["model_bytes"]) == ("h5", 90)


def test_bfloat16_is_not_asked_of_a_cpu_that_lacks_it_and_the_row_says_so(
    tmp_path: Path, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.forms.engines.cpu_has", lambda *_: False)
    built = build_forms(_model(tmp_path / "m"), {"openvino"}, PHOTOS, RIGHT, quiet)
    whole, half = (it for it in built.figures if it.form == "openvino")
    assert whole.failure == ""
    assert "bfloat16" in half.failure
    assert "openvino-bf16" not in [it.name for it in children.asked]


def test_a_child_that_dies_leaves_nothing_that_looks_finished(tmp_path: Path, children: Children) -> None:
    def die(*_: object) -> None:
        raise ArtifactError("killed")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forms, "_run_child", die)
        with pytest.raises(ArtifactError):
            build_forms(_model(tmp_path / "m"), {"onnx"}, PHOTOS, RIGHT, quiet)
    build_forms(_model(tmp_path / "m"), {"onnx"}, PHOTOS, RIGHT, quiet)
    assert children.built == [["frozen", "onnx"]]


def test_the_child_makes_the_forms_and_files_that_the_harness_looks_for() -> None:
    assert converters.FILES == variants.FILES
    assert converters.MADE_FROM == variants.MADE_FROM
    assert set(converters.BUILDING) == set(variants.FILES)
    assert {it.form for it in variants.VARIANTS} == {"h5", "keras", "saved_model", *variants.FILES}
    assert Forms({}, ()).files == {}


def test_a_file_that_stores_its_weights_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(bytes(20_000_000))
    export_forms._check_size(tmp_path, 20_000_000)
    (tmp_path / "again").write_bytes(bytes(20_000_000))
    with pytest.raises(export_forms.converters.RefusedError, match="40 MB for 20 MB of weights"):
        export_forms._check_size(tmp_path, 20_000_000)


def test_a_command_of_ones_own_can_be_given_any_form() -> None:
    model = ModelFiles(
        "m", Path("/m"), None, None, Path("/m/saved_model"), 8, 8, 3, {}, None, {"onnx": Path("/m/a.onnx")}
    )
    place = Place("127.0.0.1", (20123,), model, Path("/scratch"), Path("/python"), 2)
    assert values_at(place, "onnx")["model"] == "/m/a.onnx"
    with pytest.raises(LaunchError, match="no model as litert to serve"):
        values_at(place, "litert")
