"""Charts of a comparison: the forest of its cells, and how each quantile of response time moved."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from bench.compare.cells import CellVerdict
from bench.compare.conclude import change_text, delta_text
from bench.compare.verdict import Line, Shift, Verdict
from bench.report import look
from bench.report.charts.parts import Chart
from bench.report.sheet import Sheet, drawable, fit, house_style
from bench.report.verdict_text import SHAPES, metric_text, sees_text, value_text, word

_ROW_IN = 0.3
_GUTTER_IN = 2.0
_SAID_IN = 3.7
_MOST_SHIFTS = 4
_LEAST_REACH, _MOST_REACH = 0.08, 1.0
_INFORMATIONAL = "informational, never fails a session"


def verdict_charts(verdict: Verdict) -> tuple[Chart, ...]:
    """The forest, and the shift of the quantiles where there is one."""
    with house_style():
        charts = [forest(verdict)]
        if verdict.shifts:
            charts.append(shift(verdict))
        return tuple(charts)


def forest(verdict: Verdict) -> Chart:
    """Change of every metric with its interval; gated cells first, the worst on top; right is bad for all of them."""
    title = "What changed"
    columns = ("load", "metric", "gate", "baseline", "candidate", "change", "delta", "sees", "n", "verdict")
    rows = tuple(
        (
            line.load or "-",
            metric_text(line.cell.metric),
            "yes" if line.gated else "no",
            value_text(line.cell, line.cell.baseline),
            value_text(line.cell, line.cell.candidate),
            change_text(line.cell),
            delta_text(line.cell),
            sees_text(line.cell),
            str(line.cell.pairs),
            word(line),
        )
        for line in verdict.lines
    )
    reading = (
        "Change of the candidate against the baseline with its 95 % interval; to the right is worse for every metric. "
        "Band: below delta, which does not matter. Tick below a line: the change that 80 of 100 such sessions see."
    )
    said = "; ".join(f"{row[0]} {row[1]} {row[5]}, {row[9]}" for row in rows)
    return Chart("verdict-forest", title, f"{title}. {said}.", _forest(verdict, title, reading), columns, rows)


def _forest(verdict: Verdict, title: str, reading: str) -> Sheet:
    groups = [[line for line in verdict.lines if line.gated is gated] for gated in (True, False)]
    count = len(verdict.lines) + (1 if groups[1] else 0)
    reach = _reach(verdict.lines)
    high = _ROW_IN * count
    wide = look.WIDTH_IN - _GUTTER_IN - _SAID_IN
    note = f"{verdict.pairs} pairs" + (f", {verdict.confirm_pairs} more to confirm" if verdict.confirm_pairs else "")
    paper = Sheet(title, reading, high + 0.55, [f"{note}. {verdict.baseline.label} against {verdict.candidate.label}."])
    top = paper.top + 0.05
    axes = paper.panel(_GUTTER_IN, top, wide, high)
    axes.set(xlim=(-reach, reach), ylim=(count - 0.5, -0.5))
    axes.set_yticks([])
    _percent_ticks(axes, reach, wide)
    axes.axvline(0, color=look.MUTED, lw=1.0, zorder=1)
    place = 0
    for group, lines in enumerate(groups):
        if group and lines:
            paper.text(
                0, top + _ROW_IN * (place + 0.5), _INFORMATIONAL, size=look.SMALL_PT, colour=look.MUTED, style="italic"
            )
            place += 1
        for line in lines:
            _forest_row(paper, axes, line, place, top + _ROW_IN * (place + 0.5), reach)
            place += 1
    paper.text(_GUTTER_IN, top + high + 0.38, "worse by (linear)", size=look.SMALL_PT, colour=look.MUTED)
    return paper


def _reach(lines: Sequence[Line]) -> float:
    """Half the axis: as far as what is gated, and every change itself, reaches; longer intervals are cut."""
    own = [abs(end) for line in lines if line.gated and _drawn(line) for end in _ends(line)]
    own += [abs(line.cell.change or 0.0) for line in lines if _drawn(line)]
    own += [2 * line.cell.effective_delta for line in lines if line.gated and _drawn(line)]
    return min(_MOST_REACH, max([1.15 * each for each in own], default=0.0) or _LEAST_REACH)


def _drawn(line: Line) -> bool:
    """Whether a cell has a relative change; of errors there is but a difference, which stands in words."""
    cell = line.cell
    return cell.change_is == "ratio" and None not in (cell.change, cell.low, cell.high)


def _ends(line: Line) -> tuple[float, float]:
    """The interval with the bad direction to the right."""
    cell = line.cell
    low, high = cell.low or 0.0, cell.high or 0.0
    return (low, high) if cell.better == "lower" else (-high, -low)


def _forest_row(paper: Sheet, axes: Axes, line: Line, place: int, middle: float, reach: float) -> None:
    cell = line.cell
    colour = look.PALETTE[0] if line.gated else look.MUTED
    named = f"{metric_text(cell.metric)} at {line.load}" if line.load else metric_text(cell.metric)
    paper.text(0, middle, fit(named, _GUTTER_IN - 0.15), colour=look.INK if line.gated else look.MUTED)
    axes.axhline(place, color=look.FAINT, lw=0.8, zorder=0)
    if _drawn(line):
        low, high = _ends(line)
        at = cell.worse or 0.0
        axes.axhspan(
            place - 0.34, place + 0.34, *_share(cell.effective_delta, reach), color=look.FAINT, lw=0, zorder=0.5
        )
        shown = max(low, -reach), min(high, reach)
        axes.plot(shown, [place, place], color=colour, lw=2.0 if line.gated else 1.3, zorder=3, solid_capstyle="butt")
        for end, limit, marker in ((low, -reach, "<"), (high, reach, ">")):
            if abs(end) > reach and math.copysign(1, end) == math.copysign(1, limit):
                axes.plot([limit], [place], marker=marker, color=colour, ms=5, clip_on=False, zorder=4)
        if abs(at) <= reach:
            axes.plot([at], [place], marker="o", color=colour, mec=look.PAPER, mew=0.7, ms=7, zorder=5)
        if cell.smallest_visible is not None and cell.smallest_visible <= reach:
            axes.plot([cell.smallest_visible] * 2, [place + 0.1, place + 0.38], color=look.INK, lw=1.0, zorder=4)
    left = look.WIDTH_IN - _SAID_IN + 0.15
    paper.text(left, middle, fit(change_text(cell), 1.75), colour=look.INK if line.gated else look.MUTED)
    said = f"{SHAPES[cell.verdict]} {cell.verdict}, n {cell.pairs}"
    weight = "bold" if cell.verdict is CellVerdict.REGRESSED and line.gated else "normal"
    paper.text(left + 1.85, middle, fit(said, _SAID_IN - 2.0), weight=weight)


def _share(delta: float, reach: float) -> tuple[float, float]:
    """The band of +-delta as shares of the axis."""
    half = min(delta, reach) / (2 * reach)
    return 0.5 - half, 0.5 + half


def _percent_ticks(axes: Axes, reach: float, inches: float) -> None:
    steps = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    step = next((step for step in steps if 2 * reach / step <= inches / 0.55), steps[-1])
    count = int(reach / step + 1e-9)
    ticks = [step * number for number in range(-count, count + 1)]
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, labels=[f"{100 * tick:+.0f} %" if tick else "0" for tick in ticks])
    axes.grid(axis="x", color=look.FAINT, linewidth=0.8, zorder=0)


def shift(verdict: Verdict) -> Chart:
    """Change of each quantile of response time, one panel per load point, stretched towards the tail."""
    title = "How response times moved, quantile by quantile"
    shown = verdict.shifts[:_MOST_SHIFTS]
    columns = ("load", "quantile", "change", "low", "high", "pairs")
    rows = tuple(
        (
            each.load,
            f"p{100 * quantile:g}",
            *(f"{100 * number:+.1f} %" for number in (each.change[place], each.low[place], each.high[place])),
            str(each.pairs),
        )
        for each in verdict.shifts
        for place, quantile in enumerate(each.quantiles)
    )
    reading = (
        "Candidate against baseline at each quantile: a flat line is a server slower or faster as a whole, a rise "
        "at the right a tail that got longer. Band: 95 % for all drawn quantiles together, over pairs of trials; grey: "
        "within delta."
    )
    left_out = len(verdict.shifts) - len(shown)
    notes = [f"{left_out} more load points are in the data below." if left_out else "", f"{shown[0].pairs} pairs."]
    high, gap = 1.9, 0.75
    paper = Sheet(title, reading, (high + gap) * len(shown), [note for note in notes if note])
    for place, each in enumerate(shown):
        _shift_panel(paper, each, paper.top + 0.25 + place * (high + gap), high - 0.1)
    said = "; ".join(f"{row[0]} {row[1]} {row[2]}" for row in rows)
    return Chart("verdict-shift", title, f"{title}. {said}.", paper, columns, rows)


def _shift_panel(paper: Sheet, shift: Shift, top: float, high: float) -> None:
    gutter = 0.75
    axes = paper.panel(gutter, top, look.WIDTH_IN - gutter - 0.3, high)
    paper.text(0, top - 0.12, fit(shift.load, look.WIDTH_IN), size=look.PANEL_PT, weight="bold")
    at = [-math.log10(1 - quantile) for quantile in shift.quantiles]
    axes.axhspan(-shift.delta, shift.delta, color=look.FAINT, lw=0, zorder=0)
    axes.axhline(0, color=look.MUTED, lw=1.0, zorder=1)
    axes.fill_between(at, shift.low, shift.high, color=look.PALETTE[0], alpha=0.18, lw=0, zorder=2)
    axes.plot(at, shift.change, color=look.PALETTE[0], marker="o", ms=5, lw=1.8, zorder=4, clip_on=False)
    reach = max(*(1.3 * abs(each) for each in shift.change), 2 * shift.delta)
    low = min(-2 * shift.delta, max(min(shift.low), -reach))
    top_end = max(2 * shift.delta, min(max(shift.high), max(reach, 1.5 * max(shift.change))))
    axes.set(xlim=(0, max(at) * 1.02), ylim=(low * 1.08, top_end * 1.08))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(at, labels=[f"p{100 * quantile:g}" if quantile != 0.1 else "" for quantile in shift.quantiles])
    step = next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0) if (top_end - low) / s <= 6), 10.0)
    ticks = [step * number for number in range(math.ceil(low / step), math.floor(top_end / step) + 1)]
    axes.set_yticks(ticks, labels=[f"{100 * tick:+.0f} %" if tick else "0" for tick in ticks])
    axes.grid(axis="y", color=look.FAINT, linewidth=0.8, zorder=0)
    axes.spines["bottom"].set_visible(False)
    below = drawable("quantile of response time, stretched towards the tail (log of 1 - q); up is slower")
    paper.text(gutter, top + high + 0.36, below, size=look.SMALL_PT, colour=look.MUTED)
