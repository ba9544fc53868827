"""TensorFlow Serving's two APIs, REST and gRPC, for a model that takes the JPEG itself or its pixels.

gRPC messages are encoded and decoded by hand: the load generator then needs no TensorFlow. This module knows
nothing of how the server is started, nor of how a JPEG becomes pixels.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from bench.errors import AnswerError
from bench.protocols import Answer, Request
from bench.protocols.plain import JSON_HEADERS, finite, json_value, probabilities
from bench.protocols.protobuf import VARINT, field_bytes, field_varint, fields

PREDICT = "/tensorflow.serving.PredictionService/Predict"

_DT_FLOAT, _DT_STRING = 1, 7
_LITTLE_ENDIAN = np.dtype("<f4")


PixelsOf = Callable[[bytes], NDArray[np.float32]]
"""From a JPEG to float32 (height, width, 3), values 0-255, as the signature for pixels takes them."""

TENSOR_SIGNATURE = "tensor"
"""The model's signature that takes pixels; the default one takes JPEG bytes."""


def predict_path(model: str, version: int | None, label: str | None) -> str:
    """Where a model answers over HTTP; without a version or a label the latest one."""
    which = "" if version is None else f"/versions/{version}"
    if label is not None:
        which = f"/labels/{quote(label, safe='')}"
    return f"/v1/models/{quote(model, safe='')}{which}:predict"


@dataclass(frozen=True, slots=True)
class TfServingRest:
    """REST in row format, because column format prints one number a line: one instance, the JPEG in base64.

    With `pixels` the instance is the photo's pixels instead, as JSON numbers.
    """

    transport: ClassVar[Literal["http"]] = "http"
    model: str = "model"
    pixels: PixelsOf | None = None
    version: int | None = None
    label: str | None = None

    def request(self, photo: bytes) -> Request:
        """The request that asks for the class probabilities of one photo (JPEG bytes)."""
        if self.pixels is None:
            body = b'{"instances": [{"b64": "' + b64encode(photo) + b'"}]}'
        else:
            rows = json_numbers(self.pixels(photo))
            body = b'{"signature_name": "' + TENSOR_SIGNATURE.encode() + b'", "instances": [' + rows + b"]}"
        return Request(predict_path(self.model, self.version, self.label), body, JSON_HEADERS)

    def answer(self, body: bytes) -> Answer:
        """Class probabilities, shape (classes,).   Raises: AnswerError, bare NaN and Infinity tokens included."""
        predictions = json_value(body, "predictions")
        if not isinstance(predictions, list) or len(predictions) != 1:
            count = len(predictions) if isinstance(predictions, list) else "no list of"
            raise AnswerError(f"one photo was sent and {count} predictions came back")
        return probabilities(predictions[0], "predictions[0]")


@dataclass(frozen=True, slots=True)
class TfServingGrpc:
    """PredictionService.Predict with one string tensor; the reply's floats may come in any of their three forms.

    With `pixels` the tensor holds the photo's pixels instead, as raw float32.
    """

    transport: ClassVar[Literal["grpc"]] = "grpc"
    model: str = "model"
    output_name: str = "probabilities"
    pixels: PixelsOf | None = None
    version: int | None = None
    label: str | None = None

    def request(self, photo: bytes) -> Request:
        """The PredictRequest that asks for the class probabilities of one photo (JPEG bytes)."""
        if self.pixels is None:
            return self._asking("jpeg", string_tensor([photo]))
        image = self.pixels(photo)[np.newaxis]
        tensor = _tensor(_DT_FLOAT, image.shape) + field_bytes(4, image.astype(_LITTLE_ENDIAN).tobytes())
        return self._asking("image", tensor, TENSOR_SIGNATURE)

    def _asking(self, name: str, tensor: bytes, signature: str = "") -> Request:
        spec = model_spec(self.model, signature, self.version, self.label)
        return Request(PREDICT, predict_request(spec, name, tensor))

    def answer(self, body: bytes) -> Answer:
        """Class probabilities, shape (classes,), from a PredictResponse.   Raises: AnswerError."""
        outputs = dict(_output(entry) for entry in _messages(body, 1))
        if self.output_name not in outputs:
            raise AnswerError(f"the reply has no output {self.output_name!r}; it has: {', '.join(outputs) or 'none'}")
        return finite(_float_row(outputs[self.output_name], self.output_name), self.output_name)


def model_spec(model: str, signature: str = "", version: int | None = None, label: str | None = None) -> bytes:
    """A ModelSpec; without a signature the model's default one is asked, without version or label the latest."""
    spec = field_bytes(1, model.encode())
    if version is not None:
        spec += field_bytes(2, field_varint(1, version))
    if signature:
        spec += field_bytes(3, signature.encode())
    return spec if label is None else spec + field_bytes(4, label.encode())


