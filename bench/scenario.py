"""YAML file -> Scenario: what a person asked, checked down to the last key; every error carries `file:line` and a hint.

With `fields.py` the only place that uses pydantic: kinds of servers and load profiles are plain dataclasses that know
nothing of it. It starts nothing and loads no model.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import (
    BaseModel,
    BeforeValidator,
    PlainValidator,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    Strict,
    model_serializer,
    model_validator,
)

from bench.applications import KERAS_APPLICATIONS
from bench.budget import parse_cores, read_processor, split
from bench.condition import FailIf, check_names, parse_fail_if
from bench.cost.traffic import Traffic
from bench.document import Document, KeyPath, read_document
from bench.errors import ServerFolderError
from bench.fields import Part, instance_of, kind_fields, known_keys, model_of, options_of, path_fields, plain, validated
from bench.grid import SUFFIX, Setting, settings_of
from bench.inputs import DEFAULT_EXAMPLES, DEFAULT_SEED, check_payload, sends_tensors
from bench.model_files import ModelSpec, Pixels
from bench.names import did_you_mean, name_problem, nearest, slug
from bench.prices import Price as BookPrice
from bench.prices import resolve_price
from bench.problems import Problems, ScenarioProblemsError
from bench.profiles import PROFILES, Closed, Profile
from bench.scenario_checks import (
    BUILT_IN_WEIGHTS,
    check_gates,
    check_model_files,
    check_model_given,
    check_points,
    check_prices,
    check_references,
    check_tuning,
)
from bench.server import Inner, Server, find_kind, known_kinds, load_kind
from bench.units import UnitError, parse_day, parse_dollars, parse_duration, parse_share

__all__ = ["Scenario", "ScenarioProblemsError", "ServerEntry", "check_files", "load_scenario"]

Duration = Annotated[float, BeforeValidator(parse_duration)]
Whole = Annotated[int, Strict()]
_MOST_WORKERS = 256
Number = Annotated[float, Strict()]

_CONDITION = "tfserving.p95 > 500ms"
_DEFAULT_PAYLOAD: Mapping[bool, Mapping[str, Any]] = {
    False: {"images": "sample"},
    True: {"generate": {"examples": DEFAULT_EXAMPLES, "seed": DEFAULT_SEED}},
}
"""What is sent where nothing is written, by whether requests carry tensors."""
MOST_GATES = 3
"""Each one more is one more chance of a false alarm."""
GateMetric = Literal[
    "p50", "p95", "p99", "error_rate", "throughput", "goodput", "capacity", "cost", "memory", "startup"
]


class ModelKeys(Part):
    """Which model is served; exactly one of `keras_application` and `path`, a path relative to the scenario."""

    keras_application: str | None = None
    path: str | None = None
    weights: str = "random"
    seed: Annotated[Whole, Ge(0)] = 1
    pixels: Pixels = "0-255"

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
        if "pixels" in self.model_fields_set and not self._is_onnx:
            hint = "leave 'pixels' out: a Keras model and a SavedModel take 0-255 and change it in their own layers"
            raise UnitError("'pixels' goes with an ONNX file", hint)
        return self

    @property
    def _is_onnx(self) -> bool:
        return self.path is not None and self.path.endswith(".onnx")

    @model_serializer(mode="wrap")
    def _where_they_count(self, values: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `pixels` where there are none to choose, so that runs which never could stay comparable."""
        found: dict[str, Any] = values(self)
        return found if self._is_onnx else {key: value for key, value in found.items() if key != "pixels"}


class Generate(Part):
    """Examples made from the model's signature, the same for the same seed."""

    examples: Annotated[Whole, Ge(2), Le(10_000)] = DEFAULT_EXAMPLES
    seed: Annotated[Whole, Ge(0)] = DEFAULT_SEED


class Payload(Part):
    """What is sent, one kind of it; where nothing is written photos, to a model that takes none what `generate` makes.

    `images` is `sample` (photos that ship with a dependency) or a glob, `tensors` a glob of .npy or .npz files, `rows`
    a file of JSON lines; all relative to the scenario.
    """

    images: Annotated[str, MinLen(1)] | None = None
    tensors: Annotated[str, MinLen(1)] | None = None
    rows: Annotated[str, MinLen(1)] | None = None
    generate: Generate | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Payload:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) > 1:
            raise UnitError(f"give one of {', '.join(map(repr, given))}", "one kind of payload goes to every server")
        return self

    @property
    def kind(self) -> str | None:
        """Which key is written; None if none is."""
        return next((name for name in type(self).model_fields if getattr(self, name) is not None), None)


