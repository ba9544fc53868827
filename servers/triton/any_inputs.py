"""How Triton is told of a model of any inputs: its lines of config.pbtxt, and why some cannot be told.

Knows signatures and nothing of how the server is started.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from bench.payload.signature import STRING, Signature, TensorSpec

_TYPES = {
    "bool": "TYPE_BOOL", "uint8": "TYPE_UINT8", "uint16": "TYPE_UINT16", "uint32": "TYPE_UINT32",
    "uint64": "TYPE_UINT64", "int8": "TYPE_INT8", "int16": "TYPE_INT16", "int32": "TYPE_INT32", "int64": "TYPE_INT64",
    "float16": "TYPE_FP16", "float32": "TYPE_FP32", "float64": "TYPE_FP64", STRING: "TYPE_STRING",
}  # fmt: skip
JSON_LACKS = ("float16",)
"""What KServe v2 cannot say in JSON."""


def unable(signature: Signature, *, batched: bool, in_json: bool) -> str:
    """Why a model of this signature cannot be told to Triton, in a clause; empty if it can."""
    for spec in (*signature.inputs, *signature.outputs):
        if spec.dtype not in _TYPES:
            return f"Triton's Python backend has no {spec.dtype}, of which {spec.name} is"
        if in_json and spec.dtype in JSON_LACKS:
            return f"KServe v2 in JSON has no {spec.dtype}; protocol: grpc has"
        if not spec.shape:
            return f"Triton has to be told the axes of {spec.name}, which is {spec.text}"
        if batched and (not spec.rows or len(spec.shape) < 2):
            return f"Triton's batcher needs a first axis of examples and one more, and {spec.name} is {spec.text}"
    return ""


def tensor_lines(signature: Signature, *, batched: bool) -> list[str]:
    """Inputs and outputs; with batching their first axis is Triton's own business."""
    return [*_side("input", signature.inputs, batched), *_side("output", signature.outputs, batched)]


def _side(word: str, specs: Sequence[TensorSpec], batched: bool) -> list[str]:
    lines = []
    for spec in specs:
        shape = (spec.shape or ())[1 if batched else 0 :]
        dims = ", ".join(str(-1 if size is None else size) for size in shape)
        lines.append(f"{word} [ {{ name: {json.dumps(spec.name)} data_type: {_TYPES[spec.dtype]} dims: [ {dims} ] }} ]")
    return lines
