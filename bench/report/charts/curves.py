"""Latency against throughput: one curve per server, open and closed loop in panels of their own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

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
    point_of,
    sentence_only,
    spoken,
    tick_rate,
    tick_time,
    tint,
    too_few,
    verdict_word,
)
from bench.report.sheet import Sheet, fit
from bench.report.view import ServerView
from bench.summary import Row, Summary, Verdict

_GAP = 0.35
_LINE = 0.2
"""Height of a name, in inches."""


def latency_against_throughput(summary: Summary) -> Chart:
    """One curve per server through its load points; open and closed loop never share a panel."""
    name, said = view.tail(summary), view.tail_text(summary)
    limit = view.slo_limit(summary)
    title = "Latency against throughput"
    columns = ("server", "loop", "load", "n", "throughput", said, "verdict")
    rows = tuple(
        (
            v.name,
            "open" if view.is_open(row) else "closed",
            _load_text(row),
            units.count_text(row.n),
            units.rate_text(row.throughput),
            view.percentile_text(row, name),
            verdict_word(row),
        )
        for v in view.servers(summary)
        for row in v.curve
    ) + absent_rows(summary, len(columns))
    description = spoken(f"{said} of response time against throughput.", summary, columns, rows)
    shown = [row for v in view.servers(summary) for row in v.curve if point_of(row, name) is not None]
    if not shown:
        figure = sentence_only(title, summary, f"No load point has enough requests for {said}.", too_few(summary, name))
        return Chart("latency-throughput", title, description, figure, columns, rows)
    points = [point for row in shown if (point := point_of(row, name)) is not None]
    y_axis = sheet.log_axis([y for _, y in points] + ([limit] if limit else []), 3.1, tick_time)
    figure = _curves(summary, title, y_axis)
    return Chart("latency-throughput", title, description, figure, columns, rows)


def _curves(summary: Summary, title: str, y_axis: sheet.Axis) -> Sheet:
    views, name = view.servers(summary), view.tail(summary)
    drawn = [v for v in views if any(point_of(row, name) for row in v.curve)]
    loops = [
        loop
        for loop in (False, True)
        if any(view.is_open(row) is loop and point_of(row, name) for v in drawn for row in v.curve)
    ]
    dealt = view.groups(drawn, look.SERIES_PER_PANEL)
    high = 3.1 if len(dealt) == 1 else 2.3
    pitch = high + 0.95
    reading = (
        f"Each mark is one load point, load rising along the line. {view.tail_text(summary)} of response time (log) "
        "against correct replies per second (linear, from 0). Lower right is better."
    )
    if view.slo_limit(summary) is not None:
        reading += " Shaded: too slow for the SLO."
    if name == "p95":
        reading += " Pale bar: 95 % interval."
    reading += " Hollow: INVALID."
    if len(dealt) > 1:
        reading += " Grey: the servers of the other panels."
    if any(v.looks for v in drawn):
        reading += " Small dots: looks of a capacity search, which no line joins."
    notes = [*too_few(summary, name), *absences(view.servers(summary)), *footing(summary)]
    paper = Sheet(title, reading, pitch * len(dealt) - 0.1, notes)
    labels = dict(zip((v.number for v in drawn), distinct_names(drawn, 1.75), strict=True))
    names = min(2.1, max(sheet.width(label) for label in labels.values()) + 0.42)
    left = 0.62
    wide = (look.WIDTH_IN - left - names - (names + _GAP) * (len(loops) - 1)) / len(loops)
    for line, group in enumerate(dealt):
        for column, loop in enumerate(loops):
            x, y = left + column * (wide + names + _GAP), paper.top + line * pitch
            heading = "Open loop: arrivals ignore replies" if loop else "Closed loop: each user waits for its reply"
            paper.text(x, y + 0.1, fit(heading, wide + names, look.PANEL_PT), size=look.PANEL_PT, weight="bold")
            axes = paper.panel(x, y + 0.34, wide, high)
            x_axis = sheet.zero_axis(max(x for v in drawn for x, _ in _points(v, name, loop=loop)), 6)
            x_axis.apply(axes, [tick_rate(t) for t in x_axis.ticks])
            y_axis.apply(axes, [tick_time(t) if column == 0 else "" for t in y_axis.ticks], "y")
            axes.tick_params(axis="y", length=0)
            paper.text(
                x,
                y + 0.34 + high + 0.36,
                "throughput, correct replies per second (linear)",
                size=look.SMALL_PT,
                colour=look.MUTED,
            )
            for other in drawn:
                if other not in group:
                    _curve(axes, other, name, loop=loop, muted=True)
            ends = [(end, one) for one in group if (end := _curve(axes, one, name, loop=loop)) is not None]
            taken = [_points(v, name, loop=loop) for v in drawn]
            _names(paper, axes, (x, y + 0.34, wide, high), ends, labels, taken, view.slo_limit(summary))
            _outside(axes, view.slo_limit(summary), y_axis.high)
            horizontal(axes, view.slo_limit(summary))
    return paper


def _curve(axes: Axes, one: ServerView, name: str, *, loop: bool, muted: bool = False) -> tuple[float, float] | None:
    """Draw one server's load points; its last point, None if it has none in this loop."""
    style = look.styles(one.number + 1)[-1]
    rows = _curve_rows(one, name, loop=loop)
    points = _points(one, name, loop=loop)
    # Looks lie close together and chance moves them: a line through them would be a scribble.
    sound = [point_of(row, name) for row in rows if row.verdict is not Verdict.INVALID and row.look is None]
    path = [point for point in sound if point is not None]
    colour = look.RULE if muted else style.colour
    axes.plot([x for x, _ in path], [y for _, y in path], color=colour, lw=1 if muted else 1.6, ls=style.dash, zorder=2)
    for row, (x, y) in zip(rows, points, strict=True):
        if muted:
            axes.plot([x], [y], marker="o", color=colour, ms=2.5, zorder=2)
        else:
            band = row.p95_interval if name == "p95" and not row.look else None
            if band is not None and band.low and band.high:
                axes.plot([x, x], [band.low, band.high], color=tint(colour), lw=4, solid_capstyle="butt", zorder=1.9)
            mark(axes, x, y, style, row, 4.5 if row.look else 8)
    return points[-1] if points else None


