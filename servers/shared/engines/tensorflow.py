"""`engine: tensorflow`: the SavedModel's own function; for photos one that decodes them in its graph."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from classifier import Classifier
from tensors import NoTensorError
from tensors import Settings as TensorSettings

from engines.settings import Settings


class Engine(Classifier):  # type: ignore[misc]  # found on the program's path alone
    """What `classifier.py` is; its photos' size is the graph's business."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.path, settings.threads)


class TensorEngine:
    """The function of a SavedModel that takes any inputs."""

    def __init__(self, settings: TensorSettings) -> None:
        if settings.threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
            tf.config.threading.set_inter_op_parallelism_threads(settings.threads)
        self._inputs = settings.inputs
        self._model = tf.saved_model.load(settings.path)  # the function dies with it
        self._function = self._model.signatures[settings.key]
        first = settings.first_inputs()
        if first is not None:
            self(first)

    def __call__(self, arrays: dict[str, Any]) -> dict[str, Any]:
        """Outputs by name.   Raises: NoTensorError."""
        try:
            given = {spec.name: tf.constant(arrays[spec.name], dtype=spec.dtype) for spec in self._inputs}
            return {name: output.numpy() for name, output in self._function(**given).items()}
        except (tf.errors.InvalidArgumentError, ValueError, TypeError) as failure:
            raise NoTensorError(getattr(failure, "message", "") or str(failure)) from failure
