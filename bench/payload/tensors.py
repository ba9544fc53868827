"""Named arrays as bytes and back: the form in which one request's tensors travel inside the harness.

Strings are arrays of Python's bytes objects, since numpy's own texts lose zeros at their end. Nothing is pickled.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.payload.signature import STRING

Array = NDArray[Any]
Arrays = Mapping[str, Array]
"""By name; numbers and bools in numpy's types, strings as objects that are bytes."""


def dtype_of(array: Array) -> str:
    """As a signature names it."""
    return STRING if array.dtype.kind == "O" else array.dtype.name


def packed(arrays: Arrays) -> bytes:
    """The same bytes for the same arrays: what JSON says of them, by name, then their values, little-endian."""
    head, values = [], []
    for name in sorted(arrays):
        array = arrays[name]
        raw = string_bytes(array) if dtype_of(array) == STRING else little_endian(array)
        head.append({"name": name, "dtype": dtype_of(array), "shape": list(array.shape), "bytes": len(raw)})
        values.append(raw)
    words = json.dumps(head, separators=(",", ":")).encode()
    return struct.pack("<I", len(words)) + words + b"".join(values)


def unpacked(data: bytes) -> dict[str, Array]:
    """The arrays that `packed` was given.   Raises: ValueError for other bytes."""
    (length,) = struct.unpack_from("<I", data)
    at = 4 + length
    arrays: dict[str, Array] = {}
    for one in json.loads(data[4:at]):
        raw = data[at : at + one["bytes"]]
        if one["dtype"] == STRING:
            arrays[one["name"]] = string_array(raw).reshape(one["shape"])
        else:
            dtype = np.dtype(one["dtype"])
            arrays[one["name"]] = np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype).reshape(one["shape"])
        at += one["bytes"]
    return arrays


def little_endian(array: Array) -> bytes:
    """The values of an array of numbers or bools, row after row."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


def string_bytes(array: Array) -> bytes:
    """Each string behind its length in four bytes, little-endian."""
    return b"".join(struct.pack("<I", len(each)) + each for each in array.ravel().tolist())


def string_array(raw: bytes) -> Array:
    """What `string_bytes` gave, in one row.   Raises: ValueError if it is cut off."""
    found: list[bytes] = []
    at = 0
    while at < len(raw):
        if at + 4 > len(raw):
            raise ValueError(f"cut off in the length of string {len(found)}")
        (length,) = struct.unpack_from("<I", raw, at)
        if at + 4 + length > len(raw):
            raise ValueError(f"string {len(found)} needs {length} bytes, {len(raw) - at - 4} are left")
        found.append(raw[at + 4 : at + 4 + length])
        at += 4 + length
    array = np.empty(len(found), dtype=object)
    array[:] = found
    return array
