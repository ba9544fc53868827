"""Whether a value is what an input of a model takes; what does not fit is told with both, the wanted and the given.

Values come as numpy arrays or as JSON; what comes out are arrays of the input's own data type and rank.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bench.names import nearest
from bench.payload.signature import STRING, Signature, TensorSpec, shape_text, specs_text
from bench.payload.tensors import Array

_WORDS = {str: "text", bool: "true or false", int: "whole numbers", float: "numbers", type(None): "null"}
MOST_AXES = 32
"""As many as numpy's arrays have had in all its versions."""
_B64 = "b64"
"""`{"b64": "..."}` is a string of any bytes, which JSON has no other way to hold."""


class MisfitError(ValueError):
    """A value that an input cannot take; both are told."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def fitted(signature: Signature, values: Mapping[str, Any]) -> dict[str, Array]:
    """One request's arrays by input name, each with its first axis.   Raises: MisfitError."""
    arrays: dict[str, Array] = {}
    spelled: dict[str, str] = {}
    for name, value in values.items():
        spec = _meant(name, signature)
        if spec is None:
            raise MisfitError(f"the model has no input {name!r}", _known(name, signature))
        if spec.name in spelled:
            what = f"input {spec.shown!r} is given twice, as {spelled[spec.name]!r} and as {name!r}"
            raise MisfitError(what, "both spellings mean the same input; keep one of them")
        arrays[spec.name], spelled[spec.name] = fitted_array(spec, value), name
    lacking = [spec for spec in signature.inputs if spec.name not in arrays]
    if lacking:
        raise MisfitError(f"there is nothing for input {specs_text(lacking[:1])}", _known("", signature))
    rows = {spec.name: len(arrays[spec.name]) for spec in signature.inputs if spec.rows}
    if len(set(rows.values())) > 1:
        told = ", ".join(f"{spec.shown} {rows[spec.name]}" for spec in signature.inputs if spec.name in rows)
        raise MisfitError(f"its inputs have different numbers of rows: {told}")
    return arrays


def fitted_array(spec: TensorSpec, value: Any) -> Array:
    """A value as the input takes it: of its data type, with its number of axes.

    A first axis is added to a single example. Whole numbers and floats get wider where nothing is lost, and JSON's 2.0
    is a whole number too.
    Raises: MisfitError.
    """
    array = _from_array(spec, value) if isinstance(value, np.ndarray) else _from_json(spec, value)
    complete = _with_axes(spec, array)
    if complete is None:
        words = _dtype_words(array) if isinstance(value, np.ndarray) else _leaf_words(list(_leaves(value)))
        raise _misfit(spec, f"{words} {shape_text(array.shape)}")
    if not complete.size:
        raise MisfitError(f"input {spec.shown!r} gets no value at all: {shape_text(complete.shape)}")
    if complete.dtype.kind == "f" and not np.isfinite(complete).all():
        odd = np.count_nonzero(~np.isfinite(complete))
        raise MisfitError(
            f"input {spec.shown!r} gets NaN or infinity ({odd} of {complete.size})",
            "JSON has no such numbers, and an answer to them could not be compared",
        )
    return complete


def _meant(name: str, signature: Signature) -> TensorSpec | None:
    """The input of this name: what the model itself calls one goes before what an API would call another."""
    own = next((each for each in signature.inputs if each.shown == name), None)
    return own or next((each for each in signature.inputs if each.called(name)), None)


def _known(name: str, signature: Signature) -> str:
    near = nearest(name, [spec.shown for spec in signature.inputs]) if name else None
    return (f"did you mean {near!r}? " if near else "") + f"its inputs are: {specs_text(signature.inputs)}"


def _with_axes(spec: TensorSpec, array: Array) -> Array | None:
    """The array with the axes that a single example leaves out; None if its shape does not fit."""
    if spec.shape is None:
        return array
    rank, free = len(spec.shape), (None, 1)
    if array.ndim == rank - 1 and spec.shape[0] in free:
        array = array[np.newaxis]
    elif array.ndim == 0 and all(size in free for size in spec.shape):
        array = array.reshape((1,) * rank)
    if array.ndim != rank:
        return None
    fits = all(size is None or size == given for size, given in zip(spec.shape, array.shape, strict=True))
    return array if fits else None


def _from_array(spec: TensorSpec, array: Array) -> Array:
    """A numpy array in the input's data type, if it loses nothing by that."""
    if spec.dtype == STRING:
        if array.dtype.kind not in "SU":
            raise _misfit(spec, f"{_dtype_words(array)} {shape_text(array.shape)}")
        return _strings([_as_bytes(each) for each in array.ravel().tolist()], array.shape)
    wanted = np.dtype(spec.dtype)
    same_kind = array.dtype.kind == wanted.kind or {array.dtype.kind, wanted.kind} == {"i", "u"}
    if not same_kind or not np.can_cast(array.dtype, wanted, "safe"):
        hint = (
            f"save it as array.astype({spec.dtype!r})" if array.dtype.kind in "biuf" and wanted.kind in "biuf" else ""
        )
        raise _misfit(spec, f"{_dtype_words(array)} {shape_text(array.shape)}", hint)
    return array.astype(wanted)


