"""YAML file -> Scenario: what a person asked, checked down to the last key; every error carries `file:line` and a hint.

The one module that uses pydantic. Kinds of servers and load profiles are plain dataclasses that know nothing of
it: their annotations are turned into checks here. It starts nothing and loads no model.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Lt, MinLen
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    PrivateAttr,
    Strict,
    Tag,
    ValidationError,
    create_model,
    model_validator,
)

from bench.artifact import KERAS_APPLICATIONS, ModelSpec, check_model_file
from bench.condition import FailIf, check_names, parse_fail_if
from bench.document import Document, KeyPath, read_document
from bench.errors import ScenarioError, ServerFolderError
from bench.names import did_you_mean, name_problem, nearest, printable, slug
from bench.profiles import PROFILES, Closed, Profile, has_schedule
from bench.server import Server, find_kind, known_kinds, load_kind
from bench.units import UnitError, parse_dollars, parse_duration, parse_rate, parse_share, parse_size

_PARSERS: Mapping[str, Callable[[Any], float]] = {
    "duration": parse_duration,
    "rate": parse_rate,
    "size": parse_size,
    "share": parse_share,
    "dollars": parse_dollars,
}
"""A word among an annotation's metadata -> how its text is read: `Annotated[float, "duration", Ge(0)]`."""

Duration = Annotated[float, BeforeValidator(parse_duration)]
Whole = Annotated[int, Strict()]
_MOST_WORKERS = 256
Number = Annotated[float, Strict()]

BUILT_IN_WEIGHTS = ("random", "imagenet")
_MOST_REQUESTS = 10_000_000
"""Of one load point; their times are computed before the trial and held in memory."""
_CONDITION = "tfserving.p95 > 500ms"


class ScenarioProblemsError(ScenarioError):
    """Everything that is wrong with one scenario, in the order of its lines; the first one is `where` and `what`."""

    def __init__(self, problems: Sequence[ScenarioError]) -> None:
        first = problems[0]
        super().__init__(first.what, where=first.where, hint=first.hint)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(ScenarioError.__str__(problem) for problem in self.problems)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)


class ModelKeys(_Part):
    """Which model is served; exactly one of `keras_application` and `path`, a path relative to the scenario."""

    keras_application: str | None = None
    path: str | None = None
    weights: str = "random"
    seed: Annotated[Whole, Ge(0)] = 1

    @model_validator(mode="after")
    def _one_source(self) -> ModelKeys:
        if (self.keras_application is None) == (self.path is None):
            raise UnitError(
                "give one of 'keras_application' and 'path'",
                "for example {keras_application: EfficientNetB5} or {path: my_model.keras}",
            )
        if self.keras_application is not None and self.keras_application not in KERAS_APPLICATIONS:
            hint = did_you_mean(self.keras_application, KERAS_APPLICATIONS, "applications")
            raise UnitError(f"unknown keras_application {self.keras_application!r}", hint)
        if self.path is not None and "weights" in self.model_fields_set:
            raise UnitError("'weights' goes with keras_application; a model file has its own", "leave 'weights' out")
        return self


class Payload(_Part):
    """What is sent: `sample` (photos that ship with a dependency) or a glob relative to the scenario."""

    images: Annotated[str, MinLen(1)] = "sample"


class Slo(_Part):
    """Percentile of response_time, its limit in seconds, and the share of requests that may fail."""

    percentile: Annotated[Number, Gt(0), Lt(100)] = 95
    response_time: Annotated[Duration, Gt(0)] = 1.0
    error_rate: Annotated[float, BeforeValidator(parse_share)] = 0.001


class Warmup(_Part):
    """Seconds of load before the window, longer until latency is steady; recorded, but in no statistic."""

    duration: Duration = 5.0
    at_most: Duration | None = None
    """How long it may get while latency is not steady yet; three times `duration` where nothing is said."""

    @property
    def most(self) -> float:
        """`at_most` with its default."""
        return 3 * self.duration if self.at_most is None else self.at_most

    @model_validator(mode="after")
    def _in_order(self) -> Warmup:
        if self.at_most is not None and self.at_most < self.duration:
            raise UnitError("'at_most' is shorter than 'duration'", "leave 'at_most' out, or make it longer")
        return self


