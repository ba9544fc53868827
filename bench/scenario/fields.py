"""Plain frozen dataclasses as keys of a scenario: annotations turned into pydantic's checks, its errors into words.

Kinds of servers and load profiles are such dataclasses and know nothing of pydantic. Only the scenario and its parts
use this.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    ValidationError,
    create_model,
)

from bench.credentials import masked
from bench.document import KeyPath
from bench.errors import ServerFolderError
from bench.names import nearest
from bench.problems import Problems
from bench.server import Inner, Server
from bench.units import UnitError, parse_dollars, parse_duration, parse_rate, parse_share, parse_size

_PARSERS: Mapping[str, Callable[[Any], float]] = {
    "duration": parse_duration,
    "rate": parse_rate,
    "size": parse_size,
    "share": parse_share,
    "dollars": parse_dollars,
}
"""A word among an annotation's metadata -> how its text is read: `Annotated[float, "duration", Ge(0)]`."""


class Part(BaseModel):
    """A mapping of a scenario; `not_keys` are fields that no person writes."""

    not_keys: ClassVar[tuple[str, ...]] = ()
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)


_T = TypeVar("_T", bound=BaseModel)


def model_of(cls: type) -> type[BaseModel]:
    """A pydantic model with the fields of a dataclass, its key words as aliases, so that no name can clash."""
    if cls in _MODELS:
        return _MODELS[cls]
    hints = get_type_hints(cls, include_extras=True)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        default: Any = ...
        if field.default is not dataclasses.MISSING:
            default = field.default
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        fields[f"key_{field.name}"] = (_checked(hints[field.name]), Field(default=default, alias=field.name))
    model: type[BaseModel] = create_model(cls.__name__, __base__=Part, **fields)
    _SOURCES[model], _MODELS[cls] = cls, model
    return model


_MODELS: dict[type, type[BaseModel]] = {}
_SOURCES: dict[type[BaseModel], type] = {}
"""Model made by `model_of` -> the dataclass that it was made of."""


def options_of(kind: type[Server]) -> type[BaseModel]:
    """A pydantic model of a kind's own keys.   Raises: ServerFolderError if its annotations make none."""
    try:
        return model_of(kind)
    except Exception as failure:  # a user's own folder may hold any annotation
        raise ServerFolderError(
            f"its keys cannot be read from the annotations of Server: {failure!r}", where=kind.__module__
        ) from failure


def _rebuilt(values: BaseModel) -> Any:
    """The dataclass that a checked model stands for."""
    cls = _SOURCES[type(values)]
    return cls(**{name.removeprefix("key_"): getattr(values, name) for name in type(values).model_fields})


def instance_of(values: BaseModel, keys: KeyPath, beside: Path, problems: Problems) -> Any:
    """The dataclass that a checked model stands for, its paths no longer relative; None if it refuses its values."""
    paths: dict[str, Any] = {}
    names = path_fields(_SOURCES[type(values)])
    for name in (field.name for field in dataclasses.fields(_SOURCES[type(values)]) if field.init):
        given = getattr(values, f"key_{name}")
        try:
            paths[name] = _beside(given, beside) if name in names else _with_paths(given, beside)
        except _NoSuchFileError as absent:
            what = f"no such file: {absent.path}"
            problems.add((*keys, name, *absent.keys), what, "a path is relative to the scenario's folder")
            return None
    with problems.at(keys):
        return _rebuilt(values.model_copy(update={f"key_{name}": path for name, path in paths.items()}))
    return None


class _NoSuchFileError(Exception):
    """A path that leads nowhere, and the keys that lead to it."""

    def __init__(self, path: Path, keys: KeyPath = ()) -> None:
        super().__init__(path)
        self.path = path
        self.keys = keys


def _beside(given: str | None, folder: Path) -> str | None:
    """A path that may be relative to a folder.   Raises: _NoSuchFileError."""
    if given is None:
        return None
    found = folder / Path(given).expanduser()
    if not found.exists():
        raise _NoSuchFileError(found)
    return str(found)


def _with_paths(value: Any, folder: Path) -> Any:
    """A value whose dataclasses, however deep, have no relative paths any more.   Raises: _NoSuchFileError."""
    if isinstance(value, Mapping):
        return {key: _inside(key, _with_paths, item, folder) for key, item in value.items()}
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    found = {
        name: path
        for name in path_fields(type(value))
        if (path := _inside(name, _beside, getattr(value, name), folder)) is not None
    }
    return dataclasses.replace(value, **found) if found else value


def _inside(key: str, find: Callable[[Any, Path], Any], value: Any, folder: Path) -> Any:
    """What is found below a key, which becomes part of the way to a path that leads nowhere."""
    try:
        return find(value, folder)
    except _NoSuchFileError as absent:
        raise _NoSuchFileError(absent.path, (key, *absent.keys)) from None


def kind_fields(cls: type) -> tuple[str, ...]:
    """The fields that hold another kind with its keys: `Annotated[Inner | None, "kind"]`."""
    return _marked(cls, "kind")


def path_fields(cls: type) -> tuple[str, ...]:
    """The fields that hold a path: `Annotated[str, "path"]`."""
    return _marked(cls, "path")


def _marked(cls: type, mark: str) -> tuple[str, ...]:
    hints = get_type_hints(cls, include_extras=True)
    return tuple(name for name, hint in hints.items() if mark in getattr(hint, "__metadata__", ()))


