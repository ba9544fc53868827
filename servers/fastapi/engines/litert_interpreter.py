"""`engine: litert`: a .tflite file in LiteRT's interpreter on the CPU; needs no TensorFlow."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from photos import pixels

from engines import settings


class Engine:
    """An interpreter for each thread that asks, since one must not be shared; they share the file's pages."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._size = settings.image_size()
        self._compute(settings.blank())

    def __call__(self, jpegs: list[bytes]) -> Any:
        """Class probabilities, float32, shape (photos, classes).   Raises: NoPhotoError."""
        return np.concatenate([self._compute(pixels(jpeg, *self._size)) for jpeg in jpegs])

    def _compute(self, image: Any) -> Any:
        if not hasattr(self._own, "interpreter"):
            interpreter = Interpreter(model_path=settings.model_path(), num_threads=settings.threads())
            interpreter.allocate_tensors()
            self._own.input = interpreter.get_input_details()[0]["index"]
            self._own.output = interpreter.get_output_details()[0]["index"]
            self._own.interpreter = interpreter
        interpreter = self._own.interpreter
        interpreter.set_tensor(self._own.input, image)
        interpreter.invoke()
        return interpreter.get_tensor(self._own.output)