class Price(_Part):
    """What a server costs: an instance of the price book or dollars per hour, `count` of them."""

    instance: Annotated[str, MinLen(1)] | None = None
    per_hour: Annotated[float, BeforeValidator(parse_dollars)] | None = None
    count: Annotated[Whole, Ge(1)] = 1
    region: str | None = None
    provider: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Price:
        if (self.instance is None) == (self.per_hour is None):
            raise UnitError(
                "give one of 'instance' and 'per_hour'",
                "for example {instance: a1.4xlarge, count: 2} or {per_hour: 0.408}",
            )
        if self.instance is None and (self.region or self.provider):
            raise UnitError("'region' and 'provider' choose among instances; with 'per_hour' they say nothing", "")
        return self


class Reference(_Part):
    """A published figure, in seconds, to show beside what is measured here."""

    server: str
    metric: Literal["service_time", "response_time", "p50", "p90", "p95", "p99"]
    value: Annotated[Duration, Gt(0)]
    source: Annotated[str, MinLen(1)]


@dataclass(frozen=True)
class ServerEntry:
    """One server of a scenario: its name there, its kind's folder, and the kind as configured.

    `only` holds the labels of the load points that it gets; empty means all.
    """

    name: str
    kind: str
    folder: Path
    server: Server
    price: Price | None = None
    only: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """The name, or where it is not fit for a folder name, a safe and unique form of it."""
        return slug(self.name)

    @property
    def options(self) -> dict[str, Any]:
        """The kind's keys with their values, as JSON can hold them; durations in seconds."""
        return {field.name: _plain(getattr(self.server, field.name)) for field in dataclasses.fields(self.server)}


def _parse_workers(value: object) -> int | None:
    if value == "auto":
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_WORKERS:
        raise UnitError(
            f"must be 'auto' or a whole number from 1 to {_MOST_WORKERS}, got {value!r}",
            "load processes on this machine; 'auto' starts as many as the rate needs and the cores allow",
        )
    return value


def _as_tuple(values: Any) -> tuple[Any, ...]:
    return tuple(values)


