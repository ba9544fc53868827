"""One function per chart: Summary -> Chart. Skipped and failed servers are in every one, with their reason.

A server keeps its colour, marker and dash in all of them; an INVALID row is drawn hollow; a figure that
could not be computed is said in words, never drawn as zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from bench import units
from bench.report import look, sheet, view
from bench.report.sheet import Sheet, fit
from bench.report.view import LoadPoint, ServerView
from bench.summary import Row, Summary, Verdict

_ROW = 0.27
_GAP = 0.35
_COLUMNS = 1.6
"""Inches at the right of a panel for the columns with the figure and n."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart and its data as text: `description` is read to those who cannot see it."""

    slug: str
    title: str
    description: str
    paper: Sheet
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def all_charts(summary: Summary) -> tuple[Chart, ...]:
    """The charts of a report, in reading order."""
    with sheet.house_style():
        return (latency(summary), throughput(summary), latency_against_throughput(summary), cost(summary))


def latency(summary: Summary) -> Chart:
    """p50 and the SLO's percentile of response time, one panel per load point, one row per server."""
    name, said = view.tail(summary), view.tail_text(summary)
    limit = view.slo_limit(summary)
    values = [value for row in _measured(summary) for key in ("p50", name) if (value := _time(row, key)) is not None]
    title = "Latency by server"
    columns = ("server", "load", "n", "p50", said, f"{said} 95 % interval", "verdict")
    rows = tuple(
        (v.name, row.label, units.count_text(row.n), view.percentile_text(row, "p50"), view.percentile_text(row, name))
        + (_interval_text(row), _verdict(row))
        for v in view.servers(summary)
        for row in v.measured
    ) + _absent_rows(summary, len(columns))
    description = _describe(f"Response time, p50 and {said}, by server and load point.", summary, columns, rows)
    if not values:
        return Chart("latency", title, description, _nothing(title, summary, "No response time was measured."), columns, rows)
    axis = sheet.log_axis([*values, *([limit] if limit else [])], _Grid.plot_width(summary), _tick_time)
    reading = (
        f"Response time, log scale. Marker: p50; line to the tick: {said}"
        + ("; pale band: its 95 % interval" if name == "p95" else "")
        + ". Further left is better. Hollow: INVALID."
    )

    def draw(axes: Axes, y: float, v: ServerView, row: Row) -> tuple[str, str]:
        style, low, high = _style(summary, v), _time(row, "p50"), _time(row, name)
        band = row.p95_interval
        if name == "p95" and high is not None and band is not None and band.low is not None and band.high is not None:
            axes.plot([band.low, band.high], [y, y], color=_tint(style.colour), lw=7, zorder=1.5, solid_capstyle="butt")
        if low is not None and high is not None:
            axes.plot([low, high], [y, y], color=style.colour, lw=1.6, solid_capstyle="butt", zorder=3)
        if high is not None:
            axes.plot([high], [y], marker="|", color=style.colour, ms=10, mew=2, zorder=3)
        if low is not None:
            _mark(axes, low, y, style, row)
        needs = view.needed(row, name)
        if high is None:
            return "n too small" if needs else "-", _count(row, needs)
        return units.duration_text(high), _count(row, None)

    grid = _Grid(summary, title, reading, f"{said}", draw, limit)
    figure = grid.drawn(axis, [_tick_time(t) for t in axis.ticks], "response time (log)")
    return Chart("latency", title, description, figure, columns, rows)


