"""Summary -> what the report says about it, in words and in table cells; the same for text, Markdown, HTML and charts.

Every number becomes text through bench.units. Nothing is escaped here: each output escapes in its own way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from bench import units
from bench.answer import EVEN, ranking
from bench.capacity import capacity_text
from bench.profiles import Capacity
from bench.report.look import distinct
from bench.results import Outcome
from bench.summary import Distribution, Row, ServerSummary, Summary, Verdict

_CASES = 2
_TAILS = {90.0: "p90", 95.0: "p95", 99.0: "p99", 99.9: "p999"}


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


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the comparison, as text. `absent` says why there are no figures.

    `chosen` is empty but for the one line that the answer chooses, where it says why.
    """

    server: str
    kind: str
    load: str
    load_title: str
    n: str
    ok: str
    lost: str
    p50: str
    tail: str
    throughput: str
    goodput: str
    cost: str
    slo: str
    verdict: str
    absent: str
    chosen: str


def tail(summary: Summary) -> str:
    """Field of a Distribution that the report shows beside p50: the SLO's own percentile, p95 unless it is another."""
    return _TAILS.get(summary.slo.get("percentile", 95.0), "p95")


def tail_text(summary: Summary) -> str:
    """`p95`, `p99.9`."""
    return "p99.9" if tail(summary) == "p999" else tail(summary)


def slo_limit(summary: Summary) -> float | None:
    """Seconds of response time that the SLO allows; None where there is no SLO or its percentile is not shown."""
    shown = summary.slo.get("percentile", 95.0) in _TAILS
    return summary.slo.get("response_time") if shown else None


def slo_text(summary: Summary) -> str:
    """`p95 response time at most 1 s, errors at most 0.1 %`; empty where there is no SLO."""
    parts = []
    if (limit := summary.slo.get("response_time")) is not None:
        percentile = f"{summary.slo.get('percentile', 95.0):g}"
        parts.append(f"p{percentile} response time at most {short(units.duration_text(limit))}")
    if (errors := summary.slo.get("error_rate")) is not None:
        parts.append(f"errors at most {units.percent_text(errors)}")
    return ", ".join(parts)


def short(text: str) -> str:
    """A number's text without zeros that say nothing: `1.00 s` -> `1 s`; for limits and ticks, which are exact."""
    return re.sub(r"(\d)\.0+(?!\d)|(\.\d*?[1-9])0+(?!\d)", lambda m: (m[1] or "") + (m[2] or ""), text)


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
            _server_view(places.index(place), one_line(name), server, _of(server, summary.rows)),
            looks=_of(server, summary.looks),
        )
        for place, (name, server) in enumerate(zip(names, summary.servers, strict=True))
    )


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


def absence(outcome: Outcome, reason: str) -> str:
    """`skipped: no GPU`: how it ended and why, on one line."""
    first = one_line(reason)
    return f"{outcome.value}: {first}" if first else outcome.value


def one_line(text: str) -> str:
    """The text on one line, its control characters (a terminal would obey them) made visible or dropped."""
    spaced = re.sub(r"\s+", " ", text).strip()
    return "".join(c if c.isprintable() or c == " " else f"\\x{ord(c):02x}" for c in spaced)


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


def is_open(row: Row) -> bool:
    """Whether arrivals ignored the replies."""
    return row.users is None


AT_CAPACITY = "open loop, each at its own capacity"


def load_title(row: Row) -> str:
    """`closed loop, 8 users`, `open loop, 2.5/s arriving`."""
    if row.users is not None:
        return f"closed loop, {units.count_text(row.users)} {'user' if row.users == 1 else 'users'}"
    if row.profile == Capacity.name:
        return AT_CAPACITY
    if row.arrival_rate is not None:
        rate = short(units.rate_text(row.arrival_rate))
        return f"open loop, {rate} arriving" if row.profile in EVEN else f"open loop, {row.profile}, {rate} on average"
    return row.label


def percentile(times: Distribution | None, name: str) -> float | None:
    """One percentile of a distribution by its field name."""
    value: float | None = getattr(times, name) if times is not None else None
    return value


def needed(row: Row, name: str) -> int | None:
    """How many requests a missing percentile would take; None if it is there or would not come with more."""
    return None if row.response_time is None else row.response_time.needs.get(name)


def percentile_text(row: Row, name: str) -> str:
    """`188 ms`, or `n < 130` where too few requests were answered."""
    value = percentile(row.response_time, name)
    needs = needed(row, name)
    return f"n < {units.count_text(needs)}" if value is None and needs else units.duration_text(value)


