"""What a model is called, and whose answers count as right."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bench.model.files import ModelFiles, ModelSpec, model_name
from bench.model.identity import model_digest


def test_names_are_fit_for_a_url(tmp_path: Path) -> None:
    assert model_name(ModelSpec("EfficientNetB5", None)) == "EfficientNetB5"
    assert model_name(ModelSpec(None, tmp_path / "my model (v2).keras")) == "my-model-v2"
    assert model_name(ModelSpec(None, tmp_path / "ü.h5")) == "model"


@pytest.mark.parametrize(
    ("keras", "onnx", "runtime"),
    [(Path("m.keras"), None, "Keras"), (None, None, "TensorFlow"), (None, Path("m.onnx"), "ONNX Runtime")],
)
def test_what_is_right_is_computed_by_the_runtime_of_the_file_that_was_given(
    keras: Path | None, onnx: Path | None, runtime: str
) -> None:
    model = ModelFiles("m", Path(), None, keras, Path("saved_model"), 2, 2, 2, {}, onnx=onnx)
    assert model.answered_by == runtime


def test_which_model_it_is_depends_on_its_content_and_not_on_its_name(tmp_path: Path) -> None:
    one, two = tmp_path / "one.keras", tmp_path / "two.keras"
    one.write_bytes(b"weights")
    two.write_bytes(b"weights")
    assert model_digest(ModelSpec(None, one)) == model_digest(ModelSpec(None, two))
    assert model_digest(ModelSpec(None, one)) == hashlib.sha256(b"weights").hexdigest()
    before = model_digest(ModelSpec("EfficientNetB0", None, str(one)))
    one.write_bytes(b"weightz")
    assert model_digest(ModelSpec(None, one)) != model_digest(ModelSpec(None, two))
    assert model_digest(ModelSpec("EfficientNetB0", None, str(one))) != before


def test_an_application_is_another_model_with_another_seed_where_its_weights_are_drawn() -> None:
    one, two = (model_digest(ModelSpec("EfficientNetB0", None, seed=seed)) for seed in (1, 2))
    assert one != two
    one, two = (model_digest(ModelSpec("EfficientNetB0", None, "imagenet", seed)) for seed in (1, 2))
    assert one == two
