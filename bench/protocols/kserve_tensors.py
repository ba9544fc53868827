"""KServe v2 for a model of any inputs, in its three forms: JSON, JSON with binary tensors behind it, gRPC.

JSON cannot carry strings that are no UTF-8, nor float16; the other two forms can.

Source: Open Inference Protocol v2, REST and gRPC, and Triton's binary tensor data extension.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from urllib.parse import quote

import numpy as np

from bench.errors import AnswerError, LaunchError
from bench.payload.signature import STRING, Signature
from bench.payload.tensors import Array, dtype_of, little_endian, string_bytes, unpacked
from bench.protocols import Answer, Request
from bench.protocols.kserve import MODEL_INFER, json_bytes, output_description, split_reply
from bench.protocols.plain import JSON_HEADERS, json_value
from bench.protocols.plain_tensors import flat, joined
from bench.protocols.protobuf import field_bytes, fields, varint

DATATYPES: Mapping[str, str] = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "int8": "INT8",
    "int16": "INT16", "int32": "INT32", "int64": "INT64", "float16": "FP16", "float32": "FP32", "float64": "FP64",
    STRING: "BYTES",
}  # fmt: skip
"""What the protocol calls each data type."""
NOT_IN_JSON = ("float16",)
_NAMES = {datatype: dtype for dtype, datatype in DATATYPES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _KServeTensors:
    """What every form needs to know of the model."""

    model: str
    signature: Signature

    @property
    def _path(self) -> str:
        return f"/v2/models/{quote(self.model, safe='')}/infer"

    def _outputs(self, reply: bytes) -> list[dict[str, Any]]:
        """The descriptions of the outputs in a reply's JSON, in their order there."""
        outputs = json_value(reply, "outputs")
        if not isinstance(outputs, list) or not all(isinstance(output, dict) for output in outputs):
            raise AnswerError("outputs is no list of objects")
        return outputs

    def _joined(self, found: Mapping[str, Answer]) -> Answer:
        lacking = [name for name in self.signature.output_names if name not in found]
        if lacking:
            raise AnswerError(f"the reply has no output {lacking[0]!r}; it has: {', '.join(found) or 'none'}")
        return joined([found[name] for name in self.signature.output_names], "the reply")


