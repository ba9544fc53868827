"""`engine: onnxruntime`: an ONNX file in ONNX Runtime on the CPU; needs no TensorFlow."""

from __future__ import annotations

from typing import Any

import onnxruntime

from engines.decoding import DecodingEngine
from engines.settings import Settings


class Engine(DecodingEngine):  # type: ignore[misc]  # found on the program's path alone
    """A session, which any number of threads may call; names of input and output are read from the file."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings.threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(settings.path, options, providers=["CPUExecutionProvider"])
        (given,) = self._session.get_inputs()
        self._input = given.name
        self.together = not isinstance(given.shape[0], int)  # a number: the file was made for so many photos
        self.compute(settings.blank)

    def compute(self, image: Any) -> Any:
        """Float32 (n, height, width, 3) -> float32 (n, classes)."""
        return self._session.run(None, {self._input: image})[0]