class Scenario(_Part):
    """One question: the servers, the load that each gets, and what counts as good. Seconds, 1/s and shares inside."""

    path: Path
    text: str
    name: str
    question: str = ""
    model: ModelKeys | None = None
    payload: Payload = Payload()
    slo: Slo = Slo()
    load: Annotated[tuple[Profile, ...], PlainValidator(_as_tuple)] = (
        Closed(users=1, duration=20.0),
        Closed(users=8, duration=20.0),
    )
    warmup: Warmup = Warmup()
    trials: Annotated[Whole, Ge(1)] = 1
    seed: Annotated[Whole, Ge(0)] = 1
    timeout: Annotated[Duration, Gt(0)] = 30.0
    """Seconds from `intended_at` after which a request counts as timed out."""
    workers: Annotated[int | None, PlainValidator(_parse_workers)] = None
    """Load processes on this machine; None for `auto`, as many as the rate needs and the cores allow."""
    servers: Annotated[tuple[ServerEntry, ...], PlainValidator(_as_tuple)]
    references: tuple[Reference, ...] = ()
    fail_if: Annotated[tuple[FailIf, ...], PlainValidator(_as_tuple)] = ()
    _document: Document | None = PrivateAttr(default=None)

    @property
    def folder(self) -> Path:
        """What paths inside the scenario are relative to."""
        return self.path.parent

    @property
    def assignments(self) -> tuple[str, ...]:
        """Each `KEY=VALUE` that was set over the file's text, in order."""
        return self._document.assignments if self._document is not None else ()

    @property
    def points(self) -> tuple[Profile, ...]:
        """The load points, one profile each, in the order of the file."""
        return tuple(point for profile in self.load for point in profile.points())

    def server(self, name: str) -> ServerEntry:
        """The server of that name.   Raises: KeyError."""
        return {entry.name: entry for entry in self.servers}[name]

    def where(self, *keys: str | int) -> str:
        """`file:line` of a key path such as ("servers", "flask"); of the nearest one above where it is not written."""
        return self._document.where(keys) if self._document is not None else str(self.path)

    @property
    def model_spec(self) -> ModelSpec | None:
        """Which model is built, its paths no longer relative; None for a scenario whose servers run none."""
        if self.model is None:
            return None
        keys = self.model
        weights = keys.weights if keys.weights in BUILT_IN_WEIGHTS else str(self.beside(keys.weights))
        path = None if keys.path is None else self.beside(keys.path)
        return ModelSpec(keys.keras_application, path, weights, keys.seed)

    def beside(self, path: str) -> Path:
        """A path that the scenario names: relative to the scenario's folder, `~` is the home folder."""
        return self.folder / Path(path).expanduser()

    def _as_written(self, profile: Profile) -> dict[str, Any]:
        """The keys of a profile; a path below the scenario's folder relative to it, as that folder has many places."""
        keys = {field.name: getattr(profile, field.name) for field in dataclasses.fields(profile)}  # type: ignore[arg-type]  # every profile is one
        for name in _path_fields(type(profile)):
            if Path(keys[name]).is_relative_to(self.folder):
                keys[name] = str(Path(keys[name]).relative_to(self.folder))
        return keys

    def resolved(self) -> dict[str, Any]:
        """The scenario with every default filled in, as JSON can hold it; seconds, 1/s and shares."""
        return {
            "name": self.name,
            "question": self.question,
            "model": None if self.model is None else self.model.model_dump(),
            "payload": self.payload.model_dump(),
            "slo": self.slo.model_dump(),
            "load": [{"profile": type(profile).name, **_plain(self._as_written(profile))} for profile in self.load],
            "warmup": self.warmup.model_dump(),
            "trials": self.trials,
            "seed": self.seed,
            "timeout": self.timeout,
            "workers": "auto" if self.workers is None else self.workers,
            "servers": {
                entry.name: {
                    "kind": entry.kind,
                    **entry.options,
                    "price": None if entry.price is None else entry.price.model_dump(),
                    "only": list(entry.only),
                }
                for entry in self.servers
            },
            "references": [reference.model_dump() for reference in self.references],
            "fail_if": [condition.text for condition in self.fail_if],
        }


def load_scenario(path: Path, *, set: Sequence[str] = ()) -> Scenario:  # noqa: A002 -- spelled like the flag
    """The scenario in a file, after each `KEY=VALUE` of `set` (`load.1.duration=5s`; list items count from 0).

    Raises: ScenarioError, with `file:line` or `--set KEY=VALUE` as where; ScenarioProblemsError if several.
    """
    document = read_document(path, set)
    problems = _Problems(document)
    data: dict[str, Any] = {"name": slug(path.stem), **document.values}
    data |= {"path": path, "text": document.text}
    for key in ("path", "text"):
        if key in document.values:
            problems.unknown((key,), key, _root_keys())
    _check_name(data["name"], problems)
    data["servers"] = _servers(document.values, path.parent, problems)
    if "load" in data:
        data["load"] = _load(data["load"], path.parent, problems)
    conditions, data["fail_if"] = data.get("fail_if", []), ()
    scenario = _validated(Scenario, data, (), problems)
    names = document.values.get("servers")
    known = tuple(names) if isinstance(names, dict) else ()
    fail_if = _fail_ifs(conditions, _labels(known, None if problems.found else scenario), problems)
    if scenario is not None:
        _check_points(scenario, problems)
        _check_references(scenario, known, problems)
        _check_model_given(scenario, problems)
    problems.stop_if_any()
    assert scenario is not None
    scenario = scenario.model_copy(update={"fail_if": fail_if})
    scenario._document = document
    return scenario


