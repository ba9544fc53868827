"""Timestamps of requests that once came, read from a text file: one per line, in seconds, ascending.

Any origin will do (the clock of a log, seconds since a start); comments begin with `#`. This module knows nothing
of profiles or scenarios.
"""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from bench.errors import ScenarioError

_MOST_BYTES = 256_000_000
_ONE_PER_LINE = "a recording has one timestamp in seconds per line, ascending; a comment begins with #"


@dataclass(frozen=True, slots=True)
class Recording:
    """When requests came: seconds since the first of them, ascending, equal ones included; `digest` is of the file."""

    times: array[float]
    digest: str

    @property
    def span(self) -> float:
        """Seconds from the first request to the last."""
        return self.times[-1]

    @property
    def mean_gap(self) -> float:
        """Mean seconds from one request to the next; 0 if there is only one."""
        return self.span / max(1, len(self.times) - 1)

    @property
    def longest_gap(self) -> float:
        """Most seconds from one request to the next."""
        return max((later - at for at, later in zip(self.times, self.times[1:], strict=False)), default=0.0)


def read_recording(path: Path) -> Recording:
    """The recording in a file.   Raises: ScenarioError with `file:line`."""
    data = _read(path)
    times = array("d")
    first = before = Decimal(0)
    for number, line in enumerate(data.decode("utf-8", errors="replace").splitlines(), start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        at = _timestamp(text, f"{path}:{number}")
        if not times:
            first = before = at
        if at < before:
            raise ScenarioError(
                f"{text} comes after {before}, which is later", where=f"{path}:{number}", hint=_ONE_PER_LINE
            )
        before = at
        times.append(float(at - first))  # as decimals: a float since 1970 would be known to some 0.2 microseconds only
    if not times:
        raise ScenarioError("holds no timestamp", where=f"{path}:1", hint=_ONE_PER_LINE)
    return Recording(times, hashlib.sha256(data).hexdigest())


def _timestamp(text: str, where: str) -> Decimal:
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    try:
        at = Decimal(text)
    except InvalidOperation as failure:
        raise ScenarioError(f"not a number: {shown!r}", where=where, hint=_ONE_PER_LINE) from failure
    if not at.is_finite() or abs(at) > 10**12:
        raise ScenarioError(f"not a time in seconds: {shown!r}", where=where, hint=_ONE_PER_LINE)
    return at


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as failure:
        raise ScenarioError(f"{path} cannot be read: {failure.strerror}", hint=_ONE_PER_LINE) from failure
    if len(data) > _MOST_BYTES:
        raise ScenarioError(f"{path} has more than {_MOST_BYTES // 1_000_000} MB", hint="replay a part of it")
    return data