def answering_version(body: bytes) -> str | None:
    """The version that a PredictResponse comes from; None if it does not say, or is none."""
    try:
        numbers = [
            value
            for spec in _messages(body, 2)
            for version in _messages(spec, 2)
            for number, wire_type, value in fields(version)
            if number == 1 and wire_type == VARINT
        ]
    except AnswerError:
        return None
    return str(numbers[-1]) if numbers else None


def predict_request(spec: bytes, input_name: str, tensor: bytes) -> bytes:
    """A PredictRequest with one input, of a model that a ModelSpec names."""
    named = field_bytes(1, input_name.encode()) + field_bytes(2, tensor)
    return field_bytes(1, spec) + field_bytes(2, named)


def string_tensor(values: Sequence[bytes]) -> bytes:
    """A TensorProto of strings, shape (n,)."""
    return _tensor(_DT_STRING, (len(values),)) + b"".join(field_bytes(8, value) for value in values)


def constant_tensor(shape: Sequence[int], value: float) -> bytes:
    """A TensorProto of float32 that is the same everywhere, in a few bytes whatever its shape."""
    return _tensor(_DT_FLOAT, shape) + field_bytes(5, np.float32(value).astype(_LITTLE_ENDIAN).tobytes())


def _tensor(dtype: int, shape: Sequence[int]) -> bytes:
    """A TensorProto without its values."""
    return field_varint(1, dtype) + field_bytes(2, b"".join(field_bytes(2, field_varint(1, size)) for size in shape))


def json_numbers(pixels: NDArray[np.float32]) -> bytes:
    """An array of shape (height, width, channels) as nested JSON lists, each number as short as it reads back.

    What `json.dumps` makes of `tolist()` has 17 digits a number, twice the bytes, and is slower to make and to read.
    """
    import pyarrow as pa  # here: only those who send pixels as text need it
    import pyarrow.compute as pc

    height, width, channels = pixels.shape
    text = pc.cast(pa.array(pixels.ravel()), pa.string())
    for count in (channels, width, height):
        offsets = pa.array(np.arange(0, len(text) + 1, count, dtype=np.int32))
        joined = pc.binary_join(pa.ListArray.from_arrays(offsets, text), ",")
        text = pc.binary_join_element_wise("[", joined, "]", "")
    encoded: bytes = text[0].as_buffer().to_pybytes()
    return encoded


def _messages(data: bytes, number: int) -> list[bytes]:
    """Every length-delimited value of one field."""
    return [value for found, _, value in fields(data) if found == number and isinstance(value, bytes)]


def _output(entry: bytes) -> tuple[str, bytes]:
    """Name and TensorProto of one entry of the map of outputs."""
    names, tensors = _messages(entry, 1), _messages(entry, 2)
    return names[-1].decode(errors="replace") if names else "", tensors[-1] if tensors else b""


def _float_row(tensor: bytes, name: str) -> Answer:
    """The floats of a TensorProto of shape (1, classes): tensor_content, or float_val packed or one by one."""
    dtype, shape, content, values = 0, b"", b"", bytearray()
    for number, wire_type, value in fields(tensor):
        if number == 1 and wire_type == VARINT and isinstance(value, int):
            dtype = value
        elif number == 2 and isinstance(value, bytes):
            shape = value
        elif number == 4 and isinstance(value, bytes):
            content = value
        elif number == 5 and isinstance(value, bytes):
            values += value
    if dtype != _DT_FLOAT:
        raise AnswerError(f"{name} is of data type {dtype}, not float32 (1)")
    dims = _dims(shape)
    if len(dims) != 2 or dims[0] != 1 or dims[1] == 0:
        raise AnswerError(f"{name} has shape {dims}; one row of probabilities was asked for")
    raw = content or bytes(values)
    if len(raw) % _LITTLE_ENDIAN.itemsize:
        raise AnswerError(f"{name} holds {len(raw)} bytes, which is no whole number of float32")
    floats = np.frombuffer(raw, dtype=_LITTLE_ENDIAN).astype(np.float32)
    if not content and len(floats) == 1:  # TensorProto's short form of a constant
        floats = np.broadcast_to(floats, dims[1:]).copy() if dims[1] <= _MOST_CLASSES else floats
    if len(floats) != math.prod(dims):
        raise AnswerError(f"{name} has shape {dims} and {len(floats)} values")
    return floats


_MOST_CLASSES = 10_000_000
"""A constant is never expanded beyond this: a damaged reply must not take the machine's memory."""


def _dims(shape: bytes) -> tuple[int, ...]:
    """Sizes in a TensorShapeProto; a size that is not given is 0, as everywhere in protobuf."""
    sizes = []
    for dim in _messages(shape, 2):
        given = [value for number, wire_type, value in fields(dim) if number == 1 and wire_type == VARINT]
        sizes.append(int(given[-1]) if given else 0)
    return tuple(sizes)
