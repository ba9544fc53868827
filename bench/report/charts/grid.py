"""Latency and throughput: small multiples with one row per server and one panel per load point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from bench import units
from bench.report import look, sheet, view
from bench.report.charts.parts import (
    Chart,
    absences,
    absent_rows,
    aside,
    blank,
    count_text,
    distinct_names,
    divide,
    footing,
    interval_text,
    mark,
    measured_rows,
    names_width,
    rows_of,
    sentence_only,
    spoken,
    style_of,
    tick_rate,
    tick_time,
    time_of,
    tint,
    verdict_word,
)
from bench.report.sheet import Sheet, fit
from bench.report.view import LoadPoint, ServerView
from bench.summary import Row, Summary, Verdict

_ROW = 0.27
_GAP = 0.35
_COLUMNS = 1.6
"""Inches at the right of a panel for the columns with the figure and n."""


def latency(summary: Summary) -> Chart:
    """p50 and the SLO's percentile of response time, one panel per load point, one row per server."""
    name, said = view.tail(summary), view.tail_text(summary)
    limit = view.slo_limit(summary)
    values = [
        value for row in measured_rows(summary) for key in ("p50", name) if (value := time_of(row, key)) is not None
    ]
    title = "Latency by server"
    columns = ("server", "load", "n", "p50", said, f"{said} 95 % interval", "verdict")
    rows = tuple(
        (
            v.name,
            row.label,
            units.count_text(row.n),
            view.percentile_text(row, "p50"),
            view.percentile_text(row, name),
            interval_text(row),
            verdict_word(row),
        )
        for v in view.servers(summary)
        for row in v.measured
    ) + absent_rows(summary, len(columns))
    description = spoken(f"Response time, p50 and {said}, by server and load point.", summary, columns, rows)
    if not values:
        return Chart(
            "latency",
            title,
            description,
            sentence_only(title, summary, "No response time was measured."),
            columns,
            rows,
        )
    axis = sheet.log_axis([*values, *([limit] if limit else [])], _Grid.plot_width(summary), tick_time)
    reading = (
        f"Response time, log scale. Marker: p50; line to the tick: {said}"
        + ("; pale band: its 95 % interval" if name == "p95" else "")
        + ". Further left is better. Hollow: INVALID."
    )

    def draw(axes: Axes, y: float, v: ServerView, row: Row) -> tuple[str, str]:
        style, low, high = style_of(summary, v), time_of(row, "p50"), time_of(row, name)
        band = row.p95_interval
        if name == "p95" and high is not None and band is not None and band.low is not None and band.high is not None:
            axes.plot([band.low, band.high], [y, y], color=tint(style.colour), lw=7, zorder=1.5, solid_capstyle="butt")
        if low is not None and high is not None:
            axes.plot([low, high], [y, y], color=style.colour, lw=1.6, solid_capstyle="butt", zorder=3)
        if high is not None:
            axes.plot([high], [y], marker="|", color=style.colour, ms=10, mew=2, zorder=3)
        if low is not None:
            mark(axes, low, y, style, row)
        needs = view.needed(row, name)
        if high is None:
            return "n too small" if needs else "-", count_text(row, needs)
        return units.duration_text(high), count_text(row, None)

    grid = _Grid(summary, title, reading, f"{said}", draw, limit)
    figure = grid.drawn(axis, [tick_time(t) for t in axis.ticks], "response time (log)")
    return Chart("latency", title, description, figure, columns, rows)