def check_files(scenario: Scenario) -> None:
    """Looks at what the scenario points at: the model file, its weights, the photos, the price book. No TensorFlow.

    Raises: ScenarioError (ScenarioProblemsError if several) with the `file:line` of the key that names it.
    """
    problems = _Problems(scenario._document or Document(str(scenario.path), scenario.text, {}, {}))
    if scenario.model is not None:
        _check_model_files(scenario, scenario.model, problems)
    with problems.at(("payload", "images")):
        from bench.payload import load_photos

        load_photos(scenario.payload.images, scenario.folder)
    for entry in scenario.servers:
        if entry.price is not None and entry.price.instance is not None:
            _check_instance(entry.name, entry.price, problems)
    problems.stop_if_any()


# Problems: what is wrong, and where it is written


class _Problems:
    """Collects what is wrong with one document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._found: list[tuple[int, ScenarioError]] = []

    @property
    def found(self) -> bool:
        return bool(self._found)

    def add(self, keys: KeyPath, what: str, hint: str = "") -> None:
        dotted = ".".join(str(key) for key in keys)
        text = printable(f"{dotted}: {what}" if dotted else what)
        where = self._document.where(keys)
        self._found.append((_line(where), ScenarioError(text, where=where, hint=printable(hint))))

    def note(self, keys: KeyPath, failure: ScenarioError) -> None:
        """Notes a failure; one that has its own place, in a file that the scenario names, keeps it."""
        if not failure.where:
            self.add(keys, failure.what, failure.hint)
            return
        named = self._document.where(keys)
        hint = f"{failure.hint}\n{'.'.join(str(key) for key in keys)} names it, {named}".lstrip("\n")
        problem = ScenarioError(printable(failure.what), where=printable(failure.where), hint=printable(hint))
        self._found.append((_line(named), problem))

    def unknown(self, keys: KeyPath, key: str, known: Sequence[str]) -> None:
        near = nearest(key, known)
        meant = f"did you mean {near!r}? " if near else ""
        above = ".".join(str(part) for part in keys[:-1])
        self.add(keys, "unknown key", f"{meant}known keys{f' of {above}' if above else ''}: {', '.join(known)}")

    def at(self, keys: KeyPath) -> _At:
        return _At(self, keys)

    def stop_if_any(self) -> None:
        if not self._found:
            return
        ordered = [problem for _, problem in sorted(self._found, key=lambda found: found[0])]
        raise ordered[0] if len(ordered) == 1 else ScenarioProblemsError(ordered)


class _At:
    """A block whose ScenarioError, or ValueError of a `__post_init__`, is noted as a problem of one key."""

    def __init__(self, problems: _Problems, keys: KeyPath) -> None:
        self._problems, self._keys = problems, keys

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, failure: BaseException | None, trace: object) -> bool:
        if isinstance(failure, ScenarioError):
            self._problems.note(self._keys, failure)
        elif isinstance(failure, ValueError):
            self._problems.add(self._keys, getattr(failure, "what", str(failure)), getattr(failure, "hint", ""))
        else:
            return False
        return True


def _line(where: str) -> int:
    digits = where.rpartition(":")[2]
    return int(digits) if digits.isdecimal() and not where.startswith("--set") else 0


# Servers, load and conditions: what the root model cannot check by itself

_COMMON_KEYS = ("kind", "price", "only")


def _check_name(name: object, problems: _Problems) -> None:
    if isinstance(name, str) and (not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,59}", name)):
        problems.add(
            ("name",),
            f"{name!r} cannot be a folder name",
            "up to 60 letters, digits, '.', '_' and '-', the first one no '.' or '-'",
        )


def _servers(values: Mapping[str, Any], beside: Path, problems: _Problems) -> tuple[ServerEntry, ...]:
    given = values.get("servers")
    example = "for example 'servers: {flask: {kind: flask}}'; `bench list servers` names the kinds"
    if given is None or given in ({}, []):
        problems.add(("servers",), "there are no servers", example)
        return ()
    if not isinstance(given, dict):
        problems.add(("servers",), "must be a mapping of a name to a server", example)
        return ()
    entries = (_server(name, value, beside, problems) for name, value in given.items())
    return tuple(entry for entry in entries if entry is not None)


class _Common(_Part):
    """The keys that every kind shares."""

    kind: Annotated[str, MinLen(1)]
    price: Price | None = None
    only: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _one_label(cls, data: Any) -> Any:
        """`only: closed-1` means `only: [closed-1]`."""
        return {**data, "only": [data["only"]]} if isinstance(data.get("only"), str) else data


def _server(name: str, value: object, beside: Path, problems: _Problems) -> ServerEntry | None:
    keys: KeyPath = ("servers", name)
    wrong = name_problem(name)
    if wrong:
        problems.add(keys, wrong, "a name is any printable text of up to 60 characters")
    if not isinstance(value, dict) or "kind" not in value:
        what = "'kind' is missing" if value is None or isinstance(value, dict) else "must be a mapping"
        problems.add(keys, what, f"for example {{kind: flask}}; known kinds: {', '.join(known_kinds())}")
        return None
    common = _validated(_Common, {key: value[key] for key in _COMMON_KEYS if key in value}, keys, problems)
    if common is None:
        return None
    try:
        folder = find_kind(common.kind, beside)
        options = _options(load_kind(folder))
    except ServerFolderError as failure:
        near = nearest(common.kind, known_kinds())
        hint = f"did you mean {near!r}? {failure.hint}" if near else failure.hint
        problems.add((*keys, "kind"), f"{failure.where}: {failure.what}".removeprefix(": "), hint)
        return None
    chosen = {key: item for key, item in value.items() if key not in _COMMON_KEYS}
    server = _validated(options, chosen, keys, problems, also=_COMMON_KEYS)
    if server is None:
        return None
    try:
        built = _built(server, keys, beside, problems)
    except Exception as failure:  # a user's own class may lack a method, or do anything when it is made
        problems.add((*keys, "kind"), f"{folder / 'server.py'}: its Server cannot be made: {failure}")
        return None
    return None if built is None else ServerEntry(name, common.kind, folder, built, common.price, common.only)


def _load(value: object, beside: Path, problems: _Problems) -> tuple[Profile, ...]:
    example = "for example 'load: [{profile: closed, users: 1, duration: 20s}]'"
    if not isinstance(value, list) or not value:
        problems.add(("load",), "must be a list of load profiles", example)
        return ()
    found = (_profile(item, ("load", index), beside, problems) for index, item in enumerate(value))
    return tuple(profile for profile in found if profile is not None)


def _profile(item: object, keys: KeyPath, beside: Path, problems: _Problems) -> Profile | None:
    known = f"known profiles: {', '.join(PROFILES)}"
    if not isinstance(item, dict):
        problems.add(keys, "must be a mapping", f"for example {{profile: closed, users: 1, duration: 20s}}; {known}")
        return None
    if "profile" not in item:
        problems.add(keys, "'profile' is missing", known)
        return None
    name = item["profile"]
    if not isinstance(name, str) or name not in PROFILES:
        problems.add((*keys, "profile"), f"unknown profile {name!r}", did_you_mean(str(name), PROFILES, "profiles"))
        return None
    fields = {key: part for key, part in item.items() if key != "profile"}
    found = _validated(_model_of(PROFILES[name]), fields, keys, problems, also=("profile",))
    return None if found is None else _built(found, keys, beside, problems)


def _labels(servers: Sequence[str], scenario: Scenario | None) -> Mapping[str, Sequence[str] | None]:
    """The load points that each server gets; None for each where there is no scenario that says it."""
    if scenario is None:
        return dict.fromkeys(servers)
    everything = tuple(point.label for point in scenario.points)
    return {entry.name: entry.only or everything for entry in scenario.servers}


def _fail_ifs(value: object, labels: Mapping[str, Sequence[str] | None], problems: _Problems) -> tuple[FailIf, ...]:
    """The conditions of a scenario; `labels` has the load points of each server."""
    if value is None:
        return ()
    if not isinstance(value, list):
        problems.add(("fail_if",), "must be a list", f"for example fail_if: [{_CONDITION!r}]")
        return ()
    found = []
    for index, text in enumerate(value):
        if not isinstance(text, str):
            problems.add(("fail_if", index), f"must be text, got {text!r}", f"for example {_CONDITION!r}")
            continue
        try:
            condition = parse_fail_if(text)
            check_names(condition, labels)
        except UnitError as failure:
            problems.add(("fail_if", index), failure.what, failure.hint)
        else:
            found.append(condition)
    return tuple(found)


# What one part of a scenario asks of another


def _check_points(scenario: Scenario, problems: _Problems) -> None:
    first: dict[str, int] = {}
    for index, profile in enumerate(scenario.load):
        for point in profile.points():
            if point.label in first:
                problems.add(
                    ("load", index),
                    f"the load point {point.label} is there twice, first in load.{first[point.label]}",
                    "results are told apart by this label; keep one of them",
                )
            first.setdefault(point.label, index)
            if has_schedule(point) and point.mean_rate * point.duration > _MOST_REQUESTS:
                problems.add(
                    ("load", index),
                    f"{point.label} would send {point.mean_rate * point.duration:,.0f} requests",
                    f"at most {_MOST_REQUESTS:,} can be scheduled; make the rate lower or the duration shorter",
                )
    for entry in scenario.servers:
        for place, label in enumerate(entry.only):
            if label not in first:
                keys = ("servers", entry.name, "only", place)
                problems.add(keys, f"unknown load point {label!r}", did_you_mean(label, first, "load points"))


def _check_references(scenario: Scenario, servers: Sequence[str], problems: _Problems) -> None:
    for index, reference in enumerate(scenario.references):
        if reference.server not in servers:
            problems.add(
                ("references", index, "server"),
                f"unknown server {reference.server!r}",
                did_you_mean(reference.server, servers, "servers"),
            )


def _check_model_given(scenario: Scenario, problems: _Problems) -> None:
    if scenario.model is not None:
        return
    for entry in scenario.servers:
        if entry.server.model_form is not None:
            problems.add(
                ("servers", entry.name),
                f"kind {entry.kind!r} serves a model, and the scenario names none",
                "add for example 'model: {keras_application: EfficientNetB0}'",
            )
            return


def _check_model_files(scenario: Scenario, model: ModelKeys, problems: _Problems) -> None:
    if model.path is not None:
        with problems.at(("model", "path")):
            check_model_file(scenario.beside(model.path))
    if model.weights not in BUILT_IN_WEIGHTS and not scenario.beside(model.weights).is_file():
        problems.add(
            ("model", "weights"),
            f"no such file: {scenario.beside(model.weights)}",
            "weights are 'random', 'imagenet' or a weights file, relative to the scenario's folder",
        )


def _check_instance(name: str, price: Price, problems: _Problems) -> None:
    from bench.prices import price_book

    book = tuple(price_book())
    known = {item.instance for item in book}
    if price.instance not in known:
        near = nearest(str(price.instance), known)
        meant = f"did you mean {near!r}? " if near else ""
        problems.add(
            ("servers", name, "price", "instance"),
            f"{price.instance!r} is not in the price book",
            f"{meant}`bench list prices` has them all; 'per_hour: 0.408' gives a price of your own",
        )


# From plain dataclasses to pydantic models and back

_T = TypeVar("_T", bound=BaseModel)


def _model_of(cls: type) -> type[BaseModel]:
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
    model: type[BaseModel] = create_model(cls.__name__, __base__=_Part, **fields)
    _SOURCES[model], _MODELS[cls] = cls, model
    return model


_MODELS: dict[type, type[BaseModel]] = {}
_SOURCES: dict[type[BaseModel], type] = {}
"""Model made by `_model_of` -> the dataclass that it was made of."""


def _options(kind: type[Server]) -> type[BaseModel]:
    try:
        return _model_of(kind)
    except Exception as failure:  # a user's own folder may hold any annotation
        raise ServerFolderError(
            f"its keys cannot be read from the annotations of Server: {failure!r}", where=kind.__module__
        ) from failure


def _rebuilt(values: BaseModel) -> Any:
    """The dataclass that a checked model stands for."""
    cls = _SOURCES[type(values)]
    return cls(**{name.removeprefix("key_"): getattr(values, name) for name in type(values).model_fields})


def _built(values: BaseModel, keys: KeyPath, beside: Path, problems: _Problems) -> Any:
    """The dataclass that a checked model stands for, its paths no longer relative; None if it refuses its values."""
    paths: dict[str, str] = {}
    for name in _path_fields(_SOURCES[type(values)]):
        given = getattr(values, f"key_{name}")
        if given is not None:
            paths[name] = str(beside / Path(given).expanduser())
            if not Path(paths[name]).exists():
                what = f"no such file: {paths[name]}"
                problems.add((*keys, name), what, "a path is relative to the scenario's folder")
                return None
    with problems.at(keys):
        return _rebuilt(values.model_copy(update={f"key_{name}": path for name, path in paths.items()}))
    return None


def _path_fields(cls: type) -> tuple[str, ...]:
    """The fields that hold a path: `Annotated[str, "path"]`."""
    hints = get_type_hints(cls, include_extras=True)
    return tuple(name for name, hint in hints.items() if "path" in getattr(hint, "__metadata__", ()))


def _checked(annotation: Any) -> Any:
    """An annotation of a plain dataclass as pydantic should check it: nothing coerced, texts with units read."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner, *marks = args
        parsers = [BeforeValidator(_PARSERS[mark]) for mark in marks if isinstance(mark, str) and mark in _PARSERS]
        ranges = [mark for mark in marks if not isinstance(mark, str)]
        return functools.reduce(
            lambda built, mark: Annotated[built, mark], [*ranges, *parsers], inner if parsers else _checked(inner)
        )
    if dataclasses.is_dataclass(annotation):
        return Annotated[_model_of(annotation), AfterValidator(_rebuilt)]  # type: ignore[arg-type]
    if origin in (Union, types.UnionType):
        return _checked_union(args)
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


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


