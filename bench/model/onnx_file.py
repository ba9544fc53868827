"""What an ONNX file says of itself, read without the onnx package: tensors, operators, versions, files beside it.

It looks at the description alone, so it can tell what is no ONNX model, what lacks its weights and what takes photos;
only a runtime tells whether it can be computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, cast

from bench.errors import AnswerError, ScenarioError
from bench.payload.signature import Signature, TensorSpec, api_name, specs_text
from bench.protocols.protobuf import BYTES, VARINT, fields

HINT = "an ONNX model is what torch.onnx.export, tf2onnx or model.export(format='onnx') writes"
_DTYPES: Mapping[int, str] = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16",
}  # fmt: skip
"""TensorProto.DataType."""
_DEFAULT_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True, slots=True)
class PhotoInput:
    """How a photo has to lie in the only input: `layout` is NHWC or NCHW, as its shape says."""

    layout: Literal["NHWC", "NCHW"]
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """One file's description. `opset` is that of the standard operators, 0 if it uses none of them.

    Inputs are those that some node reads and no weight fills; `data_files` are the files of weights beside it.
    """

    signature: Signature
    opset: int
    data_files: tuple[str, ...]

    @property
    def photos(self) -> PhotoInput:
        """How it takes photos.   Raises: ScenarioError, with what it takes, if it takes none."""
        found = photo_shape(self.signature.inputs)
        if found is None:
            raise ScenarioError(
                f"photos, and the model takes {specs_text(self.signature.inputs)}",
                hint="photos need one input, float32 (batch, height, width, 3) or (batch, 3, height, width) of a fixed "
                "height and width; give 'tensors', 'rows' or 'generate' instead of 'images'",
            )
        return found


def read_onnx(path: Path) -> OnnxFile:
    """The description.

    Raises: ScenarioError if this is no ONNX model, or a file with its weights is missing or lies elsewhere.
    """
    try:
        model = list(fields(path.read_bytes()))
        graph = _last(model, 7)
        if graph is None:
            raise AnswerError("it has no graph")
        opsets = dict(_opset(each) for each in _messages(model, 8))
        parts = list(fields(graph))
        signature = _signature(parts)
        places = tuple(dict.fromkeys(_places(parts)))
    except OSError as failure:
        raise ScenarioError(f"{path} cannot be read: {failure.strerror}", hint="check its permissions") from None
    except (AnswerError, UnicodeDecodeError, ValueError) as failure:
        raise ScenarioError(f"{path} is not an ONNX model: {failure}", hint=HINT) from None
    if not opsets or not signature.outputs:
        raise ScenarioError(f"{path} is not an ONNX model: it names no operators and no outputs", hint=HINT)
    _check_places(path, places)
    return OnnxFile(signature, max((opsets.get(domain, 0) for domain in _DEFAULT_DOMAINS), default=0), places)


def check_photos(path: Path) -> None:
    """Return quietly if this is an ONNX model that takes photos.   Raises: ScenarioError."""
    try:
        _ = read_onnx(path).photos
    except ScenarioError as failure:
        what = failure.what if str(path) in failure.what else f"{path}: {failure.what}"
        raise ScenarioError(what, hint=failure.hint) from None


def photo_shape(inputs: tuple[TensorSpec, ...]) -> PhotoInput | None:
    """How photos have to lie in these inputs; None if they take none."""
    if len(inputs) != 1 or inputs[0].dtype != "float32" or inputs[0].shape is None or len(inputs[0].shape) != 4:
        return None
    batch, *rest = inputs[0].shape
    if batch not in (None, 1):
        return None
    for layout, channels, (height, width) in (("NHWC", rest[2], rest[:2]), ("NCHW", rest[0], rest[1:])):
        if channels == 3 and height and width and min(height, width) > 3:
            return PhotoInput(cast(Literal["NHWC", "NCHW"], layout), height, width)
    return None


# ---- ModelProto and what is in it ------------------------------------------------------------------------------

Parts = list[tuple[int, int, int | bytes]]


def _messages(parts: Parts, number: int) -> Iterator[bytes]:
    for found, kind, value in parts:
        if found == number and kind == BYTES:
            assert isinstance(value, bytes)
            yield value


def _last(parts: Parts, number: int) -> bytes | None:
    return next(reversed(list(_messages(parts, number))), None)


def _number(parts: Parts, number: int) -> int | None:
    return next((int(value) for found, kind, value in parts if found == number and kind == VARINT), None)


def _text(parts: Parts, number: int) -> str:
    return (_last(parts, number) or b"").decode()


def _opset(entry: bytes) -> tuple[str, int]:
    parts = list(fields(entry))
    return _text(parts, 1), _number(parts, 2) or 0


def _signature(graph: Parts) -> Signature:
    """Inputs that are read and are no weights, and outputs."""
    weights = {_text(list(fields(each)), 8) for each in _messages(graph, 5)}
    read = set(_read(graph))
    inputs: list[TensorSpec] = []
    outputs: list[TensorSpec] = []
    for number, specs in ((11, inputs), (12, outputs)):
        for entry in _messages(graph, number):
            given, dtype, shape = _value_info(entry)
            if number == 11 and (given in weights or given not in read):
                continue
            name = api_name(given, [spec.name for spec in specs])
            specs.append(TensorSpec(name, dtype, shape, "" if name == given else given))
    return Signature(tuple(inputs), tuple(outputs))


def _read(graph: Parts) -> Iterator[str]:
    """Names that nodes read, those inside loops and branches too, and that go out as they came in."""
    for node in _messages(graph, 1):
        parts = list(fields(node))
        yield from (name.decode() for name in _messages(parts, 1))
        for attribute in _messages(parts, 5):
            inner = list(fields(attribute))
            for number in (6, 11):
                for subgraph in _messages(inner, number):
                    yield from _read(list(fields(subgraph)))
    for output in _messages(graph, 12):
        yield _text(list(fields(output)), 1)


def _value_info(entry: bytes) -> tuple[str, str, tuple[int | None, ...] | None]:
    parts = list(fields(entry))
    tensor = _last(list(fields(_last(parts, 2) or b"")), 1)
    if tensor is None:
        return _text(parts, 1), "of another kind", None
    kind = list(fields(tensor))
    dtype = _DTYPES.get(_number(kind, 1) or 0, "of another kind")
    shape = _last(kind, 2)
    if shape is None:
        return _text(parts, 1), dtype, None
    sizes = (_number(list(fields(each)), 1) for each in _messages(list(fields(shape)), 1))
    return _text(parts, 1), dtype, tuple(size or None for size in sizes)


def _places(graph: Parts) -> Iterator[str]:
    """Files that hold weights of this graph."""
    for tensor in _messages(graph, 5):
        parts = list(fields(tensor))
        for entry in _messages(parts, 13):
            pair = list(fields(entry))
            if _text(pair, 1) == "location":
                yield _text(pair, 2)


def _check_places(path: Path, places: tuple[str, ...]) -> None:
    for place in places:
        parts = PurePosixPath(place)
        if parts.is_absolute() or ".." in parts.parts or not place:
            what = f"{path} keeps its weights at {place!r}, outside of its own folder"
            raise ScenarioError(what, hint="save it again with all weights inside: onnx.save(onnx.load(...), ...)")
        if not (path.parent / place).is_file():
            raise ScenarioError(
                f"{path} keeps its weights in {place}, which is not beside it",
                hint=f"copy {place} into {path.parent}, or save the model again with all weights inside",
            )