@dataclass(frozen=True, slots=True, kw_only=True)
class KServeTensorsJson(_KServeTensors):
    """KServe v2 over HTTP with everything in JSON."""

    transport: ClassVar[Literal["http"]] = "http"

    def request(self, payload: bytes) -> Request:
        """The request that asks with one example's packed tensors.   Raises: LaunchError for what JSON cannot carry."""
        arrays = unpacked(payload)
        inputs = [_described(name, it) | {"data": _json_data(name, it)} for name, it in arrays.items()]
        return Request(self._path, json_bytes({"inputs": inputs}), JSON_HEADERS)

    def answer(self, body: bytes) -> Answer:
        """The numbers of all outputs by name, shape (numbers,).   Raises: AnswerError."""
        found = {}
        for output in self._outputs(body):
            name = str(output.get("name"))
            found[name] = _of_its_shape(flat(output.get("data"), name), output.get("shape"), name)
        return self._joined(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class KServeTensorsBinary(_KServeTensors):
    """KServe v2 over HTTP with the tensors in binary behind the JSON, both ways."""

    transport: ClassVar[Literal["http"]] = "http"

    def request(self, payload: bytes) -> Request:
        """JSON and then the tensors; an HTTP header tells where the one ends and the others begin."""
        arrays = unpacked(payload)
        raws = [_raw(array) for array in arrays.values()]
        inputs = [
            _described(name, array) | {"parameters": {"binary_data_size": len(raw)}}
            for (name, array), raw in zip(arrays.items(), raws, strict=True)
        ]
        head = json_bytes({"inputs": inputs, "parameters": {"binary_data_output": True}})
        headers = (("Content-Type", "application/octet-stream"), ("Inference-Header-Content-Length", str(len(head))))
        return Request(self._path, head + b"".join(raws), headers)

    def answer(self, body: bytes) -> Answer:
        """The numbers of all outputs by name, shape (numbers,).   Raises: AnswerError."""
        head, raw = split_reply(body)
        found, at = {}, 0
        for output in self._outputs(head):
            name, parameters = str(output.get("name")), output.get("parameters")
            size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
            if not isinstance(size, int) or not 0 <= size <= len(raw) - at:
                raise AnswerError(f"{name} claims {size} bytes, and {len(raw) - at} are left behind the JSON")
            found[name] = _numbers(raw[at : at + size], output.get("datatype"), output.get("shape"), name)
            at += size
        if at != len(raw):
            raise AnswerError(f"{len(raw) - at} bytes more than the outputs claim")
        return self._joined(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class KServeTensorsGrpc(_KServeTensors):
    """KServe v2 over gRPC, with the tensors in raw_input_contents and raw_output_contents."""

    transport: ClassVar[Literal["grpc"]] = "grpc"

    def request(self, payload: bytes) -> Request:
        """The ModelInferRequest that asks with one example's packed tensors."""
        arrays = unpacked(payload)
        body = field_bytes(1, self.model.encode())
        for name, array in arrays.items():
            datatype = DATATYPES[dtype_of(array)].encode()
            shape = b"".join(varint(size) for size in array.shape)
            body += field_bytes(5, field_bytes(1, name.encode()) + field_bytes(2, datatype) + field_bytes(3, shape))
        return Request(MODEL_INFER, body + b"".join(field_bytes(7, _raw(array)) for array in arrays.values()))

    def answer(self, body: bytes) -> Answer:
        """The numbers of all outputs by name, shape (numbers,), out of a ModelInferResponse.   Raises: AnswerError."""
        parts = [(number, value) for number, _, value in fields(body) if isinstance(value, bytes)]
        outputs = [output_description(value) for number, value in parts if number == 5]
        raws = [value for number, value in parts if number == 6]
        if len(raws) != len(outputs):
            raise AnswerError(f"the reply describes {len(outputs)} outputs and holds {len(raws)}")
        described = zip(outputs, raws, strict=True)
        return self._joined({name: _numbers(raw, kind, shape, name) for (name, kind, shape), raw in described})


def _described(name: str, array: Array) -> dict[str, Any]:
    return {"name": name, "shape": list(array.shape), "datatype": DATATYPES[dtype_of(array)]}


def _raw(array: Array) -> bytes:
    return string_bytes(array) if dtype_of(array) == STRING else little_endian(array)


def _json_data(name: str, array: Array) -> list[Any]:
    values: list[Any] = array.ravel().tolist()
    if dtype_of(array) != STRING:
        return [float(str(each)) for each in array.ravel()] if array.dtype == np.float32 else values
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError:
        raise LaunchError(
            f"input {name!r} has a string that is no UTF-8, which JSON of KServe v2 cannot carry",
            hint="ask over another protocol: rest-binary or grpc",
        ) from None


def _numbers(raw: bytes, datatype: object, shape: object, name: str) -> Answer:
    """Raw little-endian values in one row, as float32."""
    dtype = _NAMES.get(str(datatype))
    if dtype is None or dtype == STRING:
        raise AnswerError(f"{name} is of data type {datatype}, not numbers")
    wire = np.dtype(dtype).newbyteorder("<")
    if len(raw) % wire.itemsize:
        raise AnswerError(f"{name} holds {len(raw)} bytes, which is no whole number of {dtype}")
    with np.errstate(over="ignore"):  # becomes infinity, which is refused
        return _of_its_shape(np.frombuffer(raw, wire).astype(np.float32), shape, name)


def _of_its_shape(row: Answer, shape: object, name: str) -> Answer:
    sizes: Sequence[Any] = shape if isinstance(shape, list) else ()
    if not isinstance(shape, list) or not all(type(size) is int for size in sizes) or math.prod(sizes) != len(row):
        raise AnswerError(f"{name} has shape {shape} and {len(row)} values")
    return row
