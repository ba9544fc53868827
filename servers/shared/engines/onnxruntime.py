"""`engine: onnxruntime`: an ONNX file in ONNX Runtime on the CPU; needs no TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException
from tensors import NoTensorError
from tensors import Settings as TensorSettings

from engines.decoding import DecodingEngine
from engines.settings import Settings


def session(path: str, threads: int | None) -> Any:
    """A file on the CPU, computed with so many threads; None leaves their number to it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class Engine(DecodingEngine):  # type: ignore[misc]  # found on the program's path alone
    """A session, which any number of threads may call; names of input and output are read from the file."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._session = session(settings.path, settings.threads)
        (given,) = self._session.get_inputs()
        self._input = given.name
        self.together = not isinstance(given.shape[0], int)  # a number: the file was made for so many photos
        self.compute(settings.blank)

    def compute(self, image: Any) -> Any:
        """Float32 (n, height, width, 3) -> float32 (n, classes)."""
        return self._session.run(None, {self._input: image})[0]


class TensorEngine:
    """A session of a model of any inputs; what it calls them is read from the file, in the signature's order."""

    def __init__(self, settings: TensorSettings) -> None:
        self._settings = settings
        self._session = session(settings.path, settings.threads)
        self._names = [given.name for given in self._session.get_inputs()]
        first = settings.first_inputs()
        if first is not None:
            self(first)

    def __call__(self, arrays: dict[str, Any]) -> dict[str, Any]:
        """Outputs by name, as the signature orders them.   Raises: NoTensorError."""
        asked = zip(self._names, self._settings.inputs, strict=True)
        try:
            given = {name: texts(arrays[spec.name]) for name, spec in asked}
            answered = self._session.run(None, given)
        except (Fail, InvalidArgument, RuntimeException, UnicodeDecodeError) as failure:
            raise NoTensorError(str(failure)) from failure
        return dict(zip([spec.name for spec in self._settings.outputs], answered, strict=True))


def texts(array: Any) -> Any:
    """The same array, bytes as the text that ONNX Runtime takes."""
    if array.dtype != object:
        return array
    decoded = [each.decode() for each in array.ravel()]
    return np.array(decoded, dtype=object).reshape(array.shape)