def ok_share(row: Row) -> float | None:
    """Share of the scheduled requests that got a correct reply."""
    return row.ok / row.n if row.n else None


def cost(row: Row) -> float | None:
    """Dollars per million requests at this row's goodput; None where unpriced or where nothing was good."""
    return row.cost_per_million.value if row.cost_per_million is not None else None


def best_rows(summary: Summary) -> tuple[Row, ...]:
    """The row of each server that the answer compares, the chosen one first; no INVALID row is among them."""
    return ranking(summary.rows, summary.slo)


def lost(row: Row) -> str:
    """`2 failed, 1 timed out`: the requests without a correct reply, three counts that are never one."""
    counts = (("failed", row.failed), ("timed out", row.timed_out), ("unsent", row.unsent))
    return ", ".join(f"{units.count_text(count)} {word}" for word, count in counts if count)


@dataclass(frozen=True, slots=True)
class Doubt:
    """One way in which rows are in doubt: what to do about it, and (what, at which rows) for each way it was said."""

    verdict: Verdict
    advice: str
    cases: tuple[tuple[str, str], ...]

    def sentence(self) -> str:
        """The first few cases in one line; the page has all of them."""
        said = "; ".join(f"{what} ({where})" for what, where in self.cases[:_CASES])
        more = len(self.cases) - _CASES
        return f"{said}; {more} more like it in report.html" if more > 0 else said


def doubts(summary: Summary) -> tuple[Doubt, ...]:
    """Every reason to doubt a row, INVALID first; a reason that many rows share is one entry."""
    made = [doubt for doubt in _reasons(summary) if doubt.verdict is not Verdict.VALID]
    return tuple(sorted(made, key=lambda doubt: doubt.verdict is not Verdict.INVALID))


def notes(summary: Summary) -> tuple[Doubt, ...]:
    """What a reader has to know of rows whose numbers are right."""
    return tuple(doubt for doubt in _reasons(summary) if doubt.verdict is Verdict.VALID)


def _reasons(summary: Summary) -> list[Doubt]:
    found: dict[tuple[Verdict, str], dict[str, list[tuple[str, str]]]] = {}
    advice: dict[tuple[Verdict, str], str] = {}
    for one in servers(summary):
        for row in one.measured:
            for reason in row.reasons:
                key = (reason.verdict, reason.id)
                advice.setdefault(key, one_line(reason.advice))
                found.setdefault(key, {}).setdefault(one_line(reason.what), []).append((one_line(one.name), row.label))
    return [
        Doubt(key[0], advice[key], tuple((what, _places(places)) for what, places in cases.items()))
        for key, cases in found.items()
    ]


def _places(places: Iterable[tuple[str, str]]) -> str:
    """`flask at closed-1, closed-8; gunicorn at closed-1`."""
    labels: dict[str, list[str]] = {}
    for name, label in places:
        labels.setdefault(name, []).append(label)
    return "; ".join(f"{name} at {', '.join(where)}" for name, where in labels.items())


def capacities(summary: Summary) -> str:
    """`Capacity within the SLO: a 70.4/s (66.6/s to 78.0/s), b below 4.00/s`; empty where none was searched."""
    found = [f"{view.name} {capacity_text(view.summary.capacity)}" for view in servers(summary) if view.looks]
    return f"Capacity within the SLO: {', '.join(found)}." if found else ""


def slo_word(row: Row) -> str:
    """`met`, `missed`, or `-` where it could not be judged."""
    return "-" if row.slo_met is None else "met" if row.slo_met else "missed"


def comparison(summary: Summary) -> tuple[Line, ...]:
    """The lines of the comparison: load point by load point, servers in their order; absent servers last, once."""
    views = servers(summary)
    winner = next(iter(best_rows(summary)), None)
    why = (
        "lowest cost within the SLO"
        if winner is not None and cost(winner) is not None
        else "highest goodput within the SLO"
    )
    lines = []
    for point in load_points(summary):
        for view in views:
            row = view.row(point.label)
            if row is not None and not view.absent:
                lines.append(_line(view, row, summary, why if row is winner else ""))
    lines += _nowhere_measured(views, {point.label for point in load_points(summary)}, summary)
    lines += [_absent_line(view) for view in views if view.absent]
    return tuple(lines)


