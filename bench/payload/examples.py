"""A payload of tensors: arrays from files, rows of JSON, or made from the model's signature; one example, one request.

Looked at once, before anything is measured. Arrays are read without pickle, so no file can run anything.
"""

from __future__ import annotations

import glob
import hashlib
import itertools
import json
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from bench.errors import ScenarioError
from bench.payload.fitting import MisfitError, fitted
from bench.payload.signature import STRING, Signature, TensorSpec, specs_text
from bench.payload.tensors import Array, Arrays, packed

MOST_EXAMPLES = 10_000
"""Their requests are prepared beforehand and held in memory."""
LONGEST_LINE = 16_000_000
"""Bytes of one row of JSON: a photo of 640 x 640 pixels with eight digits for each value has room."""
_LENGTHS = (8, 33)
"""From and below: how long generated axes of any length are, all of one example alike."""
_WORDS = ("the", "cat", "dog", "river", "red", "small", "old", "runs", "sleeps", "finds", "good", "bad", "never")
_ONE_VALUE = "write an object with the names of the inputs: "
_ONE_ARRAY = "np.savez('row.npz', name=array) saves several by name, and a .npy holds one without; its inputs are: "


@dataclass(frozen=True, slots=True)
class Raw:
    """What one request is to carry, before anybody knows whether it fits: values by name, or one without a name.

    `where` is the file, with the line where it has lines.
    """

    name: str
    where: str
    values: Any


@dataclass(frozen=True, slots=True)
class Example:
    """One request's tensors, as the model takes them; `name` is how a person finds it again."""

    name: str
    arrays: Arrays

    @property
    def packed(self) -> bytes:
        """The same bytes for the same tensors."""
        return packed(self.arrays)


def examples_digest(examples: Iterable[bytes]) -> str:
    """A hex digest of packed examples in their order; names do not count."""
    digest = hashlib.sha256(b"tensors")
    for each in examples:
        digest.update(len(each).to_bytes(8, "little") + each)
    return digest.hexdigest()


# ---- from files ------------------------------------------------------------------------------------------------


def read_tensors(pattern: str, beside: Path) -> tuple[Raw, ...]:
    """The .npy and .npz files that a glob relative to the folder `beside` names, by name.

    Raises: ScenarioError if nothing matches or one cannot be read.
    """
    absolute = str(Path(pattern).expanduser()) if pattern.startswith("~") else pattern
    names = sorted(glob.glob(absolute, root_dir=beside, recursive=True))  # noqa: PTH207 -- Path.glob takes no absolute pattern
    files = [beside / name for name in names if (beside / name).is_file()]
    if not files:
        raise ScenarioError(
            f"no file matches {pattern!r} in {beside}",
            hint="a pattern is relative to the scenario's folder, for example 'rows/*.npz'; one file is one request",
        )
    if len(files) > MOST_EXAMPLES:
        raise _too_many(f"{len(files):,} files")
    return tuple(Raw(file.name, str(file), _loaded(file)) for file in files)


def _loaded(file: Path) -> Any:
    """The array of a .npy, or the arrays of a .npz by name."""
    try:
        with file.open("rb") as stream:
            found = np.load(stream, allow_pickle=False)
            if isinstance(found, np.ndarray):
                return found
            with found:
                return {name: found[name] for name in found.files}
    except OSError as failure:
        reason = failure.strerror or str(failure)
        raise ScenarioError(f"cannot be read: {reason}", where=str(file)) from None
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as failure:
        if "Object arrays" in str(failure):
            raise ScenarioError(
                "it holds Python objects, which are pickled, and unpickling could run anything",
                where=str(file),
                hint="save texts as np.array([...], dtype='S') or 'U', and numbers with a data type of their own",
            ) from None
        hint = "np.save writes a .npy of one array, np.savez('row.npz', name=array) several by name"
        raise ScenarioError(
            f"not an array file that numpy can read{_without_pickle(failure)}", where=str(file), hint=hint
        ) from None


def _without_pickle(failure: Exception) -> str:
    """What numpy says, but for its advice about pickle, which it gives of every file that is none of its own."""
    return "" if "pickle" in str(failure) else f": {failure}"


def read_rows(path: str, beside: Path) -> tuple[Raw, ...]:
    """The lines of a JSON-lines file, each one an object of values by input name, or one value.

    It is read line by line and no further than the first that is too many, so a file of any size is refused soon.
    Raises: ScenarioError with the line of the first that is no JSON or too long.
    """
    file = beside / Path(path).expanduser()
    found: list[Raw] = []
    try:
        with file.open("rb") as stream:
            for number, line in _lines(stream, file):
                if len(found) == MOST_EXAMPLES:
                    raise _too_many(f"more than {MOST_EXAMPLES:,} lines", str(file))
                found.append(Raw(f"line {number}", f"{file}:{number}", _row(line, f"{file}:{number}")))
    except OSError as failure:
        hint = "a path is relative to the scenario's folder, for example 'rows.jsonl'"
        raise ScenarioError(f"cannot be read: {failure.strerror}", where=str(file), hint=hint) from None
    if not found:
        raise ScenarioError("it holds no line", where=str(file), hint='one request a line, such as {"age": 42}')
    return tuple(found)


