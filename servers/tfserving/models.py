"""Several models and versions in one server: what a scenario says of them, and the ModelServerConfig made of it.

A model without a path of its own is the scenario's, under another name or several version numbers: only such a one
can be asked, since only its right answers are known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, MinLen

from .batching import Batching  # noqa: TID252 -- this folder is no part of any package that has a name

ONLY = "model"
"""The name of the only model where a scenario names none."""

Version = Annotated[int, Ge(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One of the models of a server, with the versions that lie there and those that are served."""

    path: Annotated[str | None, "path"] = None
    """A folder that holds version folders; by default the scenario's own model."""
    versions: Annotated[tuple[Version, ...], MinLen(1)] = (1,)
    """Numbers that the scenario's own model lies under, the same model in each."""
    serve: Literal["latest", "all"] | Annotated[tuple[Version, ...], MinLen(1)] = "latest"
    """Which of its versions are served: the latest, all, or those of a list."""
    latest: Annotated[int, Ge(1)] | None = None
    """How many of the latest; one unless it says more."""
    labels: Mapping[str, Version] = field(default_factory=dict)
    """Names that stand for versions."""
    batching: Batching | None = None
    """Its own parameters, in its version folders."""

    def __post_init__(self) -> None:
        """Refuse versions that are not there, and what says the same thing twice."""
        if self.path is not None and self.versions != (1,):
            raise ValueError("versions number copies of the scenario's own model; with path the folder has its own")
        if self.latest is not None and self.serve != "latest":
            raise ValueError("latest says how many versions are served with serve: latest")
        if self.path is None:
            self.check(self.versions)

    def check(self, there: Sequence[int]) -> None:
        """Raise ValueError unless what is served, and what labels stand for, is among the versions that are there."""
        if isinstance(self.serve, tuple) and (lacking := set(self.serve) - set(there)):
            raise ValueError(f"serve names version {min(lacking)}, and there is {_listed(there)}")
        for label, version in self.labels.items():
            if version not in self.served(there):
                raise ValueError(f"label {label} stands for version {version}; served is {_listed(self.served(there))}")

    def served(self, there: Sequence[int]) -> tuple[int, ...]:
        """The versions that are served, of those that are there, ascending."""
        if self.serve == "all":
            return tuple(sorted(there))
        if self.serve == "latest":
            return tuple(sorted(there)[-(self.latest or 1) :])
        assert isinstance(self.serve, tuple)
        return tuple(sorted(set(self.serve)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Which model, and which version of it by number or label, the load goes to; by default the latest served."""

    model: str | None = None
    version: Version | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        """Refuse two ways to say which version."""
        if self.version is not None and self.label is not None:
            raise ValueError("ask for a version or for a label, not for both")


@dataclass(frozen=True, slots=True)
class Laid:
    """A model as it lies on disk for one start; `base` holds its version folders."""

    name: str
    model: Model
    base: Path


def asked_model(models: Mapping[str, Model], ask: Ask) -> str:
    """The name of the model that the load goes to.   Raises: ValueError if it is none that can be asked."""
    own = [name for name, model in models.items() if model.path is None]
    if not own:
        raise ValueError("none of models is the scenario's own (one without path), so there is nothing to ask")
    if ask.model is not None and ask.model not in models:
        raise ValueError(f"ask.model is {ask.model!r}, and models are {', '.join(models)}")
    if ask.model is not None and ask.model not in own:
        raise ValueError(f"ask.model is {ask.model!r}, which has a path: the right answers of that model are not known")
    name = ask.model or own[0]
    model = models[name]
    served = model.served(model.versions)
    if ask.version is not None and ask.version not in served:
        raise ValueError(f"ask.version is {ask.version}, and of {name} is served {_listed(served)}")
    if ask.label is not None and ask.label not in model.labels:
        known = ", ".join(model.labels) or "none"
        raise ValueError(f"ask.label is {ask.label!r}, and labels of {name} are: {known}")
    return name


def check_names(names: Iterable[str]) -> None:
    """Raise ValueError for a name that cannot stand in a path of its REST API."""
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
            raise ValueError(f"not the name of a model: {name!r}; letters, digits, '_', '.' and '-' are")


def config_text(laid: Iterable[Laid]) -> str:
    """The ModelServerConfig as a text proto."""
    return "model_config_list {\n" + "".join(_config(each) for each in laid) + "}\n"


def _config(laid: Laid) -> str:
    lines = [
        f"name: {json.dumps(laid.name)}",
        f"base_path: {json.dumps(str(laid.base))}",
        'model_platform: "tensorflow"',
        f"model_version_policy {{ {_policy(laid.model)} }}",
        *(f"version_labels {{ key: {json.dumps(label)} value: {it} }}" for label, it in laid.model.labels.items()),
    ]
    return "  config {\n" + "".join(f"    {line}\n" for line in lines) + "  }\n"


def _policy(model: Model) -> str:
    if model.serve == "all":
        return "all { }"
    if model.serve == "latest":
        return f"latest {{ num_versions: {model.latest or 1} }}"
    return f"specific {{ {' '.join(f'versions: {version}' for version in model.serve)} }}"


def _listed(versions: Sequence[int]) -> str:
    return ("version " if len(versions) == 1 else "versions ") + ", ".join(map(str, sorted(versions)))
