"""The engines that can compute the model, one module each; none of them knows of the server around it.

A module has a class `Engine` that loads the file MODEL_PATH, computes with MODEL_THREADS threads, has answered once
before anybody asks, and maps JPEG photos to float32 (photos, classes) or raises NoPhotoError.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

MODULES = {
    "keras": "keras_predict",
    "tensorflow": "tensorflow_function",
    "onnxruntime": "onnx_session",
    "openvino": "openvino_model",
    "litert": "litert_interpreter",
}
"""Module of each engine; they import different packages, so only the one in use is imported."""


def engine() -> Any:
    """The engine that MODEL_ENGINE names, loaded."""
    name = os.environ["MODEL_ENGINE"]
    return importlib.import_module(f"engines.{MODULES[name]}").Engine()
