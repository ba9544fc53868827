"""How response times spread at one load point: the percentile curve, and the share of all requests answered in time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes

from bench import units
from bench.report import look, sheet, view
from bench.report.charts.curves import end_labels, horizontal
from bench.report.charts.parts import (
    Chart,
    absences,
    absent_rows,
    distinct_names,
    footing,
    interval_text,
    mark,
    sentence_only,
    spoken,
    style_of,
    tick_time,
    time_of,
    tint,
    verdict_word,
)
from bench.report.sheet import Axis, Sheet
from bench.report.view import LoadPoint, ServerView
from bench.results import Outcome
from bench.summary import Row, Summary
from bench.summary.spread import Ranked, Spread

_HIGH, _PITCH = 3.0, 3.95
_FEW = 10
"""A percentile with fewer values beyond it is drawn dotted: it is hardly more than the largest values themselves."""
_TICKS = (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One server of such a chart: its row at the load point, and where its times lie."""

    one: ServerView
    row: Row
    spread: Spread


Ends = Callable[[Drawn], tuple[float | None, float]]


def telling_point(summary: Summary) -> tuple[LoadPoint, tuple[Drawn, ...]] | None:
    """The load point of the answer's choice, else the highest open-loop one that most servers were given."""
    chosen = next((row.label for row in view.best_rows(summary)), None)
    found = [(point, _drawn(summary, point.label)) for point in view.load_points(summary)]
    return max(
        ((point, drawn) for point, drawn in found if drawn),
        key=lambda each: (each[0].label == chosen, len(each[1]), each[0].open_loop, each[0].arrival_rate or 0.0),
        default=None,
    )


def _drawn(summary: Summary, label: str) -> tuple[Drawn, ...]:
    rows = ((one, one.row(label)) for one in view.servers(summary))
    return tuple(
        Drawn(one, row, row.spread)
        for one, row in rows
        if row is not None and row.outcome is Outcome.OK and row.spread is not None and row.spread.ranked.times
    )


def percentile_curve(summary: Summary) -> Chart:
    """Every percentile of response time of correct replies, the tail stretched."""
    said = view.tail_text(summary)
    columns = ("server", "load", "n", "p50", "p90", "p95", "p95 95 % interval", "p99", "p99.9", "max", "verdict")

    def figures(each: Drawn) -> tuple[str, ...]:
        row, times = each.row, each.row.response_time
        shown = [view.percentile_text(row, name) for name in ("p50", "p90", "p95", "p99", "p999")]
        largest = units.duration_text(times.max if times else None)
        return (
            each.one.name, row.label, units.count_text(row.n), *shown[:3], interval_text(row), *shown[3:], largest,
            verdict_word(row),
        )  # fmt: skip

    def panel(axes: Axes, drawn: Sequence[Drawn], muted: Sequence[Drawn], frame: _Frame) -> None:
        frame.times.apply(axes, [tick_time(tick) for tick in frame.times.ticks], "y")
        axes.tick_params(axis="y", length=0)
        _percent_axis(axes, frame.deepest)
        for each in muted:
            _line(axes, *_percentiles(each.spread.ranked), colour=look.RULE, width=1.0)
        for each in drawn:
            _percentile_line(axes, summary, each)
        horizontal(axes, view.slo_limit(summary))

    reading = (
        "{load}. x: share of correct replies that were as fast or faster, the tail stretched; y: response time (log). "
        "Lower is better. Upright bar: 95 % interval of p95. Thin: fewer than 10 values lie "
        "beyond. Hollow: INVALID."
    )
    return _Tail(
        summary, "percentiles", "Response time by percentile", columns, figures, panel, reading,
        "percentile (stretched towards 100 %)", f"Response time by percentile, {said} among them",
    ).chart(_last)  # fmt: skip