def throughput(summary: Summary) -> Chart:
    """Goodput inside throughput, bars from zero, one panel per load point, one row per server."""
    title = "Throughput by server"
    columns = ("server", "load", "n", "throughput", "goodput", "SLO", "verdict")
    rows = tuple(
        (v.name, row.label, units.count_text(row.n), units.rate_text(row.throughput), units.rate_text(row.goodput))
        + (view.slo_word(row), _verdict(row))
        for v in view.servers(summary)
        for row in v.measured
    ) + _absent_rows(summary, len(columns))
    description = _describe("Correct replies per second, by server and load point.", summary, columns, rows)
    values = [row.throughput for row in _measured(summary) if row.throughput is not None]
    if not values:
        return Chart("throughput", title, description, _nothing(title, summary, "No throughput was measured."), columns, rows)
    offered = [point.arrival_rate for point in view.load_points(summary) if point.arrival_rate is not None]
    axis = sheet.zero_axis(max([*values, *offered]), 5)
    reading = (
        "Correct replies per second. Solid: goodput, within the SLO; pale: correct but too late. "
        "Dotted line: the arrival rate offered. Hollow: INVALID."
    )

    def draw(axes: Axes, y: float, v: ServerView, row: Row) -> tuple[str, str]:
        style = _style(summary, v)
        if row.throughput is None:
            return "-", _count(row, None)
        hollow = row.verdict is Verdict.INVALID
        good = row.goodput if row.goodput is not None else 0.0
        if hollow:
            axes.barh([y], [row.throughput], 0.5, facecolor="none", edgecolor=style.colour, lw=1.2, zorder=3)
        else:
            axes.barh([y], [row.throughput], 0.5, color=_tint(style.colour), lw=0, zorder=2)
            axes.barh([y], [good], 0.5, color=style.colour, lw=0, zorder=3)
        return units.rate_text(row.goodput if row.goodput is not None else row.throughput), _count(row, None)

    grid = _Grid(summary, title, reading, "goodput", draw, None)
    figure = grid.drawn(axis, [_tick_rate(t) for t in axis.ticks], "throughput, from 0")
    return Chart("throughput", title, description, figure, columns, rows)


def latency_against_throughput(summary: Summary) -> Chart:
    """One curve per server through its load points; open and closed loop never share a panel."""
    name, said = view.tail(summary), view.tail_text(summary)
    limit = view.slo_limit(summary)
    title = "Latency against throughput"
    columns = ("server", "loop", "load", "n", "throughput", said, "verdict")
    rows = tuple(
        (v.name, "open" if view.is_open(row) else "closed", row.label, units.count_text(row.n))
        + (units.rate_text(row.throughput), view.percentile_text(row, name), _verdict(row))
        for v in view.servers(summary)
        for row in v.measured
    ) + _absent_rows(summary, len(columns))
    description = _describe(f"{said} of response time against throughput.", summary, columns, rows)
    shown = [row for row in _measured(summary) if _point(row, name) is not None]
    if not shown:
        figure = _nothing(title, summary, f"No load point has enough requests for {said}.", _too_few(summary, name))
        return Chart("latency-throughput", title, description, figure, columns, rows)
    points = [point for row in shown if (point := _point(row, name)) is not None]
    y_axis = sheet.log_axis([y for _, y in points] + ([limit] if limit else []), 3.1, _tick_time)
    figure = _curves(summary, title, y_axis)
    return Chart("latency-throughput", title, description, figure, columns, rows)


def cost(summary: Summary) -> Chart:
    """Dollars per million requests: one row per server, its cheapest load point within the SLO in front."""
    title = "Cost per million requests"
    columns = ("server", "load", "cost per million", "interval", "goodput", "SLO", "verdict", "basis")
    rows = tuple(
        (v.name, row.label, units.dollars_text(view.cost(row)), _cost_interval(row), units.rate_text(row.goodput))
        + (view.slo_word(row), _verdict(row), row.cost_per_million.basis if row.cost_per_million else "not priced")
        for v in view.servers(summary)
        for row in v.measured
    ) + _absent_rows(summary, len(columns))
    description = _describe("Cost per million requests, by server.", summary, columns, rows)
    values = [value for row in _measured(summary) if (value := view.cost(row)) is not None]
    if not values:
        why = "No cost: no measured server has both a price and good replies."
        return Chart("cost", title, description, _nothing(title, summary, why), columns, rows)
    return Chart("cost", title, description, _cost_figure(summary, title, values), columns, rows)


