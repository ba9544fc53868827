"""A line over commits as a chart: a point with its interval per session, the ranges in which a step is suspected.

One chart per machine, load point and metric; the servers share it. Drawn on the same paper as a report's charts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes

from bench import units
from bench.compare.cells import COMPARED
from bench.history.lines import SHORT, Line, Suspect, interval
from bench.history.rows import Row
from bench.names import slug
from bench.report import look, sheet
from bench.report.charts.parts import Chart
from bench.report.sheet import Sheet, drawable, fit

_HIGH = 2.3
_LEFT = 0.8
_RIGHT = 1.5
"""Inches at the right for the servers' names."""
_COLUMNS = ("server", "commit", "measured at", "value", "interval", "trials", "suspect")


def grouped(lines: Sequence[Line]) -> tuple[tuple[Line, ...], ...]:
    """The lines of each chart: one machine, scenario, load point and metric, and at most five servers."""
    found: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        key = line.key
        found.setdefault((key.environment, key.scenario, key.workload, key.load, key.metric), []).append(line)
    most = look.SERIES_PER_PANEL
    return tuple(tuple(own[at : at + most]) for own in found.values() for at in range(0, len(own), most))


def draw(lines: Sequence[Line], number: int) -> Chart:
    """The chart of the lines of one group."""
    first = lines[0]
    text = text_of(first.key.metric)
    title = f"{first.metric.title}{f', {first.key.load}' if first.key.load else ''}"
    rows = tuple(_data(line, row, place, text) for line in lines for place, row in enumerate(line.rows))
    described = (
        f"{title} over {len(rows)} sessions. {' '.join(map(spoken, (s for one in lines for s in one.suspects)))}"
    )
    name = f"{number:02d}-{slug(first.key.scenario)}-{slug(first.key.load or 'start')}-{first.key.metric}"
    return Chart(name, title, described, _paper(lines, title, text), _COLUMNS, rows)


def spoken(suspect: Suspect) -> str:
    """`echo: +8.2 % between 1a2b3c and 4d5e6f.`"""
    ends = f"{_name(suspect.last_good)} and {_name(suspect.first_bad)}"
    return f"{suspect.key.server}: {change_text(suspect)} between {ends}."


def change_text(suspect: Suspect) -> str:
    """`+8.2 %`, of errors in percentage points."""
    if suspect.at.scale == "linear":
        return f"{100 * suspect.change:+.2f} pp"
    return f"{100 * suspect.change:+.1f} %"


def text_of(metric: str) -> Callable[[float], str]:
    """How a value of a metric is written."""
    writers: dict[str, Callable[[float], str]] = {
        "s": units.duration_text,
        "1/s": units.rate_text,
        "share": units.percent_text,
        "$": units.dollars_text,
        "B": units.bytes_text,
    }
    return writers[COMPARED[metric].unit]


def _paper(lines: Sequence[Line], title: str, text: Callable[[float], str]) -> Sheet:
    first = lines[0]
    better = "lower" if first.metric.better == "lower" else "higher"
    reading = f"{first.rows[0].machine} · {first.key.scenario} · {better} is better"
    paper = Sheet(title, reading, _HIGH + 0.75, _notes(lines))
    wide = look.WIDTH_IN - _LEFT - _RIGHT
    axes = paper.panel(_LEFT, paper.top + 0.3, wide, _HIGH)
    order = _order(lines)
    low, high, ticks = _scale(lines)
    axes.set_xlim(-0.7, len(order) - 0.3)
    axes.set_ylim(low, high)
    axes.set_yticks(ticks, labels=[drawable(text(tick)) for tick in ticks])
    axes.grid(axis="y", color=look.FAINT, linewidth=0.8, zorder=0)
    _ticks(axes, order, wide)
    looks = look.styles(len(lines))
    for line, style in zip(lines, looks, strict=True):
        _shade(axes, line, order, several=len(lines) > 1, style=style)
        _points(axes, line, order, style)
    ends = sorted(range(len(lines)), key=lambda place: -lines[place].rows[-1].value)
    at = _label_heights([lines[place].rows[-1].value for place in ends], low, high)
    for place, height in zip(ends, at, strict=True):
        name = fit(lines[place].key.server, _RIGHT - 0.15)
        down = paper.top + 0.3 + _HIGH * (1 - height)
        paper.text(look.WIDTH_IN - _RIGHT + 0.1, down, name, colour=looks[place].colour, weight="bold")
    return paper


def _order(lines: Sequence[Line]) -> dict[tuple[str, str], int]:
    """(commit, session) -> place on the x axis, oldest first."""
    every = {(row.commit, row.session): row for line in lines for row in line.rows}
    known = all(row.committed_at for row in every.values())
    rows = sorted(every.values(), key=lambda row: (row.committed_at if known else row.at, row.at))
    return {(row.commit, row.session): place for place, row in enumerate(rows)}


