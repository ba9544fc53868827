"""Latency over time: one panel per server at the load point that matters, what else went on in strips below it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from bench import units
from bench.measures.timeline import Series, Timeline, first_of_each
from bench.report import look, sheet, view
from bench.report.charts.parts import (
    Chart,
    absences,
    absent_rows,
    distinct_names,
    footing,
    sentence_only,
    spoken,
    style_of,
    tick_rate,
    tick_time,
    tint,
    verdict_word,
)
from bench.report.sheet import Axis, Sheet, fit
from bench.report.view import LoadPoint, ServerView
from bench.summary import Row, Summary, Verdict

_GAP = 0.5
_LEFT = 0.62
"""Inches for the labels of the upright axes."""
_HEAD, _LATENCY, _STRIP, _PITCH = 0.52, 1.45, 0.3, 0.56
_FOOT = 0.62


def over_time(summary: Summary) -> Chart:
    """p50 and p95 second by second, warm-up shaded, with load, errors, cores and memory below."""
    title = "Latency over time"
    columns = (
        "server",
        "load",
        "trial",
        "window",
        "steady from",
        "slowest stretch p50",
        "fastest stretch p50",
        "verdict",
    )
    found = _load_point(summary)
    if found is None:
        description = spoken("Latency over time, by server.", summary, columns, absent_rows(summary, len(columns)))
        why = "No course over time: nothing was measured."
        return Chart(
            "over-time", title, description, sentence_only(title, summary, why), columns,
            absent_rows(summary, len(columns)),
        )  # fmt: skip
    point, panels = found
    rows = tuple(_table_row(panel) for panel in panels) + absent_rows(summary, len(columns))
    description = spoken(f"Latency over time at {point.title}, by server.", summary, columns, rows)
    return Chart("over-time", title, description, _Drawing.of(summary, point, panels).drawn(title), columns, rows)


@dataclass(frozen=True, slots=True)
class _Panel:
    """One server's trial and the row that it belongs to."""

    one: ServerView
    row: Row
    line: Timeline


def _load_point(summary: Summary) -> tuple[LoadPoint, list[_Panel]] | None:
    """The load point of the answer's choice; without one the highest open-loop load that most servers were given."""
    chosen = next((row.label for row in view.best_rows(summary)), None)
    points = view.load_points(summary)
    candidates = [(point, _panels(summary, point.label)) for point in points]
    known = [(point, panels) for point, panels in candidates if panels]
    return max(known, key=lambda entry: _weight(entry[0], entry[1], chosen), default=None)


def _weight(point: LoadPoint, panels: Sequence[_Panel], chosen: str | None) -> tuple[bool, bool, int, bool, float]:
    """What happens at a moment can be seen over time alone, so a load point where something does comes first."""
    marked = any(panel.line.marks for panel in panels)
    return marked, point.label == chosen, len(panels), point.open_loop, point.arrival_rate or 0.0


def _panels(summary: Summary, label: str) -> list[_Panel]:
    lines = {(line.run_id, line.server): line for line in first_of_each(summary.timelines, label)}
    found = [(one, one.row(label), lines.get(_key(one))) for one in view.servers(summary)]
    return [_Panel(one, row, line) for one, row, line in found if row is not None and line is not None]


def _key(one: ServerView) -> tuple[str, str]:
    return one.summary.run_id, one.summary.server


def _table_row(panel: _Panel) -> tuple[str, ...]:
    line = panel.line
    inside = [p50 for at, p50 in zip(line.at, line.p50, strict=True) if p50 is not None and at >= line.window[0]]
    return (
        panel.one.name,
        panel.row.label,
        line.trial_id,
        f"{units.duration_text(line.window[0])} to {units.duration_text(line.window[1])}",
        _steady_text(line),
        units.duration_text(max(inside, default=None)),
        units.duration_text(min(inside, default=None)),
        verdict_word(panel.row),
    )


def _steady_text(line: Timeline) -> str:
    return units.duration_text(line.steady_from) if line.steady_from else "the first request"


@dataclass(frozen=True, slots=True)
class _Strip:
    """One low panel below the latency: what it shows, how its ticks read, and the highest value in any server's."""

    title: str
    values: Callable[[Timeline], Sequence[Series]]
    tick: Callable[[float], str]
    highest: float


