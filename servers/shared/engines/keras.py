"""`engine: keras`: `model.predict` of the .keras file, as the naive server calls it, with TensorFlow's decoding."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from photos import NoPhotoError
from tensors import NoTensorError
from tensors import Settings as TensorSettings

from engines.settings import Settings


class Engine:
    """A Keras model; photos that come together are one call of `predict`."""

    def __init__(self, settings: Settings) -> None:
        tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
        tf.config.threading.set_inter_op_parallelism_threads(settings.threads)
        self._size = settings.height, settings.width
        self._model = keras.models.load_model(settings.path, compile=False)
        self._model.predict(settings.blank, verbose=0)

    def __call__(self, jpegs: list[bytes]) -> Any:
        """Class probabilities, float32, shape (photos, classes).   Raises: NoPhotoError."""
        try:
            images = [tf.image.resize(tf.io.decode_jpeg(jpeg, channels=3), self._size) for jpeg in jpegs]
        except tf.errors.InvalidArgumentError as failure:
            raise NoPhotoError(f"no photo in the request: {failure.message}") from failure
        return self._model.predict(tf.stack(images), verbose=0)


class TensorEngine:
    """A Keras model of any inputs; a request is one call of `predict`."""

    def __init__(self, settings: TensorSettings) -> None:
        if settings.threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
            tf.config.threading.set_inter_op_parallelism_threads(settings.threads)
        self._settings = settings
        self._model = keras.models.load_model(settings.path, compile=False)
        first = settings.first_inputs()
        if first is not None:
            self(first)

    def __call__(self, arrays: dict[str, Any]) -> dict[str, Any]:
        """Outputs by name, as the signature orders them.   Raises: NoTensorError."""
        given = [tf.constant(arrays[spec.name], dtype=spec.dtype) for spec in self._settings.inputs]
        try:
            answered = self._model.predict(keras.tree.pack_sequence_as(self._model.input, given), verbose=0)
        except tf.errors.InvalidArgumentError as failure:
            raise NoTensorError(failure.message) from failure
        names = [spec.name for spec in self._settings.outputs]
        return dict(zip(names, keras.tree.flatten(answered), strict=True))
