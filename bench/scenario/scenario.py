"""YAML file -> Scenario: what a person asked, checked down to the last key; every error carries `file:line` and a hint.

With `fields.py`, `scenario_parts.py` and `scenario_servers.py` the only place that uses pydantic: kinds of servers and
load profiles are plain dataclasses that know nothing of it. It starts nothing and loads no model.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import (
    PlainValidator,
    PrivateAttr,
)

from bench.cost.traffic import Traffic
from bench.document import Document, KeyPath, read_document
from bench.model.files import ModelSpec
from bench.names import did_you_mean, slug
from bench.problems import Problems
from bench.profiles import PROFILES, Closed, Profile
from bench.scenario.budget import parse_cores, read_processor, split
from bench.scenario.checks import (
    BUILT_IN_WEIGHTS,
    check_gates,
    check_model_files,
    check_model_given,
    check_points,
    check_prices,
    check_references,
    check_servers_here,
    check_tuning,
)
from bench.scenario.condition import FailIf, check_names, parse_fail_if
from bench.scenario.fields import Part, instance_of, known_keys, model_of, path_fields, plain, validated
from bench.scenario.inputs import DEFAULT_EXAMPLES, DEFAULT_SEED, check_payload, sends_tensors
from bench.scenario.parts import MOST_GATES, Accuracy, Duration, Gate, ModelKeys, Payload, Reference, Slo, Warmup, Whole
from bench.scenario.servers import ServerEntry, read_servers
from bench.units import UnitError

_MOST_WORKERS = 256
_CONDITION = "tfserving.p95 > 500ms"
_DEFAULT_PAYLOAD: Mapping[bool, Mapping[str, Any]] = {
    False: {"images": "sample"},
    True: {"generate": {"examples": DEFAULT_EXAMPLES, "seed": DEFAULT_SEED}},
}
"""What is sent where nothing is written, by whether requests carry tensors."""


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
    data["servers"] = read_servers(document.values, path.parent, problems)
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
    """Looks at what it points at: the model file, its weights, photos, cores, prices, variables. No TensorFlow.

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
    check_servers_here(scenario, problems)
    problems.stop_if_any()


def _check_name(name: object, problems: Problems) -> None:
    if isinstance(name, str) and (not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,59}", name)):
        problems.add(
            ("name",),
            f"{name!r} cannot be a folder name",
            "up to 60 letters, digits, '.', '_' and '-', the first one no '.' or '-'",
        )


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
