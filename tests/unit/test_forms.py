"""Forms of the model: where they lie, how far their answers are from the reference, and whom their failure costs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench import forms
from bench.artifact import ModelFiles
from bench.errors import ArtifactError, LaunchError
from bench.forms import FormFigures, Forms, Variant, build_forms, distance
from bench.payload import Photo
from bench.placeholders import values_at
from bench.server import Place

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
    return ModelFiles("m", folder, None, None, folder / "saved_model", 8, 8, 3, {"saved_model": 45})


def _child(failing: dict[str, str], asked: list[dict[str, object]]) -> object:
    """What the child leaves, without its converters; remembers its jobs."""

    def run(_python: Path, building: Path, _name: str, _say: object) -> None:
        job = json.loads((building / "job.json").read_text())
        asked.append(job)
        built: dict[str, object] = {}
        for form in job["build"]:
            (building / form).mkdir()
            if form in failing:
                built[form] = {"failure": failing[form]}
            else:
                (building / form / forms.FILES[form]).write_bytes(b"12345")
                built[form] = {"seconds": 2.5}
        answered = {}
        for variant in job["answer"]:
            if variant["form"] not in failing:
                np.save(building / f"{variant['name']}.npy", RIGHT)
                answered[variant["name"]] = {"outputs": f"{variant['name']}.npy"}
        (building / "done.json").write_text(json.dumps({"built": built, "answered": answered}))

    return run


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(forms, "environment", lambda *_: Path("/python"))
    monkeypatch.setattr(forms, "decoded_images", lambda *_: type("Images", (), {"file": Path("/images.npy")}))
    monkeypatch.setattr(forms, "_run_child", _child({}, asked))
    return asked


def test_a_form_is_built_once_and_a_frozen_graph_with_it(tmp_path: Path, jobs: list[dict[str, object]]) -> None:
    first = build_forms(_model(tmp_path / "m"), {"onnx"}, PHOTOS, RIGHT, quiet)
    again = build_forms(_model(tmp_path / "m"), {"onnx"}, PHOTOS, RIGHT, quiet)
    assert [job["build"] for job in jobs] == [["frozen", "onnx"]]
    assert first == again
    assert first.files["onnx"].read_bytes() == b"12345"
    assert {it.name: (it.size_bytes, it.build_seconds, it.agreement) for it in first.figures} == {
        "saved_model": (45, None, None),
        "frozen": (5, 2.5, None),
        "onnx": (5, 2.5, 1.0),
    }


def test_other_photos_ask_the_form_again_and_build_nothing(tmp_path: Path, jobs: list[dict[str, object]]) -> None:
    build_forms(_model(tmp_path / "m"), {"openvino"}, PHOTOS, RIGHT, quiet)
    build_forms(_model(tmp_path / "m"), {"openvino"}, PHOTOS[:1], RIGHT[:1], quiet)
    assert jobs[1]["build"] == []
    assert [it["name"] for it in jobs[1]["answer"]] == ["openvino-f32", "openvino-bf16"]  # type: ignore[attr-defined]


def test_a_form_that_cannot_be_made_costs_only_itself(
    tmp_path: Path, jobs: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "_run_child", _child({"onnx": "ValueError: no such operator: Frobnicate"}, jobs))
    built = build_forms(_model(tmp_path / "m"), {"onnx", "litert"}, PHOTOS, RIGHT, quiet)
    assert set(built.files) == {"frozen", "litert"}
    (failed,) = [it for it in built.figures if it.form == "onnx"]
    assert "Frobnicate" in failed.failure
    assert failed.agreement is None


def test_a_child_that_dies_leaves_nothing_that_looks_finished(tmp_path: Path, jobs: list[dict[str, object]]) -> None:
    def die(*_: object) -> None:
        raise ArtifactError("killed")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forms, "_run_child", die)
        with pytest.raises(ArtifactError):
            build_forms(_model(tmp_path / "m"), {"onnx"}, PHOTOS, RIGHT, quiet)
    build_forms(_model(tmp_path / "m"), {"onnx"}, PHOTOS, RIGHT, quiet)
    assert [job["build"] for job in jobs] == [["frozen", "onnx"]]


def test_every_variant_is_of_a_form_that_is_made() -> None:
    assert {it.form for it in forms.VARIANTS} | {"frozen"} == set(forms.FILES)
    assert isinstance(forms.VARIANTS[0], Variant)
    assert Forms({}, ()).files == {}


def test_a_command_of_ones_own_can_be_given_any_form() -> None:
    model = ModelFiles(
        "m", Path("/m"), None, None, Path("/m/saved_model"), 8, 8, 3, {}, None, {"onnx": Path("/m/a.onnx")}
    )
    place = Place("127.0.0.1", (20123,), model, Path("/scratch"), Path("/python"), 2)
    assert values_at(place, "onnx")["model"] == "/m/a.onnx"
    with pytest.raises(LaunchError, match="no model as litert to serve"):
        values_at(place, "litert")
