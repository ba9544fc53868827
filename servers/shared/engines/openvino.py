"""`engine: openvino`: an OpenVINO model on the CPU, in f32, bf16, or int8 where the file says so; no TensorFlow."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import openvino
from tensors import NoTensorError
from tensors import Settings as TensorSettings

from engines.decoding import DecodingEngine
from engines.settings import Settings


class Engine(DecodingEngine):  # type: ignore[misc]  # found on the program's path alone
    """A compiled model; each thread asks it by an infer request of its own, and none waits for another's."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        # What an int8 file leaves in floating point is computed in f32: one kind of rounding at a time.
        precision = "f32" if settings.precision == "int8" else settings.precision
        hints = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": settings.threads,
            "INFERENCE_PRECISION_HINT": precision,
        }
        self._model = openvino.Core().compile_model(settings.path, "CPU", hints)
        computes_in = self._model.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        if computes_in != precision:  # left to itself it takes what the CPU is fastest in, and says nothing
            raise RuntimeError(f"OpenVINO computes in {computes_in} here, not in {precision}")
        self._own = threading.local()
        self.compute(settings.blank)

    def compute(self, image: Any) -> Any:
        """One image, float32 (1, height, width, 3), the batch that the form is made for -> float32 (1, classes)."""
        if not hasattr(self._own, "request"):
            self._own.request = self._model.create_infer_request()
        return np.array(self._own.request.infer([image])[0])


class TensorEngine:
    """A compiled model of any inputs, in float32; they and its outputs stand in the signature's order."""

    def __init__(self, settings: TensorSettings) -> None:
        self._settings = settings
        hints: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if settings.threads is not None:
            hints["INFERENCE_NUM_THREADS"] = settings.threads
        self._model = openvino.Core().compile_model(settings.path, "CPU", hints)
        self._own = threading.local()
        first = settings.first_inputs()
        if first is not None:
            self(first)

    def __call__(self, arrays: dict[str, Any]) -> dict[str, Any]:
        """Outputs by name, as the signature orders them.   Raises: NoTensorError."""
        if not hasattr(self._own, "request"):
            self._own.request = self._model.create_infer_request()
        given = {place: arrays[spec.name] for place, spec in enumerate(self._settings.inputs)}
        try:
            answered = self._own.request.infer(given)
        except (RuntimeError, ValueError, TypeError) as failure:
            raise NoTensorError(str(failure)) from failure
        return {spec.name: np.array(answered[place]) for place, spec in enumerate(self._settings.outputs)}
