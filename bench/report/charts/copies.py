"""Throughput and cost against the number of copies of a server: what scaling by adding instances gives, and takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

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
    spoken,
    style_of,
    tick_dollars,
    tick_rate,
    verdict_word,
)
from bench.report.sheet import Sheet
from bench.report.view import ServerView
from bench.summary import Row, Summary, Verdict

_HIGH = 2.6
_GUTTER = 0.62
_GAP = 0.9
_LEGEND = 0.21
_SHORT = {"same": "same cores", "each": "cores of their own"}
_MODES = {"same": "on the cores of one server", "each": "each on as many cores of its own"}


@dataclass(frozen=True, slots=True)
class _Point:
    """One server at the load point where it served most: how many copies of what, on which cores."""

    one: ServerView
    row: Row
    copies: int
    of: str
    cores: str


def copies(summary: Summary) -> Chart | None:
    """Two panels over the number of copies; None where fewer than two numbers were measured."""
    points = [point for one in view.servers(summary) if (point := _point(one)) is not None]
    if len({point.copies for point in points}) < 2:
        return None
    title = "More copies of a server"
    columns = ("server", "copies", "of", "cores", "load", "throughput", "cost per million", "verdict")
    rows = tuple(
        (
            point.one.name,
            units.count_text(point.copies),
            point.of,
            _MODES.get(point.cores, point.cores),
            point.row.label,
            units.rate_text(point.row.throughput),
            units.dollars_text(view.cost(point.row)),
            verdict_word(point.row),
        )
        for point in points
    ) + absent_rows(summary, len(columns))
    description = spoken("Throughput and cost against the number of copies.", summary, columns, rows)
    return Chart("copies", title, description, _figure(summary, title, points), columns, rows)


def _point(one: ServerView) -> _Point | None:
    count, of = one.summary.options.get("replicas"), one.summary.options.get("of")
    if not isinstance(count, int) or not isinstance(of, Mapping):
        return None
    served = [row for row in one.measured if row.throughput is not None]
    if not served:
        return None
    # A wrong answer serves nobody, however fast: an INVALID row stands only where there is no other.
    best = max(served, key=lambda row: (row.verdict is not Verdict.INVALID, row.goodput or 0.0, row.throughput or 0.0))
    return _Point(one, best, count, str(of.get("kind", "")), str(one.summary.options.get("cores", "")))


def _figure(summary: Summary, title: str, points: Sequence[_Point]) -> Sheet:
    priced = [point for point in points if view.cost(point.row) is not None]
    reading = (
        "Each server at the load it served most of within the SLO. Solid line: all copies on the cores of one server. "
        "Dashed: every copy on as many cores of its own. Dotted: as many times the fewest copies' throughput as there "
        "are copies. Both axes linear, from 0. Hollow: INVALID."
    )
    notes = [f"Price: {note}." for note in view.price_notes(summary)] if priced else ["No cost: no server has a price."]
    costless = [point.one.name for point in points if view.cost(point.row) is None]
    notes += [f"No cost, for want of a price or of requests within the SLO: {', '.join(costless)}."] * bool(
        priced and costless
    )
    legend = -(-len(points) // 2)
    paper = Sheet(
        title,
        reading,
        _HIGH + 0.75 + _LEGEND * legend,
        [*notes, *absences(view.servers(summary)), *footing(summary)],
    )
    panels = 2 if priced else 1
    wide = (look.WIDTH_IN - _GUTTER * panels - _GAP * (panels - 1)) / panels
    top = paper.top + 0.32
    rates = paper.panel(_GUTTER, top, wide, _HIGH)
    paper.text(0, paper.top + 0.08, "Throughput (requests per second)", size=look.SMALL_PT, colour=look.MUTED)
    counts = sorted({point.copies for point in points})
    served = [(point, point.row.throughput or 0.0) for point in points]
    _draw(summary, rates, counts, served, tick_rate, ideal=True)
    if priced:
        left = _GUTTER + wide + _GAP
        dollars = paper.panel(left + _GUTTER, top, wide, _HIGH)
        label = "Dollars per million requests within the SLO"
        paper.text(left, paper.top + 0.08, label, size=look.SMALL_PT, colour=look.MUTED)
        costs = [(point, view.cost(point.row) or 0.0) for point in priced]
        _draw(summary, dollars, counts, costs, tick_dollars, ideal=False)
        paper.text(left + _GUTTER, top + _HIGH + 0.36, "copies", size=look.SMALL_PT, colour=look.MUTED)
    paper.text(_GUTTER, top + _HIGH + 0.36, "copies", size=look.SMALL_PT, colour=look.MUTED)
    _legend(summary, paper, points, top + _HIGH + 0.62)
    return paper


def _draw(
    summary: Summary,
    axes: Axes,
    counts: Sequence[int],
    values: Sequence[tuple[_Point, float]],
    text: Callable[[float], str],
    *,
    ideal: bool,
) -> None:
    most = counts[-1]
    sheet.Axis(0.0, most * 1.08, tuple(map(float, counts)), log=False).apply(axes, [str(count) for count in counts])
    y_axis = sheet.zero_axis(max(value for _, value in values), 6)
    y_axis.apply(axes, [text(tick) for tick in y_axis.ticks], "y")
    axes.tick_params(axis="y", length=0)
    series: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for point, value in values:
        series.setdefault((point.of, point.cores), []).append((_across(point, most), value))
    for (of, cores), line in series.items():
        # One copy has the cores of one server either way, so both lines begin there.
        alone = [at for at in series.get((of, "same"), ()) if at[0] == 1 and cores == "each"]
        points = sorted({*line, *alone})
        across, up = zip(*points, strict=True)
        dash = (0, None) if cores == "same" else (0, (5, 2))
        axes.plot(across, up, color=look.MUTED, lw=1.3, ls=dash, zorder=3)
        if len(points) > 1:
            _say(axes, _SHORT.get(cores, cores), points[-1], y_axis.high, left=points[-1][0] > 0.75 * most)
    if ideal:
        fewest, value = min((point.copies, value) for point, value in values)
        end = min(most, y_axis.high / (value / fewest)) if value > 0 else most
        axes.plot([0, end], [0, end * value / fewest], color=look.RULE, lw=1.3, ls=(0, (1, 1.5)), zorder=2)
    for point, value in values:
        mark(axes, _across(point, most), value, style_of(summary, point.one), point.row, size=7.5)


def _say(axes: Axes, text: str, at: tuple[float, float], highest: float, *, left: bool) -> None:
    """What a line stands for, beside its last point, below it where there is no room above."""
    below = at[1] > 0.9 * highest
    offset = (-7, -9 if below else 9) if left else (9, 0)
    axes.annotate(
        text, at, xytext=offset, textcoords="offset points", ha="right" if left else "left",
        va=("top" if below else "bottom") if left else "center", fontsize=look.SMALL_PT, color=look.MUTED,
    )  # fmt: skip


def _across(point: _Point, most: int) -> float:
    """Where a point stands; copies with cores of their own a little to the right, or one mark would hide another."""
    return point.copies + (0.025 * most if point.cores == "each" and point.copies > 1 else 0.0)


def _legend(summary: Summary, paper: Sheet, points: Sequence[_Point], top: float) -> None:
    """Every point's mark, name and what it is, in two columns."""
    half = look.WIDTH_IN / 2
    names = distinct_names([point.one for point in points], 1.6)
    for place, (point, name) in enumerate(zip(points, names, strict=True)):
        x, y = half * (place % 2), top + _LEGEND * (place // 2)
        style = style_of(summary, point.one)
        paper.mark(x + 0.08, y, style.marker, style.colour, 6)
        many = f"{point.copies} x {point.of}" if point.copies > 1 else point.of
        said = f"{name}: {many}, {_MODES.get(point.cores, point.cores)}" if point.copies > 1 else f"{name}: {many}"
        paper.text(x + 0.24, y, sheet.fit(said, half - 0.4, look.SMALL_PT), size=look.SMALL_PT)
