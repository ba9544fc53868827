"""The table of every server at every load point, as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench import units
from bench.measures.agreement import differs_text, same_class_text
from bench.report.view.server import ServerView, best_rows, load_points, servers
from bench.report.view.standing import accuracy_text
from bench.report.view.words import (
    absence,
    cost,
    load_title,
    lost,
    ok_share,
    one_line,
    percentile_text,
    slo_word,
    tail,
    tail_text,
)
from bench.results import Outcome
from bench.summary import Row, Summary
from bench.summary.ranking import tied_with_first, undecided


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
    accuracy: str = ""
    """What a server does in other ways than the model and how far from it that is; empty for one that does not."""
    same_class: str = "-"
    differs: str = "-"


def comparison(summary: Summary) -> tuple[Line, ...]:
    """The lines of the comparison: load point by load point, servers in their order; absent servers last, once."""
    views = servers(summary)
    winner = None if undecided(summary.costs) else next(iter(best_rows(summary)), None)
    why = "highest goodput within the SLO"
    if winner is not None and cost(winner) is not None:
        why = "lowest cost within the SLO"
    elif winner is not None and tied_with_first(best_rows(summary)):
        why = f"lowest {tail_text(summary)} where the same is served"
    if summary.costs is not None and summary.costs.chosen and summary.costs.traffic.rate is not None:
        why = "lowest bill for the traffic"
    lines = []
    for point in load_points(summary):
        for view in sorted(views, key=lambda one: bool(one.other_work)):
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
        accuracy="" if missing else accuracy_text(view),
        same_class=same_class_text(row.answers),
        differs=differs_text(row.answers),
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
