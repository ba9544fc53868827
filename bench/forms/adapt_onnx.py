"""The child program that makes of an ONNX file what engines take, and computes what it answers.

`onnx_model.py` starts it by path with one argument, a job file, with the interpreter of the environment that has onnx
and ONNX Runtime. It imports nothing of ours. What engines take is one input, float32 (n, height, width, 3), values
0-255: layout and range are changed by nodes in front of the person's own, so that every engine computes the same.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SCALES: dict[str, tuple[Sequence[float], Sequence[float]]] = {
    "0-255": ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
    "0-1": ((1 / 255,) * 3, (0.0, 0.0, 0.0)),
    "-1-1": ((1 / 127.5,) * 3, (-1.0, -1.0, -1.0)),
    "imagenet": (
        tuple(1 / (255 * deviation) for deviation in (0.229, 0.224, 0.225)),
        tuple(-mean / deviation for mean, deviation in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)),
    ),
}
"""Per channel: what a value is multiplied with, and what is added then."""
ROUNDING = 1e-4
"""As a share of the largest output: how far the same model with its own nodes in front may answer otherwise."""

Array = Any
"""A numpy array; this program is not part of the typed package."""


class RefusedError(Exception):
    """A file that cannot be served; what is wrong and what to do go to the person who gave it."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def main(job_file: Path) -> int:
    """Do the job; 0 done, 3 refused (`failure.json` in the job's folder says why), anything else a traceback."""
    job = json.loads(job_file.read_text())
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 = PR_SET_PDEATHSIG
    if os.getppid() != job["parent"]:
        sys.exit("the harness is gone")
    progress = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    folder = Path(job["folder"])
    try:
        if job["task"] == "prepare":
            print(f"reading the ONNX file {job['path']}", file=progress, flush=True)
            (folder / "model.json").write_text(json.dumps(_prepare(job, folder)))
        elif job["task"] == "ask":
            _ask(job, folder)
        elif job["task"] == "adapt":
            print(f"reading the ONNX file {job['path']}", file=progress, flush=True)  # stdout is the protocol
            facts = _adapt(job, folder / "model.onnx")
            (folder / "model.json").write_text(json.dumps(facts))
        else:
            _answer(job, folder, progress)
    except RefusedError as refused:
        (folder / "failure.json").write_text(json.dumps({"what": refused.what, "hint": refused.hint}))
        return 3
    return 0


# ---- adapting ---------------------------------------------------------------------------------------------------


def _adapt(job: dict[str, Any], file: Path) -> dict[str, Any]:
    """Write the adapted model; how many classes it answers, and with which operators."""
    import numpy as np
    import onnx

    model = _loaded(Path(job["path"]))
    _check_operators(model, job["path"])
    _drop_unread(model)
    own = _session(model.SerializeToString(), job["path"])
    layout, height, width = job["layout"], job["height"], job["width"]
    (given,) = (value.name for value in own.get_inputs())
    scale, offset = (np.array(each, np.float32) for each in SCALES[job["pixels"]])
    image = np.random.default_rng(1).uniform(0, 255, (1, height, width, 3)).astype(np.float32)
    tensor = (image * scale + offset).astype(np.float32)
    right = _outputs(own, tensor.transpose(0, 3, 1, 2) if layout == "NCHW" else tensor, job["path"])
    _put_in_front(model, given, layout, (height, width), scale, offset)
    adapted = _session(model.SerializeToString(), job["path"])
    apart = float(np.abs(_outputs(adapted, image, job["path"]) - right).max())
    if apart > ROUNDING * max(float(np.abs(right).max()), 1e-6):
        raise RefusedError(f"{job['path']} answers otherwise by {apart:.2g} with the nodes that turn a photo for it")
    onnx.save(model, str(file))
    return {"classes": int(right.shape[1]), "operators": sorted(set(_operators(model.graph)))}


def _loaded(path: Path) -> Any:
    import onnx

    try:
        return onnx.load(str(path))
    except Exception as failure:  # what a damaged file raises depends on where it is damaged
        raise RefusedError(f"{path} cannot be read as an ONNX model: {_said(failure)}") from failure


