"""Dollars a month against traffic: whole replicas make a staircase of every server."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from bench import units
from bench.cost.figures import Costs, ServerCost
from bench.cost.steps import Option, Step, stairs
from bench.cost.words import traffic_text
from bench.report import look, sheet, view
from bench.report.charts.parts import (
    Chart,
    absences,
    distinct_names,
    footing,
    sentence_only,
    spoken,
    style_of,
    tick_dollars,
    tick_rate,
)
from bench.report.sheet import Sheet
from bench.report.view import ServerView
from bench.summary import Summary

_HIGH = 3.1
_LEFT = 0.72
_REPLICAS = 8
"""Without a traffic the staircase is drawn to so many replicas of the largest server."""
_MOST_STEPS = 400
_TURN = 5.0
_MOST_STRIPES = 3
"""More servers than this that cost the same are one grey bar."""


def staircase(summary: Summary) -> Chart:
    """Dollars a month against arrival rate, spares and headroom counted in, with the cheapest one marked below."""
    title = "Dollars a month against traffic"
    columns = ("server", "traffic", "replicas", "dollars a month")
    drawn = _drawn(summary)
    costs = summary.costs
    if costs is None or not drawn:
        why = costs.reason if costs is not None and costs.reason else "no server has both a price and a capacity"
        rows: tuple[tuple[str, ...], ...] = _absent(summary)
        description = spoken("Dollars a month against traffic.", summary, columns, rows)
        paper = sentence_only(title, summary, f"No staircase: {view.one_line(why)}.")
        return Chart("staircase", title, description, paper, columns, rows)
    reach = _reach(drawn, costs)
    steps = [(one, stairs(_option(bill), costs.traffic.spare_replicas, reach)) for one, bill in drawn]
    hours = costs.traffic.hours_per_month
    rows = tuple(
        (
            one.name,
            f"above {units.rate_text(step.above)} to {units.rate_text(step.up_to)}",
            units.count_text(step.replicas),
            units.dollars_text(step.per_hour * hours),
        )
        for one, found in steps
        for step in found
    ) + _absent(summary)
    description = spoken(f"Dollars a month against traffic. {view.one_line(costs.break_even)}", summary, columns, rows)
    return Chart("staircase", title, description, _figure(summary, costs, title, steps, reach), columns, rows)


def _absent(summary: Summary) -> tuple[tuple[str, ...], ...]:
    """Servers without a staircase, as lines of the data table."""
    return tuple((name, why, "-", "-") for name, why in _left_out(summary))


def _left_out(summary: Summary) -> list[tuple[str, str]]:
    """Every server that is not drawn, and why."""
    found = []
    for one in view.servers(summary):
        bill = _bill(summary, one)
        if one.absent:
            found.append((one.name, one.absent))
        elif bill is None or not bill.contends:
            found.append((one.name, view.one_line(_why_not(bill))))
    return found


def _why_not(bill: ServerCost | None) -> str:
    """Why a measured server has no staircase among the others."""
    if bill is None:
        return "no price"
    if bill.apart:
        return f"does other work ({bill.other_work})"
    return bill.absent or (bill.reasons[0].what if bill.reasons else "no figures")


def _bill(summary: Summary, one: ServerView) -> ServerCost | None:
    return None if summary.costs is None else summary.costs.of(one.summary.server, one.summary.run_id)


def _drawn(summary: Summary) -> list[tuple[ServerView, ServerCost]]:
    pairs = [(one, _bill(summary, one)) for one in view.servers(summary) if not one.absent]
    return [(one, bill) for one, bill in pairs if bill is not None and bill.contends]


def _option(bill: ServerCost) -> Option:
    assert bill.usable_rate is not None
    assert bill.per_hour is not None
    return Option(bill.usable_rate, bill.per_hour)


def _reach(drawn: Sequence[tuple[ServerView, ServerCost]], costs: Costs) -> float:
    """How far the rates go: past the traffic and the flips that are near, with no more steps than can be seen."""
    usable = [_option(bill).usable for _, bill in drawn]
    wanted = [2 * costs.traffic.rate] if costs.traffic.rate is not None else [_REPLICAS * max(usable)]
    edges = [each.above for each in costs.stretches if each.above <= 4 * wanted[0]]
    return min(max([*wanted, *(1.3 * edge for edge in edges)]), _MOST_STEPS * min(usable))


def _figure(
    summary: Summary, costs: Costs, title: str, steps: Sequence[tuple[ServerView, tuple[Step, ...]]], reach: float
) -> Sheet:
    hours = costs.traffic.hours_per_month
    traffic = costs.traffic
    spares = f"{traffic.spare_replicas} spare{'' if traffic.spare_replicas == 1 else 's'}"
    reading = (
        "Dollars a month (linear, from $0) for the whole replicas that a traffic (linear, from 0) needs within the "
        f"SLO, with {units.percent_text(traffic.headroom)} headroom and {spares}, by the lower end of each capacity. "
        "Lowest is cheapest. Bar below: who that is, in stripes where several cost the same."
    )
    notes = [f"Break-even: {costs.break_even}"] if costs.break_even else []
    notes += [f"Sized for {traffic_text(traffic)}."] if traffic.rate is not None else []
    notes += [f"Price: {note}." for note in view.price_notes(summary)]
    quiet = [one.name for one, _ in steps if one.name not in _told_apart(steps, costs)]
    notes += [f"Grey: {', '.join(quiet)}."] if quiet else []
    notes += [f"{name} - not drawn: {why}" for name, why in _left_out(summary) if not _is_absent(summary, name)]
    notes += [*absences(view.servers(summary)), *footing(summary)]
    paper = Sheet(title, reading, _HIGH + 1.02, notes)
    drawn = [one for one, _ in steps]
    labels = distinct_names(drawn, 1.9)
    names = dict(zip((one.number for one in drawn), labels, strict=True))
    room = max(sheet.width(label) for label in labels) + 0.42
    wide = look.WIDTH_IN - _LEFT - room
    axes = paper.panel(_LEFT, paper.top + 0.12, wide, _HIGH)
    highest = max(step.per_hour * hours for _, found in steps for step in found)
    y_axis, ticks = sheet.zero_axis(highest, 6), sheet.zero_axis(reach, 7).ticks
    x_axis = sheet.Axis(0.0, reach, tuple(tick for tick in ticks if tick <= reach), log=False)
    x_axis.apply(axes, [tick_rate(tick) for tick in x_axis.ticks])
    y_axis.apply(axes, [tick_dollars(tick) for tick in y_axis.ticks], "y")
    axes.tick_params(axis="y", length=0)
    ends = []
    loud = _told_apart(steps, costs)
    for one, found in steps:
        if one.name not in loud:
            axes.plot(*_line(found, hours), color=look.RULE, lw=1, zorder=2)
    coloured = [(one, found) for one, found in steps if one.name in loud]
    for one, found in coloured:
        style = style_of(summary, one)
        xs, ys = _line(found, hours)
        axes.plot(xs, ys, color=style.colour, lw=1.6, ls=_dash(one, found, coloured, style), zorder=3)
        ends.append((paper.top + 0.12 + _HIGH * (1 - ys[-1] / y_axis.high), names[one.number], style))
    if traffic.rate is not None and traffic.rate <= reach:
        _target(paper, axes, traffic.rate, wide / x_axis.high)
    _labels(paper, ends, _LEFT + wide + 0.06)
    _cheapest(paper, summary, costs, reach, wide)
    paper.text(_LEFT, paper.top + _HIGH + 0.95, "traffic, requests per second", size=look.SMALL_PT, colour=look.MUTED)
    return paper


def _line(found: Sequence[Step], hours: float) -> tuple[list[float], list[float]]:
    """A staircase as the corners of a line."""
    return [x for step in found for x in (step.above, step.up_to)], [
        y for s in found for y in (s.per_hour * hours,) * 2
    ]


def _dash(
    one: ServerView, found: Sequence[Step], coloured: Sequence[tuple[ServerView, tuple[Step, ...]]], style: look.Style
) -> tuple[float, tuple[float, ...] | None]:
    """Its own dash; where several staircases are one, each gets its turn along the line, so that none is hidden."""
    alike = [other.number for other, steps in coloured if [s.per_hour for s in steps] == [s.per_hour for s in found]]
    if len(alike) < 2:
        return style.dash
    return _TURN * alike.index(one.number), (_TURN, _TURN * (len(alike) - 1))


def _told_apart(steps: Sequence[tuple[ServerView, tuple[Step, ...]]], costs: Costs) -> set[str]:
    """The servers in colour: no more than can be told apart, first those that are cheapest somewhere."""
    ever = [name for stretch in costs.stretches for name in stretch.cheapest]
    by_cost = sorted(steps, key=lambda pair: pair[1][-1].per_hour)
    wanted = [one.name for one, _ in by_cost]
    first = [one.name for one, _ in by_cost if one.name in ever]
    return set(list(dict.fromkeys([*first, *wanted]))[: look.SERIES_PER_PANEL])


def _is_absent(summary: Summary, name: str) -> bool:
    return any(one.name == name and one.absent for one in view.servers(summary))


def _target(paper: Sheet, axes: Axes, rate: float, inches: float) -> None:
    axes.axvline(rate, color=look.INK, lw=1, ls=(0, (1, 1.5)), zorder=2)
    text = f"traffic {tick_rate(rate)}"
    centre = max(_LEFT + sheet.width(text, look.SMALL_PT) / 2, _LEFT + rate * inches)
    paper.text(centre, paper.top, text, size=look.SMALL_PT, align="center")


def _labels(paper: Sheet, ends: Sequence[tuple[float, str, look.Style]], left: float) -> None:
    """Each server's name at the end of its staircase, moved apart where two would touch."""
    placed: list[float] = []
    ordered = sorted(ends, key=lambda end: end[0])
    for at, _, _ in ordered:
        placed.append(max(at, placed[-1] + 0.19) if placed else at)
    over = placed[-1] - (paper.top + 0.12 + _HIGH)
    if over > 0:
        placed = [at - over for at in placed]
        for place in range(len(placed) - 2, -1, -1):
            placed[place] = min(placed[place], placed[place + 1] - 0.19)
    for at, (_, label, style) in zip(placed, ordered, strict=True):
        mark = paper.panel(left, at - 0.1, 0.2, 0.2)
        mark.set_axis_off()
        mark.set(xlim=(0, 1), ylim=(0, 1))
        mark.plot([0.5], [0.5], marker=style.marker, color=style.colour, ms=6, lw=0, clip_on=False)
        paper.text(left + 0.24, at, label)


