"""Named tensors as JSON and back, for servers in Python around a model of any inputs: numpy and nothing else.

It runs in a server's own environment. Strings are `bytes` in arrays of objects; what is no UTF-8 travels as
`{"b64": ".."}`.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


class NoTensorError(Exception):
    """A request whose inputs the model does not take, with the sentence for who sent it."""


@dataclass(frozen=True)
class Spec:
    """One tensor: its name, numpy's name of its data type (or `string`), how many axes it has (None: any number)."""

    name: str
    dtype: str
    rank: int | None


@dataclass(frozen=True)
class Settings:
    """What an engine for any inputs is told: the file, its threads (None: its own choice), the model's signature."""

    path: str
    threads: int | None
    key: str
    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]
    example: str = ""

    @classmethod
    def of(cls, path: str, threads: int | None, signature: str, example: str = "") -> Settings:
        """From the signature's JSON and a file that holds one request's inputs in JSON, to be answered first."""
        said = json.loads(signature)
        inputs, outputs = (tuple(map(_spec, said[side])) for side in ("inputs", "outputs"))
        return cls(path, threads, said["key"], inputs, outputs, example)

    @classmethod
    def of_environment(cls) -> Settings:
        """From MODEL_PATH, MODEL_THREADS, MODEL_SIGNATURE and MODEL_EXAMPLE."""
        threads = os.environ.get("MODEL_THREADS")
        return cls.of(
            os.environ["MODEL_PATH"],
            int(threads) if threads else None,
            os.environ["MODEL_SIGNATURE"],
            os.environ.get("MODEL_EXAMPLE", ""),
        )

    def first_inputs(self) -> dict[str, Any] | None:
        """The arrays that are to be answered before anybody asks; None if there are none."""
        if not self.example:
            return None
        with open(self.example, encoding="utf-8") as file:  # noqa: PTH123 -- a copy of it runs where paths are texts
            return read_inputs(json.load(file), self.inputs)


def _spec(said: Mapping[str, Any]) -> Spec:
    return Spec(said["name"], said["dtype"], None if said["shape"] is None else len(said["shape"]))


def read_inputs(body: Any, specs: tuple[Spec, ...]) -> dict[str, Any]:
    """Arrays by name out of `{"inputs": {name: nested lists}}`.   Raises: NoTensorError."""
    inputs = body.get("inputs") if isinstance(body, dict) else None
    if not isinstance(inputs, dict):
        raise NoTensorError("the request has no object 'inputs'")
    names = {spec.name for spec in specs}
    if set(inputs) != names:
        raise NoTensorError(f"inputs are {', '.join(sorted(names))}, not {', '.join(map(str, inputs)) or 'none'}")
    return {spec.name: _array(inputs[spec.name], spec) for spec in specs}


def _array(value: Any, spec: Spec) -> Any:
    try:
        array = _strings(value) if spec.dtype == "string" else np.asarray(value, dtype=spec.dtype)
    except (ValueError, TypeError, OverflowError, binascii.Error) as failure:
        raise NoTensorError(f"input {spec.name} is no {spec.dtype}: {failure}") from failure
    if spec.rank is not None and array.ndim != spec.rank:
        raise NoTensorError(f"input {spec.name} has {array.ndim} axes, and the model takes {spec.rank}")
    return array


def _strings(value: Any) -> Any:
    array = np.empty(_shape(value), dtype=object)
    array.reshape(-1)[:] = list(_leaves(value))
    return array


def _shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list):
        return ()
    shapes = {_shape(each) for each in value}
    if len(shapes) > 1:
        raise ValueError("lists of different lengths")
    return (len(value), *(shapes.pop() if shapes else ()))


def _leaves(value: Any) -> Any:
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, str):
        yield value.encode()
    elif isinstance(value, dict) and set(value) == {"b64"}:
        yield base64.b64decode(value["b64"], validate=True)
    else:
        raise TypeError("not text")


def written(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Nested lists by name, as JSON can hold them."""
    return {name: np.asarray(array).tolist() for name, array in outputs.items()}
