"""One row per request: the columns, reading and writing them. Everything in a report is computed from these.

Times are float64 seconds since the trial began on one monotonic clock; NaN (null on disk) where the event
never happened. On disk they are rounded to `TIME_GRAIN`, which is finer than a nanosecond: a float's bits below
that are noise that no clock has measured, and half of the file. This module knows nothing of servers, plans or
statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.errors import ResultsError
from bench.files import replacing

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.signedinteger[Any]]
"""Whole numbers, as wide as their column on disk."""

WARMUP, MEASURE = "warmup", "measure"
TIMED_OUT = "timed out"
UNSENT = "unsent"
WRONG_ANSWER = "wrong answer"

TIME_GRAIN = 2.0**-30
"""0.93 ns: what a written instant is a multiple of, so that it is off by 0.47 ns at most.

A power of two, because then the bits below it are zero and cost nothing on disk; a decimal grain would leave
every bit of the float in use. Rounding keeps the order of instants, and their equality.
"""

SCHEMA = pa.schema(
    [
        ("intended_at", pa.float64()),
        ("sent_at", pa.float64()),
        ("first_byte_at", pa.float64()),
        ("done_at", pa.float64()),
        ("status", pa.int32()),
        ("ok", pa.bool_()),
        ("error", pa.dictionary(pa.int32(), pa.string())),
        ("phase", pa.dictionary(pa.int32(), pa.string())),
        ("payload", pa.int32()),
        ("request_bytes", pa.int64()),
        ("response_bytes", pa.int64()),
        ("worker", pa.int32()),
    ]
)


@dataclass(frozen=True, slots=True)
class Samples:
    """Requests of one trial as columns, all of shape (n,), ordered by `intended_at`.

    `status` is the HTTP status, or 200 for a gRPC OK and 1000 + code for any other gRPC status; 0 where no
    reply came. `error` is an index into `errors`, -1 where there was none; `measured` is `phase == "measure"`.
    """

    intended_at: Floats
    sent_at: Floats
    first_byte_at: Floats
    done_at: Floats
    status: Ints
    ok: Bools
    error: Ints
    errors: tuple[str, ...]
    measured: Bools
    payload: Ints
    request_bytes: Ints
    response_bytes: Ints
    worker: Ints

    def __len__(self) -> int:
        return len(self.intended_at)

    @property
    def response_time(self) -> Floats:
        """Seconds a user waited, `done_at - intended_at`; NaN where no reply came."""
        return self.done_at - self.intended_at

    @property
    def service_time(self) -> Floats:
        """Seconds between sending and the last byte, `done_at - sent_at`; NaN where no reply came."""
        return self.done_at - self.sent_at

    @property
    def send_lag(self) -> Floats:
        """Seconds of our own lateness, `sent_at - intended_at`; NaN where nothing was sent."""
        return self.sent_at - self.intended_at

    def has_error(self, text: str) -> Bools:
        """Which rows carry exactly this error."""
        if text not in self.errors:
            return np.zeros(len(self), dtype=np.bool_)
        return np.asarray(self.error == self.errors.index(text), dtype=np.bool_)

    def where(self, rows: Bools | Ints) -> Samples:
        """The rows for which the mask holds, or the rows at these places; those next to each other are no copy."""
        place = _stretch(rows) if rows.dtype == np.bool_ else None
        taken = rows if place is None else place
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        return Samples(**{name: column if name == "errors" else column[taken] for name, column in columns.items()})


def _stretch(mask: NDArray[Any]) -> slice | None:
    """Where the mask holds, if that is one unbroken stretch; measured rows are one, as they follow the warm-up."""
    first, count = int(np.argmax(mask)) if len(mask) else 0, int(np.count_nonzero(mask))
    return slice(first, first + count) if bool(np.all(mask[first : first + count])) else None


def write_samples(path: Path, samples: Samples) -> None:
    """Write the rows as Parquet, whole or not at all; instants are rounded to `TIME_GRAIN`.

    Raises: ResultsError if the disk will not take them.
    """
    table = pa.table(
        {
            "intended_at": _rounded(samples.intended_at),
            "sent_at": _nullable(_rounded(samples.sent_at)),
            "first_byte_at": _nullable(_rounded(samples.first_byte_at)),
            "done_at": _nullable(_rounded(samples.done_at)),
            "status": samples.status.astype(np.int32),
            "ok": samples.ok,
            "error": pa.DictionaryArray.from_arrays(
                pa.array(samples.error.astype(np.int32), mask=samples.error < 0), pa.array(samples.errors, pa.string())
            ),
            "phase": pa.DictionaryArray.from_arrays(
                pa.array(samples.measured.astype(np.int32)), pa.array([WARMUP, MEASURE])
            ),
            "payload": samples.payload.astype(np.int32),
            "request_bytes": samples.request_bytes.astype(np.int64),
            "response_bytes": samples.response_bytes.astype(np.int64),
            "worker": samples.worker.astype(np.int32),
        },
        schema=SCHEMA,
    )
    # Neighbouring instants share their high bytes: stored byte by byte those compress to nothing.
    with replacing(path) as partial:
        pq.write_table(
            table,
            partial,
            compression="zstd",
            use_dictionary=[name for name in SCHEMA.names if name not in _INSTANTS],
            column_encoding=dict.fromkeys(_INSTANTS, "BYTE_STREAM_SPLIT"),
        )


_INSTANTS = ("intended_at", "sent_at", "first_byte_at", "done_at")


def _rounded(times: Floats) -> Floats:
    return np.asarray(np.rint(times / TIME_GRAIN) * TIME_GRAIN, dtype=np.float64)


def read_samples(path: Path) -> Samples:
    """The rows of one trial, ordered by `intended_at`.

    Raises: ResultsError if the file is missing, damaged, lacks a column or holds another type in it.
    """
    with _columns(path, SCHEMA) as column:
        error, phase = column("error"), column("phase")
        phases = np.asarray([*phase.dictionary.to_pylist(), ""])  # the last stands for a phase that is null
        samples = Samples(
            intended_at=_floats(column("intended_at")),
            sent_at=_floats(column("sent_at")),
            first_byte_at=_floats(column("first_byte_at")),
            done_at=_floats(column("done_at")),
            status=_ints(column("status")),
            ok=_bools(column("ok")),
            error=_indices(error),
            errors=tuple(error.dictionary.to_pylist()),
            measured=np.asarray((phases == MEASURE)[_indices(phase)], dtype=np.bool_),
            payload=_ints(column("payload")),
            request_bytes=_ints(column("request_bytes")),
            response_bytes=_ints(column("response_bytes")),
            worker=_ints(column("worker")),
        )
    if np.all(samples.intended_at[1:] >= samples.intended_at[:-1]):
        return samples
    return samples.where(np.argsort(samples.intended_at, kind="stable"))


def concatenate(parts: Sequence[Samples]) -> Samples:
    """All rows of several trials, one after the other; times stay seconds since each one's own start."""
    if len(parts) == 1:
        return parts[0]
    errors = tuple(dict.fromkeys(text for part in parts for text in part.errors))
    columns: dict[str, list[NDArray[Any]]] = {f.name: [] for f in fields(Samples) if f.name != "errors"}
    for part in parts:
        place = np.asarray([*(errors.index(text) for text in part.errors), -1], dtype=np.int32)
        for name, column in columns.items():
            column.append(place[part.error] if name == "error" else getattr(part, name))
    return Samples(errors=errors, **{name: np.concatenate(column) for name, column in columns.items()})


