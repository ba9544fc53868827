"""KServe v2 (the Open Inference Protocol): JSON, JSON with the tensors in binary behind it, and gRPC.

A request asks for one photo: the input is BYTES of shape [1, 1], the answer FP32 of shape [1, classes].
JSON cannot carry bytes, so there the photo is base64 text, which the model has to undo.

Source: Open Inference Protocol v2, REST and gRPC, and Triton's binary tensor data extension.
"""

from __future__ import annotations

import json
import re
import struct
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from urllib.parse import quote

import numpy as np

from bench.errors import AnswerError
from bench.protocols import Answer, Request
from bench.protocols.plain import JSON_HEADERS, finite, json_value, probabilities
from bench.protocols.protobuf import field_bytes, fields, varint

MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"

_LITTLE_ENDIAN = np.dtype("<f4")
_ONE_PHOTO = [1, 1]
_VARINT_KEY = b"\x08"


@dataclass(frozen=True, slots=True, kw_only=True)
class _KServe:
    """What every form of KServe v2 needs to know of the model."""

    model: str
    classes: int
    input_name: str = "jpeg"
    output_name: str = "probabilities"

    @property
    def _path(self) -> str:
        return f"/v2/models/{quote(self.model, safe='')}/infer"

    def _check(self, datatype: object, shape: object) -> None:
        """Refuse an output that is not one row of probabilities by its own description."""
        if datatype != "FP32":
            raise AnswerError(f"{self.output_name} is of data type {datatype}, not FP32")
        if shape != [1, self.classes]:
            raise AnswerError(f"{self.output_name} has shape {shape}, not [1, {self.classes}]")

    def _complete(self, answer: Answer) -> Answer:
        """The answer itself, if it holds as many numbers as its shape says."""
        if len(answer) != self.classes:
            raise AnswerError(f"{self.output_name} has shape [1, {self.classes}] and {len(answer)} values")
        return answer

    def _from_raw(self, raw: bytes) -> Answer:
        """The answer from raw little-endian float32."""
        if len(raw) % _LITTLE_ENDIAN.itemsize:
            raise AnswerError(f"{self.output_name} holds {len(raw)} bytes, which is no whole number of float32")
        return finite(self._complete(np.frombuffer(raw, _LITTLE_ENDIAN).astype(np.float32)), self.output_name)

    def _output(self, reply: bytes) -> dict[str, Any]:
        """The output that was asked for, out of a reply's JSON, once its description has been found right."""
        outputs = json_value(reply, "outputs")
        named = {
            output.get("name"): output
            for output in (outputs if isinstance(outputs, list) else ())
            if isinstance(output, dict) and isinstance(output.get("name"), str)
        }
        if self.output_name not in named:
            raise _no_output(self.output_name, named)
        output: dict[str, Any] = named[self.output_name]
        self._check(output.get("datatype"), output.get("shape"))
        return output


@dataclass(frozen=True, slots=True, kw_only=True)
class KServeJson(_KServe):
    """KServe v2 over HTTP with everything in JSON; the photo as base64 text in one BYTES element."""

    transport: ClassVar[Literal["http"]] = "http"

    def request(self, photo: bytes) -> Request:
        """The request that asks for the class probabilities of one photo (JPEG bytes)."""
        tensor = {
            "name": self.input_name,
            "shape": _ONE_PHOTO,
            "datatype": "BYTES",
            "data": [b64encode(photo).decode("ascii")],
        }
        return Request(
            self._path, json_bytes({"inputs": [tensor], "outputs": [{"name": self.output_name}]}), JSON_HEADERS
        )

    def answer(self, body: bytes) -> Answer:
        """Class probabilities, shape (classes,).   Raises: AnswerError."""
        return self._complete(probabilities(self._output(body).get("data"), self.output_name))


