"""Which forms a model can be had in, by what it was given as: rules that hold before anything is built.

What only a converter finds out, it says when the form is built.
"""

from __future__ import annotations

from pathlib import Path

KERAS_FILES = ("h5", "keras")
FROM_ONNX = ("onnx", "onnx_int8", "onnx_pruned", "openvino", "openvino_int8")
"""Forms that are made of a model which was given as an ONNX file; of one of other inputs than photos, `AS_IT_IS`."""
AS_IT_IS = ("onnx", "openvino")
GIVEN_AS_ONNX = "it was given as an ONNX file, which the engines onnxruntime and openvino serve"
GIVEN_AS_SAVED_MODEL = "it was given as a SavedModel, which Keras cannot turn back into a file of its own"
ONLY_PHOTOS = "other runtimes' forms are made of models of photos only"
ONLY_F32 = "an ONNX file of other inputs than photos is served as it is"


def why_not(form: str, path: Path | None, *, tensors: bool) -> str:
    """Why a model has no such form; empty if nothing speaks against it. `path` is None for one of keras.applications.

    `tensors`: it is asked with tensors and not with photos.
    """
    if path is not None and path.suffix == ".onnx":
        if form not in FROM_ONNX:
            return GIVEN_AS_ONNX
        return ONLY_F32 if tensors and form not in AS_IT_IS else ""
    if form in KERAS_FILES:
        return GIVEN_AS_SAVED_MODEL if path is not None and path.is_dir() else ""
    return ONLY_PHOTOS if tensors and form != "saved_model" else ""
