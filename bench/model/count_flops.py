"""The child program that counts a model's floating-point operations on one image, from the graph of its SavedModel.

`flops.py` starts it by path: SAVED_MODEL_FOLDER RESULT_FILE PARENT_PID. It imports nothing of ours. A multiplication
with its addition counts 2, anything done element by element 1 per element, moving data nothing. What depends on the
weights alone is left out: it is done once, not once an image.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Shape = Sequence[int]
Attribute = Callable[[str], Any]


CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ELEMENTWISE = _words(
    "Abs Add AddN AddV2 BiasAdd Ceil Cos Div DivNoNan Elu Erf Exp Expm1 Floor FloorDiv FloorMod Greater GreaterEqual "
    "LeakyRelu Less LessEqual Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr Maximum Minimum Mod Mul MulNoNan "
    "Neg Pow RealDiv Reciprocal Relu Relu6 Round Rsqrt SelectV2 Selu Sigmoid Sign Sin Softmax Softplus Softsign Sqrt "
    "Square SquaredDifference Sub Tanh Xdivy"
)
"""One operation per element of what comes out."""
REDUCTIONS = _words("All Any ArgMax ArgMin Max Mean Min Prod Sum")
"""One operation per element of what goes in."""
MOVEMENT = _words(
    "BatchToSpaceND BroadcastTo Cast ConcatV2 Const DepthToSpace ExpandDims Fill Gather GatherV2 Identity IdentityN "
    "MirrorPad NoOp OneHot Pack Pad PadV2 Placeholder PlaceholderWithDefault PreventGradient Range Rank Reshape "
    "ResizeNearestNeighbor ReverseV2 Shape Size Slice SpaceToBatchND SpaceToDepth Split SplitV Squeeze StopGradient "
    "StridedSlice Tile Transpose Unpack ZerosLike"
)
"""Nothing is computed, data are only put elsewhere."""


def operations(kind: str, inputs: Sequence[Shape], output: Shape, attribute: Attribute) -> int | None:
    """Floating-point operations of one node of a graph; None for a kind that nobody here knows.

    Shape: `inputs` and `output` are its tensors' shapes, all dimensions known.
    """
    elements = math.prod(output)
    if kind in _MULTIPLYING:
        return 2 * _MULTIPLYING[kind](inputs, output, attribute)
    if kind in ELEMENTWISE:
        return elements
    if kind in REDUCTIONS:
        return math.prod(inputs[0])
    if kind in ("AvgPool", "MaxPool", "AvgPool3D", "MaxPool3D"):
        return elements * math.prod(attribute("ksize"))
    if kind in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"):
        return 2 * elements  # at inference: one factor and one term per channel
    if kind == "ResizeBilinear":
        return 8 * elements  # four neighbours, each a multiplication with its addition
    return 0 if kind in MOVEMENT else None


def _convolution(inputs: Sequence[Shape], output: Shape, _: Attribute) -> int:
    """Filters are (..., channels in of one group, channels out), so groups need no further care."""
    return math.prod(output) * math.prod(inputs[1][:-1])


def _depthwise(inputs: Sequence[Shape], output: Shape, _: Attribute) -> int:
    return math.prod(output) * math.prod(inputs[1][:2])


def _transposed(inputs: Sequence[Shape], _: Shape, __: Attribute) -> int:
    """Every element that goes in meets the whole filter (height, width, channels out, channels in)."""
    return math.prod(inputs[2]) * math.prod(inputs[1][:-1])


def _matrices(transposed: str) -> Callable[[Sequence[Shape], Shape, Attribute], int]:
    def count(inputs: Sequence[Shape], output: Shape, attribute: Attribute) -> int:
        return math.prod(output) * inputs[0][-2 if attribute(transposed) else -1]

    return count


def _einsum(inputs: Sequence[Shape], _: Shape, attribute: Attribute) -> int:
    """All of two tensors against each other: the product of the lengths of all letters, batch dimensions apart."""
    equation = attribute("equation")
    equation = equation.decode() if isinstance(equation, bytes) else equation
    lengths: dict[str, int] = {}
    batch = 1
    for letters, shape in zip(equation.split("->")[0].split(","), inputs, strict=True):
        before, dots, after = letters.partition("...")
        lengths |= zip(before, shape, strict=False)
        if dots:
            free = shape[len(before) : len(shape) - len(after)]
            batch = max(batch, math.prod(free))
            lengths |= zip(after, shape[len(shape) - len(after) :], strict=True)
    return batch * math.prod(lengths.values())


_MULTIPLYING: Mapping[str, Callable[[Sequence[Shape], Shape, Attribute], int]] = {
    "BatchMatMul": _matrices("adj_x"),
    "BatchMatMulV2": _matrices("adj_x"),
    "BatchMatMulV3": _matrices("adj_x"),
    "Conv2D": _convolution,
    "Conv2DBackpropInput": _transposed,
    "Conv3D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "Einsum": _einsum,
    "MatMul": _matrices("transpose_a"),
}
"""Multiplications with their additions, by kind of node."""


def count(function: Any) -> dict[str, Any]:
    """What a concrete function computes: `flops`, `by_kind`, and how often nodes were met that nobody here knows.

    Its variables become constants, so that calls are written out and every shape is known.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    by_kind: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    _walk(convert_variables_to_constants_v2(function).graph, by_kind, unknown)
    return {
        "flops": sum(by_kind.values()),
        "multiply_adds": sum(by_kind[kind] for kind in _MULTIPLYING) // 2,
        "by_kind": dict(by_kind.most_common()),
        "unknown": dict(unknown),
    }


def _walk(graph: Any, by_kind: Counter[str], unknown: Counter[str]) -> None:
    """Add up the nodes that depend on what is fed in, those of called functions included."""
    per_image = set()
    for node in graph.get_operations():  # in the order of the graph: inputs come before what they go into
        if node.type != "Placeholder" and not any(tensor.op.name in per_image for tensor in node.inputs):
            continue
        per_image.add(node.name)
        if node.type in CALLS:
            _walk(_called(graph, node), by_kind, unknown)
        elif node.type not in MOVEMENT:
            found = _of_node(node)
            (unknown if found is None else by_kind)[node.type] += 1 if found is None else found


def _of_node(node: Any) -> int | None:
    shapes = [tensor.shape for tensor in (*node.inputs, *node.outputs[:1])]
    if not node.outputs or not all(shape.is_fully_defined() for shape in shapes):
        return None
    lists = [shape.as_list() for shape in shapes]
    return operations(node.type, lists[:-1], lists[-1], node.get_attr)


def _called(graph: Any, node: Any) -> Any:
    """The graph of a function that was not written out, such as one to be compiled, with the shapes of this call."""
    from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

    name = node.get_attr("f").name
    library = {each.signature.name: each for each in graph.as_graph_def().library.function}
    return function_def_to_graph(library[name], input_shapes=[tensor.shape for tensor in node.inputs])


def main(saved_model: str, result: Path, parent: int) -> int:
    """Count the signature `tensor`, which takes an image that is decoded already, for one image."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 = PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it died before the line above
        return 1
    import tensorflow as tf

    loaded = tf.saved_model.load(saved_model)  # it owns the variables
    signature = loaded.signatures["tensor"]
    ((name, spec),) = signature.structured_input_signature[1].items()
    one = tf.TensorSpec((1, *spec.shape[1:]), spec.dtype)
    function = tf.function(lambda image: signature(**{name: image})).get_concrete_function(one)
    result.write_text(json.dumps(count(function)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