def _from_json(spec: TensorSpec, value: Any) -> Array:
    shape = _json_shape(spec, value)
    leaves = list(_leaves(value))
    given = f"{_leaf_words(leaves)} {shape_text(shape)}"
    if spec.dtype == STRING:
        return _strings([_json_bytes(spec, leaf, given) for leaf in leaves], shape)
    kind = np.dtype(spec.dtype).kind
    if kind in "iu":
        leaves = [int(leaf) if type(leaf) is float and leaf.is_integer() else leaf for leaf in leaves]
    allowed = {"b": (bool,), "i": (int,), "u": (int,), "f": (int, float)}[kind]
    if not all(type(leaf) in allowed for leaf in leaves):  # bool is an int to isinstance
        raise _misfit(spec, given)
    beyond = _beyond(np.dtype(spec.dtype), leaves)
    if beyond is not None:
        what = f"input {spec.shown!r} is {spec.text} and cannot hold {_number_text(beyond)}"
        raise MisfitError(what, f"{spec.dtype} goes from {_limits_text(spec.dtype)}")
    with np.errstate(over="ignore"):  # 3.40282350e38 is a float32, and a little more than the largest
        return np.array(leaves, dtype=spec.dtype).reshape(shape)


def _beyond(dtype: np.dtype[Any], leaves: Sequence[Any]) -> Any | None:
    """The first number that is too large, or too small, for the data type; None if there is none."""
    if dtype.kind == "b":
        return None
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return next((leaf for leaf in leaves if not limits.min <= leaf <= limits.max), None)
    largest = float(np.finfo(dtype).max)
    return next((leaf for leaf in leaves if abs(leaf) > largest and not _rounds_to_finite(leaf, dtype)), None)


def _rounds_to_finite(leaf: float, dtype: np.dtype[Any]) -> bool:
    try:
        with np.errstate(over="ignore"):
            return bool(np.isfinite(np.array(leaf, dtype=dtype)))
    except OverflowError:  # a whole number of hundreds of digits
        return False


def _number_text(number: Any) -> str:
    """As JSON has it, unless it is too long to read; what JSON has beyond float64 is infinite by now."""
    if isinstance(number, float) and np.isinf(number):
        return f"a number beyond {_limits_text('float64')}"
    text = str(number)
    return text if len(text) <= 30 else f"{text[:6]}..., a number of {len(text.lstrip('-'))} digits"


def _limits_text(dtype: str) -> str:
    if np.dtype(dtype).kind == "f":
        largest = float(np.finfo(dtype).max)
        return f"{-largest:.3g} to {largest:.3g}"
    limits = np.iinfo(dtype)
    return f"{limits.min} to {limits.max}"


def _json_shape(spec: TensorSpec, value: Any, depth: int = 0) -> tuple[int, ...]:
    """Lengths of nested lists.   Raises: MisfitError if lists side by side differ, or are too many in each other."""
    if not isinstance(value, list):
        return ()
    if depth == MOST_AXES:
        raise _misfit(spec, f"more than {MOST_AXES} lists in each other")
    shapes = {_json_shape(spec, each, depth + 1) for each in value}
    if len(shapes) > 1:
        raise _misfit(spec, "lists of different lengths", "every row of a tensor has as many values as the next")
    return (len(value), *(shapes.pop() if shapes else ()))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _leaf_words(leaves: Sequence[Any]) -> str:
    kinds = {"an object" if isinstance(leaf, dict) else _WORDS[type(leaf)] for leaf in leaves}
    kinds -= {"whole numbers"} if "numbers" in kinds else set()
    return " and ".join(sorted(kinds)) or "an empty list"


def _json_bytes(spec: TensorSpec, leaf: Any, given: str) -> bytes:
    if isinstance(leaf, str):
        return _utf8(leaf)
    if isinstance(leaf, dict) and set(leaf) == {_B64} and isinstance(leaf[_B64], str):
        try:
            return base64.b64decode(leaf[_B64], validate=True)
        except binascii.Error as failure:
            raise MisfitError(f"input {spec.shown!r}: what stands under 'b64' is no base64: {failure}") from None
    raise _misfit(spec, given)


def _as_bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else _utf8(value)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell
        raise MisfitError(f"a text that is no Unicode: {text[:40]!r}") from None


def _strings(values: Sequence[bytes], shape: Sequence[int]) -> Array:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(tuple(shape))


def _dtype_words(array: Array) -> str:
    return "text" if array.dtype.kind in "SUO" else array.dtype.name


def _misfit(spec: TensorSpec, given: str, hint: str = "") -> MisfitError:
    return MisfitError(f"input {spec.shown!r} takes {spec.text}, and gets {given}", hint)