@dataclass(frozen=True, slots=True)
class _Drawing:
    """The panels with the axes that they share."""

    summary: Summary
    point: LoadPoint
    panels: Sequence[_Panel]
    y_axis: Axis
    end: float
    strips: tuple[_Strip, ...]

    @classmethod
    def of(cls, summary: Summary, point: LoadPoint, panels: Sequence[_Panel]) -> _Drawing:
        limit = view.slo_limit(summary)
        times = [limit] if limit else []
        for line in (panel.line for panel in panels):
            times += [time for series in (line.p50, line.p95) for time in series if time]
            times += [time for _, time in line.dots if time > 0]
        strips = (
            ("requests/s: due (grey), answered", lambda line: (line.offered, line.achieved), tick_rate),
            ("errors/s", lambda line: (line.errors,), tick_rate),
            ("server: cores busy", lambda line: (line.cores,), lambda cores: f"{cores:g}"),
            (
                f"server: memory ({_basis(panels)})",
                lambda line: (line.memory_bytes,),
                lambda size: view.short(units.bytes_text(size)),
            ),
        )
        made = [_Strip(title, values, tick, _highest(panels, values)) for title, values, tick in strips]
        return cls(
            summary,
            point,
            panels,
            sheet.log_axis(times or [0.1], _LATENCY, tick_time),
            max(panel.line.window[1] for panel in panels),
            tuple(strip for strip in made if strip.highest > 0),
        )

    def drawn(self, title: str) -> Sheet:
        """The sheet, two panels side by side."""
        across = 1 if len(self.panels) == 1 else 2
        wide = (look.WIDTH_IN - _GAP * (across - 1)) / across
        pitch = _HEAD + _LATENCY + _PITCH * len(self.strips) + _FOOT
        down = -(-len(self.panels) // across)
        paper = Sheet(title, self._reading(), pitch * down - 0.15, self._notes())
        names = distinct_names([panel.one for panel in self.panels], wide - 2.2, look.PANEL_PT)
        for number, (panel, name) in enumerate(zip(self.panels, names, strict=True)):
            x = (number % across) * (wide + _GAP)
            y = paper.top + (number // across) * pitch
            self._panel(paper, panel, name, (x, y, wide))
        return paper

    def _reading(self) -> str:
        steps = sorted({panel.line.step for panel in self.panels})
        each = " or ".join(units.duration_text(step) for step in steps)
        lines = [panel.line for panel in self.panels]
        shown = ["line p50"]
        shown += ["pale line p95"] if any(p95 is not None for line in lines for p95 in line.p95) else []
        shown += ["dots single requests"] if any(line.dots for line in lines) else []
        cut = " Dashed: from there on the server was as fast as later." if any(x.steady_from for x in lines) else ""
        marks = " Dotted: what was done on purpose." if any(line.marks for line in lines) else ""
        return (
            f"{self.point.title[0].upper()}{self.point.title[1:]}. Response time (log) of the requests due in each "
            f"{view.short(each)}: {', '.join(shown)}. Grey: warm-up, not measured.{cut}{marks}"
        )

    def _notes(self) -> list[str]:
        shown = {(panel.line.run_id, panel.line.server) for panel in self.panels}
        notes = []
        if not any(strip.title.startswith("errors") for strip in self.strips):
            notes.append("Not one request failed in the trials shown.")
        several = sorted({panel.row.trials for panel in self.panels if panel.row.trials > 1})
        if several:
            notes.append(f"Shown is the first of {several[-1]} trials of each server.")
        others = [one.name for one in view.servers(self.summary) if not one.absent and _key(one) not in shown]
        if others:
            notes.append(f"Not measured at {self.point.title}: {', '.join(others)}.")
        return [*notes, *absences(view.servers(self.summary)), *footing(self.summary)]

    def _panel(self, paper: Sheet, panel: _Panel, name: str, place: tuple[float, float, float]) -> None:
        x, y, wide = place
        style, plot = style_of(self.summary, panel.one), wide - _LEFT
        paper.text(x, y + 0.1, name, size=look.PANEL_PT, weight="bold")
        aside = _aside(panel)
        paper.text(
            x + wide, y + 0.1, fit(aside, 2.1, look.SMALL_PT), size=look.SMALL_PT, colour=look.MUTED, align="right"
        )
        top = y + _HEAD
        axes = paper.panel(x + _LEFT, top, plot, _LATENCY)
        self.y_axis.apply(axes, [tick_time(tick) for tick in self.y_axis.ticks], "y")
        self._time_axis(axes, labelled=not self.strips)
        self._phases(axes, panel.line, named=True)
        self._latency(axes, panel, style)
        self._marks(axes, panel.line, named=True)
        for number, strip in enumerate(self.strips):
            at = top + _LATENCY + _PITCH * (number + 1) - _STRIP
            paper.text(x + _LEFT, at - 0.12, strip.title, size=look.SMALL_PT, colour=look.MUTED)
            low = paper.panel(x + _LEFT, at, plot, _STRIP)
            self._strip(low, panel.line, strip, style)
            self._time_axis(low, labelled=number == len(self.strips) - 1)
        foot = top + _LATENCY + _PITCH * len(self.strips) + 0.36
        paper.text(x + _LEFT, foot, "seconds since the trial began", size=look.SMALL_PT, colour=look.MUTED)

    def _time_axis(self, axes: Axes, *, labelled: bool) -> None:
        ticks = tuple(tick for tick in sheet.zero_axis(self.end, 8).ticks if tick <= self.end)
        axis = Axis(0.0, self.end, ticks, log=False)
        axis.apply(axes, [f"{tick:g}" if labelled else "" for tick in ticks])
        axes.tick_params(axis="x", length=3 if labelled else 0)
        axes.tick_params(axis="y", length=0)

    def _phases(self, axes: Axes, line: Timeline, *, named: bool) -> None:
        """Shade the warm-up; draw from where on the server was steady, if that was not from the start."""
        start = line.window[0]
        axes.axvspan(0, start, facecolor=look.FAINT, lw=0, zorder=0)
        share = start / self.end
        label = "warm-up"
        if named and start > 0:
            inside = share * 3.5 > sheet.width(label, look.SMALL_PT) + 0.1
            self._above(axes, start / 2 if inside else 0.0, label, look.MUTED, "center" if inside else "left")
        if line.steady_from:
            late = line.steady_from > start
            colour = look.SLO_INK if late else look.INK
            axes.axvline(line.steady_from, color=colour, lw=1, ls=(0, (4, 2)), zorder=1.5)
            if named:
                text = f"steady from {tick_time(line.steady_from)}"
                right = line.steady_from < 0.6 * self.end
                self._above(axes, max(line.steady_from, start), text, colour, "left" if right else "right", shift=4)

    def _marks(self, axes: Axes, line: Timeline, *, named: bool) -> None:
        """A line at each moment at which something happened on purpose; the words of each stand lower than the last."""
        for number, (at, words) in enumerate(line.marks):
            axes.axvline(at, color=look.INK, lw=1, ls=(0, (1, 1.5)), zorder=1.6)
            if named:
                right = at < 0.6 * self.end
                axes.annotate(
                    f"{words} {tick_time(at)}",
                    (at, 1),
                    xycoords=("data", "axes fraction"),
                    xytext=(3 if right else -3, -3 - 11 * number),
                    textcoords="offset points",
                    ha="left" if right else "right",
                    va="top",
                    fontsize=look.SMALL_PT,
                    color=look.INK,
                    bbox={"facecolor": look.PAPER, "linewidth": 0, "pad": 0.5},
                    zorder=3.5,
                )

    def _above(self, axes: Axes, at: float, text: str, colour: str, align: str, shift: float = 0.0) -> None:
        axes.annotate(
            text,
            (at, 1),
            xycoords=("data", "axes fraction"),
            xytext=(shift if align == "left" else -shift, 4),
            textcoords="offset points",
            ha=align,
            va="bottom",
            fontsize=look.SMALL_PT,
            color=colour,
            annotation_clip=False,
        )

    def _latency(self, axes: Axes, panel: _Panel, style: look.Style) -> None:
        line = panel.line
        if line.dots:
            at, times = zip(*line.dots, strict=True)
            axes.plot(at, times, ls="none", marker="o", ms=2.2, mfc=tint(style.colour), mec="none", zorder=2)
        axes.plot(*_steps(line, line.p95), color=tint(style.colour), lw=1.6, zorder=2.5)
        axes.plot(*_steps(line, line.p50), color=style.colour, lw=1.6, zorder=3)
        limit = view.slo_limit(self.summary)
        if limit is not None:
            axes.axhline(limit, color=look.SLO_INK, lw=1.2, zorder=1)
            axes.annotate(
                f"SLO {tick_time(limit)}",
                (1, limit),
                xycoords=("axes fraction", "data"),
                xytext=(-3, 3),
                textcoords="offset points",
                ha="right",
                fontsize=look.SMALL_PT,
                color=look.SLO_INK,
                bbox={"facecolor": look.PAPER, "linewidth": 0, "pad": 0.5},
                zorder=1.2,
            )

    def _strip(self, axes: Axes, line: Timeline, strip: _Strip, style: look.Style) -> None:
        series = strip.values(line)
        top = sheet.zero_axis(strip.highest, 3)
        axis = Axis(0.0, top.high, (0.0, top.ticks[-1]), log=False)
        axis.apply(axes, ["0", strip.tick(axis.ticks[-1])], "y")
        self._phases(axes, line, named=False)
        self._marks(axes, line, named=False)
        if len(series) == 2:
            axes.plot(*_steps(line, series[0]), color=look.MUTED, lw=1.2, alpha=0.6, zorder=2)
        colour = look.SLO_INK if strip.title.startswith("errors") else style.colour
        x, y = _steps(line, series[-1])
        axes.plot(x, y, color=colour, lw=1.2, zorder=3)
        axes.fill_between(x, y, 0, facecolor=tint(colour), lw=0, zorder=1.8, alpha=0.5)


def _basis(panels: Sequence[_Panel]) -> str:
    """`PSS`, or both where some servers have it and some do not."""
    return " or ".join(sorted({panel.line.memory_basis for panel in panels if panel.line.memory_basis})) or "RSS"


def _aside(panel: _Panel) -> str:
    word = verdict_word(panel.row) if panel.row.verdict is not Verdict.VALID else ""
    return ", ".join(part for part in (word, f"{units.count_text(panel.row.n)} requests") if part)


def _highest(panels: Sequence[_Panel], values: Callable[[Timeline], Sequence[Series]]) -> float:
    return max((value for panel in panels for series in values(panel.line) for value in series if value), default=0.0)


def _steps(line: Timeline, series: Series) -> tuple[list[float], list[float]]:
    """A series as a line with a level stretch for each of its values and a gap where there is none."""
    x = [edge for at in line.at for edge in (at, min(at + line.step, line.window[1]))]
    y = [math.nan if value is None else value for value in series for _ in range(2)]
    return x, y
