"""One function for each form that a model can be turned into; `export_forms.py` loads this by path and calls them.

Everything that computes in float32 starts from one frozen graph of the signature `tensor`: no signature that decodes
photos, no weight stored twice, no training-time output left over, which is where exports from Keras itself go wrong.
Runtimes are imported where they are used. It imports nothing of ours.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OPSET = 18
CALIBRATION_PHOTOS = 32
"""At most so many photos tell the converters the ranges of full int8."""

PRUNED_SHARE = 0.5
"""Of each kernel so many weights, the smallest ones, are set to zero where a form is pruned."""
PRUNED_AT_LEAST = 1024
"""Smaller tensors are biases and statistics, which hold no weight worth leaving out."""

Array = Any
"""A numpy array; this program is not part of the typed package."""


class RefusedError(Exception):
    """A form that cannot be, or must not be served as it came out; its words are for the person."""


@dataclass(frozen=True)
class Material:
    """What forms are made from; `there` has the files of the forms that are already made, by name.

    A model that was given as an ONNX file is `onnx` alone: it has no frozen graph and no SavedModel.
    """

    frozen: Any
    images: Array
    saved_model: Path | None
    keras: Path | None
    onnx: Path | None
    there: Mapping[str, Path]

    def calibration(self) -> Iterator[Array]:
        """Float32 (1, height, width, 3), values 0-255, of the photos that ranges are taken from."""
        import numpy as np

        for image in self.images[:CALIBRATION_PHOTOS]:
            yield np.array(image[None], np.float32)


def freeze(function: Any) -> Any:
    """A concrete function with its variables as constants."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(function)


def _frozen(material: Material, file: Path) -> None:
    file.write_bytes(material.frozen.graph.as_graph_def().SerializeToString())


# ---- pruned ---------------------------------------------------------------------------------------------------


def _keras_pruned(material: Material, file: Path) -> None:
    """The smallest weights of every layer's kernels masked, as pruning by magnitude does, and not trained again."""
    import keras

    if material.keras is None:
        raise RefusedError("the model was given as a SavedModel, which has no Keras layers to prune")
    model = keras.saving.load_model(material.keras, compile=False, safe_mode=True)
    for weight in model.trainable_weights:
        if _is_kernel(weight.shape):
            weight.assign(_masked(weight.numpy()))
    model.save(file)


def _onnx_pruned(material: Material, file: Path) -> None:
    """The pruned Keras model's graph; of a model without Keras's layers, its variables or initial tensors masked."""
    if material.onnx is not None:
        _mask_onnx(material.onnx, file)
        return
    import tensorflow as tf

    loaded: Any  # the function dies with what owns its variables
    if "keras_pruned" in material.there:
        import keras

        loaded = keras.saving.load_model(material.there["keras_pruned"], compile=False, safe_mode=True)
        function = tf.function(lambda image: {"probabilities": loaded(image, training=False)}).get_concrete_function(
            tf.TensorSpec((None, *material.images.shape[1:]), tf.float32, "image")
        )
    else:
        loaded = tf.saved_model.load(str(material.saved_model))
        function = loaded.signatures["tensor"]
        for weight in function.variables:
            if weight.dtype == tf.float32 and _is_kernel(weight.shape):
                weight.assign(_masked(weight.numpy()))
    _save_onnx(freeze(function), file)


def _mask_onnx(given: Path, file: Path) -> None:
    import onnx

    model = onnx.load(str(given))
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and _is_kernel(tensor.dims):
            tensor.CopyFrom(onnx.numpy_helper.from_array(_masked(onnx.numpy_helper.to_array(tensor)), tensor.name))
    onnx.save(model, str(file))


def _is_kernel(shape: Any) -> bool:
    size = 1
    for length in shape:
        size *= int(length)
    return len(shape) >= 2 and size >= PRUNED_AT_LEAST


def _masked(weights: Array) -> Array:
    import numpy as np

    return np.where(np.abs(weights) < np.quantile(np.abs(weights), PRUNED_SHARE), np.float32(0), weights)


# ---- ONNX -----------------------------------------------------------------------------------------------------


def _onnx(material: Material, file: Path) -> None:
    if material.onnx is not None:
        shutil.copyfile(material.onnx, file)
    else:
        _save_onnx(material.frozen, file)


