"""`engine: onnxruntime`: an ONNX file in ONNX Runtime on the CPU; needs no TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from photos import pixels

from engines import settings


class Engine:
    """A session, which any number of threads may call; names of input and output are read from the file."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings.threads()
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(settings.model_path(), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._size = settings.image_size()
        self._compute(settings.blank())

    def __call__(self, jpegs: list[bytes]) -> Any:
        """Class probabilities, float32, shape (photos, classes).   Raises: NoPhotoError."""
        return np.concatenate([self._compute(pixels(jpeg, *self._size)) for jpeg in jpegs])

    def _compute(self, image: Any) -> Any:
        return self._session.run(None, {self._input: image})[0]
