"""What a server needs on disk: the model in every form, built once and kept in a cache keyed by content.

The model is built by a child process, so the harness itself never imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """One model on disk, in the forms that servers take.

    `h5` is the training artefact (compiled, with optimizer state), `keras` the native file for inference,
    `saved_model` a folder that holds the version folder `1/`. Its signature `serving_default` takes
    `jpeg` (string, shape (n,)) and does decode, resize and preprocessing in the graph; its signature `tensor`
    takes `image` (float32, shape (n, height, width, 3), values 0-255, already resized). Both return
    `probabilities` (float32, shape (n, classes)). `size_bytes` maps `h5`, `keras`, `saved_model` to bytes.
    """

    name: str
    folder: Path
    h5: Path
    keras: Path
    saved_model: Path
    height: int
    width: int
    classes: int
    size_bytes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Reference:
    """What the model answers for each photo, computed once by Keras itself.

    `outputs` is a file of float32, shape (photos, classes). An answer agrees when its largest absolute
    difference is at most `tolerance`; `photo_distance` is the smallest such difference between two
    different photos, so a check whose tolerance is not far below it could not fail.
    """

    outputs: Path
    tolerance: float
    photo_distance: float