# -- one row per server, one panel per load point ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Grid:
    """Small multiples with the same rows in every panel; `draw` fills one row and returns its value and its n."""

    summary: Summary
    title: str
    reading: str
    heading: str
    draw: Callable[[Axes, float, ServerView, Row], tuple[str, str]]
    limit: float | None

    @staticmethod
    def across(summary: Summary) -> int:
        """Panels side by side."""
        return 1 if len(view.load_points(summary)) == 1 else 2

    @staticmethod
    def panel_width(summary: Summary) -> float:
        """Inches of one panel, its columns of text included."""
        across = _Grid.across(summary)
        return (look.WIDTH_IN - _gutter(view.servers(summary)) - _GAP * (across - 1)) / across

    @staticmethod
    def plot_width(summary: Summary) -> float:
        """Inches of one panel's plot."""
        return _Grid.panel_width(summary) - _COLUMNS

    def drawn(self, axis: sheet.Axis, ticks: Sequence[str], label: str) -> Sheet:
        """The sheet: panels in reading order, names at the left of each line of panels."""
        views, points = view.servers(self.summary), view.load_points(self.summary)
        across, wide = self.across(self.summary), self.panel_width(self.summary)
        down = -(-len(points) // across)
        rows = _ROW * len(views)
        pitch = 0.52 + rows + 0.68
        cut = [one for one in views if one.absent and self._shown(one.absent) != one.absent]
        notes = [*_absences(cut), view.basis_text(self.summary)]
        paper = Sheet(self.title, self.reading, pitch * down - 0.2, notes)
        gutter = _gutter(views)
        for number, point in enumerate(points):
            x = gutter + (number % across) * (wide + _GAP)
            y = paper.top + (number // across) * pitch
            if number % across == 0:
                _names(paper, views, gutter, y + 0.52)
            axes = self._panel(paper, point, x, y, wide, rows)
            axis.apply(axes, ticks)
            paper.text(x, y + 0.52 + rows + 0.36, label, size=look.SMALL_PT, colour=look.MUTED)
        return paper

    def _shown(self, why: str) -> str:
        return fit(why, self.panel_width(self.summary) - 0.1, look.SMALL_PT)

    def _panel(self, paper: Sheet, point: LoadPoint, x: float, y: float, wide: float, rows: float) -> Axes:
        views = view.servers(self.summary)
        plot = wide - _COLUMNS
        paper.text(x, y + 0.1, fit(point.title, wide, look.PANEL_PT), size=look.PANEL_PT, weight="bold")
        paper.text(x + plot + 0.9, y + 0.38, self.heading, size=look.SMALL_PT, colour=look.MUTED, align="right")
        paper.text(x + wide, y + 0.38, "n", size=look.SMALL_PT, colour=look.MUTED, align="right")
        axes = paper.panel(x, y + 0.52, plot, rows)
        axes.set_ylim(len(views) - 0.5, -0.5)
        axes.set_yticks([])
        for line in range(len(views)):
            axes.axhline(line, color=look.FAINT, lw=0.8, zorder=0)
        for line, one in enumerate(views):
            middle = y + 0.52 + _ROW * (line + 0.5)
            row = one.row(point.label)
            if one.absent or row is None or row not in one.measured:
                why = one.absent or ("not measured here" if row is None else view.absence(row.outcome, row.reason))
                _aside(paper, x + 0.06, middle, self._shown(why))
                continue
            value, count = self.draw(axes, line, one, row)
            colour = look.MUTED if row.verdict is Verdict.INVALID else look.INK
            paper.text(x + plot + 0.9, middle, value, align="right", colour=colour)
            paper.text(x + wide, middle, count, size=look.SMALL_PT, colour=look.MUTED, align="right")
        if self.limit is not None:
            _vertical(axes, self.limit, f"SLO {_tick_time(self.limit)}")
        if point.arrival_rate is not None and self.limit is None:
            axes.axvline(point.arrival_rate, color=look.INK, lw=1, ls=(0, (1, 1.5)), zorder=4)
        return axes


def _vertical(axes: Axes, at: float, text: str) -> None:
    axes.axvline(at, color=look.SLO_INK, lw=1.2, zorder=1)
    axes.annotate(
        text,
        (at, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=look.SMALL_PT,
        color=look.SLO_INK,
        annotation_clip=False,
    )


def _aside(paper: Sheet, x: float, y: float, text: str) -> None:
    paper.text(x, y, text, size=look.SMALL_PT, colour=look.MUTED, style="italic", covers=True)


def _gutter(views: Sequence[ServerView]) -> float:
    widest = max((sheet.width(sheet.drawable(v.name)) for v in views), default=0.0)
    return min(2.2, max(0.8, widest + 0.42))


def _labels(views: Sequence[ServerView], inches: float, size: float = look.TEXT_PT) -> tuple[str, ...]:
    """Names as they can be drawn, still different from one another."""
    return look.distinct([fit(v.name, inches, size) for v in views])


def _names(paper: Sheet, views: Sequence[ServerView], gutter: float, top: float) -> None:
    axes = paper.panel(0, top, 0.26, _ROW * len(views))
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(len(views) - 0.5, -0.5))
    for line, (one, label) in enumerate(zip(views, _labels(views, gutter - 0.4), strict=True)):
        style = look.styles(one.number + 1)[-1]
        if not one.absent:
            axes.plot([0.4], [line], marker=style.marker, color=style.colour, ms=6, lw=0, clip_on=False)
        colour = look.MUTED if one.absent else look.INK
        paper.text(0.26, top + _ROW * (line + 0.5), label, colour=colour)


# -- curves --------------------------------------------------------------------------------------------------


def _curves(summary: Summary, title: str, y_axis: sheet.Axis) -> Sheet:
    views, name = view.servers(summary), view.tail(summary)
    drawn = [v for v in views if any(_point(row, name) for row in v.measured)]
    loops = [
        loop
        for loop in (False, True)
        if any(view.is_open(row) is loop and _point(row, name) for v in drawn for row in v.measured)
    ]
    dealt = view.groups(drawn, look.SERIES_PER_PANEL)
    high = 3.1 if len(dealt) == 1 else 2.3
    pitch = high + 0.95
    reading = (
        f"Each dot is one load point, load rising along the line. {view.tail_text(summary)} of response time (log) "
        "against correct replies per second (linear, from 0). Lower right is better. Hollow: INVALID."
    )
    if len(dealt) > 1:
        reading += " Grey: the servers of the other panels."
    notes = [*_too_few(summary, name), *_absences(view.servers(summary)), view.basis_text(summary)]
    paper = Sheet(title, reading, pitch * len(dealt) - 0.1, notes)
    labels = dict(zip((v.number for v in drawn), _labels(drawn, 1.75), strict=True))
    names = min(2.0, max(sheet.width(label) for label in labels.values()) + 0.3)
    left = 0.62
    wide = (look.WIDTH_IN - left - names - (names + _GAP) * (len(loops) - 1)) / len(loops)
    for line, group in enumerate(dealt):
        for column, loop in enumerate(loops):
            x, y = left + column * (wide + names + _GAP), paper.top + line * pitch
            heading = "Open loop: arrivals ignore replies" if loop else "Closed loop: each user waits for its reply"
            paper.text(x, y + 0.1, fit(heading, wide + names, look.PANEL_PT), size=look.PANEL_PT, weight="bold")
            axes = paper.panel(x, y + 0.34, wide, high)
            x_axis = sheet.zero_axis(max(x for v in drawn for x, _ in _points(v, name, loop=loop)), 5)
            x_axis.apply(axes, [_tick_rate(t) for t in x_axis.ticks])
            y_axis.apply(axes, [_tick_time(t) if column == 0 else "" for t in y_axis.ticks], "y")
            axes.tick_params(axis="y", length=0)
            paper.text(x, y + 0.34 + high + 0.36, "throughput", size=look.SMALL_PT, colour=look.MUTED)
            for other in drawn:
                if other not in group:
                    _curve(axes, other, name, loop=loop, muted=True)
            ends = [(end, one) for one in group if (end := _curve(axes, one, name, loop=loop)) is not None]
            _end_labels(paper, axes, (x, y + 0.34, wide, high), ends, labels)
            _horizontal(axes, view.slo_limit(summary))
    return paper


def _curve(axes: Axes, one: ServerView, name: str, *, loop: bool, muted: bool = False) -> tuple[float, float] | None:
    """Draw one server's load points; its last point, None if it has none in this loop."""
    style = look.styles(one.number + 1)[-1]
    rows = _curve_rows(one, name, loop=loop)
    points = _points(one, name, loop=loop)
    sound = [_point(row, name) for row in rows if row.verdict is not Verdict.INVALID]
    path = [point for point in sound if point is not None]
    colour = look.RULE if muted else style.colour
    axes.plot([x for x, _ in path], [y for _, y in path], color=colour, lw=1 if muted else 1.6, ls=style.dash, zorder=2)
    for row, (x, y) in zip(rows, points, strict=True):
        if muted:
            axes.plot([x], [y], marker="o", color=colour, ms=2.5, zorder=2)
        else:
            _mark(axes, x, y, style, row)
    return points[-1] if points else None


def _curve_rows(one: ServerView, name: str, *, loop: bool) -> list[Row]:
    rows = [row for row in one.measured if view.is_open(row) is loop and _point(row, name) is not None]
    return sorted(rows, key=lambda row: row.arrival_rate or row.users or 0)


def _points(one: ServerView, name: str, *, loop: bool) -> list[tuple[float, float]]:
    return [point for row in _curve_rows(one, name, loop=loop) if (point := _point(row, name)) is not None]


def _end_labels(
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
    heights = _apart([place[0] for place in places], 0.2, top, top + high)
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
        paper.text(left + wide + 0.14, at, labels[one.number])



def _apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Ascending places at least `gap` apart, near the wanted ones, inside the bounds where there is room."""
    places: list[float] = []
    for want in wanted:
        places.append(max(want, places[-1] + gap) if places else max(want, low))
    limit = high
    for index in reversed(range(len(places))):
        places[index] = min(places[index], limit)
        limit = places[index] - gap
    return places


def _horizontal(axes: Axes, limit: float | None) -> None:
    if limit is None:
        return
    axes.axhline(limit, color=look.SLO_INK, lw=1.2, zorder=1)
    axes.annotate(
        f"SLO {_tick_time(limit)}",
        (0, limit),
        xycoords=("axes fraction", "data"),
        xytext=(4, 3),
        textcoords="offset points",
        fontsize=look.SMALL_PT,
        color=look.SLO_INK,
        bbox={"facecolor": look.PAPER, "linewidth": 0, "pad": 1},
        zorder=2.6,
    )


# -- cost ----------------------------------------------------------------------------------------------------


def _cost_figure(summary: Summary, title: str, values: Sequence[float]) -> Sheet:
    views = view.servers(summary)
    wide_range = max(values) / min(values) > 20 if min(values) > 0 else False
    axis = sheet.log_axis(values, 5.5, _tick_dollars) if wide_range else sheet.zero_axis(max(values), 6)
    reading = (
        "Dollars per million correct requests within the SLO, at the goodput of each load point; further left is better. "
        "Large: the cheapest load point that meets the SLO. Small: the others. Hollow: INVALID."
    )
    prices = [f"Price: {note}." for note in view.price_notes(summary)]
    row_high = 0.32
    high = row_high * len(views)
    gutter, said = _gutter(views), 3.1
    wide = look.WIDTH_IN - gutter - said
    cut = [one for one in views if one.absent and fit(one.absent, wide + said - 0.1, look.SMALL_PT) != one.absent]
    paper = Sheet(title, reading, high + 0.52, [*prices, *_absences(cut), view.basis_text(summary)])
    top = paper.top + 0.08
    axes = paper.panel(gutter, top, wide, high)
    axes.set(ylim=(len(views) - 0.5, -0.5))
    axes.set_yticks([])
    axis.apply(axes, [_tick_dollars(t) for t in axis.ticks])
    scale = "(log)" if axis.log else "(linear, from $0)"
    label = f"dollars per million requests {scale}"
    paper.text(gutter, top + high + 0.36, label, size=look.SMALL_PT, colour=look.MUTED)
    for line, (one, name) in enumerate(zip(views, _labels(views, gutter - 0.15), strict=True)):
        middle = top + row_high * (line + 0.5)
        axes.axhline(line, color=look.FAINT, lw=0.8, zorder=0)
        paper.text(0, middle, name, colour=look.MUTED if one.absent else look.INK)
        if one.absent or all(view.cost(row) is None for row in one.measured):
            why = one.absent or _unpriced(one)
            _aside(paper, gutter + 0.06, middle, fit(why, wide + said - 0.1, look.SMALL_PT))
            continue
        text = fit(_cost_row(axes, line, one, look.styles(one.number + 1)[-1]), said - 0.15)
        paper.text(gutter + wide + 0.15, middle, text)
    return paper


def _unpriced(one: ServerView) -> str:
    return "not priced: the scenario gives no price" if one.summary.price is None else "no cost: no good reply"


def _cost_row(axes: Axes, line: int, one: ServerView, style: look.Style) -> str:
    best = view.cheapest(one.measured)
    for row in one.measured:
        value = view.cost(row)
        if value is None or row is best:
            continue
        hollow = row.verdict is Verdict.INVALID
        face = "none" if hollow else style.colour
        axes.plot([value], [line], marker=style.marker, mfc=face, mec=style.colour, ms=4, alpha=1 if hollow else 0.45)
    if best is None or best.cost_per_million is None:
        invalid = any(row.slo_met and row.verdict is Verdict.INVALID for row in one.measured)
        return "INVALID wherever it meets the SLO" if invalid else "no load point meets the SLO"
    interval = best.cost_per_million
    if interval.low is not None and interval.high is not None:
        axes.plot([interval.low, interval.high], [line, line], color=style.colour, lw=1.6, zorder=2)
    _mark(axes, interval.value or 0.0, line, style, best, size=8)
    return f"{units.dollars_text(interval.value)} at {best.label}, {units.rate_text(best.goodput)}, n {units.count_text(best.n)}"


# -- shared --------------------------------------------------------------------------------------------------


def _tick_time(seconds: float) -> str:
    return view.short(units.duration_text(seconds))


def _tick_rate(per_second: float) -> str:
    return view.short(units.rate_text(per_second)) if per_second else "0"


def _tick_dollars(dollars: float) -> str:
    return view.short(units.dollars_text(dollars))


def _mark(axes: Axes, x: float, y: float, style: look.Style, row: Row, size: float = 6.5) -> None:
    hollow = row.verdict is Verdict.INVALID
    axes.plot(
        [x],
        [y],
        marker=style.marker,
        mfc=look.PAPER if hollow else style.colour,
        mec=style.colour if hollow else look.PAPER,
        mew=1.4 if hollow else 0.7,
        ms=size,
        zorder=5,
        clip_on=False,
    )


def _style(summary: Summary, one: ServerView) -> look.Style:
    return look.styles(len(summary.servers))[one.number]


def _measured(summary: Summary) -> list[Row]:
    return [row for one in view.servers(summary) for row in one.measured]


def _time(row: Row, name: str) -> float | None:
    value = view.percentile(row.response_time, name)
    return value if value is not None and value > 0 else None


def _point(row: Row, name: str) -> tuple[float, float] | None:
    time = _time(row, name)
    return None if time is None or row.throughput is None else (row.throughput, time)


def _count(row: Row, needs: int | None) -> str:
    return f"{units.count_text(row.n)} of {units.count_text(needs)}" if needs else units.count_text(row.n)


def _verdict(row: Row) -> str:
    return row.verdict.value if row.verdict is not None else "-"


def _interval_text(row: Row) -> str:
    band = row.p95_interval
    if band is None or band.low is None or band.high is None:
        return "-"
    return f"{units.duration_text(band.low)} to {units.duration_text(band.high)}"


def _cost_interval(row: Row) -> str:
    band = row.cost_per_million
    if band is None or band.low is None or band.high is None:
        return "-"
    return f"{units.dollars_text(band.low)} to {units.dollars_text(band.high)}"


def _absent_rows(summary: Summary, columns: int) -> tuple[tuple[str, ...], ...]:
    return tuple((v.name, v.absent, *["-"] * (columns - 2)) for v in view.servers(summary) if v.absent)


def _absences(views: Sequence[ServerView]) -> list[str]:
    return [f"{v.name} - {v.absent}" for v in views if v.absent]


def _too_few(summary: Summary, name: str) -> list[str]:
    few = [
        f"{one.name} at {row.label} (n {_count(row, view.needed(row, name))})"
        for one in view.servers(summary)
        for row in one.measured
        if _time(row, name) is None and view.needed(row, name)
    ]
    return [f"Not drawn, n too small for {view.tail_text(summary)}: {', '.join(few)}."] if few else []


def _nothing(title: str, summary: Summary, sentence: str, notes: Sequence[str] = ()) -> Sheet:
    """A sentence instead of an empty axis."""
    paper = Sheet(title, "", 0.3, [*notes, *_absences(view.servers(summary)), view.basis_text(summary)])
    paper.text(0, paper.top + 0.1, sheet.drawable(sentence))
    return paper


def _tint(colour: str) -> tuple[float, float, float]:
    """The colour thinned with paper: opaque, so that no line shows through."""
    red, green, blue = to_rgb(colour)
    return (1 - 0.3 * (1 - red), 1 - 0.3 * (1 - green), 1 - 0.3 * (1 - blue))


def _describe(what: str, summary: Summary, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """What a reader who cannot see the chart gets: what it is, its first dozen rows, where the rest is."""
    said = [
        f"{row[0]}: " + ", ".join(f"{c} {v}" for c, v in zip(columns[1:], row[1:], strict=True) if v != "-")
        for row in rows
    ]
    more = f" {len(said) - 12} more rows are in the table below." if len(said) > 12 else ""
    limit = view.slo_text(summary)
    return " ".join([what, *([f"SLO: {limit}."] if limit else []), "; ".join(said[:12]) + "." + more])