def ecdf(summary: Summary) -> Chart:
    """The share of all requests that had their correct reply after so long; failures keep a curve from reaching 1."""
    limit = view.slo_limit(summary)
    columns = ("server", "load", "n", "answered correctly", "within the SLO", "p50", "max", "verdict")

    def figures(each: Drawn) -> tuple[str, ...]:
        row, times = each.row, each.row.response_time
        within = _within(each, limit) if limit is not None else None
        return (
            each.one.name, row.label, units.count_text(row.n), units.percent_text(each.spread.good / row.n),
            units.percent_text(within), view.percentile_text(row, "p50"),
            units.duration_text(times.max if times else None), verdict_word(row),
        )  # fmt: skip

    def panel(axes: Axes, drawn: Sequence[Drawn], muted: Sequence[Drawn], frame: _Frame) -> None:
        frame.across.apply(axes, [tick_time(tick) for tick in frame.across.ticks])
        Axis(0.0, 1.02, (0.0, 0.25, 0.5, 0.75, 1.0), log=False).apply(axes, ["0", "25 %", "50 %", "75 %", "100 %"], "y")
        axes.tick_params(axis="y", length=0)
        for each in muted:
            _line(axes, *_shares(each), colour=look.RULE, width=1.0)
        for each in drawn:
            style = style_of(summary, each.one)
            _line(axes, *_shares(each), colour=style.colour, width=1.6, dash=style.dash)
            for name, share in (("p50", 0.5), ("p90", 0.9)):
                if (time := time_of(each.row, name)) is not None:
                    mark(axes, time, share * each.spread.good / each.spread.n, style, each.row, 5.0)
        if limit is not None:
            axes.axvline(limit, color=look.SLO_INK, lw=1.2, zorder=1)
            axes.annotate(
                f"SLO {tick_time(limit)}", (limit, 1), xycoords=("data", "axes fraction"), xytext=(0, 3),
                textcoords="offset points", ha="center", fontsize=look.SMALL_PT, color=look.SLO_INK,
                annotation_clip=False,
            )  # fmt: skip

    reading = (
        "{load}. Share of all requests due that had a correct reply within so long (log). Further up and left is "
        "better. What failed, timed out or never left keeps a curve below 100 %. Marks: p50 and p90 of the replies. "
        "Hollow: INVALID."
    )
    return _Tail(
        summary, "ecdf", "Share of requests answered in time", columns, figures, panel, reading,
        "response time (log)", "Share of all requests with a correct reply, by response time",
    ).chart(lambda each: (None, each.spread.good / max(each.spread.n, 1)))  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Frame:
    """The axes that all panels share: times upright or across, and how deep the tail is known."""

    times: Axis
    across: Axis
    deepest: float


@dataclass(frozen=True, slots=True)
class _Tail:
    """One of the two charts: servers dealt to panels, each with its lines named at their ends."""

    summary: Summary
    slug: str
    title: str
    columns: tuple[str, ...]
    figures: Callable[[Drawn], tuple[str, ...]]
    panel: Callable[[Axes, Sequence[Drawn], Sequence[Drawn], _Frame], None]
    reading: str
    label: str
    spoken: str

    def chart(self, ends: Ends) -> Chart:
        """The chart; `ends` is where a server's line ends, x None at the panel's right edge."""
        found = telling_point(self.summary)
        missing = absent_rows(self.summary, len(self.columns))
        if found is None:
            said = spoken(self.spoken, self.summary, self.columns, missing)
            why = "No response times are at hand at any load point."
            return Chart(
                self.slug, self.title, said, sentence_only(self.title, self.summary, why), self.columns, missing
            )
        point, drawn = found
        rows = tuple(self.figures(each) for each in drawn) + missing
        said = spoken(f"{self.spoken}, at {point.title}.", self.summary, self.columns, rows)
        return Chart(self.slug, self.title, said, self._drawn(point, drawn, ends), self.columns, rows)

    def _drawn(
        self, point: LoadPoint, drawn: tuple[Drawn, ...], ends: Callable[[Drawn], tuple[float | None, float]]
    ) -> Sheet:
        groups = _dealt(drawn)
        limit = view.slo_limit(self.summary)
        times = [time for each in drawn for time in each.spread.ranked.times if time > 0]
        known = [*times, *([limit] if limit else [])] or [0.1]
        labels = dict(
            zip((each.one.number for each in drawn), distinct_names([d.one for d in drawn], 1.75), strict=True)
        )
        names = min(2.0, max(sheet.width(label) for label in labels.values()) + 0.3)
        left, wide = 0.62, look.WIDTH_IN - 0.62 - names
        reading = self.reading.format(load=point.title[0].upper() + point.title[1:])
        reading += " Grey: the servers of the other panels." if len(groups) > 1 else ""
        paper = Sheet(self.title, reading, _PITCH * len(groups) - 0.1, self._notes(point, drawn))
        deepest = max(1 - 0.5 / each.spread.good for each in drawn)
        frame = _Frame(sheet.log_axis(known, _HIGH, tick_time), sheet.log_axis(known, wide, tick_time), deepest)
        for number, group in enumerate(groups):
            y = paper.top + number * _PITCH + 0.25
            axes = paper.panel(left, y, wide, _HIGH)
            self.panel(axes, group, [each for each in drawn if each not in group], frame)
            paper.text(left, y + _HIGH + 0.36, self.label, size=look.SMALL_PT, colour=look.MUTED)
            right = axes.get_xlim()[1]
            places = [((right if x is None else x, height), each.one) for each in group for x, height in [ends(each)]]
            end_labels(paper, axes, (left, y, wide, _HIGH), places, labels)
        return paper

    def _notes(self, point: LoadPoint, drawn: Sequence[Drawn]) -> list[str]:
        shown = {each.one.number for each in drawn}
        others = [one.name for one in view.servers(self.summary) if not one.absent and one.number not in shown]
        notes = [f"Not measured at {point.title}: {', '.join(others)}."] if others else []
        counts = ", ".join(f"{each.one.name} {units.count_text(each.spread.n)}" for each in drawn)
        trials = sorted({each.row.trials for each in drawn})
        pooled = f"; {trials[-1]} trials pooled, each alone as a thin line" if trials[-1] > 1 else ""
        return [
            f"Requests: {counts}{pooled}.", *notes, *absences(view.servers(self.summary)),
            *footing(self.summary),
        ]  # fmt: skip


