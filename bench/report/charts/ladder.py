"""The ladder: how much each rung of the usual advice gave here, against the naive server at the same load."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench import units
from bench.measures.stats import Interval
from bench.report import look, sheet, view
from bench.report.charts.parts import (
    Chart,
    absences,
    absent_rows,
    aside,
    blank,
    distinct_names,
    divide,
    footing,
    mark,
    sentence_only,
    spoken,
    style_of,
    verdict_word,
)
from bench.report.sheet import Axis, Sheet, fit
from bench.report.view import LoadPoint, ServerView
from bench.results import Outcome
from bench.rungs import RUNGS
from bench.summary import Row, Summary

_ROW, _GAP, _COLUMNS = 0.3, 0.4, 1.75


@dataclass(frozen=True, slots=True)
class Gain:
    """How many times better than the naive server one server was at one load, with its interval where one is known."""

    one: ServerView
    row: Row | None
    times: Interval | None
    why: str


def ladder(summary: Summary) -> Chart:
    """The gain of each rung: p50 of one request at a time, and throughput when saturated."""
    title = "The ladder: what each rung gave"
    columns = ("server", "load", "rung", "model", "gain in", "n", "times the naive one", "95 % interval", "verdict")
    standing = sorted((one for one in view.servers(summary) if one.summary.rung), key=_order)
    naive = next((one for one in standing if one.summary.rung == RUNGS[0] and not one.absent), None)
    panels = [] if naive is None else _panels(summary, naive, standing)
    missing = absent_rows(summary, len(columns))
    if naive is None or not panels:
        lacks = "no naive server (kind flask) was measured" if naive is None else "no load was given to two rungs"
        why = f"No ladder: {lacks}."
        said = spoken("What each rung of the ladder gave.", summary, columns, missing)
        return Chart("ladder", title, said, sentence_only(title, summary, why), columns, missing)
    gains = [(panel, gain) for panel in panels for gain in panel.gains if gain.row is not None]
    rows = tuple(_texts(panel, gain) for panel, gain in gains) + missing
    said = spoken(f"How many times better than {naive.name}, by rung of the ladder.", summary, columns, rows)
    return Chart("ladder", title, said, _drawn(summary, title, naive, panels), columns, rows)


def _order(one: ServerView) -> tuple[bool, int]:
    """What does other work than the model stands below all that does the same, each by the order of the rungs."""
    return bool(one.summary.other_work), RUNGS.index(one.summary.rung)


@dataclass(frozen=True, slots=True)
class _Panel:
    """One way to be better, at one load."""

    title: str
    what: str
    point: LoadPoint
    gains: tuple[Gain, ...]


def _panels(summary: Summary, naive: ServerView, standing: Sequence[ServerView]) -> list[_Panel]:
    points = [point for point in view.load_points(summary) if _measured(naive, point) is not None]
    shared = [p for p in points if sum(_measured(one, p) is not None for one in standing) > 1]
    users = {point.label: row.users for point in shared if (row := _measured(naive, point)) is not None}
    closed = sorted((p for p in shared if users[p.label]), key=lambda p: users[p.label] or 0)
    steady = [point for point in shared if point.arrival_rate is not None]
    found: list[_Panel] = []
    quiet = next(iter([p for p in closed if users[p.label] == 1] or steady or closed), None)
    if quiet is not None:
        title = f"latency (p50), {quiet.title}"
        found.append(_Panel(title, "p50 latency", quiet, tuple(_gain(one, naive, quiet, _faster) for one in standing)))
    if closed and (users[closed[-1].label] or 0) > 1:
        title = f"throughput, {closed[-1].title}"
        gains = tuple(_gain(one, naive, closed[-1], _more) for one in standing)
        found.append(_Panel(title, "throughput", closed[-1], gains))
    return found


def _measured(one: ServerView, point: LoadPoint) -> Row | None:
    row = one.row(point.label)
    return row if row is not None and row.outcome is Outcome.OK and not one.absent else None


def _gain(one: ServerView, naive: ServerView, point: LoadPoint, times: Callable[[Row, Row], Interval | None]) -> Gain:
    row, first = one.row(point.label), _measured(naive, point)
    if one.absent or row is None or first is None:
        return Gain(one, None, None, one.absent or f"not measured at {point.title}")
    if row.outcome is not Outcome.OK:
        return Gain(one, None, None, view.absence(row.outcome, row.reason))
    found = times(first, row)
    return Gain(one, row, found, "" if found else "too few correct replies")


def _faster(naive: Row, row: Row) -> Interval | None:
    """Naive p50 / p50; the interval is as wide as both intervals allow."""
    ours, theirs = view.percentile(row.response_time, "p50"), view.percentile(naive.response_time, "p50")
    if not ours or not theirs:
        return None
    mine, first = (each.spread.p50_interval if each.spread else None for each in (row, naive))
    if row is naive or mine is None or first is None:
        return Interval(theirs / ours)
    if mine.low is None or mine.high is None or first.low is None or first.high is None or not mine.low:
        return Interval(theirs / ours)
    return Interval(theirs / ours, first.low / mine.high, first.high / mine.low)


def _more(naive: Row, row: Row) -> Interval | None:
    """Throughput / that of the naive one; a single window gives no interval."""
    if not naive.throughput or row.throughput is None or row.throughput <= 0:
        return None
    return Interval(row.throughput / naive.throughput)


def _texts(panel: _Panel, gain: Gain) -> tuple[str, ...]:
    assert gain.row is not None
    times = gain.times
    known = times is not None and times.low is not None and times.high is not None
    span = f"{units.ratio_text(times.low)} to {units.ratio_text(times.high)}" if known and times else "-"
    return (
        gain.one.name, gain.row.label, gain.one.summary.rung, gain.one.summary.model_form or "-", panel.what,
        units.count_text(gain.row.n), units.ratio_text(times.value if times else None), span, verdict_word(gain.row),
    )  # fmt: skip


def _drawn(summary: Summary, title: str, naive: ServerView, panels: Sequence[_Panel]) -> Sheet:
    ones = [gain.one for gain in panels[0].gains]
    found = [gain.times for panel in panels for gain in panel.gains if gain.times is not None]
    values = [end for times in found for end in (times.value, times.low, times.high) if end]
    rungs = max(sheet.width(one.summary.rung, look.SMALL_PT) for one in ones) + 0.15
    names = distinct_names(ones, 1.75)
    gutter = rungs + max(sheet.width(name) for name in names) + 0.45
    wide = (look.WIDTH_IN - gutter - _GAP * (len(panels) - 1)) / len(panels)
    axis = sheet.log_axis([1.0, *values], wide - _COLUMNS, _tick)
    high = _ROW * len(ones)
    reading = (
        f"Times as good as {naive.name}, the naive server, at the same load (log; further right is better; the line is "
        "1x, the naive one itself). Bar: 95 % interval, as wide as both p50 intervals allow. Hollow: INVALID."
    )
    cut = [one for one in ones if one.absent and fit(one.absent, wide - 0.1, look.SMALL_PT) != one.absent]
    paper = Sheet(title, reading, 0.55 + high + 0.5, [*absences(cut), *_notes(summary)])
    top = paper.top + 0.55
    said = ""
    for place, (one, name) in enumerate(zip(ones, names, strict=True)):
        middle, absent = top + _ROW * (place + 0.5), bool(one.absent)
        group = ("other work: " if one.summary.other_work else "") + one.summary.rung
        if group != said:  # each rung is named once, beside its first server
            paper.text(0, middle, one.summary.rung, size=look.SMALL_PT, colour=look.MUTED)
            said = group
        if not absent:
            style = style_of(summary, one)
            paper.mark(rungs + 0.11, middle, style.marker, style.colour)
        paper.text(rungs + 0.26, middle, name, colour=look.MUTED if absent else look.INK)
    for number, panel in enumerate(panels):
        _panel(paper, summary, panel, axis, (gutter + number * (wide + _GAP), top, wide, high))
    return paper


def _panel(paper: Sheet, summary: Summary, panel: _Panel, axis: Axis, box: tuple[float, float, float, float]) -> None:
    x, top, wide, high = box
    plot = wide - _COLUMNS
    head = fit(panel.title[0].upper() + panel.title[1:], wide, look.PANEL_PT)
    paper.text(x, top - 0.42, head, size=look.PANEL_PT, weight="bold")
    paper.text(x + plot + 0.85, top - 0.14, "times", size=look.SMALL_PT, colour=look.MUTED, align="right")
    paper.text(x + wide, top - 0.14, "n", size=look.SMALL_PT, colour=look.MUTED, align="right")
    axes = paper.panel(x, top, plot, high)
    axes.set_ylim(len(panel.gains) - 0.5, -0.5)
    axes.set_yticks([])
    axis.apply(axes, [_tick(tick) for tick in axis.ticks])
    axes.axvline(1.0, color=look.INK, lw=1, zorder=1)
    label = f"how many times better in {panel.what} (log)"
    paper.text(x, top + high + 0.36, label, size=look.SMALL_PT, colour=look.MUTED)
    divide(axes, [gain.one for gain in panel.gains])
    for place, gain in enumerate(panel.gains):
        middle = top + _ROW * (place + 0.5)
        if gain.times is None or gain.row is None or gain.times.value is None:
            blank(axes, place)
            aside(paper, x + 0.06, middle, fit(gain.why, wide - 0.1, look.SMALL_PT))
            continue
        style = style_of(summary, gain.one)
        axes.axhline(place, color=look.FAINT, lw=0.8, zorder=0)
        if gain.times.low is not None and gain.times.high is not None:
            axes.plot([gain.times.low, gain.times.high], [place, place], color=style.colour, lw=1.6, zorder=2)
        mark(axes, gain.times.value, place, style, gain.row)
        paper.text(x + plot + 0.85, middle, units.ratio_text(gain.times.value), align="right")
        paper.text(x + wide, middle, units.count_text(gain.row.n), size=look.SMALL_PT, colour=look.MUTED, align="right")


def _tick(times: float) -> str:
    return units.short(units.ratio_text(times).removesuffix("x")) + "x"


def _notes(summary: Summary) -> list[str]:
    off = [one.name for one in view.servers(summary) if not one.summary.rung]
    notes = [f"Not on the ladder: {', '.join(off)}."] if off else []
    trials = [row.trials for row in summary.rows if row.outcome is Outcome.OK]
    if trials and max(trials) == 1:
        notes.append("A throughput of one trial has no interval.")
    return [*notes, *footing(summary)]
