"""What a model takes and gives: names, data types and shapes of its tensors, as read from the model itself.

Knows no file format, no API and no values; numpy is not needed to read one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Shape = tuple[int | None, ...]
"""None for an axis whose length is the request's business."""

STRING = "string"
NUMBERS = (
    "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
)  # fmt: skip
DTYPES = (*NUMBERS, "bool", STRING)
"""Data types that a request can carry, by numpy's names; `string` is bytes of any length."""
DEFAULT_KEY = "serving_default"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor; `shape` is None for any rank.

    `name` is fit for every API; `given` is what the model itself calls it where that differs.
    """

    name: str
    dtype: str
    shape: Shape | None
    given: str = ""

    @property
    def text(self) -> str:
        """Such as `float32 (None, 4)`."""
        return f"{self.dtype} {shape_text(self.shape)}"

    @property
    def shown(self) -> str:
        """As the model itself calls it, for people."""
        return self.given or self.name

    @property
    def rows(self) -> bool:
        """Whether its first axis is one of any number of examples."""
        return bool(self.shape) and self.shape is not None and self.shape[0] is None

    def called(self, name: str) -> bool:
        """Whether a person means this tensor by a name."""
        return name in (self.name, self.given)


@dataclass(frozen=True, slots=True)
class Signature:
    """The tensors that go in and come out, each in the order of the model; `key` is what a SavedModel calls it."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    key: str = DEFAULT_KEY

    @property
    def rows(self) -> bool:
        """Whether every tensor has a first axis of any number of examples, so that requests can share a batch."""
        return bool(self.inputs) and all(spec.rows for spec in (*self.inputs, *self.outputs))

    @property
    def output_names(self) -> tuple[str, ...]:
        """In the order in which an answer's numbers stand: by name."""
        return tuple(sorted(spec.name for spec in self.outputs))

    @property
    def text(self) -> str:
        """Such as `age float32 (None, 1), town string (None, 1) -> price float32 (None, 1)`."""
        return f"{specs_text(self.inputs)} -> {specs_text(self.outputs)}"

    def as_mapping(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "key": self.key,
            "inputs": [_spec_mapping(spec) for spec in self.inputs],
            "outputs": [_spec_mapping(spec) for spec in self.outputs],
        }


def signature_of(mapping: Mapping[str, Any]) -> Signature:
    """What `as_mapping` gave."""
    inputs, outputs = (tuple(_spec(each) for each in mapping[side]) for side in ("inputs", "outputs"))
    return Signature(inputs, outputs, mapping["key"])


def specs_text(specs: Sequence[TensorSpec]) -> str:
    """Each with its name, data type and shape."""
    return ", ".join(f"{spec.shown} {spec.text}" for spec in specs) or "nothing"


def shape_text(shape: Sequence[int | None] | None) -> str:
    """A shape as Python writes a tuple."""
    return "of any shape" if shape is None else str(tuple(shape))


def api_name(name: str, taken: Sequence[str] = ()) -> str:
    """A name that every API and every exported graph takes, no other one having it already."""
    base = re.sub(r"\W", "_", name, flags=re.ASCII) or "tensor"
    base = f"_{base}" if base[0].isdigit() else base
    found, number = base, 1
    while found in taken:
        found, number = f"{base}_{number}", number + 1
    return found


def one_image(specs: Sequence[TensorSpec]) -> bool:
    """Whether these inputs are one batch of colour images of a fixed size, as a classifier of photos takes it."""
    if len(specs) != 1 or specs[0].dtype != "float32" or specs[0].shape is None:
        return False
    shape = specs[0].shape
    return len(shape) == 4 and shape[0] is None and shape[3] == 3 and None not in shape[1:]


def _spec_mapping(spec: TensorSpec) -> dict[str, Any]:
    shape = None if spec.shape is None else list(spec.shape)
    return {"name": spec.name, "dtype": spec.dtype, "shape": shape, "given": spec.given}


def _spec(mapping: Mapping[str, Any]) -> TensorSpec:
    shape = mapping["shape"]
    return TensorSpec(
        mapping["name"], mapping["dtype"], None if shape is None else tuple(shape), mapping.get("given", "")
    )