_UNKNOWN: Floats = np.zeros(0)
"""Stands for a column of nothing but NaN."""


def _unknown() -> Floats:
    return _UNKNOWN


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What a server's process tree used, shape (n,): `at` as in `Samples`; NaN where nobody looked or nothing tells.

    Of the processes: CPU seconds and context switches since their start, those ended included, resident and
    proportional bytes (RSS, PSS). `throttled_seconds` is how long their control group was held back. The rest is of
    the whole machine: of its GPUs the share of the time that they were busy, bytes, watts and hertz; joules since the
    trial began of processor packages and of GPUs.
    """

    at: Floats
    cpu_seconds: Floats
    rss_bytes: Floats
    pss_bytes: Floats = field(default_factory=_unknown)
    context_switches: Floats = field(default_factory=_unknown)
    throttled_seconds: Floats = field(default_factory=_unknown)
    gpu_utilisation: Floats = field(default_factory=_unknown)
    gpu_memory_bytes: Floats = field(default_factory=_unknown)
    power_watts: Floats = field(default_factory=_unknown)
    gpu_clock_hz: Floats = field(default_factory=_unknown)
    cpu_energy_joules: Floats = field(default_factory=_unknown)
    gpu_energy_joules: Floats = field(default_factory=_unknown)

    def __post_init__(self) -> None:
        for name in TELEMETRY_COLUMNS:
            if getattr(self, name) is _UNKNOWN:
                object.__setattr__(self, name, np.full(len(self.at), np.nan))


TELEMETRY_COLUMNS = tuple(each.name for each in fields(Telemetry))
TELEMETRY_SCHEMA = pa.schema([(name, pa.float64()) for name in TELEMETRY_COLUMNS])
_NOT_EVERYWHERE = tuple(name for name in TELEMETRY_COLUMNS if name not in ("at", "cpu_seconds", "rss_bytes"))
"""Columns that older files and other machines lack."""


def read_telemetry(path: Path) -> Telemetry:
    """What was seen of the server's processes during one trial.   Raises: ResultsError as `read_samples` does."""
    with _columns(path, TELEMETRY_SCHEMA, _NOT_EVERYWHERE) as column:
        return Telemetry(**{name: _floats(column(name)) for name in TELEMETRY_COLUMNS})


