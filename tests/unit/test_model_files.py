"""What a model is called, and whose answers count as right."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.model.files import ModelFiles, ModelSpec, model_name


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
