"""A look at the files of a model without TensorFlow: what they say of themselves, and what they are instead.

Only loading proves that a file is a model; what can be told before is told before anything is built.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from bench.errors import ScenarioError
from bench.model.keras_config import obstacle
from bench.model.model_signature import keras_config

_HDF5 = b"\x89HDF\r\n\x1a\n"
_MODEL_HINT = (
    "a model is a .keras file, a .h5 file or a SavedModel folder, as model.save and model.export write them, "
    "or an .onnx file"
)
_LARGEST_CONFIG = 50_000_000
"""Bytes; the description of a model, not its weights. What unpacks to more is not looked at."""
_BEGINNINGS = (
    (_HDF5, "an HDF5 file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\xff\xd8\xff", "a JPEG photo"),
    (b"\x89PNG", "a PNG picture"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"%PDF", "a PDF document"),
    (b"version https://git-lfs", "a Git LFS pointer (run: git lfs pull)"),
)


def check_model_file(path: Path) -> None:
    """Return quietly if this looks like a model: a .keras archive, a Keras .h5 file, a SavedModel folder, an ONNX file.

    It reads what the file says of itself and imports no runtime; only loading proves that it is one.
    Raises: ScenarioError that says what it is instead.
    """
    if not path.exists():
        raise ScenarioError(f"model {path} does not exist", hint="a path is relative to the scenario's folder")
    if path.is_dir():
        _check_saved_model(path)
    elif path.suffix == ".keras":
        _check_keras_archive(path)
    elif path.suffix in {".h5", ".hdf5"}:
        if not _begins_with(path, _HDF5):
            raise ScenarioError(f"{path} is not a Keras .h5 model but {_looks_like(path)}", hint=_MODEL_HINT)
        _check_h5_config(path)
    elif path.suffix == ".onnx":
        from bench.model.onnx_file import read_onnx  # here: it knows the wire format, which nothing else here needs

        read_onnx(path)
    else:
        raise ScenarioError(f"{path} is not a model but {_looks_like(path)}", hint=_MODEL_HINT)


def weights_file(weights: str) -> Path:
    """The file of weights that is named.   Raises: ScenarioError if it is not there, or no HDF5."""
    path = Path(weights).expanduser().absolute()
    if not path.is_file():
        raise ScenarioError(
            f"weights file {weights} does not exist", hint="weights are random, imagenet, or the path of a .h5 file"
        )
    if not _begins_with(path, _HDF5):
        raise ScenarioError(
            f"weights file {weights} is {_looks_like(path)}, not HDF5",
            hint="save it with model.save_weights('my.weights.h5')",
        )
    return path


def _check_saved_model(path: Path) -> None:
    if (path / "saved_model.pb").is_file():
        return
    versions = sorted(entry.name for entry in path.iterdir() if (entry / "saved_model.pb").is_file())
    hint = f"name the version: {path / versions[-1]}" if versions else _MODEL_HINT
    raise ScenarioError(f"folder {path} is not a SavedModel: it holds no saved_model.pb", hint=hint)


def _check_keras_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            if "config.json" in archive.namelist():
                _check_keras_config(path, archive)
                return
    except zipfile.BadZipFile:
        raise ScenarioError(f"{path} is not a .keras model but {_looks_like(path)}", hint=_MODEL_HINT) from None
    except OSError as failure:
        raise ScenarioError(f"{path} cannot be read: {failure.strerror}", hint="check its permissions") from None
    raise ScenarioError(f"{path} is not a .keras model: a zip archive without config.json", hint=_MODEL_HINT)


def _check_h5_config(path: Path) -> None:
    """The same of a .h5 file; one whose description cannot be read is left to Keras."""
    try:
        what, hint = obstacle(keras_config(path))
    except (OSError, ValueError):
        return
    if what:
        raise ScenarioError(f"{path} cannot be loaded as a Keras model: {what}", hint=hint)


def _check_keras_config(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse here what Keras would refuse after it has been loaded; what cannot be read is left to it."""
    if archive.getinfo("config.json").file_size > _LARGEST_CONFIG:
        return
    try:
        what, hint = obstacle(json.loads(archive.read("config.json")))
    except ValueError:
        raise ScenarioError(f"{path} is not a .keras model: its config.json is not JSON", hint=_MODEL_HINT) from None
    if what:
        raise ScenarioError(f"{path} cannot be loaded as a Keras model: {what}", hint=hint)


def _begins_with(path: Path, beginning: bytes) -> bool:
    return _first_bytes(path).startswith(beginning)


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(512)
    except OSError as failure:
        raise ScenarioError(f"{path} cannot be read: {failure.strerror}", hint="check its permissions") from None


def _looks_like(path: Path) -> str:
    first = _first_bytes(path)
    if not first:
        return "an empty file"
    if first[4:8] == b"TFL3":
        return "a LiteRT (.tflite) model"
    for beginning, words in _BEGINNINGS:
        if first.startswith(beginning):
            return words
    try:
        first.decode()
    except UnicodeDecodeError:
        return "some other binary file"
    return "a text file"
