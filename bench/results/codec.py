"""Records as JSON and back: what another bench wrote is checked field by field, never believed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from bench.errors import ResultsError
from bench.names import json_text
from bench.results.record import SCHEMA_VERSION, Manifest, TrialRecord


def to_json(record: Manifest | TrialRecord) -> str:
    """The text of its file."""
    return json_text(plain(record)) + "\n"


def plain(value: object) -> object:
    """The value as JSON can hold it: records become mappings, NaN and infinity null, anything unknown its text."""
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, StrEnum):
        return value.value
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)


_R = TypeVar("_R", Manifest, TrialRecord)


def from_json(record: type[_R], path: Path) -> _R:
    """The record in a file.   Raises: ResultsError if it cannot be read, is damaged or of a newer bench."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as failure:
        raise ResultsError(f"cannot be read: {failure}", where=str(path)) from failure
    if not isinstance(data, dict):
        raise ResultsError("cannot be read: holds no JSON object", where=str(path))
    version = data.get("schema_version", SCHEMA_VERSION)
    if record is Manifest and isinstance(version, int) and version > SCHEMA_VERSION:
        raise ResultsError(
            f"written by a newer bench (schema version {version}, this one knows {SCHEMA_VERSION})",
            where=str(path),
            hint="update bench: pip install --upgrade serving-bench",
        )
    try:
        decoded = _decode(record, data, "")
    except (TypeError, ValueError) as failure:
        raise ResultsError(f"damaged: {failure}", where=str(path)) from failure
    assert isinstance(decoded, record)
    return decoded


def _decode(kind: Any, value: Any, key: str) -> Any:
    """The JSON value as the field's type; unknown keys of a record are passed over, so a later bench may add some.

    Raises: TypeError or ValueError, naming the key, if it is something else.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin is UnionType:  # always `something | None` here
        inner = next(each for each in arguments if each is not type(None))
        return None if value is None else _decode(inner, value, key)
    if origin is tuple:
        _expect(isinstance(value, list), key, "a list", value)
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        _expect(len(kinds) == len(value), key, f"{len(kinds)} values", value)
        return tuple(_decode(each, item, key) for each, item in zip(kinds, value, strict=True))
    if origin is Mapping:
        _expect(isinstance(value, dict), key, "a mapping", value)
        return {name: _decode(arguments[1], item, f"{key}.{name}") for name, item in value.items()}
    if is_dataclass(kind):
        _expect(isinstance(value, dict), key, "a mapping", value)
        hints = get_type_hints(kind)
        known = {name: _decode(hints[name], item, name) for name, item in value.items() if name in hints}
        return kind(**known)  # type: ignore[operator]  # a missing key is a TypeError that names it
    return _decode_scalar(kind, value, key)


def _decode_scalar(kind: Any, value: Any, key: str) -> Any:
    if issubclass(kind, StrEnum):
        return kind(value)
    if kind is float:
        if value is None:  # how NaN and infinity are written
            return math.nan
        _expect(isinstance(value, int | float) and not isinstance(value, bool), key, "a number", value)
        return float(value)
    if kind is int:
        _expect(isinstance(value, int) and not isinstance(value, bool), key, "a whole number", value)
        return value
    _expect(isinstance(value, kind), key, f"a {kind.__name__}", value)
    return value


def _expect(holds: bool, key: str, what: str, value: object) -> None:
    if not holds:
        raise TypeError(f"{key!r} should be {what}, got {value!r}")
