"""`engine: keras`: `model.predict` of the .keras file, as the naive server calls it, with TensorFlow's decoding."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from photos import NoPhotoError

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