def _names(
    paper: Sheet,
    axes: Axes,
    box: tuple[float, float, float, float],
    ends: Sequence[tuple[tuple[float, float], ServerView]],
    labels: dict[int, str],
    curves: Sequence[Sequence[tuple[float, float]]],
    limit: float | None,
) -> None:
    """Name each curve beside its last point; at the edge of the panel where the name would lie on something."""
    left, top, wide, high = box

    def place(point: tuple[float, float]) -> tuple[float, float]:
        across, up = axes.transLimits.transform(axes.transScale.transform(point))
        return left + wide * across, top + high * (1 - up)

    busy = [spot for curve in curves for spot in _along([place(point) for point in curve])]
    if limit is not None:
        busy += _along([place((0.0, limit)), (left + wide, place((0.0, limit))[1])])
    near: list[tuple[float, float, ServerView, tuple[float, float]]] = []
    far = []
    for end, one in ends:
        x, y = place(end)
        long = sheet.width(labels[one.number])
        free = [
            start
            for start in (x + 0.12, x - 0.12 - long)
            if start > left and not any(start - 0.05 < a < start + long and abs(b - y) < 0.75 * _LINE for a, b in busy)
        ]
        if not free:
            far.append((end, one))
            continue
        near.append((free[0], y, one, end))
        busy += [(free[0] + long * share / 8, y) for share in range(9)]
    for start, y, one, end in near:
        if far and start + sheet.width(labels[one.number]) > left + wide:
            far.append((end, one))  # beyond the edge stand the others
        else:
            paper.text(start, y, labels[one.number])
    end_labels(paper, axes, box, far, labels)


def _along(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Places along a curve, close enough to see whether a name would lie on it."""
    found = list(places)
    for (x, y), (to_x, to_y) in pairwise(places):
        found += [(x + (to_x - x) * share / 40, y + (to_y - y) * share / 40) for share in range(1, 40)]
    return found


def _outside(axes: Axes, limit: float | None, high: float) -> None:
    """Tint the side of the SLO's limit on which nobody wants to be."""
    if limit is not None and limit < high:
        axes.axhspan(limit, high, facecolor=tint(look.SLO_INK), alpha=0.22, lw=0, zorder=0.5)


def _load_text(row: Row) -> str:
    """The load point; of a look its rate, and whether the SLO was met there."""
    if row.look is None:
        return row.label
    return f"{row.label}, {row.look.result.value} at {units.rate_text(row.arrival_rate)}"


def _curve_rows(one: ServerView, name: str, *, loop: bool) -> list[Row]:
    rows = [row for row in one.curve if view.is_open(row) is loop and point_of(row, name) is not None]
    return sorted(rows, key=lambda row: row.arrival_rate or row.users or 0)


def _points(one: ServerView, name: str, *, loop: bool) -> list[tuple[float, float]]:
    return [point for row in _curve_rows(one, name, loop=loop) if (point := point_of(row, name)) is not None]


def end_labels(
    paper: Sheet,
    axes: Axes,
    box: tuple[float, float, float, float],
    ends: Sequence[tuple[tuple[float, float], ServerView]],
    labels: dict[int, str],
) -> None:
    """Name each curve at the right of the panel, beside its end, moved apart where two would touch."""
    left, top, wide, high = box
    places = []
    for (x, y), one in ends:
        across, up = axes.transLimits.transform(axes.transScale.transform((x, y)))
        places.append((top + high * (1 - up), left + wide * across, one))
    places.sort(key=lambda place: place[0])
    heights = apart([place[0] for place in places], 0.2, top, top + high)
    for at, (end, x, one) in zip(heights, places, strict=True):
        style = look.styles(one.number + 1)[-1]
        line = axes.plot(
            [x + 0.07, left + wide + 0.02, left + wide + 0.1],
            [end, at, at],
            color=style.colour,
            lw=0.6,
            alpha=0.5,
            clip_on=False,
            transform=paper.inches,
            zorder=1,
        )
        line[0].set_in_layout(False)
        paper.text(left + wide + 0.15, at, labels[one.number])


def apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Ascending places at least `gap` apart, near the wanted ones, inside the bounds where there is room."""
    places: list[float] = []
    for want in wanted:
        places.append(max(want, places[-1] + gap) if places else max(want, low))
    limit = high
    for index in reversed(range(len(places))):
        places[index] = min(places[index], limit)
        limit = places[index] - gap
    return places


def horizontal(axes: Axes, limit: float | None) -> None:
    """The SLO's limit across a panel, named in place."""
    if limit is None:
        return
    axes.axhline(limit, color=look.SLO_INK, lw=1.2, zorder=1)
    axes.annotate(
        f"SLO {tick_time(limit)}",
        (0, limit),
        xycoords=("axes fraction", "data"),
        xytext=(4, 4),
        textcoords="offset points",
        fontsize=look.SMALL_PT,
        color=look.SLO_INK,
        bbox={"facecolor": look.PAPER, "linewidth": 0, "pad": 0.5},
        zorder=2.6,
    )
