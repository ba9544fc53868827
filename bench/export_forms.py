"""The child program that turns a SavedModel into other runtimes' forms and measures what each one answers.

`forms.py` starts it by path with one argument, a job file, with the interpreter of an environment that has the
converters. It imports nothing of ours but the engines that serve; what the converters say goes to stderr, which is a
log. Everything starts from one frozen graph of the signature `tensor`: no signature that decodes photos, no weight
stored twice, no training-time output left over, which is where exports from Keras itself go wrong.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

OPSET = 18
CALIBRATION_PHOTOS = 32
"""At most so many photos tell the converter the ranges of full int8."""

PRUNED_SHARE = 0.5
"""Of each kernel so many weights, the smallest ones, are set to zero where a form is pruned."""
PRUNED_AT_LEAST = 1024
"""Smaller constants are biases and statistics, which hold no weight worth leaving out."""

Array = Any
"""A numpy array; this program is not part of the typed package."""


def main(job_file: Path) -> int:
    """Do the job; 0 done, 3 refused (`failure.json` in the job's folder says why), anything else a traceback."""
    job = json.loads(job_file.read_text())
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 = PR_SET_PDEATHSIG
    if os.getppid() != job["parent"]:
        sys.exit("the harness is gone")
    progress = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(sentence: str) -> None:
        print(sentence, file=progress, flush=True)  # stdout is this program's protocol

    import numpy as np

    images, folder = np.load(job["images"], mmap_mode="r"), Path(job["folder"])
    built = _build(job["build"], Path(job["saved_model"]), folder, images, tell) if job["build"] else {}
    sys.path.append(job["programs"])  # the engines as they serve, so that it is their answers that are measured
    import engines

    threads, answered = len(os.sched_getaffinity(0)), {}
    for variant in job["answer"]:
        if "failure" in built.get(variant["form"], {}):
            continue
        tell(f"asking the model as {variant['name']} about {len(images)} photos")
        file = Path(variant["file"] or folder / variant["form"] / FILES[variant["form"]])
        try:
            settings = engines.Settings(str(file), threads, *images.shape[1:3], variant["precision"])
            answer = engines.load(variant["engine"], settings).compute
            outputs = np.concatenate([answer(np.array(image[None], np.float32)) for image in images])
        except Exception as failure:
            answered[variant["name"]] = {"failure": _said(failure)}
            continue
        np.save(folder / f"{variant['name']}.npy", outputs.astype(np.float32))
        answered[variant["name"]] = {"outputs": f"{variant['name']}.npy"}
    (folder / "done.json").write_text(json.dumps({"built": built, "answered": answered}))
    return 0


# ---- building -------------------------------------------------------------------------------------------------


def _build(
    forms: list[str], saved_model: Path, folder: Path, images: Array, tell: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Each form in a folder of its name; seconds of its own conversion, after the graph was frozen once for all."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    tell("freezing the SavedModel")
    loaded = tf.saved_model.load(str(saved_model))
    begun = time.perf_counter()
    frozen = convert_variables_to_constants_v2(loaded.signatures["tensor"])
    freezing = time.perf_counter() - begun
    built: dict[str, dict[str, Any]] = {}
    for form in forms:
        tell(f"converting the model to {form}")
        (folder / form).mkdir()
        begun = time.perf_counter()
        try:
            BUILDING[form](frozen, folder / form / FILES[form], images)
        except Exception as failure:  # one converter's trouble must not cost the others
            built[form] = {"failure": _said(failure)}
            continue
        seconds = freezing + time.perf_counter() - begun
        compressed = sum(len(zlib.compress(file.read_bytes())) for file in (folder / form).iterdir())
        built[form] = {"seconds": seconds, "compressed_bytes": compressed}
    return built


def _frozen(frozen: Any, file: Path, images: Array) -> None:  # noqa: ARG001 -- one shape for all builders
    file.write_bytes(frozen.graph.as_graph_def().SerializeToString())


def _onnx(frozen: Any, file: Path, images: Array) -> None:  # noqa: ARG001 -- one shape for all builders
    """Through the frozen graph; inputs that no node reads, which a runtime would ask for, are left out."""
    _save_onnx(frozen, frozen.graph.as_graph_def(), file)


def _onnx_pruned(frozen: Any, file: Path, images: Array) -> None:  # noqa: ARG001 -- one shape for all builders
    """With the smallest weights of every kernel set to zero, as pruning by magnitude does, and not trained again."""
    import numpy as np
    import tensorflow as tf

    graph = frozen.graph.as_graph_def()
    for node in graph.node:
        if node.op != "Const" or node.attr["dtype"].type != tf.float32.as_datatype_enum:
            continue
        weights = tf.make_ndarray(node.attr["value"].tensor)
        if weights.ndim >= 2 and weights.size >= PRUNED_AT_LEAST:
            least = np.quantile(np.abs(weights), PRUNED_SHARE)
            masked = np.where(np.abs(weights) < least, np.float32(0), weights)
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(masked))
    _save_onnx(frozen, graph, file)


def _save_onnx(frozen: Any, graph: Any, file: Path) -> None:
    import onnx
    import tf2onnx

    model, _ = tf2onnx.convert._convert_common(
        graph,
        name="model",
        opset=OPSET,
        input_names=[tensor.name for tensor in frozen.inputs if tensor.dtype.name != "resource"],
        output_names=[tensor.name for tensor in frozen.outputs],
    )
    read = {name for node in model.graph.node for name in node.input}
    unread = [value for value in model.graph.input if value.name not in read]
    for value in unread:
        model.graph.input.remove(value)
    onnx.checker.check_model(model)
    onnx.save(model, str(file))


def _openvino(frozen: Any, file: Path, images: Array) -> None:
    """With float32 weights (float16 is the default), of fixed batch 1: one photo at a time is what is served."""
    import openvino

    graph = file.with_suffix(".pb")
    graph.write_bytes(frozen.graph.as_graph_def().SerializeToString())
    model = openvino.Core().read_model(str(graph))
    model.reshape([1, *images.shape[1:]])
    openvino.save_model(model, str(file), compress_to_fp16=False)
    graph.unlink()


def _litert(frozen: Any, file: Path, images: Array) -> None:  # noqa: ARG001 -- one shape for all builders
    file.write_bytes(_litert_converter(frozen).convert())


def _litert_dynamic(frozen: Any, file: Path, images: Array) -> None:  # noqa: ARG001 -- one shape for all builders
    """Weights as int8; what they are multiplied with is made so while computing."""
    import tensorflow as tf

    converter = _litert_converter(frozen)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    file.write_bytes(converter.convert())


def _litert_int8(frozen: Any, file: Path, images: Array) -> None:
    """Weights and everything between as int8, ranges from the photos; float32 in and out, as the others."""
    import numpy as np
    import tensorflow as tf

    converter = _litert_converter(frozen)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    chosen = images[:CALIBRATION_PHOTOS]
    converter.representative_dataset = lambda: ([np.array(image[None], np.float32)] for image in chosen)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    file.write_bytes(converter.convert())


def _litert_converter(frozen: Any) -> Any:
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_concrete_functions([frozen])


FILES: Mapping[str, str] = {
    "frozen": "model.pb",
    "onnx": "model.onnx",
    "onnx_pruned": "model.onnx",
    "openvino": "model.xml",
    "litert": "model.tflite",
    "litert_dynamic": "model.tflite",
    "litert_int8": "model.tflite",
}
BUILDING: Mapping[str, Callable[[Any, Path, Array], None]] = {
    "frozen": _frozen,
    "onnx": _onnx,
    "onnx_pruned": _onnx_pruned,
    "openvino": _openvino,
    "litert": _litert,
    "litert_dynamic": _litert_dynamic,
    "litert_int8": _litert_int8,
}


def _said(failure: BaseException) -> str:
    """The first line that says something."""
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    return f"{type(failure).__name__}: {lines[0][:300]}" if lines else type(failure).__name__


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
