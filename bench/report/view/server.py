"""Which servers a report shows, under which names and numbers, and at which load points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from bench.measures.agreement import agreement_text
from bench.profiles import Capacity
from bench.report.look import distinct
from bench.report.view.words import absence, is_open, load_title, one_line
from bench.results import Outcome
from bench.summary import Row, ServerSummary, Summary
from bench.summary.ranking import ranking

OTHER = "\N{ALMOST EQUAL TO}"
"""Behind the name of a server that does other work than the model: a rounded or pruned form of it."""


@dataclass(frozen=True, slots=True)
class ServerView:
    """One server of the report; `number` decides its look: its place in the scenario, measured servers first.

    `absent` is empty for a server with at least one measured load point, else `skipped: no GPU`.
    """

    number: int
    name: str
    summary: ServerSummary
    rows: tuple[Row, ...]
    absent: str
    looks: tuple[Row, ...] = ()

    @property
    def other_work(self) -> str:
        """How it rounds on purpose: it is then ranked among its like only, and its name has a mark that says so."""
        return self.summary.other_work

    @property
    def measured(self) -> tuple[Row, ...]:
        """Its load points that carry figures."""
        return tuple(row for row in self.rows if row.outcome is Outcome.OK)

    @property
    def curve(self) -> tuple[Row, ...]:
        """Every load that it was measured at: its load points, and in the place of a search all looks of it."""
        points = (row for row in self.measured if row.look is None)
        return (*points, *(row for row in self.looks if row.outcome is Outcome.OK))

    def row(self, label: str) -> Row | None:
        """Its row at one load point."""
        return next((row for row in self.rows if row.label == label), None)


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """One load that servers were measured at."""

    label: str
    title: str
    open_loop: bool
    arrival_rate: float | None


def servers(summary: Summary) -> tuple[ServerView, ...]:
    """Every server in the order of the scenario, skipped and failed ones included; equal names of two runs differ."""
    several = len(summary.run_ids) > 1
    twice = {s.server for s in summary.servers if sum(o.server == s.server for o in summary.servers) > 1}
    names = distinct(
        [f"{s.server} ({s.run_id})" if several and s.server in twice else s.server for s in summary.servers]
    )
    # Colours are few: those that were measured get theirs first, so that skipped ones use none up.
    places = sorted(range(len(names)), key=lambda place: summary.servers[place].outcome is not Outcome.OK)
    return tuple(
        replace(
            _server_view(places.index(place), marked(one_line(name), server), server, _of(server, summary.rows)),
            looks=_of(server, summary.looks),
        )
        for place, (name, server) in enumerate(zip(names, summary.servers, strict=True))
    )


def marked(name: str, server: ServerSummary) -> str:
    """The name of a server, with a mark where it does other work than the model."""
    return f"{name} {OTHER}" if server.other_work else name


def other_work_texts(summary: Summary) -> tuple[str, ...]:
    """What the mark says of each server that does other work and was measured, in one sentence; none without any."""
    found = [
        f"{one.name.removesuffix(f' {OTHER}')} ({one.other_work}; {agreement_text(one.summary.answers)})"
        for one in servers(summary)
        if one.other_work and not one.absent
    ]
    return (f"{OTHER} other work than the model's, ranked apart: {', '.join(found)}.",) if found else ()


def _of(server: ServerSummary, rows: Iterable[Row]) -> tuple[Row, ...]:
    return tuple(row for row in rows if _same(row, server))


def _same(row: Row, server: ServerSummary) -> bool:
    return (row.server, row.run_id) == (server.server, server.run_id)


def _server_view(number: int, name: str, server: ServerSummary, rows: tuple[Row, ...]) -> ServerView:
    if any(row.outcome is Outcome.OK for row in rows):
        return ServerView(number, name, server, rows, "")
    if server.outcome is not Outcome.OK:
        return ServerView(number, name, server, rows, absence(server.outcome, server.reason))
    reasons = [absence(row.outcome, row.reason) for row in rows]
    return ServerView(number, name, server, rows, reasons[0] if reasons else "not measured")


def load_points(summary: Summary) -> tuple[LoadPoint, ...]:
    """Every load point with at least one measured server: closed loop first, each by rising load."""
    found: dict[str, Row] = {}
    for row in summary.rows:
        if row.outcome is Outcome.OK:
            found.setdefault(row.label, row)
    ordered = sorted(found.values(), key=_load_order)
    return tuple(LoadPoint(row.label, load_title(row), is_open(row), _common_rate(row)) for row in ordered)


def _common_rate(row: Row) -> float | None:
    """The arrival rate that all servers got at this load point; at its capacity each has its own."""
    return None if row.profile == Capacity.name else row.arrival_rate


def _load_order(row: Row) -> tuple[bool, str, float, str]:
    return (
        is_open(row),
        "~" if row.profile == Capacity.name else row.profile,
        row.arrival_rate or row.users or 0,
        row.label,
    )


def best_rows(summary: Summary, *, other_work: bool = False) -> tuple[Row, ...]:
    """The row of each server that the answer compares, the chosen one first; no INVALID row is among them.

    With `other_work` those of the servers that do other work than the model, the best of them first.
    """
    return ranking(summary.rows, summary.slo, summary.costs, other_work=other_work)


def groups(items: Sequence[ServerView], size: int) -> tuple[tuple[ServerView, ...], ...]:
    """The servers dealt to groups of at most `size`, as evenly as can be, in their order."""
    count = -(-len(items) // size)
    bounds = [len(items) * i // count for i in range(count + 1)] if count else [0]
    return tuple(tuple(items[a:b]) for a, b in pairwise(bounds))
