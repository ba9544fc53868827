"""Latency against cost: what a lower percentile costs per million requests, and who gives it for least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes

from bench import units
from bench.report import look, sheet, view
from bench.report.charts.parts import (
    Chart,
    absences,
    absent_rows,
    distinct_names,
    footing,
    mark,
    sentence_only,
    spoken,
    style_of,
    tick_dollars,
    tick_time,
    time_of,
    verdict_word,
)
from bench.report.sheet import Sheet
from bench.report.view import ServerView
from bench.summary import Row, Summary, Verdict

_HIGH = 3.3
_LEFT = 0.62


@dataclass(frozen=True, slots=True)
class _Dot:
    """One load point: dollars per million requests within the SLO (x) and the SLO's percentile in seconds (y)."""

    one: ServerView
    row: Row
    dollars: float
    seconds: float

    @property
    def sound(self) -> bool:
        """Whether it may be part of the frontier: neither its rows nor its price are INVALID."""
        return self.row.verdict is not Verdict.INVALID


def frontier(summary: Summary) -> Chart:
    """The SLO's percentile against dollars per million requests, and the step line of what nobody beats in both."""
    name, said = view.tail(summary), view.tail_text(summary)
    title = "Latency against cost"
    dots = _dots(summary)
    best = [dot for apart in (False, True) for dot in _unbeaten(dots, apart=apart)]
    columns = ("server", "load", "cost per million", said, "on the frontier", "verdict")
    rows = tuple(
        (
            dot.one.name,
            dot.row.label if dot.row.look is None else f"{dot.row.label}, {units.rate_text(dot.row.arrival_rate)}",
            units.dollars_text(dot.dollars),
            units.duration_text(dot.seconds),
            _place(dot, best),
            verdict_word(dot.row),
        )
        for dot in dots
    ) + absent_rows(summary, len(columns))
    description = spoken(f"{said} of response time against dollars per million requests.", summary, columns, rows)
    if not dots:
        why = f"No open-loop load point has a price, enough requests for {said} and a reply within the SLO."
        return Chart("latency-cost", title, description, sentence_only(title, summary, why), columns, rows)
    return Chart("latency-cost", title, description, _figure(summary, title, dots, best, name), columns, rows)


def _place(dot: _Dot, best: Sequence[_Dot]) -> str:
    if dot not in best:
        return "no"
    return "yes, of its group" if dot.one.other_work else "yes"


def _dots(summary: Summary) -> list[_Dot]:
    """Every open-loop load point that has a price and the percentile; looks of searches stand for themselves."""
    name = view.tail(summary)
    found = []
    for one in view.servers(summary):
        for row in _drawn_as(summary, one):
            dollars, seconds = view.cost(row), time_of(row, name)
            if view.is_open(row) and dollars is not None and dollars > 0 and seconds is not None:
                found.append(_Dot(one, row, dollars, seconds))
    return found


def _drawn_as(summary: Summary, one: ServerView) -> tuple[Row, ...]:
    """Its rows; all INVALID where its price cannot stand for the machine that was measured."""
    bill = None if summary.costs is None else summary.costs.of(one.summary.server, one.summary.run_id)
    if bill is None or bill.verdict is not Verdict.INVALID:
        return one.curve
    return tuple(replace(row, verdict=Verdict.INVALID) for row in one.curve)


def _unbeaten(dots: Sequence[_Dot], *, apart: bool) -> list[_Dot]:
    """The dots that no other beats in both cost and latency, cheapest first; `apart`: of those that do other work."""
    found: list[_Dot] = []
    group = [dot for dot in dots if dot.sound and bool(dot.one.other_work) is apart]
    for dot in sorted(group, key=lambda dot: (dot.dollars, dot.seconds)):
        if not found or dot.seconds < found[-1].seconds:
            found.append(dot)
    return found