def _checked(annotation: Any) -> Any:
    """An annotation of a plain dataclass as pydantic should check it: nothing coerced, texts with units read."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner, *marks = args
        if "kind" in marks:  # made and checked by whoever reads servers
            return Any
        parsers = [BeforeValidator(_PARSERS[mark]) for mark in marks if isinstance(mark, str) and mark in _PARSERS]
        ranges = [mark for mark in marks if not isinstance(mark, str)]
        return functools.reduce(
            lambda built, mark: Annotated[built, mark], [*ranges, *parsers], inner if parsers else _checked(inner)
        )
    if dataclasses.is_dataclass(annotation):
        return Annotated[model_of(annotation), AfterValidator(_rebuilt)]  # type: ignore[arg-type]
    if origin in (Union, types.UnionType):
        return _checked_union(args)
    if origin is Mapping:
        return types.GenericAlias(Mapping, (args[0], _checked(args[1])))
    if origin is tuple:
        return tuple[tuple(arg if arg is Ellipsis else _checked(arg) for arg in args)]  # type: ignore[misc]
    return Annotated[annotation, Strict()] if annotation in (int, float, bool) else annotation


def _checked_union(args: Sequence[Any]) -> Any:
    """A union; `one | several` is told apart by whether a list is given, so that an error speaks of only one."""
    rest = [arg for arg in args if arg is not types.NoneType]
    several = [arg for arg in rest if _is_tuple(arg)]
    if len(rest) == 2 and len(several) == 1:
        one = next(arg for arg in rest if not _is_tuple(arg))
        choices: list[Any] = [Annotated[_checked(one), Tag("one")], Annotated[_checked(several[0]), Tag("several")]]
        union: Any = Annotated[choices[0] | choices[1], Discriminator(_how_many)]
    else:
        union = functools.reduce(lambda left, right: left | right, [_checked(arg) for arg in rest])
    return union if len(rest) == len(args) else union | None


def _is_tuple(annotation: Any) -> bool:
    inner = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return get_origin(inner) is tuple


def _how_many(value: object) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


def plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, Inner):
        return {"kind": value.kind, **plain(value.server)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def validated(model: type[_T], data: Any, keys: KeyPath, problems: Problems, *, also: Sequence[str] = ()) -> _T | None:
    """The data as that model; None, with its problems noted, if it is not.  `also` are keys read elsewhere."""
    try:
        return model.model_validate(data)
    except ValidationError as failure:
        for error in failure.errors(include_url=False):
            _note(model, data, keys, error, problems, also)
        return None


def _note(
    model: type[BaseModel], data: Any, keys: KeyPath, error: Any, problems: Problems, also: Sequence[str]
) -> None:
    kind, inside = error["type"], _cleaned(error["loc"], data)
    if kind == "extra_forbidden":
        here = _model_at(model, inside[:-1])
        known = known_keys(here) if here is not None else ()
        problems.unknown((*keys, *inside), str(inside[-1]), (*(also if len(inside) == 1 else ()), *known))
    elif kind == "missing":
        here = _model_at(model, inside[:-1])
        hint = f"keys here: {', '.join(known_keys(here))}" if here is not None else ""
        problems.add((*keys, *inside[:-1]), f"{str(inside[-1])!r} is missing", hint)
    elif kind == "value_error" and isinstance(error["ctx"]["error"], UnitError):
        problems.add((*keys, *inside), error["ctx"]["error"].what, error["ctx"]["error"].hint)
    else:
        problems.add((*keys, *inside), *_in_words(error))


_WORDS = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "model_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "finite_number": "must be a finite number",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "too_long": "must hold at most {max_length}",
    "literal_error": "must be one of {expected}",
}


def _in_words(error: Any) -> tuple[str, str]:
    """What and hint for an error that pydantic found itself."""
    context = error.get("ctx", {})
    given = masked(error["input"], ".".join(str(part) for part in error["loc"]))
    shown = "nothing" if given is None else repr(given)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    if error["type"] == "value_error":
        return str(context["error"]), ""
    words = _WORDS.get(error["type"])
    what = words.format(**context) if words else f"{error['msg'][:1].lower()}{error['msg'][1:]}"
    hint = ""
    if error["type"] == "literal_error":
        near = nearest(str(given), re.findall(r"'([^']*)'", str(context["expected"])))
        hint = f"did you mean {near!r}?" if near else ""
    return f"{what}, got {shown}", hint


def _cleaned(loc: Sequence[str | int], data: Any) -> KeyPath:
    """The parts of pydantic's location that are keys of the data; tags of unions are not; the last may be absent."""
    keys: list[str | int] = []
    for index, part in enumerate(loc):
        last = index == len(loc) - 1
        if isinstance(data, Mapping) and (part in data or last):
            keys.append(part)
            data = data.get(part)
        elif isinstance(data, list | tuple) and isinstance(part, int) and part < len(data):
            keys.append(part)
            data = data[part]
    return tuple(keys)


def known_keys(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys that a person may write there."""
    hidden = getattr(model, "not_keys", ())
    return tuple(field.alias or name for name, field in model.model_fields.items() if name not in hidden)


def _model_at(model: type[BaseModel], keys: KeyPath) -> type[BaseModel] | None:
    """The model that a key path below another model leads to."""
    named = False
    for key in keys:
        if isinstance(key, int):
            continue
        if named:  # a key of a mapping that people choose themselves
            named = False
            continue
        field = next((f for name, f in model.model_fields.items() if (f.alias or name) == key), None)
        inner = None if field is None else _model_inside(field.annotation)
        if field is None or inner is None:
            return None
        named = get_origin(field.annotation) is Mapping
        model = inner
    return model


def _model_inside(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_inside(arg)) is not None), None)