def _lines(stream: BinaryIO, file: Path) -> Iterator[tuple[int, str]]:
    """Lines that say something, with their numbers from 1; a byte order mark before the first is none of its text."""
    for number in itertools.count(1):
        line = stream.readline(LONGEST_LINE + 1)
        if not line:
            return
        where = f"{file}:{number}"
        if len(line) > LONGEST_LINE:
            raise ScenarioError(
                f"a line of more than {LONGEST_LINE // 1_000_000} MB, and it is one request",
                where=where,
                hint="a new line ends a request; arrays as large as that are for payload.tensors",
            )
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as failure:
            raise ScenarioError(f"not UTF-8 text: byte {failure.start} of the line", where=where) from None
        if text.strip():
            yield number, text


def _row(line: str, where: str) -> Any:
    try:
        return json.loads(line, parse_constant=_no_number, object_pairs_hook=_object)
    except _RowError as failure:
        raise ScenarioError(str(failure), where=where) from None
    except (ValueError, RecursionError) as failure:
        hint = 'one JSON object a line, such as {"age": 42, "town": "Bern"}; the file is JSON lines, not one JSON list'
        raise ScenarioError(f"not JSON: {failure}", where=where, hint=hint) from None


class _RowError(ValueError):
    """JSON that says what no request can carry."""


def _no_number(word: str) -> float:
    raise _RowError(f"{word} is no number in JSON, and an answer to it could not be compared")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = Counter(name for name, _ in pairs)
        twice = next(key for key in found if names[key] > 1)
        raise _RowError(f"{twice!r} is there twice")
    return found


def _too_many(given: str, where: str = "") -> ScenarioError:
    what = f"{given}, and requests are prepared in memory: at most {MOST_EXAMPLES:,}"
    return ScenarioError(what, where=where, hint="give fewer; every request is sent again and again")


# ---- fitted to the model -------------------------------------------------------------------------------------------


def fit(raws: Sequence[Raw], signature: Signature) -> tuple[Example, ...]:
    """Examples as the model takes them.

    Raises: ScenarioError, with file and line, for one that does not fit, or if fewer than two differ, since a check of
    answers could then not tell one example's answer from another's.
    """
    examples = []
    for raw in raws:
        try:
            examples.append(Example(raw.name, fitted(signature, _by_name(raw.values, signature))))
        except MisfitError as failure:
            raise ScenarioError(failure.what, where=raw.where, hint=failure.hint) from None
    if len({example.packed for example in examples}) < 2:
        raise ScenarioError(
            "there is one distinct example; with a single one the check of answers cannot tell a right answer from one "
            "that is always the same",
            hint="give at least two that differ",
        )
    return tuple(examples)


def _by_name(values: Any, signature: Signature) -> Mapping[str, Any]:
    """Values by input name; one without a name belongs to the only input."""
    only = signature.inputs[0] if len(signature.inputs) == 1 else None
    if isinstance(values, dict):
        bare = only is not None and only.dtype == STRING and set(values) == {"b64"} and not only.called("b64")
        return {only.name: values} if bare and only is not None else values
    if only is None:
        what = f"one value without a name, and the model has {len(signature.inputs)} inputs"
        hint = _ONE_ARRAY if isinstance(values, np.ndarray) else _ONE_VALUE
        raise MisfitError(what, hint + specs_text(signature.inputs))
    return {only.name: values}


# ---- made from the signature ----------------------------------------------------------------------------------------


def generated(signature: Signature, count: int, seed: int) -> tuple[Example, ...]:
    """So many examples of one row each, the same for the same seed.

    Floats are normally distributed, whole numbers lie from 0 to 9 (bytes from 0 to 255), texts are a few English words.
    Axes of any length get one length an example, the same for all inputs, since masks and tokens belong together.
    Raises: ScenarioError for an input of any rank.
    """
    for spec in signature.inputs:
        if spec.shape is None:
            raise ScenarioError(
                f"no example can be made for input {spec.name!r}: the model does not say how many axes it has",
                hint="give 'tensors' or 'rows' of your own",
            )
    rng = np.random.default_rng(seed)
    return tuple(_generated_one(signature, number, rng) for number in range(1, count + 1))


def _generated_one(signature: Signature, number: int, rng: np.random.Generator) -> Example:
    length = int(rng.integers(*_LENGTHS))
    return Example(f"example {number}", {spec.name: _values(spec, length, rng) for spec in signature.inputs})


def _values(spec: TensorSpec, length: int, rng: np.random.Generator) -> Array:
    assert spec.shape is not None
    first, rest = spec.shape[:1], spec.shape[1:]
    shape = (*(size or 1 for size in first), *(length if size is None else size for size in rest))
    if spec.dtype == STRING:
        texts = np.empty(int(np.prod(shape)), dtype=object)
        texts[:] = [" ".join(rng.choice(_WORDS, size=int(rng.integers(3, 13)))).encode() for _ in range(len(texts))]
        return texts.reshape(shape)
    if spec.dtype == "bool":
        return rng.random(shape) < 0.5
    if spec.dtype.startswith("float"):
        return rng.standard_normal(shape).astype(spec.dtype)
    return rng.integers(0, 256 if spec.dtype == "uint8" else 10, shape).astype(spec.dtype)
