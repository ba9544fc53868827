"""The model behind servers that are written in Python: JPEG photos in, class probabilities out.

It runs in a server's own environment and knows nothing of bench or of the server around it.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import tensorflow as tf
from photos import NoPhotoError, from_base64

__all__ = ["Classifier", "NoPhotoError", "from_base64"]

INPUT, OUTPUT = "jpeg", "probabilities"


class Classifier:
    """A SavedModel whose signature takes the bytes of JPEG photos; it has answered once before anybody asks.

    Folder and threads are MODEL_PATH and MODEL_THREADS of the environment unless they are given.
    """

    def __init__(self, path: str | None = None, threads: int | None = None) -> None:
        threads = threads or int(os.environ["MODEL_THREADS"])
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        self._model = tf.saved_model.load(path or os.environ["MODEL_PATH"])  # the function dies with it
        self._function = self._model.signatures["serving_default"]
        self([tf.io.encode_jpeg(np.zeros((8, 8, 3), np.uint8)).numpy()])

    def __call__(self, jpegs: list[bytes]) -> Any:
        """Class probabilities, float32, shape (photos, classes).   Raises: NoPhotoError."""
        try:
            return self._function(**{INPUT: tf.constant(jpegs, tf.string)})[OUTPUT].numpy()
        except tf.errors.InvalidArgumentError as failure:
            raise NoPhotoError(f"no photo in the request: {failure.message}") from failure