def _dealt(drawn: Sequence[Drawn]) -> list[tuple[Drawn, ...]]:
    size = look.SERIES_PER_PANEL
    count = -(-len(drawn) // size)
    bounds = [len(drawn) * i // count for i in range(count + 1)]
    return [tuple(drawn[a:b]) for a, b in pairwise(bounds)]


def _percentiles(ranked: Ranked) -> tuple[list[float], list[float]]:
    """X and y of a percentile curve: a value at the middle of the share that it stands for."""
    n = max(ranked.ranks[-1], 1)
    return [_stretched((rank - 0.5) / n) for rank in ranked.ranks], list(ranked.times)


def _last(each: Drawn) -> tuple[float | None, float]:
    x, y = _percentiles(each.spread.ranked)
    return x[-1], y[-1]


def _stretched(share: float) -> float:
    return -math.log10(1 - share)


def _percentile_line(axes: Axes, summary: Summary, each: Drawn) -> None:
    style = style_of(summary, each.one)
    for ranked in each.spread.trials:
        if ranked.times:
            _line(axes, *_percentiles(ranked), colour=tint(style.colour), width=0.8)
    x, y = _percentiles(each.spread.ranked)
    sure = sum(rank <= each.spread.good - _FEW for rank in each.spread.ranked.ranks)
    _line(axes, x[:sure], y[:sure], colour=style.colour, width=1.6, dash=style.dash)
    _line(axes, x[max(sure - 1, 0) :], y[max(sure - 1, 0) :], colour=style.colour, width=0.8, dash=style.dash)
    band = each.row.p95_interval
    if band is not None and band.low is not None and band.high is not None:
        axes.plot([_stretched(0.95)] * 2, [band.low, band.high], color=style.colour, lw=4, alpha=0.35, zorder=2)
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)):
        if (time := time_of(each.row, name)) is not None:
            mark(axes, _stretched(share), time, style, each.row, 5.0)


def _percent_axis(axes: Axes, deepest: float) -> None:
    ticks = tuple(share for share in _TICKS if share <= deepest) or (0.5,)
    axis = Axis(0.0, _stretched(deepest) * 1.02, tuple(_stretched(share) for share in ticks), log=False)
    axis.apply(axes, [f"p{100 * share:.6g}" for share in ticks])


def _shares(each: Drawn) -> tuple[list[float], list[float]]:
    """X and y of the share of all requests answered by then: a step up at each time, level from the last one on."""
    x = [each.spread.ranked.times[0], *each.spread.ranked.times, 1e9]
    y = [0.0, *(rank / each.spread.n for rank in each.spread.ranked.ranks)]
    return x, [*y, y[-1]]


def _within(each: Drawn, limit: float) -> float:
    """Share of all requests within a limit, read off the values kept: exact to one in as many as are kept."""
    ranked = each.spread.ranked
    below = [rank for rank, time in zip(ranked.ranks, ranked.times, strict=True) if time <= limit]
    return max(below, default=0) / each.spread.n


def _line(
    axes: Axes, x: Sequence[float], y: Sequence[float], *, colour: Any, width: float,
    dash: tuple[float, tuple[float, ...] | None] = (0, None),
) -> None:  # fmt: skip
    axes.plot(x, y, color=colour, lw=width, ls=dash, zorder=2.5, solid_capstyle="butt")
