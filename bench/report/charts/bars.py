"""Bars from zero, one row per server: its name, parts laid end to end, a figure and n at the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from bench.report import look, sheet
from bench.report.charts.parts import aside, blank, distinct_names, names_width
from bench.report.sheet import Axis, Sheet, fit
from bench.report.view import ServerView

_ROW = 0.3
_KEY = 0.3


@dataclass(frozen=True, slots=True)
class Part:
    """A kind of part, the same in every bar: how it is filled, and what it is called above the bars."""

    title: str
    fill: str
    hatch: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: lengths in the axis' unit with their parts, `stub` parts of unknown length behind them.

    `absent` says why there is no bar. A hollow bar is INVALID.
    """

    one: ServerView
    lengths: Sequence[tuple[float, Part]]
    text: str
    count: str = ""
    stub: Part | None = None
    absent: str = ""
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class Bars:
    """A sheet of bars. `key` names the parts, in the order in which they are laid."""

    title: str
    reading: str
    bars: Sequence[Bar]
    key: Sequence[Part]
    label: str
    tick: Callable[[float], str]
    heading: str
    count_heading: str
    notes: Sequence[str]

    def drawn(self) -> Sheet:
        """The sheet."""
        views = [bar.one for bar in self.bars]
        counts = [sheet.width(sheet.drawable(bar.count), look.SMALL_PT) for bar in self.bars]
        gutter, said, counted = names_width(views), 1.15, max([0.5, *counts]) + 0.2
        wide = look.WIDTH_IN - gutter - said - counted
        rows = _ROW * len(self.bars)
        lines = self._key_lines()
        head = _KEY * len(lines) + 0.25
        room = wide + said + counted - 0.1
        cut = [bar for bar in self.bars if bar.absent and fit(bar.absent, room, look.SMALL_PT) != bar.absent]
        notes = [*[f"{bar.one.name} - {bar.absent}" for bar in cut], *self.notes]
        paper = Sheet(self.title, self.reading, head + rows + 0.55, notes)
        self._key(paper, lines)
        top = paper.top + head
        axes = paper.panel(gutter, top, wide, rows)
        axes.set_ylim(len(self.bars) - 0.5, -0.5)
        axes.set_yticks([])
        axis = self._axis()
        axis.apply(axes, [self.tick(tick) for tick in axis.ticks])
        paper.text(gutter, top + rows + 0.36, self.label, size=look.SMALL_PT, colour=look.MUTED)
        right = gutter + wide + said
        for x, text in ((right, self.heading), (right + counted, self.count_heading)):
            paper.text(x, top - 0.13, text, size=look.SMALL_PT, colour=look.MUTED, align="right")
        names = distinct_names(views, gutter - 0.4)
        for place, (bar, name) in enumerate(zip(self.bars, names, strict=True)):
            middle = top + _ROW * (place + 0.5)
            self._name(paper, bar, name, middle)
            if bar.absent:
                blank(axes, place)
                aside(paper, gutter + 0.06, middle, fit(bar.absent, room, look.SMALL_PT))
                continue
            _bar(axes, place, bar, axis)
            paper.text(right, middle, fit(bar.text, said - 0.1), align="right")
            paper.text(right + counted, middle, bar.count, size=look.SMALL_PT, colour=look.MUTED, align="right")
        return paper

    def _axis(self) -> Axis:
        longest = max((sum(length for length, _ in bar.lengths) for bar in self.bars), default=0.0)
        axis = sheet.zero_axis(longest, 7)
        stubs = any(bar.stub for bar in self.bars)
        return Axis(axis.low, axis.high * (1.05 if stubs else 1.0), axis.ticks, axis.log)

    def _key_lines(self) -> list[list[Part]]:
        """The parts dealt to lines that fit."""
        lines: list[list[Part]] = []
        used = 0.0
        for part in self.key:
            takes = sheet.width(sheet.drawable(part.title), look.SMALL_PT) + 0.55
            if not lines or used + takes > look.WIDTH_IN:
                lines.append([])
                used = 0.0
            lines[-1].append(part)
            used += takes
        return lines

    def _key(self, paper: Sheet, lines: Sequence[Sequence[Part]]) -> None:
        for number, line in enumerate(lines):
            x, y = 0.0, paper.top + _KEY * number
            for part in line:
                axes = paper.panel(x, y + 0.02, 0.24, 0.15)
                axes.set_axis_off()
                axes.set(xlim=(0, 1), ylim=(0, 1))
                axes.barh([0.5], [1], 1, color=part.fill, edgecolor=look.INK, lw=0.6, hatch=part.hatch or None)
                paper.text(x + 0.3, y + 0.1, sheet.drawable(part.title), size=look.SMALL_PT, colour=look.MUTED)
                x += sheet.width(sheet.drawable(part.title), look.SMALL_PT) + 0.55

    def _name(self, paper: Sheet, bar: Bar, name: str, middle: float) -> None:
        if not bar.absent:
            style = look.styles(bar.one.number + 1)[-1]
            paper.mark(0.11, middle, style.marker, style.colour)
        paper.text(0.26, middle, name, colour=look.MUTED if bar.absent else look.INK)


def _bar(axes: Axes, place: int, bar: Bar, axis: Axis) -> None:
    at = 0.0
    axes.axhline(place, color=look.FAINT, lw=0.8, zorder=0)
    for length, part in bar.lengths:
        if length > 0:
            face = "none" if bar.hollow else part.fill
            axes.barh(
                [place],
                [length],
                0.56,
                left=at,
                color=face,
                edgecolor=look.INK,
                lw=0.6,
                hatch=part.hatch or None,
                zorder=3,
            )
        at += length
    if bar.stub is not None:
        axes.barh(
            [place], [0.03 * axis.high], 0.56, left=at, color="none", edgecolor=look.INK, lw=0.6, ls=(0, (2, 2)),
            hatch=bar.stub.hatch, zorder=3,
        )  # fmt: skip