def _figure(summary: Summary, title: str, dots: Sequence[_Dot], best: Sequence[_Dot], name: str) -> Sheet:
    limit = view.slo_limit(summary)
    said = view.tail_text(summary)
    reading = (
        f"Each dot is one arrival rate: {said} of response time (log) against dollars per million requests within the "
        "SLO (log). Lower left is better. Line: what no other beats in both. Pale: beaten. Hollow: INVALID."
    )
    if any(dot.one.other_work for dot in dots):
        reading += " Dotted line: the same among those that do other work than the model."
    prices = [f"Price: {note}." for note in view.price_notes(summary)]
    drawn = [one for one in view.servers(summary) if any(dot.one.number == one.number for dot in dots)]
    unpriced = [
        f"{one.name} - not drawn: no price" for one in view.servers(summary) if not one.absent and not one.summary.price
    ]
    doubts = [text for text in view.money_doubts(summary) if text.startswith(Verdict.INVALID.value)]
    notes = [*prices, *doubts, *unpriced, *absences(view.servers(summary)), *footing(summary)]
    paper = Sheet(title, reading, _HIGH + 0.46, notes)
    names = dict(zip((one.number for one in drawn), distinct_names(drawn, 2.0), strict=True))
    legend = max(sheet.width(text) for text in names.values()) + 0.5
    wide = look.WIDTH_IN - _LEFT - legend - 0.1
    axes = paper.panel(_LEFT, paper.top, wide, _HIGH)
    x_axis = sheet.log_axis([dot.dollars for dot in dots], wide, tick_dollars)
    y_axis = sheet.log_axis([dot.seconds for dot in dots] + ([limit] if limit else []), _HIGH, tick_time)
    x_axis.apply(axes, [tick_dollars(tick) for tick in x_axis.ticks])
    y_axis.apply(axes, [tick_time(tick) for tick in y_axis.ticks], "y")
    axes.tick_params(axis="y", length=0)
    for apart in (False, True):
        own = [dot for dot in best if bool(dot.one.other_work) is apart]
        _steps(axes, own, (x_axis.high, y_axis.high), dotted=apart)
    for dot in dots:
        _draw(axes, summary, dot, front=dot in best, name=name)
    if limit is not None:
        axes.axhline(limit, color=look.SLO_INK, lw=1.2, zorder=1)
        paper.text(
            _LEFT + wide - sheet.width(f"SLO {tick_time(limit)}", look.SMALL_PT) - 0.05,
            _height(axes, paper, limit) - 0.1,
            f"SLO {tick_time(limit)}",
            size=look.SMALL_PT,
            colour=look.SLO_INK,
        )
    label = "dollars per million requests within the SLO (log)"
    paper.text(_LEFT, paper.top + _HIGH + 0.36, label, size=look.SMALL_PT, colour=look.MUTED)
    _names(paper, summary, drawn, names, _LEFT + wide + 0.15)
    return paper


def _height(axes: Axes, paper: Sheet, seconds: float) -> float:
    """Inches from the top of the sheet to that time on the axis."""
    up = float(axes.transLimits.transform(axes.transScale.transform((1.0, seconds)))[1])
    return paper.top + _HIGH * (1 - up)


def _steps(axes: Axes, best: Sequence[_Dot], ends: tuple[float, float], *, dotted: bool) -> None:
    """From the cheapest straight up, to the fastest straight right: nothing of its group lies below that line."""
    if not best:
        return
    xs, ys = [best[0].dollars], [ends[1]]
    for dot in best:
        xs += [dot.dollars, dot.dollars]
        ys += [ys[-1], dot.seconds]
    xs.append(ends[0])
    ys.append(ys[-1])
    axes.plot(xs, ys, color=look.MUTED, lw=1.2, ls=(0, (1, 2)) if dotted else "-", zorder=2)


def _draw(axes: Axes, summary: Summary, dot: _Dot, *, front: bool, name: str) -> None:
    style = style_of(summary, dot.one)
    if not front and dot.sound:
        axes.plot(
            [dot.dollars], [dot.seconds], marker=style.marker, color=style.colour, ms=4.5, alpha=0.35, mew=0, zorder=3
        )
        return
    band = dot.row.p95_interval if name == "p95" else None
    if front and band is not None and band.low is not None and band.high is not None:
        axes.plot([dot.dollars] * 2, [band.low, band.high], color=style.colour, lw=1.4, zorder=4)
    mark(axes, dot.dollars, dot.seconds, style, dot.row, 7.0 if front else 4.5)


def _names(paper: Sheet, summary: Summary, drawn: Sequence[ServerView], names: dict[int, str], left: float) -> None:
    """The servers at the right of the panel, each with its mark: dots of several cross, so no end is theirs alone."""
    pitch = 0.22
    panel = paper.panel(left, paper.top, 0.2, pitch * len(drawn))
    panel.set_axis_off()
    panel.set(xlim=(0, 1), ylim=(len(drawn) - 0.5, -0.5))
    for line, one in enumerate(drawn):
        style = style_of(summary, one)
        panel.plot([0.5], [line], marker=style.marker, color=style.colour, ms=6.5, lw=0, clip_on=False)
        paper.text(left + 0.26, paper.top + pitch * (line + 0.5), names[one.number])
