"""The comparison: one line per server, at the load that speaks for it, ranked ones first; every output shows the same.

`templates/script/standing.js` computes the same lines in the browser, from the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bench import units
from bench.measures.agreement import agreement_text
from bench.measures.capacity import capacity_text
from bench.measures.stats import Interval, values_needed
from bench.profiles import Capacity
from bench.report.view.server import ServerView, servers
from bench.report.view.words import cost, is_open, needed, one_line, percentile, percentile_text, tail, tail_text
from bench.summary import Row, Summary, Verdict
from bench.summary.ranking import ranking, undecided


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the comparison; `better` is empty where no value is better than another."""

    slug: str
    title: str
    better: str = ""
    number: bool = True


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure: what is shown, its interval or remark, what it sorts by, and whether it is the column's best."""

    text: str
    note: str = ""
    value: float | None = None
    best: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """One server. `row` is the load point that speaks for it; `place` counts ranked servers from 1, 0 is not ranked.

    `why` says why it is not ranked, `absent` why it has no figures at all. The first in place is the choice, unless
    nobody can serve the traffic that is asked for. Those that do other work than the model are counted for themselves,
    and the first of them is no choice; `accuracy` says how far from the model each is.
    """

    one: ServerView
    row: Row | None
    place: int
    why: str
    absent: str
    cells: tuple[Cell, ...]
    chosen: bool = False
    accuracy: str = ""

    @property
    def name(self) -> str:
        """The server's name on one line."""
        return self.one.name

    @property
    def apart(self) -> bool:
        """Whether it does other work than the model, in the group of its like."""
        return bool(self.one.other_work)

    @property
    def remark(self) -> str:
        """What stands below its name: that it is the choice, or why it is not ranked."""
        if self.chosen:
            return "the choice"
        return "best of its group" if self.apart and self.place == 1 else self.why


def columns(summary: Summary) -> tuple[Column, ...]:
    """The columns after the server's name."""
    return (
        Column("load", "judged at", number=False),
        Column("n", "n"),
        Column("alone", "p50 alone", "lower"),
        Column("tail", tail_text(summary), "lower"),
        Column("goodput", "served in SLO", "higher"),
        Column("capacity", "capacity", "higher"),
        Column("cost", "$ per million", "lower"),
        Column("times", "x cheapest"),
        Column("verdict", "verdict", number=False),
    )


def standings(summary: Summary) -> tuple[Standing, ...]:
    """Every server: ranked ones cheapest first, then measured ones that are not, then those without figures.

    Those that do other work than the model follow in a group of their own, ranked among themselves.
    """
    views = servers(summary)
    said: list[Standing] = []
    for apart in (False, True):
        group = [one for one in views if bool(one.other_work) is apart]
        said += _with_best(_group(group, summary, apart=apart), columns(summary))
    return tuple(sorted(said, key=lambda each: (bool(each.absent), each.apart)))


def _group(group: Sequence[ServerView], summary: Summary, *, apart: bool) -> list[Standing]:
    """The servers that do the same work, or those that do other work, ranked among themselves."""
    ranked = ranking(summary.rows, summary.slo, summary.costs, other_work=apart)
    cheapest = min((value for row in ranked if (value := cost(row)) is not None), default=None)
    said = []
    for one in group:
        row = next((row for row in ranked if row in one.rows), None)
        place = 0 if row is None else ranked.index(row) + 1
        why = "" if one.absent or place else why_unranked(one, summary)
        shown = row or (None if one.absent else nearest(one.measured, summary))
        chosen = place == 1 and not apart and not undecided(summary.costs)
        cells = _cells(one, shown, summary, cheapest)
        said.append(Standing(one, shown, place, why, one.absent, cells, chosen, accuracy_text(one)))
    return sorted(said, key=lambda each: (bool(each.absent), each.place == 0, each.place))


def accuracy_text(one: ServerView) -> str:
    """`int8 weights; same class for 2 of 3 inputs, ...`; empty for a server that has to answer as the model does."""
    if not one.other_work or one.absent:
        return ""
    return one_line(f"{one.other_work}; {agreement_text(one.summary.answers)}")


def why_unranked(one: ServerView, summary: Summary) -> str:
    """Why a measured server cannot be chosen."""
    rows = one.measured
    if "response_time" not in summary.slo:
        return "no SLO to rank by"
    trusted = [row for row in rows if row.verdict is not Verdict.INVALID]
    if not trusted:
        first = rows[0].reasons[0].what if rows[0].reasons else "no reason recorded"
        return one_line(f"INVALID: {first}")
    met = [row for row in trusted if row.slo_met]
    if not met:
        return "misses the SLO at every load"
    needs = values_needed(summary.slo.get("percentile", 95.0) / 100)
    enough = [row for row in met if row.n >= needs]
    if not enough:
        return f"meets the SLO, but with fewer than {units.count_text(needs)} requests"
    if not any(is_open(row) for row in enough):
        return "meets the SLO in closed loop only"
    bill = None if summary.costs is None else summary.costs.of(one.summary.server, one.summary.run_id)
    if bill is not None and bill.verdict is Verdict.INVALID:
        return one_line(f"meets the SLO, but not ranked: {bill.reasons[0].what}")
    return one_line(f"meets the SLO, but not ranked: {bill.absent if bill and bill.absent else 'no price'}")


