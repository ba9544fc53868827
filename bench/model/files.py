"""Which model is served, and what there is of it on disk: values that the stages hand on, and nothing that builds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.errors import ScenarioError
from bench.model.applications import KERAS_APPLICATIONS

if TYPE_CHECKING:
    from bench.model.images import Images
    from bench.payload.signature import Signature

Pixels = Literal["0-255", "0-1", "-1-1", "imagenet"]
"""What a photo's values become before an ONNX file gets them; a Keras model does it in its own layers."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which model is served: one of KERAS_APPLICATIONS, or a file or SavedModel folder at `path`.

    `weights` (`random`, `imagenet` or the path of a weights file) and `seed` count for keras_application alone; what a
    photo's values become, `pixels`, for an ONNX file.
    """

    keras_application: str | None
    path: Path | None
    weights: str = "random"
    seed: int = 1
    pixels: Pixels = "0-255"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """One model on disk, in the forms that servers take.

    `h5` is the training artefact (compiled, with optimizer state), `keras` the native file for inference;
    both are None for a model that was given as a SavedModel, which Keras cannot turn back. `saved_model` is a
    folder that holds the version folder `1/`. Its signature `serving_default` takes `jpeg` (string, shape (n,))
    and does decode, resize and preprocessing in the graph; its signature `tensor` takes `image` (float32, shape
    (n, height, width, 3), values 0-255, already resized). Both return `probabilities` (float32, shape (n, classes)).
    `size_bytes` maps `h5`, `keras`, `saved_model` to bytes, forms that do not exist left out. `images` are the
    photos as the signature `tensor` takes them; None unless a server asks for them (`Server.needs_images`). `forms` are
    the files for other runtimes that servers of this run take, by the name of the form. `build_seconds` is what it took
    to write each form from the model in memory.

    Not every model can be read back from an .h5 file: then `replaced` says why, `h5` is the `.keras` file as well, and
    `size_bytes` has its size for both.

    A model of any inputs has a `signature`, the only one that its SavedModel is asked with, and no height, width or
    classes; `missing` says why it could not be written in a form, `example` is one request's packed tensors. One that
    was given as an ONNX file has that file, made ready for photos, as `onnx`, and no SavedModel.
    """

    name: str
    folder: Path
    h5: Path | None
    keras: Path | None
    saved_model: Path
    height: int
    width: int
    classes: int
    size_bytes: Mapping[str, int]
    images: Images | None = None
    forms: Mapping[str, Path] = field(default_factory=dict)
    build_seconds: Mapping[str, float] = field(default_factory=dict)
    signature: Signature | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    example: bytes = b""
    onnx: Path | None = None
    replaced: Mapping[str, str] = field(default_factory=dict)

    @property
    def answered_by(self) -> str:
        """The runtime that computed what counts as right: that of the file which the model was given as."""
        if self.onnx is not None:
            return "ONNX Runtime"
        return "TensorFlow" if self.keras is None else "Keras"

    def file(self, form: str) -> Path | None:
        """The file or folder of one form; None if the model was not, or cannot be, turned into it."""
        if form in self.missing:
            return None
        own = {"h5": self.h5, "keras": self.keras, "saved_model": self.saved_model}
        return own[form] if form in own else self.forms.get(form)

    def really(self, form: str) -> str:
        """The form whose file a server gets that asks for this one."""
        return "keras" if form in self.replaced else form


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


def model_name(spec: ModelSpec) -> str:
    """The name servers know the model by: letters, digits, `-` and `_`, fit for a URL and a folder."""
    if spec.keras_application is not None:
        return spec.keras_application
    if spec.path is None:
        raise ScenarioError(
            "the model is neither named nor given",
            hint=f"write keras_application: {KERAS_APPLICATIONS[0]}, or path: my_model.keras",
        )
    return re.sub(r"[^A-Za-z0-9_-]+", "-", spec.path.absolute().stem).strip("-") or "model"


def size_of(path: Path) -> int:
    """Bytes of a file, or of every file in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
