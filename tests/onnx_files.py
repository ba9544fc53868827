"""Small ONNX files of photo classifiers, written byte by byte: the mean colour, a matrix, a softmax.

No onnx package is needed, so that what reads such files is tested where none is installed.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from bench.protocols.protobuf import field_bytes, field_varint

FLOAT, INT64 = 1, 7
CLASSES = 5


def tensor_proto(name: str, shape: Sequence[int], values: Sequence[float], *, location: str = "") -> bytes:
    """Float32; with a location its bytes are said to lie in a file of that name."""
    proto = b"".join(field_varint(1, size) for size in shape) + field_varint(2, FLOAT) + field_bytes(8, name.encode())
    if location:
        pair = field_bytes(1, b"location") + field_bytes(2, location.encode())
        return proto + field_bytes(13, pair) + field_varint(14, 1)
    return proto + field_bytes(9, struct.pack(f"<{len(values)}f", *values))


def value_info(name: str, shape: Sequence[int | str], dtype: int = FLOAT) -> bytes:
    """A graph's input or output; a name as a size is one that only the request tells."""
    sizes = (field_varint(1, it) if isinstance(it, int) else field_bytes(2, it.encode()) for it in shape)
    tensor = field_varint(1, dtype) + field_bytes(2, b"".join(field_bytes(1, size) for size in sizes))
    return field_bytes(1, name.encode()) + field_bytes(2, field_bytes(1, tensor))


def node(operator: str, inputs: Sequence[str], output: str, *, domain: str = "", **ints: int | Sequence[int]) -> bytes:
    """One node; keywords are attributes."""
    proto = b"".join(field_bytes(1, name.encode()) for name in inputs) + field_bytes(2, output.encode())
    proto += field_bytes(4, operator.encode()) + (field_bytes(7, domain.encode()) if domain else b"")
    for name, value in ints.items():
        if isinstance(value, int):
            attribute = field_varint(3, value) + field_varint(20, 2)
        else:
            attribute = b"".join(field_varint(8, each) for each in value) + field_varint(20, 7)
        proto += field_bytes(5, field_bytes(1, name.encode()) + attribute)
    return proto


def model_proto(
    inputs: Sequence[bytes],
    nodes: Sequence[bytes],
    outputs: Sequence[bytes],
    weights: Sequence[bytes] = (),
    *,
    opset: int = 17,
    domains: Sequence[str] = (),
) -> bytes:
    """A whole file."""
    parts = [(1, nodes), (5, weights), (11, inputs), (12, outputs)]
    graph = field_bytes(2, b"graph") + b"".join(field_bytes(number, each) for number, some in parts for each in some)
    opsets = [field_varint(2, opset), *(field_bytes(1, it.encode()) + field_varint(2, 1) for it in domains)]
    return field_varint(1, 8) + b"".join(field_bytes(8, each) for each in opsets) + field_bytes(7, graph)


def mean_colour(
    layout: str = "NCHW",
    *,
    size: tuple[int | str, int | str] = (8, 6),
    batch: int | str = "n",
    factor: float = 20.0,
    opset: int = 17,
    extra_nodes: Sequence[bytes] = (),
    extra_inputs: Sequence[bytes] = (),
    domains: Sequence[str] = (),
    location: str = "",
) -> bytes:
    """A classifier of photos, values 0-1 if `factor` is about 20, that tells them apart by their mean colour."""
    shape = (batch, 3, *size) if layout == "NCHW" else (batch, *size, 3)
    weights = [factor * ((3 * row + 7 * column) % 11 - 5) / 5 for row in range(3) for column in range(CLASSES)]
    axes = [2, 3] if layout == "NCHW" else [1, 2]
    nodes = [
        node("ReduceMean", ["pixels"], "colour", axes=axes, keepdims=0),
        node("MatMul", ["colour", "weights"], "scores"),
        node("Softmax", ["scores"], "probabilities", axis=1),
    ]
    return model_proto(
        [value_info("pixels", shape), *extra_inputs],
        [*nodes, *extra_nodes],
        [value_info("probabilities", (batch, CLASSES))],
        [tensor_proto("weights", (3, CLASSES), weights, location=location)],
        opset=opset,
        domains=domains,
    )


def two_inputs() -> bytes:
    """A tabular model: three numbers and one whole number, under names that no API takes as they are."""
    weights = [((3 * row + 7 * column) % 11 - 5) / 5 for row in range(3) for column in range(CLASSES)]
    nodes = [
        node("Cast", ["room:count"], "rooms", to=FLOAT),
        node("MatMul", ["size/area", "weights"], "scores"),
        node("Add", ["scores", "rooms"], "moved"),
        node("Sin", ["moved"], "out:y"),
        node("Neg", ["scores"], "a_second"),
    ]
    return model_proto(
        [value_info("size/area", ("n", 3)), value_info("unread", (1,)), value_info("room:count", ("n", 1), INT64)],
        nodes,
        [value_info("out:y", ("n", CLASSES)), value_info("a_second", ("n", CLASSES))],
        [tensor_proto("weights", (3, CLASSES), weights)],
    )


def written(file: Path, content: bytes) -> Path:
    """The file, written."""
    file.write_bytes(content)
    return file