def nearest(rows: Sequence[Row], summary: Summary) -> Row:
    """Of a server that is not ranked the most load within the SLO, else the row with the lowest percentile."""
    trusted = [row for row in rows if row.verdict is not Verdict.INVALID] or list(rows)
    met = [row for row in trusted if row.slo_met]
    if met:
        return max(met, key=lambda row: (is_open(row), row.arrival_rate or row.users or 0))
    known = [row for row in trusted if percentile(row.response_time, tail(summary)) is not None]
    return min(known, key=lambda row: percentile(row.response_time, tail(summary)) or 0.0, default=trusted[0])


def load_short(row: Row) -> str:
    """`8 users`, `10/s`."""
    if row.users is not None:
        return f"{units.count_text(row.users)} user{'' if row.users == 1 else 's'}"
    if row.arrival_rate is None:
        return one_line(row.label)
    return units.short(units.rate_text(row.arrival_rate))


def _load_note(row: Row) -> str:
    if row.profile == Capacity.name:
        return "of its search"
    return "" if is_open(row) else "closed loop"


def alone(one: ServerView) -> Row | None:
    """The load point of one request at a time."""
    return next((row for row in one.measured if row.users == 1 and row.verdict is not Verdict.INVALID), None)


def _cells(one: ServerView, row: Row | None, summary: Summary, cheapest: float | None) -> tuple[Cell, ...]:
    if row is None:
        return tuple(Cell("-") for _ in columns(summary))
    name, single = tail(summary), alone(one)
    quiet = percentile(single.response_time, "p50") if single else None
    band = row.p95_interval if name == "p95" else None
    money, capacity = row.cost_per_million, capacity_of(one, summary)
    spent = cost(row)
    times = spent / cheapest if cheapest and spent is not None and row.slo_met else None
    return (
        Cell(load_short(row), _load_note(row), row.arrival_rate or row.users),
        Cell(units.count_text(row.n), f"{row.trials} trials" if row.trials > 1 else "", row.n),
        Cell(units.duration_text(quiet), "", quiet),
        Cell(
            percentile_text(row, name),
            _span(band, units.duration_text) if needed(row, name) is None else "",
            percentile(row.response_time, name),
        ),
        Cell(units.rate_text(row.goodput), "", row.goodput),
        Cell(*_capacity(capacity), None if capacity is None or capacity.high is None else capacity.value),
        Cell(units.dollars_text(spent), _span(money, units.dollars_text), spent),
        Cell(units.ratio_text(times), "", times),
        Cell(row.verdict.value if row.verdict else "-", "SLO missed" if row.slo_met is False else ""),
    )


def capacity_of(one: ServerView, summary: Summary) -> Interval | None:
    """What its search found; without one what it was seen to serve within the SLO, as its bill has it."""
    if one.summary.capacity is not None or summary.costs is None:
        return one.summary.capacity
    bill = summary.costs.of(one.summary.server, one.summary.run_id)
    return None if bill is None else bill.capacity


def _capacity(capacity: Interval | None) -> tuple[str, str]:
    """`70.4/s` and `66.6/s to 78.0/s`."""
    if capacity is None or capacity.value is None or capacity.low is None or capacity.high is None:
        return capacity_text(capacity), ""
    return units.rate_text(capacity.value), _span(capacity, units.rate_text)


def _span(band: Interval | None, text: Callable[[float], str]) -> str:
    if band is None or band.low is None or band.high is None:
        return ""
    return f"{text(band.low)} to {text(band.high)}"


def _with_best(lines: Sequence[Standing], columns: Sequence[Column]) -> tuple[Standing, ...]:
    """The best figure of each column among the ranked servers; none where only one has it, or loads differ."""
    ranked = [line for line in lines if line.place]
    one_load = len({line.row.label for line in ranked if line.row}) == 1
    best: dict[int, float] = {}
    for place, column in enumerate(columns):
        known = [value for line in ranked if (value := line.cells[place].value) is not None]
        fair = column.slug != "tail" or (one_load and all(line.row and line.row.look is None for line in ranked))
        if column.better and len(set(known)) > 1 and fair:
            best[place] = min(known) if column.better == "lower" else max(known)
    return tuple(
        replace(line, cells=tuple(
            replace(cell, best=bool(line.place) and place in best and cell.value == best[place])
            for place, cell in enumerate(line.cells)
        ))
        for line in lines
    )  # fmt: skip
