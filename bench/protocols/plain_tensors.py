"""The plain JSON of tutorials for any inputs: `{"inputs": {name: values}}`, `{"outputs": {name: values}}` back.

How named arrays are written as JSON and read back out of it lives here too.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from bench.errors import AnswerError
from bench.payload.tensors import Array, unpacked
from bench.protocols import Answer, Request
from bench.protocols.plain import JSON_HEADERS, finite, json_value


@dataclass(frozen=True, slots=True)
class PlainTensors:
    """All inputs by name, with their first axis; all outputs by name. `outputs` are their names, in order."""

    transport: ClassVar[Literal["http"]] = "http"
    outputs: tuple[str, ...]
    path: str = "/predict"

    def request(self, payload: bytes) -> Request:
        """The request that asks with one example's packed tensors."""
        return Request(self.path, b'{"inputs": ' + json_arrays(unpacked(payload)) + b"}", JSON_HEADERS)

    def answer(self, body: bytes) -> Answer:
        """The numbers of all outputs, shape (numbers,).   Raises: AnswerError."""
        return flat_outputs(json_value(body, "outputs"), self.outputs, "outputs")


def json_arrays(arrays: Mapping[str, Array]) -> bytes:
    """A JSON object of nested lists by name."""
    return b"{" + b", ".join(json.dumps(name).encode() + b": " + json_array(it) for name, it in arrays.items()) + b"}"


def json_array(array: Array) -> bytes:
    """Nested lists, each float as short as it reads back; a string that is no UTF-8 as `{"b64": ".."}`.

    What `json.dumps` makes of float32's `tolist()` has 17 digits a number, twice the bytes, and is slower to make.
    """
    if array.dtype.kind == "O":
        return json.dumps(_texts(array.tolist())).encode()
    if array.dtype not in (np.float16, np.float32) or not array.size or not array.ndim:
        return json.dumps(array.tolist(), separators=(",", ":")).encode()
    import pyarrow as pa  # here: only those who send floats as text need it
    import pyarrow.compute as pc

    text = pc.cast(pa.array(array.astype(np.float32).ravel()), pa.string())
    for count in reversed(array.shape):
        offsets = pa.array(np.arange(0, len(text) + 1, count, dtype=np.int32))
        joined = pc.binary_join(pa.ListArray.from_arrays(offsets, text), ",")
        text = pc.binary_join_element_wise("[", joined, "]", "")
    encoded: bytes = text[0].as_buffer().to_pybytes()
    return encoded


def _texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_texts(each) for each in value]
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": b64encode(value).decode("ascii")}


def flat_outputs(found: object, names: Sequence[str], where: str) -> Answer:
    """The numbers of nested lists by output name, output after output in the order of `names`; shape (numbers,).

    Raises: AnswerError for a missing output, and for anything that is no number.
    """
    if not isinstance(found, dict):
        raise AnswerError(f"{where} is no object of outputs by name: {str(found)[:80]!r}")
    lacking = [name for name in names if name not in found]
    if lacking:
        raise AnswerError(f"{where} lacks {lacking[0]!r}; it has: {', '.join(map(str, list(found)[:8])) or 'none'}")
    return joined([flat(found[name], f"{where}.{name}") for name in names], where)


def joined(rows: Sequence[Answer], where: str) -> Answer:
    """Rows of numbers as one.   Raises: AnswerError if one is not finite, or there are none at all."""
    row = np.concatenate(rows) if rows else np.zeros(0, np.float32)
    if not len(row):
        raise AnswerError(f"{where} holds no number")
    return finite(row, where)


def flat(values: object, name: str) -> Answer:
    """Nested lists of JSON numbers in one row; true counts as 1.   Raises: AnswerError."""
    try:
        array = np.asarray(values)
    except (ValueError, RecursionError, OverflowError) as failure:  # lists of different lengths, or nested too deep
        raise AnswerError(f"{name} is no tensor: {failure}") from failure
    if array.dtype.kind not in "biuf":
        raise AnswerError(f"{name} holds something that is no number: {str(values)[:80]!r}")
    with np.errstate(over="ignore"):  # what overflows becomes inf, which is refused
        return array.astype(np.float32).ravel()
