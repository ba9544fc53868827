"""Cost per million requests: one row per server, all its load points on it."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from bench import units
from bench.report import look, sheet, view
from bench.report.charts.parts import (
    Chart,
    absences,
    absent_rows,
    aside,
    blank,
    cost_interval,
    distinct_names,
    divide,
    footing,
    mark,
    measured_rows,
    names_width,
    rows_of,
    sentence_only,
    spoken,
    tick_dollars,
    verdict_word,
)
from bench.report.sheet import Sheet, fit
from bench.report.view import ServerView
from bench.summary import Row, Summary, Verdict


def cost(summary: Summary) -> Chart:
    """Dollars per million requests: one row per server, its cheapest load point within the SLO in front."""
    title = "Cost per million requests"
    columns = ("server", "load", "cost per million", "interval", "goodput", "SLO", "verdict", "basis")
    rows = tuple(
        (
            v.name,
            row.label,
            units.dollars_text(view.cost(row)),
            cost_interval(row),
            units.rate_text(row.goodput),
            view.slo_word(row),
            verdict_word(row),
            row.cost_per_million.basis if row.cost_per_million else "not priced",
        )
        for v in view.servers(summary)
        for row in v.measured
    ) + absent_rows(summary, len(columns))
    description = spoken("Cost per million requests, by server.", summary, columns, rows)
    values = [value for row in measured_rows(summary) if (value := view.cost(row)) is not None]
    if not values:
        why = "No cost: no measured server has both a price and good replies."
        return Chart("cost", title, description, sentence_only(title, summary, why), columns, rows)
    return Chart("cost", title, description, _cost_figure(summary, title, values), columns, rows)


def _cost_figure(summary: Summary, title: str, values: Sequence[float]) -> Sheet:
    views = rows_of(summary)
    wide_range = max(values) / min(values) > 20 if min(values) > 0 else False
    axis = sheet.log_axis(values, 5.5, tick_dollars) if wide_range else sheet.zero_axis(max(values), 7)
    reading = (
        "Dollars per million correct requests within the SLO, at the goodput of each load point; further left is "
        "better. Large: the highest load within the SLO, which the answer compares. Small: other load points. "
        "Hollow: INVALID."
    )
    prices = [f"Price: {note}." for note in view.price_notes(summary)]
    prices += [text for text in view.money_doubts(summary) if text.startswith(Verdict.INVALID.value)]
    row_high = 0.32
    high = row_high * len(views)
    best = (*view.best_rows(summary), *view.best_rows(summary, other_work=True))
    chosen = {one.number: row for one in views for row in one.measured if any(row is other for other in best)}
    gutter, said = names_width(views), 3.1
    wide = look.WIDTH_IN - gutter - said
    room = wide + said - 0.1
    cut = [one for one in views if one.absent and fit(one.absent, room, look.SMALL_PT) != one.absent]
    paper = Sheet(title, reading, high + 0.52, [*prices, *absences(cut), *footing(summary)])
    top = paper.top + 0.08
    axes = paper.panel(gutter, top, wide, high)
    axes.set(ylim=(len(views) - 0.5, -0.5))
    axes.set_yticks([])
    axis.apply(axes, [tick_dollars(t) for t in axis.ticks])
    scale = "(log)" if axis.log else "(linear, from $0)"
    label = f"dollars per million requests {scale}"
    paper.text(gutter, top + high + 0.36, label, size=look.SMALL_PT, colour=look.MUTED)
    divide(axes, views)
    for line, (one, name) in enumerate(zip(views, distinct_names(views, gutter - 0.15), strict=True)):
        middle = top + row_high * (line + 0.5)
        axes.axhline(line, color=look.FAINT, lw=0.8, zorder=0)
        paper.text(0, middle, name, colour=look.MUTED if one.absent else look.INK)
        if one.absent or all(view.cost(row) is None for row in one.measured):
            why = one.absent or _unpriced(one)
            blank(axes, line)
            aside(paper, gutter + 0.06, middle, fit(why, room, look.SMALL_PT))
            continue
        text = fit(_unlike(summary, one) or _cost_row(axes, line, one, chosen.get(one.number)), said - 0.15)
        paper.text(gutter + wide + 0.15, middle, text)
    return paper


def _unlike(summary: Summary, one: ServerView) -> str:
    """Why a price cannot stand for what was measured, in place of its costs; empty where it can."""
    bill = None if summary.costs is None else summary.costs.of(one.summary.server, one.summary.run_id)
    return f"INVALID: {bill.reasons[0].what}" if bill is not None and bill.verdict is Verdict.INVALID else ""


def _unpriced(one: ServerView) -> str:
    return "not priced: the scenario gives no price" if one.summary.price is None else "no cost: no good reply"


def _cost_row(axes: Axes, line: int, one: ServerView, best: Row | None) -> str:
    """Draw one server's costs; what is said beside them."""
    style = look.styles(one.number + 1)[-1]
    for row in one.measured:
        value = view.cost(row)
        if value is None or row is best:
            continue
        hollow = row.verdict is Verdict.INVALID
        face = "none" if hollow else style.colour
        axes.plot([value], [line], marker=style.marker, mfc=face, mec=style.colour, ms=4, alpha=1 if hollow else 0.45)
    if best is None or best.cost_per_million is None:
        invalid = all(row.verdict is Verdict.INVALID for row in one.measured)
        return "INVALID" if invalid else "no load within the SLO to compare"
    interval = best.cost_per_million
    if interval.low is not None and interval.high is not None:
        axes.plot([interval.low, interval.high], [line, line], color=style.colour, lw=1.6, zorder=2)
    mark(axes, interval.value or 0.0, line, style, best, size=8)
    place = f"{best.label} ({units.rate_text(best.goodput)}), n {units.count_text(best.n)}"
    return f"{units.dollars_text(interval.value)} at {place}"