class Slo(Part):
    """Percentile of response_time, its limit in seconds, and the share of requests that may fail."""

    percentile: Annotated[Number, Gt(0), Lt(100)] = 95
    response_time: Annotated[Duration, Gt(0)] = 1.0
    error_rate: Annotated[float, BeforeValidator(parse_share)] = 0.001


class Accuracy(Part):
    """What is asked of servers that round on purpose: the share of answers with the reference's first class."""

    top1_agreement: Annotated[float, BeforeValidator(parse_share), Gt(0)] = 0.99


class Warmup(Part):
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


class Price(Part):
    """What a server costs: an instance of the price book or dollars per hour, `count` of them, as of a day."""

    instance: Annotated[str, MinLen(1)] | None = None
    per_hour: Annotated[float, BeforeValidator(parse_dollars), Gt(0)] | None = None
    count: Annotated[Whole, Ge(1)] = 1
    region: str | None = None
    provider: str | None = None
    as_of: Annotated[str, BeforeValidator(parse_day)] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Price:
        if (self.instance is None) == (self.per_hour is None):
            raise UnitError(
                "give one of 'instance' and 'per_hour'",
                "for example {instance: a1.4xlarge, count: 2} or {per_hour: 0.408}",
            )
        if self.instance is None and (self.region or self.provider):
            raise UnitError("'region' and 'provider' choose among instances; with 'per_hour' they say nothing", "")
        if self.instance is not None and self.as_of:
            raise UnitError("'as_of' dates a 'per_hour'; an instance has the date of its book", "leave 'as_of' out")
        return self

    def resolved(self, book: Sequence[BookPrice]) -> dict[str, Any]:
        """What the server costs by that book, as `prices.resolve_price` tells.   Raises: ScenarioError."""
        return resolve_price(self.model_dump(exclude_none=True), book=book)


class Reference(Part):
    """A published figure, in seconds, to show beside what is measured here."""

    server: str
    metric: Literal["service_time", "response_time", "p50", "p90", "p95", "p99"]
    value: Annotated[Duration, Gt(0)]
    source: Annotated[str, MinLen(1)]


