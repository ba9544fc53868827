"""`engine: litert`: a .tflite file in LiteRT's interpreter on the CPU; needs no TensorFlow."""

from __future__ import annotations

import threading
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from engines.decoding import DecodingEngine
from engines.settings import Settings


class Engine(DecodingEngine):  # type: ignore[misc]  # found on the program's path alone
    """An interpreter for each thread that asks, since one must not be shared; they share the file's pages."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._path, self._threads = settings.path, settings.threads
        self._own = threading.local()
        self.compute(settings.blank)

    def compute(self, image: Any) -> Any:
        """One image, float32 (1, height, width, 3) -> float32 (1, classes)."""
        if not hasattr(self._own, "interpreter"):
            interpreter = Interpreter(model_path=self._path, num_threads=self._threads)
            interpreter.allocate_tensors()
            self._own.input = interpreter.get_input_details()[0]["index"]
            self._own.output = interpreter.get_output_details()[0]["index"]
            self._own.interpreter = interpreter
        interpreter = self._own.interpreter
        interpreter.set_tensor(self._own.input, image)
        interpreter.invoke()
        return interpreter.get_tensor(self._own.output)