def _points(axes: Axes, line: Line, order: dict[tuple[str, str], int], style: look.Style) -> None:
    across = [order[row.commit, row.session] for row in line.rows]
    axes.plot(across, [row.value for row in line.rows], color=style.colour, lw=0.9, alpha=0.45, zorder=3)
    for x, row in zip(across, line.rows, strict=True):
        ends = interval(row)
        if ends is not None:
            axes.plot([x, x], ends, color=style.colour, lw=1.4, solid_capstyle="butt", zorder=4)
        axes.plot([x], [row.value], marker=style.marker, ms=5.5, mfc=style.colour, mec=look.PAPER, mew=0.7, zorder=5)


def _shade(axes: Axes, line: Line, order: dict[tuple[str, str], int], *, several: bool, style: look.Style) -> None:
    for suspect in line.suspects:
        begin = order[suspect.last_good.commit, suspect.last_good.session]
        end = order[suspect.first_bad.commit, suspect.first_bad.session]
        axes.axvspan(begin, end, facecolor="#f6dfc8" if suspect.worse else "#d8e8f3", lw=0, zorder=1)
        words = f"{'▲' if suspect.change > 0 else '▼'} {change_text(suspect)} {'worse' if suspect.worse else 'better'}?"
        if suspect.label is not None:
            words = f"{words} ({suspect.label})"
        right = end > 0.8 * len(order)
        axes.annotate(
            drawable(words),
            (end if right else begin, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 5),
            textcoords="offset points",
            ha="right" if right else "left",
            va="bottom",
            fontsize=look.SMALL_PT,
            color=style.colour if several else look.INK,
        )


def _ticks(axes: Axes, order: dict[tuple[str, str], int], wide: float) -> None:
    """Commits below the axis, so many that none touches the next."""
    names = [_short(commit, session) for commit, session in order]
    widest = max(sheet.width(drawable(name), look.SMALL_PT) for name in names)
    every = max(1, math.ceil(len(names) * (widest + 0.12) / wide))
    shown = list(range(0, len(names), every))
    axes.set_xticks(shown, labels=[drawable(names[place]) for place in shown])


def _scale(lines: Sequence[Line]) -> tuple[float, float, list[float]]:
    """Ends and round ticks of the y axis around all points and intervals, zero included where they come near it."""
    values = [end for line in lines for row in line.rows for end in (*(interval(row) or ()), row.value)]
    low, high = min(values), max(values)
    if low <= 0.5 * high:
        low = 0.0
    span = (high - low) or abs(high) or 1.0
    scale = 10.0 ** math.floor(math.log10(span))
    step = next(size * scale for size in (0.1, 0.2, 0.5, 1, 2, 5, 10) if span / (size * scale) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = [step * place for place in range(first, last + 1)]
    return ticks[0] - (0.04 * span if ticks[0] > 0 else 0.0), ticks[-1] + 0.04 * span, ticks


def _label_heights(values: Sequence[float], low: float, high: float) -> list[float]:
    """Where the names of the lines stand, as shares of the axis from below, highest first and apart from each other."""
    apart = 0.19 / _HIGH
    heights: list[float] = []
    for value in values:
        wanted = min(0.97, max(0.03, (value - low) / (high - low)))
        heights.append(min(wanted, heights[-1] - apart) if heights else wanted)
    short = 0.03 - heights[-1]
    return [height + short for height in heights] if short > 0 else heights


def _notes(lines: Sequence[Line]) -> list[str]:
    trials = sum(row.n for line in lines for row in line.rows)
    sessions = len({row.session for line in lines for row in line.rows})
    notes = [
        f"{sessions} sessions, {trials} trials. Points are means over trials, whiskers their 95 % intervals; the axis "
        "need not begin at zero. Shaded: a step is suspected between these commits. A paired session decides."
    ]
    for line in lines:
        if line.search.why_not:
            notes.append(f"{line.key.server}: no step was looked for: {line.search.why_not}.")
        elif line.search.autocorrelation is not None and line.search.autocorrelation > 0.3:
            notes.append(
                f"{line.key.server}: neighbouring sessions resemble each other (lag-1 autocorrelation "
                f"{line.search.autocorrelation:.2f}), so no p-value is given."
            )
    return notes


def _data(line: Line, row: Row, place: int, text: Callable[[float], str]) -> tuple[str, ...]:
    ends = interval(row)
    inside = [one.id for one in line.suspects if one.step.last_good < place <= one.step.first_bad]
    return (
        row.server,
        _name(row) + (" (changed)" if row.dirty else ""),
        row.at,
        text(row.value),
        "-" if ends is None else f"{text(ends[0])} to {text(ends[1])}",
        str(row.n),
        ", ".join(inside) or "-",
    )


def _name(row: Row) -> str:
    return _short(row.commit, row.session)


def _short(commit: str, session: str) -> str:
    """The commit, shortened; where none is known the session's own name."""
    return commit[:SHORT] if commit else session