def _save_onnx(frozen: Any, file: Path) -> None:
    """Through the frozen graph; inputs that no node reads, which ONNX Runtime would ask for, are left out."""
    import onnx
    import tf2onnx

    model, _ = tf2onnx.convert._convert_common(
        frozen.graph.as_graph_def(),
        name="model",
        opset=OPSET,
        input_names=[tensor.name for tensor in frozen.inputs if tensor.dtype.name != "resource"],
        output_names=[tensor.name for tensor in frozen.outputs],
    )
    _remove_unread(model.graph)
    onnx.checker.check_model(model)
    onnx.save(model, str(file))


def _remove_unread(graph: Any) -> None:
    read = {name for node in graph.node for name in node.input}
    for value in [it for it in graph.input if it.name not in read]:
        graph.input.remove(value)


def _onnx_int8(material: Material, file: Path) -> None:
    """Weights by channel and all between as int8, as pairs of quantise and dequantise; ranges from the photos."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Photos(CalibrationDataReader):  # type: ignore[misc]
        """One photo after the other, under the name that the graph has for it."""

        def __init__(self, name: str) -> None:
            self._left = ({name: image} for image in material.calibration())

        def get_next(self) -> dict[str, Array] | None:
            return next(self._left, None)

    import onnx

    prepared = file.with_name("prepared.onnx")
    quant_pre_process(str(material.there["onnx"]), str(prepared))
    (image,) = onnx.load(str(prepared), load_external_data=False).graph.input
    quantize_static(
        str(prepared),
        str(file),
        Photos(image.name),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    prepared.unlink()


# ---- OpenVINO -------------------------------------------------------------------------------------------------


def _openvino(material: Material, file: Path) -> None:
    """With float32 weights (float16 is the default), of fixed batch 1: one photo at a time is what is served."""
    import openvino

    graph = file.with_suffix(".pb")
    if material.onnx is None:
        _frozen(material, graph)
    model = openvino.Core().read_model(str(material.onnx or graph))
    model.reshape([1, *material.images.shape[1:]])
    _save_openvino(model, file)
    graph.unlink(missing_ok=True)


def _openvino_int8(material: Material, file: Path) -> None:
    """Weights and what they are multiplied with as int8, ranges from the photos; the rest stays float32."""
    import nncf
    import openvino

    model = openvino.Core().read_model(str(material.there["openvino"]))
    photos = list(material.calibration())
    _save_openvino(nncf.quantize(model, nncf.Dataset(photos), subset_size=len(photos)), file)


def _save_openvino(model: Any, file: Path) -> None:
    """Refuses inner tensors that became results: Keras's own export leaves 49 of B0, and each is paid for."""
    if len(model.outputs) != 1:
        raise RefusedError(f"the converted model has {len(model.outputs)} results instead of one")
    import openvino

    openvino.save_model(model, str(file), compress_to_fp16=False)


# ---- LiteRT ---------------------------------------------------------------------------------------------------


def _litert(material: Material, file: Path) -> None:
    file.write_bytes(_litert_converter(material).convert())


def _litert_dynamic(material: Material, file: Path) -> None:
    """Weights as int8; what they are multiplied with is made so while computing."""
    import tensorflow as tf

    converter = _litert_converter(material)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    file.write_bytes(converter.convert())


def _litert_int8(material: Material, file: Path) -> None:
    """Weights and everything between as int8, ranges from the photos; float32 in and out, as the others."""
    import tensorflow as tf

    converter = _litert_converter(material)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image] for image in material.calibration())
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    file.write_bytes(converter.convert())


def _litert_converter(material: Material) -> Any:
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_concrete_functions([material.frozen])


FILES: Mapping[str, str] = {
    "frozen": "model.pb",
    "keras_pruned": "model.keras",
    "onnx": "model.onnx",
    "onnx_int8": "model.onnx",
    "onnx_pruned": "model.onnx",
    "openvino": "model.xml",
    "openvino_int8": "model.xml",
    "litert": "model.tflite",
    "litert_dynamic": "model.tflite",
    "litert_int8": "model.tflite",
}
MADE_FROM: Mapping[str, str] = {"onnx_int8": "onnx", "openvino_int8": "openvino", "onnx_pruned": "keras_pruned"}
BUILDING: Mapping[str, Callable[[Material, Path], None]] = {
    "frozen": _frozen,
    "keras_pruned": _keras_pruned,
    "onnx": _onnx,
    "onnx_int8": _onnx_int8,
    "onnx_pruned": _onnx_pruned,
    "openvino": _openvino,
    "openvino_int8": _openvino_int8,
    "litert": _litert,
    "litert_dynamic": _litert_dynamic,
    "litert_int8": _litert_int8,
}
