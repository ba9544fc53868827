"""The fastapi kind: which engine takes which form of the model, in which environment, and what it decodes."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from bench.errors import LaunchError
from bench.forms.engines import programs_folder
from bench.forms.variants import FILES
from bench.model.files import ModelFiles
from bench.server import Place, Server, known_kinds, load_kind
from bench.units import UnitError

FOLDER = known_kinds()["fastapi"]
KIND = load_kind(FOLDER)
FORMS = {form: Path("/m/forms") / form / file for form, file in FILES.items()}
MODEL = ModelFiles(
    "m", Path("/m"), Path("/m/m.h5"), Path("/m/m.keras"), Path("/m/saved_model"), 224, 240, 1000, {}, None, FORMS
)
PLACE = Place("127.0.0.1", (20123,), MODEL, Path("/scratch"), Path("/venv/bin/python"), 2)


def fastapi(**keys: object) -> Server:
    return KIND(**keys)


@pytest.mark.parametrize(
    ("keys", "path", "requirements"),
    [
        ({}, "/m/saved_model/1", "requirements.txt"),
        ({"engine": "keras"}, "/m/m.keras", "requirements.txt"),
        ({"engine": "onnxruntime"}, "/m/forms/onnx/model.onnx", "requirements-onnxruntime.txt"),
        (
            {"engine": "onnxruntime", "precision": "pruned"},
            "/m/forms/onnx_pruned/model.onnx",
            "requirements-onnxruntime.txt",
        ),
        ({"engine": "openvino"}, "/m/forms/openvino/model.xml", "requirements-openvino.txt"),
        ({"engine": "openvino", "precision": "bf16"}, "/m/forms/openvino/model.xml", "requirements-openvino.txt"),
        ({"engine": "litert"}, "/m/forms/litert/model.tflite", "requirements-litert.txt"),
        ({"engine": "litert", "precision": "int8"}, "/m/forms/litert_int8/model.tflite", "requirements-litert.txt"),
    ],
)
def test_an_engine_has_its_form_of_the_model_and_its_environment(
    keys: dict[str, str], path: str, requirements: str
) -> None:
    server = fastapi(**keys)
    env = server.command(PLACE).env
    assert env["MODEL_PATH"] == path
    assert env["MODEL_ENGINE"] == keys.get("engine", "tensorflow")
    assert env["MODEL_PRECISION"] == keys.get("precision", "f32")
    assert server.requirements is not None
    pinned = FOLDER / server.requirements
    assert (pinned.name, pinned.is_file()) == (requirements, True)


def test_an_engine_refuses_a_precision_that_it_has_not() -> None:
    with pytest.raises(UnitError, match="engine onnxruntime does not compute in bf16"):
        fastapi(engine="onnxruntime", precision="bf16")


def test_only_what_rounds_on_purpose_does_other_work() -> None:
    assert fastapi(engine="openvino").other_work == ""
    assert fastapi(engine="litert", precision="int8").other_work == "int8 weights and activations"


def test_a_form_that_was_not_made_is_told_before_anything_starts() -> None:
    with pytest.raises(LaunchError, match="there is no model as onnx to serve"):
        fastapi(engine="onnxruntime").command(replace(PLACE, model=replace(MODEL, forms={})))


def _photos() -> ModuleType:
    spec = importlib.util.spec_from_file_location("photos_of_fastapi", programs_folder() / "photos.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_photo_of_the_right_size_keeps_its_pixels() -> None:
    photo = np.random.default_rng(3).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(_photos().resized(photo, 5, 7), photo.astype(np.float32))


def test_a_resized_photo_lies_between_pixel_centres_without_smoothing() -> None:
    """As `tf.image.resize` does: two pixels become four at a quarter and three quarters between their centres."""
    photo = np.array([[[0, 0, 0], [100, 100, 100]]], dtype=np.uint8)
    assert _photos().resized(photo, 1, 4)[0, :, 0].tolist() == [0.0, 25.0, 75.0, 100.0]
