"""One line of a history: what one session measured of one server in one metric, or what a person said of a suspect.

Plain values and their JSON; nothing here opens a file.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from bench.compare.cells import COMPARED

SCHEMA = 1
LABELS = ("true", "noise", "infra")
"""What a person can say of a suspect: a change of the server, chance, or the machine's doing."""
Label = Literal["true", "noise", "infra"]


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """What has to be the same for two rows to be points of one line."""

    environment: str
    scenario: str
    workload: str
    load: str
    metric: str
    server: str


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of one server over the trials of one session.

    `mean` is the mean over `n` trials of the value's natural log, or of the value itself where `scale` is linear, as
    it is for error rates; `sd` is its standard deviation there, None for a single trial. `at` is when the session
    began and `committed_at` when the commit was made, in ISO 8601; what is not known is empty. `environment` names
    the machine coarsely, the same after a reboot; `machine` describes it in words. `keys` are those that its side of a
    paired session had for itself, `settings` the assignments of the whole session; both as words of a command line.
    """

    session: str
    at: str
    scenario: str
    server: str
    metric: str
    load: str
    scale: Literal["log", "linear"]
    mean: float
    sd: float | None
    n: int
    environment: str
    machine: str
    workload: str
    commit: str = ""
    dirty: bool = False
    committed_at: str = ""
    scenario_file: str = ""
    keys: str = ""
    settings: str = ""

    kind: ClassVar[str] = "row"

    @property
    def series(self) -> SeriesKey:
        """The line that it is a point of: a server with keys of its own is another server."""
        server = f"{self.server} {self.keys}".strip()
        return SeriesKey(self.environment, self.scenario, self.workload, self.load, self.metric, server)

    @property
    def value(self) -> float:
        """The mean in the metric's own unit: geometric for a log scale."""
        return math.exp(self.mean) if self.scale == "log" else self.mean


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a person said of the suspect of one line that begins at a commit."""

    environment: str
    scenario: str
    workload: str
    load: str
    metric: str
    server: str
    commit: str
    label: Label
    at: str
    said: str = ""

    kind: ClassVar[str] = "judgement"

    @property
    def series(self) -> SeriesKey:
        """The line that the suspect was found in."""
        return SeriesKey(self.environment, self.scenario, self.workload, self.load, self.metric, self.server)


class NewerSchemaError(ValueError):
    """A line that a newer bench wrote."""


def to_document(entry: Row | Judgement) -> dict[str, Any]:
    """What one line holds."""
    return {"schema": SCHEMA, "kind": entry.kind, **dataclasses.asdict(entry)}


def from_document(document: object) -> Row | Judgement:
    """The entry of one line.   Raises: NewerSchemaError; ValueError saying what is wrong with it."""
    if not isinstance(document, Mapping):
        raise ValueError("is not a JSON object")
    schema = document.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise ValueError("has no schema number")
    if schema > SCHEMA:
        raise NewerSchemaError(f"has schema {schema}; this bench reads up to {SCHEMA}")
    kinds: dict[object, type[Row] | type[Judgement]] = {"row": Row, "judgement": Judgement}
    kind = kinds.get(document.get("kind"))
    if kind is None:
        raise ValueError(f"is of an unknown kind {document.get('kind')!r}")
    entry = kind(**{field.name: _checked(field, document) for field in dataclasses.fields(kind)})
    if isinstance(entry, Row):
        _check_row(entry)
    elif entry.label not in LABELS:
        raise ValueError(f"label is {entry.label!r}, not one of {', '.join(LABELS)}")
    return entry


def _checked(field: dataclasses.Field[Any], document: Mapping[Any, Any]) -> Any:
    if field.name not in document:
        if field.default is dataclasses.MISSING:
            raise ValueError(f"has no {field.name!r}")
        return field.default
    value = document[field.name]
    expected = str(field.type)
    if expected in ("float", "float | None"):
        fits = _is_number(value) or (value is None and "None" in expected)
        value = float(value) if _is_number(value) else value
    elif expected == "int":
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif expected == "bool":
        fits = isinstance(value, bool)
    else:
        fits = isinstance(value, str)
    if not fits:
        raise ValueError(f"{field.name} is {str(value)[:40]!r}, which does not fit")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_row(row: Row) -> None:
    if row.metric not in COMPARED:
        raise ValueError(f"unknown metric {row.metric!r}")
    if row.scale not in ("log", "linear"):
        raise ValueError(f"unknown scale {row.scale!r}")
    if row.scale == "log" and abs(row.mean) > 700:
        raise ValueError(f"a log of {row.mean:g} is no measurement")
    if row.n < 1 or (row.sd is not None and row.sd < 0):
        raise ValueError("has no trials, or a negative spread")