def write_telemetry(path: Path, telemetry: Telemetry) -> None:
    """Write the columns as Parquet, whole or not at all; one without a value is left out.

    Raises: ResultsError if the disk will not take them.
    """
    columns = {name: getattr(telemetry, name) for name in TELEMETRY_COLUMNS}
    kept = [name for name in TELEMETRY_COLUMNS if name not in _NOT_EVERYWHERE or not np.all(np.isnan(columns[name]))]
    table = pa.table({name: _nullable(columns[name]) for name in kept})
    with replacing(path) as partial:
        pq.write_table(table, partial, compression="zstd")


@contextmanager
def _columns(path: Path, schema: pa.Schema, optional: Sequence[str] = ()) -> Iterator[Callable[[str], pa.Array]]:
    """Hands out the columns by name, one array each; one at a time, so that the whole table is never there twice.

    An optional one that the file lacks is all null.
    """
    try:
        # read_table would import pandas, and take a folder a=b for a column.
        with pq.ParquetFile(path) as file:
            absent = [name for name in schema.names if name not in file.schema_arrow.names]
            lacking = [name for name in absent if name not in optional]
            if lacking:
                raise ResultsError(f"lacks the column {lacking[0]!r}", where=str(path))
            yield (
                lambda name: (
                    pa.nulls(file.metadata.num_rows, schema.field(name).type)
                    if name in absent
                    else _column(file, schema.field(name), path)
                )
            )
    except (OSError, pa.ArrowException) as failure:
        raise ResultsError(f"cannot be read: {_first_line(failure)}", where=str(path)) from failure


def _column(file: pq.ParquetFile, field: pa.Field, path: Path) -> pa.Array:
    column = file.read(columns=[field.name])[field.name]
    try:
        return column.cast(field.type).combine_chunks()
    except pa.ArrowException as failure:
        raise ResultsError(f"holds a column of another type: {_first_line(failure)}", where=str(path)) from failure


def _first_line(failure: Exception) -> str:
    return (str(failure) or repr(failure)).splitlines()[0]


def _nullable(times: Floats) -> pa.Array:
    return pa.array(times, mask=np.isnan(times))


def _indices(column: pa.DictionaryArray) -> Ints:
    return _values(column.indices, np.dtype(np.int32), -1)


def _floats(array: pa.Array) -> Floats:
    return _values(array, np.dtype(np.float64), np.nan)


def _ints(array: pa.Array) -> Ints:
    return _values(array, np.dtype(f"int{array.type.bit_width}"), 0)


def _bools(array: pa.Array) -> Bools:
    if not len(array):
        return np.zeros(0, dtype=np.bool_)
    values = _bits(array.buffers()[1], array)
    return values & _bits(array.buffers()[0], array) if array.null_count else values


def _values(array: pa.Array, dtype: np.dtype[Any], fill: float) -> NDArray[Any]:
    """The array's values with `fill` for null. pyarrow's own `to_numpy` first imports pandas, half a second."""
    if not len(array):
        return np.zeros(0, dtype=dtype)
    values = np.frombuffer(array.buffers()[1], dtype=dtype)[array.offset : array.offset + len(array)]
    return np.where(_bits(array.buffers()[0], array), values, dtype.type(fill)) if array.null_count else values


def _bits(buffer: pa.Buffer, array: pa.Array) -> Bools:
    bits = np.unpackbits(np.frombuffer(buffer, dtype=np.uint8), bitorder="little")
    return bits[array.offset : array.offset + len(array)].view(np.bool_)