class Gate(Part):
    """A metric that may fail a comparison: `p95`, `poisson-4.p95`, or a mapping that also says how much matters."""

    metric: GateMetric
    load: Annotated[str, MinLen(1)] | None = None
    delta: Annotated[float, BeforeValidator(parse_share), Gt(0)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        """`poisson-4.p95` means `{load: poisson-4, metric: p95}`."""
        if not isinstance(data, str):
            return data
        load, _, metric = data.rpartition(".")
        return {"metric": metric, **({"load": load} if load else {})}


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


def _parse_workers(value: object) -> int | None:
    if value == "auto":
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_WORKERS:
        raise UnitError(
            f"must be 'auto' or a whole number from 1 to {_MOST_WORKERS}, got {value!r}",
            "load processes on this machine; 'auto' starts as many as the rate needs and the cores allow",
        )
    return value


def _as_is(value: Any) -> Any:
    return value


def _as_tuple(values: Any) -> tuple[Any, ...]:
    return tuple(values)


class Scenario(Part):
    """One question: the servers, the load that each gets, and what counts as good. Seconds, 1/s and shares inside."""

    not_keys: ClassVar[tuple[str, ...]] = ("path", "text")
    path: Path
    text: str
    name: str
    question: str = ""
    model: ModelKeys | None = None
    payload: Payload = Payload()
    slo: Slo = Slo()
    accuracy: Accuracy | None = None
    """What is asked of servers that round on purpose; None holds them to the same answers as all others."""
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
    cores: Annotated[int | tuple[int, ...] | None, PlainValidator(parse_cores)] = None
    """Cores of every server: how many, or which; None leaves it to the harness."""
    tune_time: Annotated[Duration, Gt(0)] = 60.0
    """Seconds of load for the tuning of each tuned server, divided over what is tried of it."""
    tune_users: Annotated[Whole, Ge(1), Le(1024)] = 8
    """Users of the closed loop that every setting is tried with."""
    servers: Annotated[tuple[ServerEntry, ...], PlainValidator(_as_tuple)]
    prices: Annotated[str, MinLen(1)] | None = None
    """A file of the person's own prices, relative to the scenario."""
    traffic: Annotated[Traffic, PlainValidator(_as_is)] = Traffic()
    references: tuple[Reference, ...] = ()
    fail_if: Annotated[tuple[FailIf, ...], PlainValidator(_as_tuple)] = ()
    gates: Annotated[tuple[Gate, ...], MaxLen(MOST_GATES)] = ()
    """What may fail a comparison of two servers; none stands for what suits the load."""
    _document: Document | None = PrivateAttr(default=None)

    @property
    def folder(self) -> Path:
        """What paths inside the scenario are relative to."""
        return self.path.parent

    @property
    def least_agreement(self) -> float | None:
        """The share of answers with the right first class that servers which round on purpose have to give."""
        return None if self.accuracy is None else self.accuracy.top1_agreement

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
    def price_file(self) -> Path | None:
        """The file of the person's own prices; None where the scenario names none."""
        return None if self.prices is None else self.beside(self.prices)

    @property
    def model_spec(self) -> ModelSpec | None:
        """Which model is built, its paths no longer relative; None for a scenario whose servers run none."""
        if self.model is None:
            return None
        keys = self.model
        weights = keys.weights if keys.weights in BUILT_IN_WEIGHTS else str(self.beside(keys.weights))
        path = None if keys.path is None else self.beside(keys.path)
        return ModelSpec(keys.keras_application, path, weights, keys.seed, keys.pixels)

    @property
    def model_path(self) -> Path | None:
        """The model's file or folder; None where it is named or there is none."""
        return None if self.model is None or self.model.path is None else self.beside(self.model.path)

    @property
    def sends_tensors(self) -> bool:
        """Whether requests carry tensors; else they carry photos."""
        return sends_tensors(self)

    def beside(self, path: str) -> Path:
        """A path that the scenario names: relative to the scenario's folder, `~` is the home folder."""
        return self.folder / Path(path).expanduser()

    def _as_written(self, profile: Profile) -> dict[str, Any]:
        """The keys of a profile; a path below the scenario's folder relative to it, as that folder has many places."""
        keys = {field.name: getattr(profile, field.name) for field in dataclasses.fields(profile)}  # type: ignore[arg-type]  # every profile is one
        for name in path_fields(type(profile)):
            if Path(keys[name]).is_relative_to(self.folder):
                keys[name] = str(Path(keys[name]).relative_to(self.folder))
        return keys

    def resolved(self) -> dict[str, Any]:
        """The scenario with every default filled in, as JSON can hold it; seconds, 1/s and shares."""
        return {
            "name": self.name,
            "question": self.question,
            "model": None if self.model is None else self.model.model_dump(),
            "payload": self.payload.model_dump(exclude_none=True) or _DEFAULT_PAYLOAD[self.sends_tensors],
            "slo": self.slo.model_dump(),
            "accuracy": None if self.accuracy is None else self.accuracy.model_dump(),
            "load": [{"profile": type(profile).name, **plain(self._as_written(profile))} for profile in self.load],
            "warmup": self.warmup.model_dump(),
            "trials": self.trials,
            "seed": self.seed,
            "timeout": self.timeout,
            "workers": "auto" if self.workers is None else self.workers,
            "cores": plain(self.cores),
            "tune_time": self.tune_time,
            "tune_users": self.tune_users,
            "servers": {
                entry.name: {
                    "kind": entry.kind,
                    **entry.options,
                    "price": None if entry.price is None else entry.price.model_dump(),
                    "only": list(entry.only),
                    "tune": [plain(setting.values) for setting in entry.tune],
                    "start_timeout": entry.start_timeout,
                }
                for entry in self.servers
                if not entry.tuned_from
            },
            "prices": self.prices,
            "traffic": plain(self.traffic),
            "references": [reference.model_dump() for reference in self.references],
            "fail_if": [condition.text for condition in self.fail_if],
            "gates": [gate.model_dump() for gate in self.gates],
        }


def load_scenario(path: Path, *, set: Sequence[str] = ()) -> Scenario:  # noqa: A002 -- spelled like the flag
    """The scenario in a file, after each `KEY=VALUE` of `set` (`load.1.duration=5s`; list items count from 0).

    Raises: ScenarioError, with `file:line` or `--set KEY=VALUE` as where; ScenarioProblemsError if several.
    """
    document = read_document(path, set)
    problems = Problems(document)
    data: dict[str, Any] = {"name": slug(path.stem), **document.values}
    data |= {"path": path, "text": document.text}
    for key in ("path", "text"):
        if key in document.values:
            problems.unknown((key,), key, known_keys(Scenario))
    _check_name(data["name"], problems)
    data["servers"] = _servers(document.values, path.parent, problems)
    if "load" in data:
        data["load"] = _load(data["load"], path.parent, problems)
    if "traffic" in data:
        data["traffic"] = _traffic(data["traffic"], path.parent, problems)
    conditions, data["fail_if"] = data.get("fail_if", []), ()
    scenario = validated(Scenario, data, (), problems)
    names = document.values.get("servers")
    known = tuple(names) if isinstance(names, dict) else ()
    fail_if = _fail_ifs(conditions, _labels(known, None if problems.found else scenario), problems)
    if scenario is not None:
        check_points(scenario, problems)
        check_references(scenario, [entry.name for entry in scenario.servers] or known, problems)
        check_tuning(scenario, problems)
        check_gates(scenario, problems)
        check_model_given(scenario, problems)
    problems.stop_if_any()
    assert scenario is not None
    scenario = scenario.model_copy(update={"fail_if": fail_if})
    scenario._document = document
    return scenario


def check_files(scenario: Scenario) -> None:
    """Looks at what the scenario points at: the model file, its weights, photos, cores, the price book. No TensorFlow.

    Raises: ScenarioError (ScenarioProblemsError if several) with the `file:line` of the key that names it.
    """
    problems = Problems(scenario._document or Document(str(scenario.path), scenario.text, {}, {}))
    if scenario.model is not None:
        check_model_files(scenario, scenario.model, problems)
    with problems.at(("cores",)):
        split(read_processor(), scenario.cores)
    with problems.at(("payload", scenario.payload.kind) if scenario.payload.kind else ("payload",)):
        check_payload(scenario)
    check_prices(scenario, problems)
    problems.stop_if_any()


# Servers, load and conditions: what the root model cannot check by itself

_COMMON_KEYS = ("kind", "price", "only", "start_timeout", "tune")


def _check_name(name: object, problems: Problems) -> None:
    if isinstance(name, str) and (not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,59}", name)):
        problems.add(
            ("name",),
            f"{name!r} cannot be a folder name",
            "up to 60 letters, digits, '.', '_' and '-', the first one no '.' or '-'",
        )


def _servers(values: Mapping[str, Any], beside: Path, problems: Problems) -> tuple[ServerEntry, ...]:
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


def _load(value: object, beside: Path, problems: Problems) -> tuple[Profile, ...]:
    example = "for example 'load: [{profile: closed, users: 1, duration: 20s}]'"
    if not isinstance(value, list) or not value:
        problems.add(("load",), "must be a list of load profiles", example)
        return ()
    found = (_profile(item, ("load", index), beside, problems) for index, item in enumerate(value))
    return tuple(profile for profile in found if profile is not None)


def _traffic(value: object, beside: Path, problems: Problems) -> Traffic:
    values = validated(model_of(Traffic), value, ("traffic",), problems)
    made = None if values is None else instance_of(values, ("traffic",), beside, problems)
    return made if isinstance(made, Traffic) else Traffic()


def _profile(item: object, keys: KeyPath, beside: Path, problems: Problems) -> Profile | None:
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
    found = validated(model_of(PROFILES[name]), fields, keys, problems, also=("profile",))
    return None if found is None else instance_of(found, keys, beside, problems)


def _labels(servers: Sequence[str], scenario: Scenario | None) -> Mapping[str, Sequence[str] | None]:
    """The load points that each server gets; None for each where there is no scenario that says it."""
    if scenario is None:
        return dict.fromkeys(servers)
    everything = tuple(point.label for point in scenario.points)
    return {entry.name: entry.only or everything for entry in scenario.servers}


def _fail_ifs(value: object, labels: Mapping[str, Sequence[str] | None], problems: Problems) -> tuple[FailIf, ...]:
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
