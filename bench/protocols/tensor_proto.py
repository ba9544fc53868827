"""TensorFlow's TensorProto of any data type, written and read by hand: the load generator then needs no TensorFlow.

Source: tensorflow/core/framework/tensor.proto and types.proto.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.errors import AnswerError
from bench.payload.signature import STRING
from bench.payload.tensors import Array, dtype_of, little_endian
from bench.protocols import Answer
from bench.protocols.protobuf import BYTES, FIXED32, FIXED64, VARINT, field_bytes, field_varint, fields, varint

NUMBERS = {
    "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, STRING: 7, "int64": 9, "bool": 10,
    "bfloat16": 14, "uint16": 17, "float16": 19, "uint32": 22, "uint64": 23,
}  # fmt: skip
"""What TensorFlow calls each data type."""
MOST_VALUES = 10_000_000
"""A constant is never expanded beyond this: a damaged reply must not take the machine's memory."""
NAMES = {number: name for name, number in NUMBERS.items()}
"""The other way round."""
_CONTENT, _STRINGS = 4, 8
_VALUES = {5: "<f4", 6: "<f8", 7: "int", 10: "int", 11: "int", 13: "int", 16: "int", 17: "int"}
"""Field of repeated values -> how each is written: fixed width, or as a varint."""


def tensor_proto(array: Array) -> bytes:
    """An array of numbers, bools or strings with its shape; numbers as raw bytes, strings one by one."""
    head = field_varint(1, NUMBERS[dtype_of(array)])
    head += field_bytes(2, b"".join(field_bytes(2, field_varint(1, size)) for size in array.shape))
    if dtype_of(array) == STRING:
        return head + b"".join(field_bytes(_STRINGS, each) for each in array.ravel().tolist())
    return head + field_bytes(_CONTENT, little_endian(array))


def numbers_of(tensor: bytes, name: str) -> Answer:
    """The values of a TensorProto in one row, as float32: raw, packed, one by one, or a single one for all.

    Raises: AnswerError for strings, and for a tensor that does not hold what its shape says.
    """
    dtype, dims, content, values = _parts(tensor)
    if dtype not in NAMES or NAMES[dtype] == STRING:
        raise AnswerError(f"{name} is of data type {NAMES.get(dtype, dtype)}, not numbers")
    count = math.prod(dims)
    row = _from_content(content, NAMES[dtype], name) if content else _from_values(values, NAMES[dtype], name)
    if not content and len(row) == 1 and 1 < count <= MOST_VALUES:  # TensorProto's short form of a constant
        row = np.broadcast_to(row, (count,))
    if len(row) != count:
        raise AnswerError(f"{name} has shape {dims} and {len(row)} values")
    with np.errstate(over="ignore"):  # becomes infinity, which is refused
        return row.astype(np.float32)


def _parts(tensor: bytes) -> tuple[int, tuple[int, ...], bytes, list[tuple[str, bytes | int]]]:
    """Data type, shape, raw content, and pieces of repeated values with how they are written."""
    dtype, content = 0, b""
    dims: tuple[int, ...] = ()
    values: list[tuple[str, bytes | int]] = []
    for number, kind, value in fields(tensor):
        if number == 1 and isinstance(value, int):
            dtype = value
        elif number == 2 and isinstance(value, bytes):
            dims = _dims(value)
        elif number == _CONTENT and isinstance(value, bytes):
            content = value
        elif number in _VALUES and kind in (VARINT, BYTES, FIXED32, FIXED64):
            values.append((_VALUES[number], value))
    return dtype, dims, content, values


def _dims(shape: bytes) -> tuple[int, ...]:
    """Sizes in a TensorShapeProto; a size that is not given is 0, as everywhere in protobuf."""
    sizes = []
    for number, _, dim in fields(shape):
        if number == 2 and isinstance(dim, bytes):
            given = [value for which, kind, value in fields(dim) if which == 1 and kind == VARINT]
            sizes.append(int(given[-1]) if given else 0)
    return tuple(sizes)


def _from_content(content: bytes, dtype: str, name: str) -> Array:
    wire = np.dtype("<u2") if dtype == "bfloat16" else np.dtype(dtype).newbyteorder("<")
    if len(content) % wire.itemsize:
        raise AnswerError(f"{name} holds {len(content)} bytes, which is no whole number of {dtype}")
    row = np.frombuffer(content, wire)
    return _bfloat16(row) if dtype == "bfloat16" else row


def _from_values(values: Sequence[tuple[str, bytes | int]], dtype: str, name: str) -> Array:
    floats, whole = bytearray(), []
    width = 0
    for how, value in values:
        if how == "int":
            whole += [value] if isinstance(value, int) else _varints(value)
        elif isinstance(value, bytes):
            floats += value
            width = np.dtype(how).itemsize
    if floats:
        if len(floats) % width:
            raise AnswerError(f"{name} holds {len(floats)} bytes, which is no whole number of {dtype}")
        return np.frombuffer(bytes(floats), f"<f{width}")
    if dtype in ("float16", "bfloat16"):
        bits = np.array(whole, dtype=np.uint64).astype(np.uint16)
        return bits.view(np.float16) if dtype == "float16" else _bfloat16(bits)
    unsigned = np.array(whole, dtype=np.uint64)
    return unsigned if dtype.startswith("uint") else unsigned.view(np.int64)  # negative ones are two's complement


def _varints(data: bytes) -> list[int]:
    """The numbers of a packed list."""
    found, at = [], 0
    while at < len(data):
        end = next((place for place in range(at, len(data)) if data[place] < 0x80), None)
        if end is None:
            raise AnswerError(f"protobuf message cut off in a number at byte {at}")
        each = data[at : end + 1]
        found += [int(value) for _, _, value in fields(varint(1 << 3) + each) if isinstance(value, int)]
        at = end + 1
    return found


def _bfloat16(bits: Array) -> Array:
    """The upper halves of float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)
