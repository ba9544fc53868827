"""A history as lines over commits, with the ranges in which each seems to step and the command that would decide.

Pure: rows in, lines out. What is found here is a proposal; it has no exit code and no word of a verdict.
"""

from __future__ import annotations

import hashlib
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass

from bench.compare.cells import COMPARED, ComparedMetric
from bench.compare.errors import DIFFERENCE
from bench.compare.statistics import t_quantile
from bench.history.rows import Judgement, Label, Row, SeriesKey
from bench.history.suspects import Search, Step, find_steps

SHORT = 10
"""Characters of a commit that are shown; git finds it by them."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A step of one line between two of its commits.

    `id` names it to people. `change` is the new level / the old one - 1, of errors the difference of their shares;
    `worse` tells the direction. `command` measures the two ends against each other; empty, with the reason in
    `why_no_command`, where they are not two commits. `label` is what a person said of it.
    """

    id: str
    key: SeriesKey
    step: Step
    last_good: Row
    first_bad: Row
    at: Row
    change: float
    worse: bool
    command: str
    why_no_command: str
    label: Label | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One server in one metric at one load point on one machine, oldest session first."""

    key: SeriesKey
    rows: tuple[Row, ...]
    search: Search
    suspects: tuple[Suspect, ...]

    @property
    def metric(self) -> ComparedMetric:
        """What is measured."""
        return COMPARED[self.key.metric]


def lines_of(rows: Iterable[Row], judgements: Sequence[Judgement] = (), delta: float | None = None) -> tuple[Line, ...]:
    """Every line, in the order in which it first appears. `delta` is the least step that matters, as a share."""
    by_key: dict[SeriesKey, list[Row]] = {}
    for row in rows:
        by_key.setdefault(row.series, []).append(row)
    return tuple(_line(key, in_order(own), judgements, delta) for key, own in by_key.items())


def in_order(rows: Sequence[Row]) -> tuple[Row, ...]:
    """By when their commits were made if that is known of all, else by when they were measured."""
    if all(row.committed_at for row in rows):
        return tuple(sorted(rows, key=lambda row: (row.committed_at, row.at)))
    return tuple(sorted(rows, key=lambda row: row.at))


def interval(row: Row) -> tuple[float, float] | None:
    """The 95 % interval of a point over its trials, in the metric's unit; None for a single trial."""
    if row.sd is None or row.n < 2:
        return None
    half = t_quantile(row.n - 1) * row.sd / math.sqrt(row.n)
    low, high = row.mean - half, row.mean + half
    return (math.exp(low), math.exp(high)) if row.scale == "log" else (max(0.0, low), high)


def precision(lines: Iterable[Line]) -> tuple[int, int]:
    """How many labelled suspects were true, and how many are labelled."""
    labels = [suspect.label for line in lines for suspect in line.suspects if suspect.label is not None]
    return labels.count("true"), len(labels)


def find_suspect(lines: Iterable[Line], name: str) -> Suspect | None:
    """The suspect of that id."""
    return next((suspect for line in lines for suspect in line.suspects if suspect.id == name), None)


def _line(key: SeriesKey, rows: tuple[Row, ...], judgements: Sequence[Judgement], delta: float | None) -> Line:
    least = COMPARED[key.metric].delta if delta is None else delta
    least = DIFFERENCE if rows[0].scale == "linear" else math.log1p(least)
    search = find_steps([row.mean for row in rows], least)
    said = {each.commit: each for each in judgements if each.series == key}
    return Line(key, rows, search, tuple(_suspect(key, rows, step, said) for step in search.steps))


def _suspect(key: SeriesKey, rows: Sequence[Row], step: Step, said: Mapping[str, Judgement]) -> Suspect:
    good, bad, at = rows[step.last_good], rows[step.first_bad], rows[step.at]
    change = math.expm1(step.change) if at.scale == "log" else step.change
    judgement = next(
        (said[row.commit] for row in rows[step.last_good + 1 : step.first_bad + 1] if row.commit in said), None
    )
    command, why = _command(key, good, bad)
    return Suspect(
        id=hashlib.sha256(repr((astuple(key), at.commit or at.session)).encode()).hexdigest()[:8],
        key=key,
        step=step,
        last_good=good,
        first_bad=bad,
        at=at,
        change=change,
        worse=(change > 0) == (COMPARED[key.metric].better == "lower"),
        command=command,
        why_no_command=why,
        label=None if judgement is None else judgement.label,
        said="" if judgement is None else judgement.said,
    )


def _command(key: SeriesKey, good: Row, bad: Row) -> tuple[str, str]:
    """The `bench ab` that decides, or why there is none."""
    if not (good.commit and bad.commit):
        return "", "a session at one end does not know its commit"
    if good.dirty or bad.dirty:
        return "", "a session at one end had changes that were not committed"
    if good.commit == bad.commit:
        return "", "both ends are the same commit: the machine changed, not the server"
    words = ["bench", "ab", bad.scenario_file or key.scenario]
    for flag, row in (("--baseline", good), ("--candidate", bad)):
        words += [flag, f"{row.server}@{row.commit[:SHORT]}"]
        for change in shlex.split(row.keys):
            words += [f"{flag}-set", change]
    for assignment in shlex.split(bad.settings):
        words += ["--set", assignment]
    return shlex.join(words), ""
