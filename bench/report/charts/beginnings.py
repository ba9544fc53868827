"""What a server takes before it answers anything: its start, and its model on disk."""

from __future__ import annotations

from bench import units
from bench.report import view
from bench.report.charts.bars import Bar, Bars, Part
from bench.report.charts.parts import Chart, absent_rows, footing, rows_of, sentence_only, spoken, tick_time
from bench.report.view import ServerView
from bench.summary import Summary

_FILLS = ("#56B4E9", "#E69F00", "#F0E442", "#A6A6A6")
_REST = "not told by the server"


def startup(summary: Summary) -> Chart:
    """Seconds from exec to the first right answer, split where the server's own log tells into what."""
    title = "Start-up time"
    names = list(dict.fromkeys(name for one in view.servers(summary) for name in one.summary.startup_parts))[
        : len(_FILLS)
    ]
    columns = ("server", "start-up", *names, _REST, "version") if names else ("server", "start-up", "version")
    parts = {name: Part(name, fill) for name, fill in zip(names, _FILLS, strict=False)}
    rest = Part(_REST if names else "start-up", "#FFFFFF" if names else "#A6A6A6", "////" if names else "")

    def lengths(one: ServerView) -> list[tuple[float, Part]]:
        told = [(one.summary.startup_parts.get(name, 0.0), part) for name, part in parts.items()]
        whole = one.summary.startup_seconds or 0.0
        return [*told, (max(0.0, whole - sum(length for length, _ in told)), rest)]

    def texts(one: ServerView) -> tuple[str, ...]:
        shown = [units.duration_text(one.summary.startup_parts.get(name)) for name in names]
        left = [units.duration_text(lengths(one)[-1][0])] if names else []
        return (one.name, units.duration_text(one.summary.startup_seconds), *shown, *left, one.summary.version or "-")

    measured = [one for one in view.servers(summary) if not one.absent]
    rows = tuple(texts(one) for one in measured) + absent_rows(summary, len(columns))
    said = spoken("Time from start to the first right answer, by server.", summary, columns, rows)
    if not any(one.summary.startup_seconds for one in measured):
        return Chart("startup", title, said, sentence_only(title, summary, "No server was started."), columns, rows)
    bars = [
        Bar(
            one, lengths(one), units.duration_text(one.summary.startup_seconds), _launches(one),
            absent=one.absent or ("" if one.summary.startup_seconds else "its start was not timed"),
        )
        for one in rows_of(summary)
    ]  # fmt: skip
    reading = (
        "From exec to the first right answer of every worker (linear, from 0); the median where a server was started "
        "more than once. A model that waits in the cache is built already."
    )
    key = [*parts.values(), rest] if names else []
    paper = Bars(
        title, reading, bars, key, "start-up time (linear, from 0)", tick_time, "start-up", "starts",
        footing(summary),
    ).drawn()  # fmt: skip
    return Chart("startup", title, said, paper, columns, rows)


def _launches(one: ServerView) -> str:
    return units.count_text(max((row.trials for row in one.measured), default=1))


def model_size(summary: Summary) -> Chart:
    """Bytes of the model on disk in the form that each server serves."""
    title = "Model size on disk"
    columns = ("server", "model", "form", "version")
    measured = [one for one in view.servers(summary) if not one.absent]
    rows = tuple(
        (one.name, units.bytes_text(one.summary.model_bytes), one.summary.model_form or "-", one.summary.version or "-")
        for one in measured
    ) + absent_rows(summary, len(columns))
    said = spoken("Bytes of the model on disk, by server.", summary, columns, rows)
    if not any(one.summary.model_bytes for one in measured):
        return Chart(
            "model-size", title, said, sentence_only(title, summary, "No server here has a model."), columns, rows
        )
    fill = Part("", "#A6A6A6")
    bars = [
        Bar(
            one, [(float(one.summary.model_bytes or 0), fill)], units.bytes_text(one.summary.model_bytes),
            view.one_line(one.summary.model_form or "-"),
            absent=one.absent or ("" if one.summary.model_bytes else "serves no model of the scenario"),
        )
        for one in rows_of(summary)
    ]  # fmt: skip
    paper = Bars(
        title, "The files that a server is given (linear, from 0). Exact: a size has no interval.", bars, [],
        "bytes on disk (linear, from 0)", lambda size: view.short(units.bytes_text(size)), "size", "form",
        footing(summary),
    ).drawn()  # fmt: skip
    return Chart("model-size", title, said, paper, columns, rows)