def _cheapest(paper: Sheet, summary: Summary, costs: Costs, reach: float, wide: float) -> None:
    """A bar below the axis in the colour of the cheapest server; where several cost the same, the bar is split."""
    top = paper.top + 0.12 + _HIGH + 0.42
    bar = paper.panel(_LEFT, top, wide, 0.2)
    bar.set(xlim=(0, reach), ylim=(0, 1))
    bar.set_axis_off()
    numbers = {one.name: one for one in costs.servers}
    for stretch in costs.stretches:
        end = reach if stretch.up_to is None else min(stretch.up_to, reach)
        if stretch.above >= end:
            continue
        if len(stretch.cheapest) > _MOST_STRIPES:
            bar.broken_barh([(stretch.above, end - stretch.above)], (0, 1), color=look.RULE, lw=0)
            continue
        for place, name in enumerate(stretch.cheapest):
            bill = numbers[name]
            one = next(
                v for v in view.servers(summary) if (v.summary.server, v.summary.run_id) == (bill.server, bill.run_id)
            )
            style = style_of(summary, one)
            share = 1 / len(stretch.cheapest)
            bar.broken_barh(
                [(stretch.above, end - stretch.above)], (1 - share * (place + 1), share), color=style.colour, lw=0
            )
    for stretch in costs.stretches:
        if stretch.up_to is not None and stretch.up_to < reach:
            bar.axvline(stretch.up_to, color=look.PAPER, lw=1.2)
    paper.text(0, top + 0.1, "cheapest", size=look.SMALL_PT, colour=look.MUTED)
