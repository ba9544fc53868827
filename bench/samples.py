"""One row per request: the columns, reading and writing them. Everything in a report is computed from these.

Times are float64 seconds since the trial began on one monotonic clock; NaN (null on disk) where the event
never happened. This module knows nothing of servers, plans or statistics.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.errors import ResultsError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

WARMUP, MEASURE = "warmup", "measure"
TIMED_OUT = "timed out"
UNSENT = "unsent"
WRONG_ANSWER = "wrong answer"

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

    def where(self, rows: Bools) -> Samples:
        """The rows for which the mask holds."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        return Samples(**{name: column if name == "errors" else column[rows] for name, column in columns.items()})


def write_samples(path: Path, samples: Samples) -> None:
    """Write the rows as Parquet, whole or not at all: to a temporary name first, then renamed."""
    table = pa.table(
        {
            "intended_at": samples.intended_at,
            "sent_at": _nullable(samples.sent_at),
            "first_byte_at": _nullable(samples.first_byte_at),
            "done_at": _nullable(samples.done_at),
            "status": samples.status.astype(np.int32),
            "ok": samples.ok,
            "error": pa.DictionaryArray.from_arrays(
                pa.array(samples.error.astype(np.int32), mask=samples.error < 0), pa.array(samples.errors, pa.string())
            ),
            "phase": pa.DictionaryArray.from_arrays(
                pa.array(samples.measured.astype(np.int32)), pa.array([WARMUP, MEASURE])
            ),
            "payload": samples.payload.astype(np.int32),
            "request_bytes": samples.request_bytes,
            "response_bytes": samples.response_bytes,
            "worker": samples.worker.astype(np.int32),
        },
        schema=SCHEMA,
    )
    partial = path.with_suffix(".partial")
    pq.write_table(table, partial, compression="zstd")
    partial.replace(path)


def read_samples(path: Path) -> Samples:
    """The rows of one trial.   Raises: ResultsError if the file is missing, damaged or lacks a column."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as failure:
        raise ResultsError(f"cannot be read as samples: {failure}", where=str(path)) from failure
    absent = [name for name in SCHEMA.names if name not in table.column_names]
    if absent:
        raise ResultsError(f"lacks the column {absent[0]!r}", where=str(path))
    error = table["error"].combine_chunks()
    phase = table["phase"].combine_chunks()
    return Samples(
        intended_at=_floats(table["intended_at"]),
        sent_at=_floats(table["sent_at"]),
        first_byte_at=_floats(table["first_byte_at"]),
        done_at=_floats(table["done_at"]),
        status=_ints(table["status"]),
        ok=table["ok"].to_numpy(),
        error=error.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64),
        errors=tuple(error.dictionary.to_pylist()),
        measured=np.asarray(phase.dictionary.to_pylist() or [""])[phase.indices.to_numpy()] == MEASURE,
        payload=_ints(table["payload"]),
        request_bytes=_ints(table["request_bytes"]),
        response_bytes=_ints(table["response_bytes"]),
        worker=_ints(table["worker"]),
    )


def _nullable(times: Floats) -> pa.Array:
    return pa.array(times, mask=np.isnan(times))


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.combine_chunks().to_numpy(zero_copy_only=False), dtype=np.float64)


def _ints(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.combine_chunks().to_numpy(zero_copy_only=False), dtype=np.int64)