# pydantic's errors in our words


def _root_keys() -> tuple[str, ...]:
    return tuple(name for name in Scenario.model_fields if name not in ("path", "text"))


def _validated(
    model: type[_T], data: Any, keys: KeyPath, problems: _Problems, *, also: Sequence[str] = ()
) -> _T | None:
    """The data as that model; None, with its problems noted, if it is not.  `also` are keys read elsewhere."""
    try:
        return model.model_validate(data)
    except ValidationError as failure:
        for error in failure.errors(include_url=False):
            _note(model, data, keys, error, problems, also)
        return None


def _note(
    model: type[BaseModel], data: Any, keys: KeyPath, error: Any, problems: _Problems, also: Sequence[str]
) -> None:
    kind, inside = error["type"], _cleaned(error["loc"], data)
    if kind == "extra_forbidden":
        here = _model_at(model, inside[:-1])
        known = _known_keys(here) if here is not None else ()
        problems.unknown((*keys, *inside), str(inside[-1]), (*(also if len(inside) == 1 else ()), *known))
    elif kind == "missing":
        here = _model_at(model, inside[:-1])
        hint = f"keys here: {', '.join(_known_keys(here))}" if here is not None else ""
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
    "model_attributes_type": "must be a mapping",
    "finite_number": "must be a finite number",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "literal_error": "must be one of {expected}",
}


def _in_words(error: Any) -> tuple[str, str]:
    """What and hint for an error that pydantic found itself."""
    context, given = error.get("ctx", {}), error["input"]
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


def _known_keys(model: type[BaseModel]) -> tuple[str, ...]:
    if model is Scenario:
        return _root_keys()
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _model_at(model: type[BaseModel], keys: KeyPath) -> type[BaseModel] | None:
    """The model that a key path below another model leads to."""
    for key in keys:
        if isinstance(key, int):
            continue
        field = next((f for name, f in model.model_fields.items() if (f.alias or name) == key), None)
        inner = None if field is None else _model_inside(field.annotation)
        if inner is None:
            return None
        model = inner
    return model


def _model_inside(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_inside(arg)) is not None), None)
