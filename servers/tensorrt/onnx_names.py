"""Names and shapes of an ONNX file's inputs and outputs, read from its bytes: bench itself needs no ONNX library.

Source: onnx.proto3 (ModelProto.graph 7; GraphProto.initializer 5, input 11, output 12; ValueInfoProto.name 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.errors import AnswerError, LaunchError
from bench.protocols.protobuf import fields

_GRAPH, _INITIALIZER, _INPUT, _OUTPUT = 7, 5, 11, 12
_NAME_OF_TENSOR, _NAME_OF_VALUE = 8, 1


@dataclass(frozen=True, slots=True)
class Names:
    """What the one input and the one output are called."""

    input: str
    output: str


def names_of(file: Path) -> Names:
    """The names in a model with one input and one output.   Raises: LaunchError for anything else."""
    try:
        graph = next(value for number, _, value in fields(file.read_bytes()) if number == _GRAPH)
        parts = [(number, value) for number, _, value in fields(_bytes(graph)) if isinstance(value, bytes)]
        constants = {_name(value, _NAME_OF_TENSOR) for number, value in parts if number == _INITIALIZER}
        inputs = [_name(value, _NAME_OF_VALUE) for number, value in parts if number == _INPUT]
        outputs = [_name(value, _NAME_OF_VALUE) for number, value in parts if number == _OUTPUT]
    except (OSError, StopIteration, AnswerError) as failure:
        raise LaunchError("this is no ONNX model", where=str(file)) from failure
    inputs = [name for name in inputs if name not in constants]  # older files list their weights as inputs too
    if len(inputs) != 1 or len(outputs) != 1:
        raise LaunchError(f"the ONNX model has {len(inputs)} inputs and {len(outputs)} outputs", where=str(file))
    return Names(inputs[0], outputs[0])


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise AnswerError("a number where a message should be")
    return value


def _name(message: bytes, number: int) -> str:
    return next((_bytes(value).decode() for found, _, value in fields(message) if found == number), "")
