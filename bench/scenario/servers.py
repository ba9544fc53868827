"""The servers of a scenario: what each entry says, checked by its kind, and the kind made of it.

A kind may be the person's own, so its class is loaded here; nothing of it is started.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Gt, MinLen
from pydantic import (
    BaseModel,
    model_validator,
)

from bench.document import KeyPath
from bench.errors import ServerFolderError
from bench.names import name_problem, nearest, slug
from bench.problems import Problems
from bench.scenario.fields import Part, instance_of, kind_fields, options_of, plain, validated
from bench.scenario.grid import SUFFIX, Setting, settings_of
from bench.scenario.parts import Duration, Price
from bench.server import Inner, Server, find_kind, known_kinds, load_kind

_COMMON_KEYS = ("kind", "price", "only", "start_timeout", "tune")


@dataclass(frozen=True)
class ServerEntry:
    """One server of a scenario: its name there, its kind's folder, and the kind as configured.

    `only` holds the labels of the load points that it gets; empty means all. `start_timeout` is how many seconds it may
    take to be ready, None for what its kind says.
    """

    name: str
    kind: str
    folder: Path
    server: Server
    price: Price | None = None
    only: tuple[str, ...] = ()
    start_timeout: float | None = None
    tune: tuple[Setting, ...] = ()
    """What is tried of it, its own setting included; none for a server that is not tuned."""
    tuned_from: str = ""
    """The server whose best setting this one has; which one that is, is found in the run."""

    @property
    def slug(self) -> str:
        """The name, or where it is not fit for a folder name, a safe and unique form of it."""
        return slug(self.name)

    @property
    def options(self) -> dict[str, Any]:
        """The kind's keys with their values, as JSON can hold them; durations in seconds."""
        return {field.name: plain(getattr(self.server, field.name)) for field in dataclasses.fields(self.server)}


def read_servers(values: Mapping[str, Any], beside: Path, problems: Problems) -> tuple[ServerEntry, ...]:
    """The servers that a scenario's values name, each tuned one followed by its variant; what is wrong is told."""
    given = values.get("servers")
    example = "for example 'servers: {flask: {kind: flask}}'; `bench list servers` names the kinds"
    if given is None or given in ({}, []):
        problems.add(("servers",), "there are no servers", example)
        return ()
    if not isinstance(given, dict):
        problems.add(("servers",), "must be a mapping of a name to a server", example)
        return ()
    entries = (_server(name, value, beside, problems) for name, value in given.items())
    return tuple(each for entry in entries if entry is not None for each in _with_tuned(entry, given, problems))


def _with_tuned(entry: ServerEntry, names: Mapping[str, Any], problems: Problems) -> tuple[ServerEntry, ...]:
    """The entry and, where it is tuned, the variant that is going to have its best setting."""
    if not entry.tune:
        return (entry,)
    name = f"{entry.name}{SUFFIX}"
    if name in names or name_problem(name):
        why = "there is one already" if name in names else "that is too long"
        what = f"the tuned variant would be called {name!r}, and {why}"
        problems.add(("servers", entry.name, "tune"), what, "give this server another name")
    return entry, dataclasses.replace(entry, name=name, tune=(), tuned_from=entry.name)


class _Common(Part):
    """The keys that every kind shares."""

    kind: Annotated[str, MinLen(1)]
    price: Price | None = None
    only: tuple[str, ...] = ()
    start_timeout: Annotated[Duration, Gt(0)] | None = None
    tune: Any = None

    @model_validator(mode="before")
    @classmethod
    def _one_label(cls, data: Any) -> Any:
        """`only: closed-1` means `only: [closed-1]`."""
        return {**data, "only": [data["only"]]} if isinstance(data.get("only"), str) else data


def _server(
    name: str, value: object, beside: Path, problems: Problems, inside: KeyPath = ("servers",)
) -> ServerEntry | None:
    keys: KeyPath = (*inside, name)
    wrong = name_problem(name)
    if wrong:
        problems.add(keys, wrong, "a name is any printable text of up to 60 characters")
    if not isinstance(value, dict) or "kind" not in value:
        what = "'kind' is missing" if value is None or isinstance(value, dict) else "must be a mapping"
        problems.add(keys, what, f"for example {{kind: flask}}; known kinds: {', '.join(known_kinds())}")
        return None
    common = validated(_Common, {key: value[key] for key in _COMMON_KEYS if key in value}, keys, problems)
    if common is None:
        return None
    try:
        folder = find_kind(common.kind, beside)
        options = options_of(load_kind(folder))
    except ServerFolderError as failure:
        near = nearest(common.kind, known_kinds())
        hint = f"did you mean {near!r}? {failure.hint}" if near else failure.hint
        problems.add((*keys, "kind"), f"{failure.where}: {failure.what}".removeprefix(": "), hint)
        return None
    chosen = {key: item for key, item in value.items() if key not in _COMMON_KEYS}
    inner_fields = kind_fields(load_kind(folder))
    made = _with_inner(chosen, inner_fields, beside, problems, keys)
    also = _COMMON_KEYS if inside == ("servers",) else _COMMON_KEYS[:1]
    server = validated(options, chosen if made is None else made, keys, problems, also=also)
    if server is None or made is None:
        return None
    try:
        built = instance_of(server, keys, beside, problems)
    except Exception as failure:  # a user's own class may lack a method, or do anything when it is made
        problems.add((*keys, "kind"), f"{folder / 'server.py'}: its Server cannot be made: {failure}")
        return None
    if built is None:
        return None
    tune: tuple[Setting, ...] = ()
    if common.tune is not None:
        make = _maker(options, inner_fields, beside)
        tune = settings_of(common.tune, chosen, built, make, (*keys, "tune"), problems)
    return ServerEntry(name, common.kind, folder, built, common.price, common.only, common.start_timeout, tune)


def _inner(field: str, value: object, beside: Path, problems: Problems, inside: KeyPath) -> Inner | None:
    """A kind with its keys inside another one; what belongs to a server of a scenario is not for it."""
    for key in _COMMON_KEYS[1:]:
        if isinstance(value, dict) and key in value:
            problems.add((*inside, field, key), f"{key!r} belongs to the server, not to what it is made of")
    entry = _server(field, value, beside, problems, inside)
    return None if entry is None else Inner(entry.kind, entry.folder, entry.server)


def _with_inner(
    written: Mapping[str, Any], inner_fields: Sequence[str], beside: Path, problems: Problems, keys: KeyPath
) -> dict[str, Any] | None:
    """The keys of a kind, those that hold another kind made into one; None if one of them is wrong."""
    made = dict(written)
    for field in inner_fields:
        if field in made:
            made[field] = _inner(field, made[field], beside, problems, keys)
            if made[field] is None:
                return None
    return made


def _maker(
    options: type[BaseModel], inner_fields: Sequence[str], beside: Path
) -> Callable[[Mapping[str, Any], Problems], Server | None]:
    """What makes a server of a kind's keys."""

    def make(values: Mapping[str, Any], problems: Problems) -> Server | None:
        made = _with_inner(values, inner_fields, beside, problems, ())
        checked = None if made is None else validated(options, made, (), problems)
        return None if checked is None else instance_of(checked, (), beside, problems)

    return make
