"""Which models the stand-in for TensorFlow Serving is asked to serve: its flags, or a ModelServerConfig as text."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving_faults import leave  # type: ignore[import-not-found]  # beside it on the path of the stand-in

log = logging.getLogger("tensorflow_model_server")
Value = bool | int | float | str


@dataclass(frozen=True)
class Config:
    """One model of a ModelServerConfig; without `specific` and `every` the `latest` versions are wanted."""

    name: str
    base: Path
    latest: int = 1
    every: bool = False
    specific: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)

    def wanted(self, there: Sequence[int]) -> list[int]:
        """The versions to serve, of those that are there."""
        if self.specific:
            return sorted(set(self.specific) & set(there))
        return sorted(there) if self.every else sorted(there)[-self.latest :]


def configs(flags: Mapping[str, Value]) -> list[Config]:
    """What the flags ask for; leaves where the real program refuses it."""
    file = str(flags["model_config_file"])
    if not file:
        name, base = str(flags["model_name"]), Path(str(flags["model_base_path"]))
        log.info("Building single TensorFlow model file config:  model_name: %s model_base_path: %s", name, base)
        return [Config(name, base)]
    refused = "Failed to start server. Error: INVALID_ARGUMENT: "
    try:
        found = [config_of(each) for lists in text_proto(Path(file).read_text())["model_config_list"]
                 for each in lists["config"]]  # fmt: skip
    except OSError as failure:
        leave(f"{refused}{failure}")
    except (ValueError, KeyError, IndexError, TypeError):
        leave(f"{refused}Invalid protobuf file: '{file}'")
    names = [config.name for config in found]
    for name in names:
        if names.count(name) > 1:
            leave(f"{refused}Illegal to list model {name} multiple times in config list")
    for config in found:
        if not config.base.is_absolute():
            leave(
                f"{refused}Expected model {config.name} to have an absolute path or URI; got base_path()={config.base}"
            )
        if config.labels and not flags["allow_version_labels_for_unavailable_models"]:
            leave(
                "Failed to start server. Error: FAILED_PRECONDITION: Request to assign label to version "
                f"{next(iter(config.labels.values()))} of model {config.name}, which is not currently available"
            )
    return found


def config_of(said: Mapping[str, list[Any]]) -> Config:
    """One config of the list.   Raises: KeyError, IndexError, ValueError."""
    if said["model_platform"] != ["tensorflow"]:
        raise ValueError(said["model_platform"])
    (policy,) = said.get("model_version_policy") or [{}]
    (latest,) = policy.get("latest") or [{}]
    return Config(
        name=said["name"][0],
        base=Path(said["base_path"][0]),
        latest=(latest.get("num_versions") or [1])[0],
        every="all" in policy,
        specific=tuple(version for each in policy.get("specific", ()) for version in each["versions"]),
        labels={each["key"][0]: each["value"][0] for each in said.get("version_labels", ())},
    )


def text_proto(text: str) -> dict[str, list[Any]]:
    """A text proto as lists of values by name.   Raises: ValueError, IndexError."""
    tokens = re.findall(r'"(?:[^"\\]|\\.)*"|[\w.+-]+|[{}:]|\S', text)
    tokens.reverse()

    def message(end: bool) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        while tokens:
            name = tokens.pop()
            if name == "}" and end:
                return found
            if not re.fullmatch(r"\w+", name):
                raise ValueError(name)
            if tokens[-1] == ":":
                tokens.pop()
            found.setdefault(name, []).append(value())
        if end:
            raise ValueError("unfinished")
        return found

    def value() -> Any:
        token = tokens.pop()
        if token == "{":
            return message(end=True)
        if token.startswith('"'):
            return token[1:-1]
        return int(token)

    return message(end=False)