def throughput(summary: Summary) -> Chart:
    """Goodput inside throughput, bars from zero, one panel per load point, one row per server."""
    title = "Throughput by server"
    columns = ("server", "load", "n", "throughput", "goodput", "SLO", "verdict")
    rows = tuple(
        (
            v.name,
            row.label,
            units.count_text(row.n),
            units.rate_text(row.throughput),
            units.rate_text(row.goodput),
            view.slo_word(row),
            verdict_word(row),
        )
        for v in view.servers(summary)
        for row in v.measured
    ) + absent_rows(summary, len(columns))
    description = spoken("Correct replies per second, by server and load point.", summary, columns, rows)
    values = [row.throughput for row in measured_rows(summary) if row.throughput is not None]
    if not values:
        return Chart(
            "throughput",
            title,
            description,
            sentence_only(title, summary, "No throughput was measured."),
            columns,
            rows,
        )
    offered = [_due(view.servers(summary), point) for point in view.load_points(summary) if point.arrival_rate]
    axis = sheet.zero_axis(max([*values, *offered]), 5)
    reading = (
        "Correct replies per second. Solid: goodput, within the SLO; pale: correct but too late. "
        "Dotted line: requests that were due per second. Hollow: INVALID."
    )

    def draw(axes: Axes, y: float, v: ServerView, row: Row) -> tuple[str, str]:
        style = style_of(summary, v)
        if row.throughput is None:
            return "-", count_text(row, None)
        hollow = row.verdict is Verdict.INVALID
        good = row.goodput if row.goodput is not None else 0.0
        if hollow:
            axes.barh([y], [row.throughput], 0.5, facecolor="none", edgecolor=style.colour, lw=1.2, zorder=3)
        else:
            axes.barh([y], [row.throughput], 0.5, color=tint(style.colour), lw=0, zorder=2)
            axes.barh([y], [good], 0.5, color=style.colour, lw=0, zorder=3)
        return units.rate_text(row.goodput if row.goodput is not None else row.throughput), count_text(row, None)

    grid = _Grid(summary, title, reading, "goodput", draw, None)
    figure = grid.drawn(axis, [tick_rate(t) for t in axis.ticks], "throughput, from 0")
    return Chart("throughput", title, description, figure, columns, rows)


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
        return (look.WIDTH_IN - names_width(view.servers(summary)) - _GAP * (across - 1)) / across

    @staticmethod
    def plot_width(summary: Summary) -> float:
        """Inches of one panel's plot."""
        return _Grid.panel_width(summary) - _COLUMNS

    def drawn(self, axis: sheet.Axis, ticks: Sequence[str], label: str) -> Sheet:
        """The sheet: panels in reading order, names at the left of each line of panels."""
        views, points = rows_of(self.summary), view.load_points(self.summary)
        across, wide = self.across(self.summary), self.panel_width(self.summary)
        down = -(-len(points) // across)
        rows = _ROW * len(views)
        pitch = 0.52 + rows + 0.68
        cut = [one for one in views if one.absent and self._shown(one.absent) != one.absent]
        notes = [*absences(cut), *footing(self.summary)]
        paper = Sheet(self.title, self.reading, pitch * down - 0.2, notes)
        gutter = names_width(views)
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
        views = rows_of(self.summary)
        plot = wide - _COLUMNS
        paper.text(x, y + 0.1, fit(point.title, wide, look.PANEL_PT), size=look.PANEL_PT, weight="bold")
        paper.text(x + plot + 0.9, y + 0.38, self.heading, size=look.SMALL_PT, colour=look.MUTED, align="right")
        paper.text(x + wide, y + 0.38, "n", size=look.SMALL_PT, colour=look.MUTED, align="right")
        axes = paper.panel(x, y + 0.52, plot, rows)
        axes.set_ylim(len(views) - 0.5, -0.5)
        axes.set_yticks([])
        for line in range(len(views)):
            axes.axhline(line, color=look.FAINT, lw=0.8, zorder=0)
        divide(axes, views)
        for line, one in enumerate(views):
            middle = y + 0.52 + _ROW * (line + 0.5)
            row = one.row(point.label)
            if one.absent or row is None or row not in one.measured:
                why = one.absent or ("not measured here" if row is None else view.absence(row.outcome, row.reason))
                blank(axes, line)
                aside(paper, x + 0.06, middle, self._shown(why))
                continue
            value, count = self.draw(axes, line, one, row)
            colour = look.MUTED if row.verdict is Verdict.INVALID else look.INK
            paper.text(x + plot + 0.9, middle, value, align="right", colour=colour)
            paper.text(x + wide, middle, count, size=look.SMALL_PT, colour=look.MUTED, align="right")
        if self.limit is not None:
            _vertical(axes, self.limit, f"SLO {tick_time(self.limit)}")
        if point.arrival_rate is not None and self.limit is None:
            axes.axvline(_due(views, point), color=look.INK, lw=1, ls=(0, (1, 1.5)), zorder=4)
        return axes


def _due(views: Sequence[ServerView], point: LoadPoint) -> float:
    """Requests due per second at an open-loop load point: what was drawn by chance, not the mean that was asked for.

    All servers got the same; where windows differ, the most, so that no bar hides the line.
    """
    rows = [row for one in views if (row := one.row(point.label)) is not None and row in one.measured and row.seconds]
    return max((row.n / row.seconds for row in rows), default=point.arrival_rate or 0.0)


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


def _names(paper: Sheet, views: Sequence[ServerView], gutter: float, top: float) -> None:
    axes = paper.panel(0, top, 0.26, _ROW * len(views))
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(len(views) - 0.5, -0.5))
    for line, (one, label) in enumerate(zip(views, distinct_names(views, gutter - 0.4), strict=True)):
        style = look.styles(one.number + 1)[-1]
        if not one.absent:
            axes.plot([0.4], [line], marker=style.marker, color=style.colour, ms=6, lw=0, clip_on=False)
        colour = look.MUTED if one.absent else look.INK
        paper.text(0.26, top + _ROW * (line + 0.5), label, colour=colour)
