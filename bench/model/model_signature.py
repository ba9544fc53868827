"""The signature of a model file, read from its description: no TensorFlow, no Keras, nothing of it is run.

Of a Keras file the inputs can be told, of a SavedModel inputs and outputs. What cannot be told is None, and is found
out when the model is loaded.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.errors import AnswerError, ScenarioError
from bench.payload.signature import DTYPES, Shape, Signature, TensorSpec, api_name, one_image

_LARGEST = 50_000_000
"""Bytes of a Keras file's description; what unpacks to more is not looked at."""


def file_signature(path: Path) -> Signature | None:
    """What the model in a file takes; outputs are left out where only loading tells them.

    None if the file does not tell, cannot be read, or is no model: who loads it says what is wrong.
    """
    try:
        if path.is_dir():
            from bench.model.saved_model_signature import saved_model_signature  # here: it takes numpy with it

            return saved_model_signature(path)
        if path.suffix == ".onnx":
            from bench.model.onnx_file import read_onnx

            return read_onnx(path).signature
        config = keras_config(path)
        return None if config is None else _of_config(config)
    except (
        OSError, ValueError, KeyError, TypeError, AttributeError, AnswerError, ScenarioError, zipfile.BadZipFile,
    ):  # fmt: skip
        return None


def takes_photos(path: Path) -> bool:
    """Whether the model in a file takes one batch of colour images of a fixed size, as a classifier of photos does.

    An ONNX file that cannot be read is taken for one, so that who reads it says what is wrong.
    """
    if path.suffix == ".onnx":
        from bench.model.onnx_file import photo_shape

        known = file_signature(path)
        return known is None or photo_shape(known.inputs) is not None
    signature = file_signature(path)
    return signature is not None and one_image(signature.inputs)


def keras_config(path: Path) -> Mapping[str, Any] | None:
    """What a .keras or .h5 file says it is made of; None if it is neither, or does not say.

    Raises: OSError, ValueError or BadZipFile for a damaged file.
    """
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > _LARGEST:
                return None
            config = json.loads(archive.read("config.json"))
    elif path.suffix in {".h5", ".hdf5"}:
        config = _h5_config(path)
    else:
        return None
    return config if isinstance(config, dict) else None


def _h5_config(path: Path) -> Any:
    try:
        import h5py  # comes with TensorFlow; the reading half does without
    except ImportError:
        return None
    with h5py.File(path, "r") as file:
        text = file.attrs.get("model_config")
    if isinstance(text, bytes):
        text = text.decode()
    return json.loads(text) if isinstance(text, str) and len(text) < _LARGEST else None


# ---- Keras ----------------------------------------------------------------------------------------------------------


def _of_config(config: Mapping[str, Any]) -> Signature | None:
    """Inputs of a functional model, in the order of the model, or of a sequential one."""
    inner = config["config"]
    layers = {layer["config"].get("name"): layer for layer in inner["layers"]}
    if config["class_name"] == "Sequential":
        first = inner["layers"][0]
        names = [(first["config"].get("name"), first)] if first["class_name"] == "InputLayer" else []
    else:
        names = [(key or name, layers[name]) for key, name in _input_layers(inner["input_layers"])]
    specs: list[TensorSpec] = []
    for given, layer in names:
        if layer["class_name"] != "InputLayer":
            return None
        name = api_name(str(given), [spec.name for spec in specs])
        specs.append(TensorSpec(name, _dtype(layer["config"]), _shape(layer["config"]), "" if name == given else given))
    return Signature(tuple(specs), ()) if specs else None


def _input_layers(found: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Key (of a model whose inputs are named) and layer: `["x", 0, 0]`, a list or a mapping of such."""
    if isinstance(found, dict):
        for name in sorted(found):
            yield from _input_layers(found[name], name)
    elif found and isinstance(found[0], str):
        yield key, found[0]
    else:
        for each in found:
            yield from _input_layers(each)


def _dtype(config: Mapping[str, Any]) -> str:
    dtype = config.get("dtype", "float32")
    if isinstance(dtype, dict):
        dtype = dtype["config"]["name"]
    if dtype not in (*DTYPES, "bfloat16"):
        raise ValueError(dtype)
    return str(dtype)


def _shape(config: Mapping[str, Any]) -> Shape:
    shape = config.get("batch_shape") or config["batch_input_shape"]
    return tuple(None if size is None else int(size) for size in shape)