def _check_operators(model: Any, path: str) -> None:
    """Operators that no runtime here can know, by name, before a runtime complains of the first of them."""
    import onnx

    versions = {it.domain or "ai.onnx": it.version for it in model.opset_import}
    newest = onnx.defs.onnx_opset_version()
    if versions.get("ai.onnx", 0) > newest:
        raise RefusedError(
            f"{path} uses version {versions['ai.onnx']} of ONNX's operators, and {newest} is the newest known here",
            f"export it again with opset_version={OPSET}",
        )
    made_here = {(it.domain or "ai.onnx", it.name) for it in model.functions}
    used = dict.fromkeys(_operators(model.graph))
    undeclared = sorted({domain for domain, _ in used if domain not in versions})
    if undeclared:
        raise RefusedError(f"{path} uses operators of {', '.join(undeclared)} and does not say which version of them")
    unknown = [
        f"{domain}:{name}"
        for domain, name in used
        if (domain, name) not in made_here
        and domain not in RUNTIME_DOMAINS
        and not onnx.defs.has(name, versions[domain], "" if domain == "ai.onnx" else domain)
    ]
    if unknown:
        s = "s" if len(unknown) > 1 else ""
        raise RefusedError(
            f"{path} uses the operator{s} {', '.join(unknown)}, which neither ONNX {versions.get('ai.onnx', '')} nor "
            "ONNX Runtime has",
            "operators of one's own need a library that is not here; export the model with standard operators",
        )


OPSET = 18
RUNTIME_DOMAINS = ("com.microsoft", "com.microsoft.nchwc", "com.microsoft.experimental")
"""Of ONNX Runtime itself, which says what of them it lacks."""


def _operators(graph: Any) -> Iterator[tuple[str, str]]:
    """Domain and name of every node, those inside loops and branches too."""
    for node in graph.node:
        yield node.domain or "ai.onnx", node.op_type
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _operators(inner)


def _read(graph: Any) -> Iterator[str]:
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _read(inner)
    yield from (value.name for value in graph.output)


def _drop_unread(model: Any) -> None:
    """Inputs that no node reads, which a runtime would ask for, and those that are weights, as old files list them."""
    weights, read = {it.name for it in model.graph.initializer}, set(_read(model.graph))
    for value in [it for it in model.graph.input if it.name in weights or it.name not in read]:
        model.graph.input.remove(value)


