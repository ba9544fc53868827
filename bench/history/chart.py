"""A line over commits as a chart: a point with its interval per session, the ranges in which a step is suspected.

One chart per machine, load point and metric; the servers share it. Drawn on the same paper as a report's charts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

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
_LANE = 0.17
"""Inches that one row of words above the panel takes."""
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
    order, wide = _order(lines), look.WIDTH_IN - _LEFT - _RIGHT
    marks = _marks(lines, order, wide)
    above = 0.12 + _LANE * (1 + max((mark.lane for mark in marks), default=0))
    paper = Sheet(title, reading, above + _HIGH + 0.4, _notes(lines))
    axes = paper.panel(_LEFT, paper.top + above, wide, _HIGH)
    low, high, ticks = _scale(lines)
    axes.set_xlim(*_ends(order))
    axes.set_ylim(low, high)
    axes.set_yticks(ticks, labels=[drawable(text(tick)) for tick in ticks])
    axes.grid(axis="y", color=look.FAINT, linewidth=0.8, zorder=0)
    _ticks(axes, order, wide)
    looks = look.styles(len(lines))
    for mark in marks:
        axes.axvspan(*mark.span, facecolor="#f6dfc8" if mark.worse else "#d8e8f3", lw=0, zorder=1)
        colour = looks[mark.line].colour if len(lines) > 1 else look.INK
        down = paper.top + above - 0.09 - _LANE * mark.lane
        paper.text(_LEFT + mark.begin, down, mark.words, size=look.SMALL_PT, colour=colour)
    for line, style in zip(lines, looks, strict=True):
        _points(axes, line, order, style)
    ends = sorted(range(len(lines)), key=lambda place: -lines[place].rows[-1].value)
    at = _label_heights([lines[place].rows[-1].value for place in ends], low, high)
    for place, height in zip(ends, at, strict=True):
        name = fit(lines[place].key.server, _RIGHT - 0.15)
        down = paper.top + above + _HIGH * (1 - height)
        paper.text(look.WIDTH_IN - _RIGHT + 0.1, down, name, colour=looks[place].colour, weight="bold")
    return paper


@dataclass(frozen=True, slots=True)
class _Mark:
    """A suspected range of one line: its ends on the x axis, and its words above, in inches from the panel's left."""

    line: int
    span: tuple[int, int]
    worse: bool
    words: str
    begin: float
    lane: int


def _marks(lines: Sequence[Line], order: Mapping[tuple[str, str], int], wide: float) -> list[_Mark]:
    """Every suspect, its words in the lowest row in which they touch no others."""
    left, right = _ends(order)
    marks: list[_Mark] = []
    full: list[float] = []  # where the words of each row end
    found = [(place, suspect) for place, line in enumerate(lines) for suspect in line.suspects]
    spans = {id(suspect): _span(suspect, order) for _, suspect in found}
    for place, suspect in sorted(found, key=lambda each: spans[id(each[1])]):
        span = spans[id(suspect)]
        words = drawable(_words(suspect))
        needs = sheet.width(words, look.SMALL_PT)
        begin = min(wide * (span[0] - left) / (right - left), wide + _RIGHT - needs)
        lane = next((row for row, end in enumerate(full) if end + 0.1 <= begin), len(full))
        full[lane:] = [begin + needs, *full[lane + 1 :]]
        marks.append(_Mark(place, span, suspect.worse, words, begin, lane))
    return marks


def _span(suspect: Suspect, order: Mapping[tuple[str, str], int]) -> tuple[int, int]:
    ends = suspect.last_good, suspect.first_bad
    begin, end = (order[row.commit, row.session] for row in ends)
    return begin, end


def _words(suspect: Suspect) -> str:
    shape, said = "▲" if suspect.change > 0 else "▼", f" ({suspect.label})" if suspect.label is not None else ""
    return f"{shape} {change_text(suspect)} {'worse' if suspect.worse else 'better'}?{said}"


def _ends(order: Mapping[tuple[str, str], int]) -> tuple[float, float]:
    """Ends of the x axis."""
    return -0.7, len(order) - 0.3


def _order(lines: Sequence[Line]) -> dict[tuple[str, str], int]:
    """(commit, session) -> place on the x axis, oldest first."""
    every = {(row.commit, row.session): row for line in lines for row in line.rows}
    known = all(row.committed_at for row in every.values())
    rows = sorted(every.values(), key=lambda row: (row.committed_at if known else row.at, row.at))
    return {(row.commit, row.session): place for place, row in enumerate(rows)}


def _points(axes: Axes, line: Line, order: Mapping[tuple[str, str], int], style: look.Style) -> None:
    across = [order[row.commit, row.session] for row in line.rows]
    axes.plot(across, [row.value for row in line.rows], color=style.colour, lw=0.9, alpha=0.45, zorder=3)
    for x, row in zip(across, line.rows, strict=True):
        ends = interval(row)
        if ends is not None:
            axes.plot([x, x], ends, color=style.colour, lw=1.4, solid_capstyle="butt", zorder=4)
        axes.plot([x], [row.value], marker=style.marker, ms=5.5, mfc=style.colour, mec=look.PAPER, mew=0.7, zorder=5)


def _ticks(axes: Axes, order: Mapping[tuple[str, str], int], wide: float) -> None:
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
        f"Sessions: {sessions}, trials: {trials}. Points are means over trials, whiskers their 95 % intervals; the "
        "axis need not begin at zero. Shaded: a step is suspected between these commits. A paired session decides."
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