def _nowhere_measured(views: Sequence[ServerView], shown: set[str], summary: Summary) -> list[Line]:
    """One line per load point and reason where no server has figures, such as a search that was skipped for all."""
    found: dict[tuple[str, str], list[tuple[ServerView, Row]]] = {}
    for view in views:
        for row in view.rows:
            if not view.absent and row.label not in shown:
                found.setdefault((row.label, absence(row.outcome, row.reason)), []).append((view, row))
    lines = []
    for entries in found.values():
        line = _line(*entries[0], summary)
        everyone = f"all {len(entries)} servers" if len(entries) > 1 else line.server
        if 1 < len(entries) < sum(not view.absent for view in views):
            everyone = ", ".join(one_line(view.name) for view, _ in entries)
        lines.append(replace(line, server=everyone, kind=line.kind if len(entries) == 1 else ""))
    return lines


def _line(view: ServerView, row: Row, summary: Summary, chosen: str = "") -> Line:
    missing = row.outcome is not Outcome.OK
    return Line(
        server=one_line(view.name),
        kind=one_line(row.kind),
        load=one_line(row.label),
        load_title=one_line(load_title(row)),
        n=units.count_text(row.n),
        ok=units.percent_text(ok_share(row)),
        lost=lost(row),
        p50=percentile_text(row, "p50"),
        tail=percentile_text(row, tail(summary)),
        throughput=units.rate_text(row.throughput),
        goodput=units.rate_text(row.goodput),
        cost=units.dollars_text(cost(row)),
        slo=slo_word(row),
        verdict=row.verdict.value if row.verdict is not None else "-",
        absent=absence(row.outcome, row.reason) if missing else "",
        chosen=chosen,
    )


def _absent_line(view: ServerView) -> Line:
    return Line(
        server=one_line(view.name),
        kind=one_line(view.summary.kind),
        load="-",
        load_title="not measured",
        n="-",
        ok="-",
        lost="",
        p50="-",
        tail="-",
        throughput="-",
        goodput="-",
        cost="-",
        slo="-",
        verdict="-",
        absent=one_line(view.absent),
        chosen="",
    )


def price_notes(summary: Summary) -> tuple[str, ...]:
    """One line per price used: what was priced, at what, whose price it is and of which day."""
    found: dict[str, list[str]] = {}
    for view in servers(summary):
        if view.summary.price is not None and not view.absent:
            found.setdefault(price_text(view.summary.price), []).append(view.name)
    return tuple(f"{_listed(names)}: {price}" for price, names in found.items())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 5 else f"{', '.join(names[:4])} and {len(names) - 4} more"


def price_text(price: Mapping[str, object]) -> str:
    """`2 x a1.4xlarge at $0.408/h (aws us-east-1, 2026-07-20)`: the price book's own words, or put together here."""
    if price.get("basis"):
        return one_line(str(price["basis"]))
    per_hour, count = price.get("per_hour"), price.get("count", 1)
    amount = f"{units.dollars_text(float(per_hour))}/h" if isinstance(per_hour, int | float) else "an unknown price"
    instance = f"{price['instance']} x {count}, " if price.get("instance") else ""
    origin = [str(price[key]) for key in ("source", "as_of") if price.get(key)]
    return one_line(f"{instance}{amount}" + (f" ({', '.join(origin)})" if origin else ""))


def basis_text(summary: Summary) -> str:
    """What was measured, for the foot of every chart: runs, trials and requests."""
    measured = [row for row in summary.rows if row.outcome is Outcome.OK]
    requests = sum(row.n for row in measured)
    trials = sum(row.trials for row in measured)
    runs = ", ".join(one_line(run) for run in summary.run_ids)
    unfinished = "" if summary.complete else " The run did not finish."
    return (
        f"{units.count_text(trials)} {_plural('trial', trials)}, {units.count_text(requests)} "
        f"{_plural('request', requests)} in the measured windows. "
        f"{_plural('Run', len(summary.run_ids))} {runs}, method {summary.method_version}.{unfinished}"
    )


def calibration_texts(summary: Summary, *, brief: bool = False) -> tuple[str, ...]:
    """What the load generator itself could do and add, once per machine that the runs were made on."""
    wanted = "brief" if brief else "sentence"
    found: dict[str, list[str]] = {}
    for calibration in summary.calibrations:
        if calibration.get(wanted):
            found.setdefault(one_line(str(calibration[wanted])), []).append(one_line(str(calibration["run_id"])))
    if len(found) < 2:
        return tuple(found)
    return tuple(f"{_listed(runs)}: {sentence}" for sentence, runs in found.items())


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def groups(items: Sequence[ServerView], size: int) -> tuple[tuple[ServerView, ...], ...]:
    """The servers dealt to groups of at most `size`, as evenly as can be, in their order."""
    count = -(-len(items) // size)
    bounds = [len(items) * i // count for i in range(count + 1)] if count else [0]
    return tuple(tuple(items[a:b]) for a, b in pairwise(bounds))