def _session(model: bytes, path: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as failure:
        raise RefusedError(
            f"{path} cannot be computed by ONNX Runtime {onnxruntime.__version__}: {_said(failure)}",
            f"export it again with opset_version={OPSET} and standard operators",
        ) from failure


def _outputs(session: Any, image: Array, path: str) -> Array:
    """The class probabilities of one photo, float32 (1, classes)."""
    import numpy as np

    outputs = session.get_outputs()
    if len(outputs) != 1:
        names = ", ".join(output.name for output in outputs)
        raise RefusedError(
            f"{path} has {len(outputs)} outputs ({names}), and a classifier of photos has one",
            "keep the one with a number for each class: onnx.utils.extract_model",
        )
    try:
        answered = np.asarray(session.run(None, {session.get_inputs()[0].name: image})[0])
    except Exception as failure:
        raise RefusedError(f"{path} cannot answer a photo: {_said(failure)}") from failure
    if answered.ndim != 2 or answered.shape[0] != 1 or answered.shape[1] < 2 or answered.dtype.kind != "f":
        raise RefusedError(
            f"{path} answers a photo with {answered.dtype} {answered.shape}, and a classifier's answer is "
            "float32 (1, classes)"
        )
    return answered.astype(np.float32)


def _put_in_front(model: Any, given: str, layout: str, size: tuple[int, int], scale: Array, offset: Array) -> None:
    """Make a photo the input, and of it what the model takes; nothing if that is the same already."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    steps = [("Mul", scale)] * bool((scale != 1).any()) + [("Add", offset)] * bool((offset != 0).any())
    if not steps and layout == "NHWC":
        return
    graph = model.graph
    (old,) = graph.input
    batch = old.type.tensor_type.shape.dim[0]
    rows = batch.dim_value if batch.HasField("dim_value") else "n"
    taken = {name for node in graph.node for name in (*node.input, *node.output)} | {
        it.name for it in graph.initializer
    }
    last = photo = _free("image", taken)
    nodes = []
    for operator, values in steps:
        constant = _free(f"image_{operator.lower()}", taken)
        graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), constant))
        nodes.append(helper.make_node(operator, [last, constant], [_free("image_values", taken)]))
        last = nodes[-1].output[0]
    if layout == "NCHW":
        nodes.append(helper.make_node("Transpose", [last], [given], perm=[0, 3, 1, 2]))
    nodes[-1].output[0] = given  # the model's own nodes stay as they are
    graph.input.remove(old)
    graph.input.append(helper.make_tensor_value_info(photo, TensorProto.FLOAT, [rows, *size, 3]))
    for node in reversed(nodes):
        graph.node.insert(0, node)


def _free(name: str, taken: set[str]) -> str:
    """A name that no tensor has, from now on taken."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


# ---- any inputs -------------------------------------------------------------------------------------------------


def _prepare(job: dict[str, Any], folder: Path) -> dict[str, str]:
    """Write the model without inputs that no node reads, and as OpenVINO's; why that could not be, or nothing."""
    import onnx
    import openvino

    model = _loaded(Path(job["path"]))
    _check_operators(model, job["path"])
    _drop_unread(model)
    _session(model.SerializeToString(), job["path"])
    onnx.save(model, str(folder / "model.onnx"))
    try:
        read = openvino.Core().read_model(str(folder / "model.onnx"))
        openvino.save_model(read, str(folder / "model.xml"), compress_to_fp16=False)
    except Exception as failure:  # what it lacks is no fault of the file
        return {"openvino": f"OpenVINO cannot read it: {_said(failure)}"}
    return {}


def _ask(job: dict[str, Any], folder: Path) -> None:
    """The numbers of all outputs in one row for each example, output after output by name; float32."""
    import numpy as np

    sys.path.append(job["programs"])  # the engine as it serves: it knows how texts travel
    sys.path.append(job["package"])
    from engines import TensorSettings, load_tensors

    from bench.payload.tensors import unpacked

    settings = TensorSettings.of(job["model"], None, json.dumps(job["signature"]))
    engine = load_tensors("onnxruntime", settings)
    rows: dict[str, Any] = {}
    for number, example in enumerate(job["examples"]):
        try:
            answered = engine(unpacked(Path(example).read_bytes()))
            row = [np.asarray(answered[name]).astype(np.float32).ravel() for name in sorted(answered)]
        except Exception as failure:  # an index out of a table, shapes that do not go together, outputs of no number
            raise RefusedError(
                f"the model cannot answer an example with numbers: {_said(failure)}",
                "give examples that it was made for, with payload.tensors or payload.rows",
            ) from failure
        rows[f"{number:05d}"] = np.concatenate(row)
        if not np.isfinite(rows[f"{number:05d}"]).all():
            raise RefusedError("the outputs for an example are not finite numbers", "check weights and examples")
    np.savez(folder / "outputs.npz", **rows)


# ---- answering --------------------------------------------------------------------------------------------------


def _answer(job: dict[str, Any], folder: Path, progress: Any) -> None:
    """The outputs of each photo, one at a time as a lone request would be; float32 (photos, classes)."""
    import numpy as np

    images = np.load(job["images"], mmap_mode="r")
    print(f"computing the reference outputs of {len(images)} photos", file=progress, flush=True)
    session = _session(Path(job["model"]).read_bytes(), job["model"])
    rows = [_outputs(session, np.array(image[None], np.float32), job["model"])[0] for image in images]
    table = np.stack(rows)
    if not np.isfinite(table).all():
        raise RefusedError(
            "the model's outputs for these photos are not finite numbers", "check its weights and 'pixels'"
        )
    np.save(folder / "outputs.npy", table)


def _said(failure: BaseException) -> str:
    """The first line that says something; OpenVINO begins with places in its own source."""
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    telling = [line for line in lines if not PLACE_IN_SOURCE.search(line)] or lines
    if not telling:
        return type(failure).__name__
    return " ".join(telling[: 4 if telling[0].endswith(":") else 1])[:400]


PLACE_IN_SOURCE = re.compile(r"\.(cpp|hpp):\d+:?$")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
