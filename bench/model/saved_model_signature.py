"""The signature of a SavedModel, read from its protobuf by hand: no TensorFlow, nothing of the graph is run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.payload.signature import DEFAULT_KEY, Shape, Signature, TensorSpec
from bench.protocols.protobuf import BYTES, fields
from bench.protocols.tensor_proto import NAMES

_LARGEST_GRAPH = 2_000_000_000
"""Bytes."""


def saved_model_signature(folder: Path) -> Signature | None:
    """The default signature, or else the first by name; None if it has none.

    Raises: OSError, or AnswerError or KeyError for a file that is damaged.
    Source: meta_graph.proto, saved_model.proto.
    """
    file = folder / "saved_model.pb"
    if file.stat().st_size > _LARGEST_GRAPH:
        return None
    signatures: dict[str, Signature] = {}
    for meta_graph in _messages(file.read_bytes(), 2):
        for entry in _messages(meta_graph, 5):
            key, definition = _text(entry, 1), _messages(entry, 2)
            if key and not key.startswith("__") and definition:
                sides = (tuple(_infos(definition[-1], side)) for side in (1, 2))
                inputs, outputs = sides
                signatures[key] = Signature(inputs, outputs, key)
    order = sorted(signatures, key=lambda name: (name != DEFAULT_KEY, name))
    return signatures[order[0]] if order else None


def _infos(definition: bytes, side: int) -> Iterator[TensorSpec]:
    """The tensors of one side of a SignatureDef, by name."""
    found = {_text(entry, 1): (_messages(entry, 2) or [b""])[-1] for entry in _messages(definition, side)}
    for name in sorted(found):
        info = found[name]
        dtype = next((value for number, _, value in fields(info) if number == 2 and isinstance(value, int)), 0)
        shape = _messages(info, 3)
        yield TensorSpec(name, NAMES[int(dtype)], _sizes(shape[-1] if shape else b""))


def _sizes(shape: bytes) -> Shape | None:
    """A TensorShapeProto; -1 is an axis of any length."""
    sizes: list[int | None] = []
    for number, _, value in fields(shape):
        if number == 3 and value:
            return None
        if number == 2 and isinstance(value, bytes):
            given = [int(it) for which, _, it in fields(value) if which == 1 and isinstance(it, int)]
            size = given[-1] if given else 0
            sizes.append(None if size >= 1 << 63 else size)
    return tuple(sizes)


def _messages(data: bytes, number: int) -> list[bytes]:
    return [
        value for found, kind, value in fields(data) if found == number and kind == BYTES and isinstance(value, bytes)
    ]


def _text(data: bytes, number: int) -> str:
    return (_messages(data, number) or [b""])[-1].decode(errors="replace")
