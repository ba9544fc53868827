"""TensorFlow Serving's two APIs for a model of any inputs: each input by its name in the model's own signature.

REST has row format, an object an instance, where every tensor has a first axis of examples, and column format else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from bench.errors import AnswerError
from bench.payload.signature import DEFAULT_KEY, Signature
from bench.payload.tensors import Array, unpacked
from bench.protocols import Answer, Request
from bench.protocols.plain import JSON_HEADERS, json_value
from bench.protocols.plain_tensors import flat, flat_outputs, joined, json_array, json_arrays
from bench.protocols.protobuf import BYTES, field_bytes, fields
from bench.protocols.tensor_proto import numbers_of, tensor_proto
from bench.protocols.tfserving import PREDICT, model_spec, predict_path

NOT_IN_JSON = ("float16", "uint16")
"""Data types that its REST API answers with 501 to."""


@dataclass(frozen=True, slots=True)
class TfServingTensorsRest:
    """REST with every input by name; which format, is the signature's business."""

    transport: ClassVar[Literal["http"]] = "http"
    signature: Signature
    model: str = "model"
    version: int | None = None
    label: str | None = None

    def request(self, payload: bytes) -> Request:
        """The request that asks with one example's packed tensors."""
        arrays = unpacked(payload)
        named = b"" if self.signature.key == DEFAULT_KEY else b'"signature_name": ' + _text(self.signature.key) + b", "
        if self.signature.rows:
            body = b"{" + named + b'"instances": [' + b", ".join(_rows(arrays)) + b"]}"
        else:
            body = b"{" + named + b'"inputs": ' + json_arrays(arrays) + b"}"
        return Request(predict_path(self.model, self.version, self.label), body, JSON_HEADERS)

    def answer(self, body: bytes) -> Answer:
        """The numbers of all outputs by name, shape (numbers,).   Raises: AnswerError."""
        names = self.signature.output_names
        if not self.signature.rows:
            outputs = json_value(body, "outputs")
            return flat_outputs(outputs if len(names) > 1 else {names[0]: outputs}, names, "outputs")
        predictions = json_value(body, "predictions")
        if not isinstance(predictions, list) or not predictions:
            raise AnswerError("predictions is no list of instances")
        if len(names) == 1:
            return joined([flat(predictions, "predictions")], "predictions")
        if not all(isinstance(each, dict) and set(each) >= set(names) for each in predictions):
            raise AnswerError(f"an instance of predictions lacks one of {', '.join(names)}: {str(predictions[0])[:80]}")
        return flat_outputs({name: [each[name] for each in predictions] for name in names}, names, "predictions")


@dataclass(frozen=True, slots=True)
class TfServingTensorsGrpc:
    """PredictionService.Predict with a TensorProto for each input."""

    transport: ClassVar[Literal["grpc"]] = "grpc"
    signature: Signature
    model: str = "model"
    version: int | None = None
    label: str | None = None

    def request(self, payload: bytes) -> Request:
        """The PredictRequest that asks with one example's packed tensors."""
        key = "" if self.signature.key == DEFAULT_KEY else self.signature.key
        spec = model_spec(self.model, key, self.version, self.label)
        return Request(PREDICT, predict_request(spec, unpacked(payload)))

    def answer(self, body: bytes) -> Answer:
        """The numbers of all outputs by name, shape (numbers,).   Raises: AnswerError."""
        outputs = dict(_entry(entry) for entry in _messages(body, 1))
        lacking = [name for name in self.signature.output_names if name not in outputs]
        if lacking:
            raise AnswerError(f"the reply has no output {lacking[0]!r}; it has: {', '.join(outputs) or 'none'}")
        return joined([numbers_of(outputs[name], name) for name in self.signature.output_names], "the reply")


def predict_request(spec: bytes, arrays: Mapping[str, Array]) -> bytes:
    """A PredictRequest with every input, of a model that a ModelSpec names."""
    entries = (field_bytes(1, name.encode()) + field_bytes(2, tensor_proto(array)) for name, array in arrays.items())
    return field_bytes(1, spec) + b"".join(field_bytes(2, entry) for entry in entries)


def repeated(payload: bytes, rows: int) -> dict[str, Array]:
    """One example's first row so many times over, as a batch of that size."""
    return {name: np.repeat(array[:1], rows, axis=0) for name, array in unpacked(payload).items()}


def _rows(arrays: Mapping[str, Array]) -> list[bytes]:
    """An object of all inputs for each row."""
    count = len(next(iter(arrays.values())))
    return [b"{" + b", ".join(_text(name) + b": " + _value(it, row) for name, it in arrays.items()) + b"}"
            for row in range(count)]  # fmt: skip


def _value(array: Array, row: int) -> bytes:
    """One row's value: what stands inside the brackets of a list of it alone."""
    return json_array(array[row : row + 1])[1:-1]


def _text(name: str) -> bytes:
    return json.dumps(name).encode()


def _messages(data: bytes, number: int) -> list[bytes]:
    return [
        value for found, kind, value in fields(data) if found == number and kind == BYTES and isinstance(value, bytes)
    ]


def _entry(entry: bytes) -> tuple[str, Any]:
    """Name and TensorProto of one entry of the map of outputs."""
    names, tensors = _messages(entry, 1), _messages(entry, 2)
    return names[-1].decode(errors="replace") if names else "", tensors[-1] if tensors else b""
