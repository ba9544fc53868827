"""`engine: openvino`: an OpenVINO model on the CPU, in f32 or bf16; needs no TensorFlow."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import openvino
from photos import pixels

from engines import settings


class Engine:
    """A compiled model; each thread asks it by an infer request of its own, and none waits for another's."""

    def __init__(self) -> None:
        hints = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": settings.threads(),
            "INFERENCE_PRECISION_HINT": settings.precision(),
        }
        self._model = openvino.Core().compile_model(settings.model_path(), "CPU", hints)
        computes_in = self._model.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        if computes_in != settings.precision():  # left to itself it takes what the CPU is fastest in, and says nothing
            raise RuntimeError(f"OpenVINO computes in {computes_in} here, not in {settings.precision()}")
        self._own = threading.local()
        self._size = settings.image_size()
        self._compute(settings.blank())

    def __call__(self, jpegs: list[bytes]) -> Any:
        """Class probabilities, float32, shape (photos, classes).   Raises: NoPhotoError."""
        return np.concatenate([self._compute(pixels(jpeg, *self._size)) for jpeg in jpegs])

    def _compute(self, image: Any) -> Any:
        if not hasattr(self._own, "request"):
            self._own.request = self._model.create_infer_request()
        return np.array(self._own.request.infer([image])[0])