@dataclass(frozen=True, slots=True, kw_only=True)
class KServeBinary(_KServe):
    """KServe v2 over HTTP with the tensors in binary behind the JSON, both ways."""

    transport: ClassVar[Literal["http"]] = "http"

    def request(self, photo: bytes) -> Request:
        """JSON and then the photo itself; an HTTP header tells where the one ends and the other begins."""
        raw = _bytes_element(photo)
        tensor = {
            "name": self.input_name,
            "shape": _ONE_PHOTO,
            "datatype": "BYTES",
            "parameters": {"binary_data_size": len(raw)},
        }
        wanted = {"name": self.output_name, "parameters": {"binary_data": True}}
        head = json_bytes({"inputs": [tensor], "outputs": [wanted]})
        headers = (
            ("Content-Type", "application/octet-stream"),
            ("Inference-Header-Content-Length", str(len(head))),
        )
        return Request(self._path, head + raw, headers)

    def answer(self, body: bytes) -> Answer:
        """Class probabilities, shape (classes,).

        The length of the JSON comes in an HTTP header, but the JSON says itself where it ends: at the brace
        that closes it. What follows must be exactly as long as the output claims to be.
        Raises: AnswerError.
        """
        head, raw = split_reply(body)
        output = self._output(head)
        parameters = output.get("parameters")
        size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
        if size != len(raw):
            raise AnswerError(f"{self.output_name} claims {size} bytes, and {len(raw)} follow the JSON")
        return self._from_raw(raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class KServeGrpc(_KServe):
    """KServe v2 over gRPC, with the tensors in raw_input_contents and raw_output_contents."""

    transport: ClassVar[Literal["grpc"]] = "grpc"

    def request(self, photo: bytes) -> Request:
        """The ModelInferRequest that asks for the class probabilities of one photo (JPEG bytes)."""
        tensor = (
            field_bytes(1, self.input_name.encode())
            + field_bytes(2, b"BYTES")
            + field_bytes(3, b"".join(varint(size) for size in _ONE_PHOTO))
        )
        body = (
            field_bytes(1, self.model.encode())
            + field_bytes(5, tensor)
            + field_bytes(6, field_bytes(1, self.output_name.encode()))
            + field_bytes(7, _bytes_element(photo))
        )
        return Request(MODEL_INFER, body)

    def answer(self, body: bytes) -> Answer:
        """Class probabilities, shape (classes,), out of a ModelInferResponse.   Raises: AnswerError."""
        parts = [(number, value) for number, _, value in fields(body) if isinstance(value, bytes)]
        outputs = [output_description(value) for number, value in parts if number == 5]
        raws = [value for number, value in parts if number == 6]
        if len(raws) != len(outputs):
            raise AnswerError(f"the reply describes {len(outputs)} outputs and holds {len(raws)}")
        for (name, datatype, shape), raw in zip(outputs, raws, strict=True):
            if name == self.output_name:
                self._check(datatype, shape)
                return self._from_raw(raw)
        raise _no_output(self.output_name, [name for name, _, _ in outputs])


def split_reply(body: bytes) -> tuple[bytes, bytes]:
    """A reply's JSON and the bytes behind it."""
    try:
        # Latin-1 keeps bytes and characters one to one, so the end of the JSON is a place in the body.
        _, end = json.JSONDecoder().raw_decode(body.decode("latin-1"))
    except (ValueError, RecursionError):  # no JSON at its beginning: whoever reads it will say so
        end = len(body)
    return body[:end], body[end:]


def output_description(message: bytes) -> tuple[str, str, list[int]]:
    """Name, datatype and shape of an InferOutputTensor."""
    name, datatype = "", ""
    shape: list[int] = []
    for number, _, value in fields(message):
        if isinstance(value, int):
            shape += [value] if number == 3 else []
        elif number == 1:
            name = value.decode(errors="replace")
        elif number == 2:
            datatype = value.decode(errors="replace")
        elif number == 3:
            shape += _packed(value)
    return name, datatype, shape


def _packed(data: bytes) -> list[int]:
    """The varints of a packed list, each read as a field of its own; one that is cut off is left out."""
    each = re.findall(rb"[\x80-\xff]*[\x00-\x7f]", data)
    return [int(value) for one in each for _, _, value in fields(_VARINT_KEY + one)]


def _bytes_element(data: bytes) -> bytes:
    """One BYTES element as raw tensor data: its length in four bytes, little-endian, and itself."""
    return struct.pack("<I", len(data)) + data


def _no_output(name: str, others: Any) -> AnswerError:
    return AnswerError(f"the reply has no output {name!r}; it has: {', '.join(others) or 'none'}")


def json_bytes(value: object) -> bytes:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()
