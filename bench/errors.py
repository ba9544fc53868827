"""Everything that bench raises on purpose, drawn as a tree.

BenchError                      where, what, hint; exit code 1 is never raised on purpose
├── UsageError            2     a flag or an argument that cannot be used
├── ScenarioError         2     the scenario file, or something it points at
├── ServerFolderError     2     a folder of servers/ that is not a server
├── ResultsError          2     a results folder that cannot be read or written
│   └── UnwritableError         the disk does not take it: full, read-only, not ours
├── ArtifactError        13     a model or an environment that could not be built
├── LaunchError          13     a server that did not start, or died
├── LoadError            13     the load generator failed
├── AnswerError          13     a reply that cannot be read as an answer
├── NotComparableError   12     runs that must not be compared
└── NothingMeasuredError 13     the run ended without one valid measurement

This module imports nothing of ours and knows nothing of how an error is printed.
"""

from __future__ import annotations


class BenchError(Exception):
    """What went wrong, where, and what to do about it; `str()` is what a person reads.

    Shape: `where: what`, then each line of the hint indented below it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        first = f"{self.where}: {self.what}" if self.where else self.what
        if not self.hint:
            return first
        head, *rest = self.hint.splitlines()
        return "\n".join([first, f"  hint: {head}", *(f"        {line}" for line in rest)])


class UsageError(BenchError):
    """A flag or an argument that cannot be used."""

    exit_code = 2


class ScenarioError(BenchError):
    """The scenario file, or something that it points at, is wrong; `where` is file:line."""

    exit_code = 2


class ServerFolderError(BenchError):
    """A folder that was named as a server kind and is not one."""

    exit_code = 2


class ResultsError(BenchError):
    """A results folder that cannot be read or written."""

    exit_code = 2


class UnwritableError(ResultsError):
    """The disk does not take what is to be written; what was written before is kept."""


class ArtifactError(BenchError):
    """A model or an environment that could not be built."""

    exit_code = 13


class LaunchError(BenchError):
    """A server that did not start, did not become ready, or died; `hint` holds its log's last lines."""

    exit_code = 13


class LoadError(BenchError):
    """The load generator failed; what it had recorded until then is kept."""

    exit_code = 13


class AnswerError(BenchError):
    """A reply whose bytes cannot be read as an answer."""

    exit_code = 13


class NotComparableError(BenchError):
    """Runs that must not be compared; names the key in which they differ."""

    exit_code = 12


class NothingMeasuredError(BenchError):
    """The run ended without one valid measurement."""

    exit_code = 13
