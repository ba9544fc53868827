"""What several charts share: marks, ticks, labels, the sentence instead of an empty axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes

from bench import units
from bench.measures.agreement import differs_text, same_class_text
from bench.report import look, sheet, view
from bench.report.sheet import Sheet, fit
from bench.report.view import ServerView
from bench.summary import Row, Summary, Verdict


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart and its data as text: `description` is read to those who cannot see it."""

    slug: str
    title: str
    description: str
    paper: Sheet
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def blank(axes: Axes, line: int) -> None:
    """Paper over the row of a server without figures, so that no rule runs through its reason."""
    axes.axhspan(line - 0.5, line + 0.5, facecolor=look.PAPER, lw=0, zorder=6)


def aside(paper: Sheet, x: float, y: float, text: str) -> None:
    """A reason in the place of figures."""
    paper.text(x, y, text, size=look.SMALL_PT, colour=look.MUTED, style="italic")


def rows_of(summary: Summary) -> tuple[ServerView, ...]:
    """The servers in the order of the chart's rows, so that what can be compared stands together.

    Below those that do the model's work stand those that do other work, and last the absent ones.
    """
    return tuple(sorted(view.servers(summary), key=lambda one: (bool(one.absent), bool(one.other_work))))


def divide(axes: Axes, views: Sequence[ServerView]) -> None:
    """A dotted rule above the first row that does other work than the model, if it is not the first of all."""
    first = next((line for line, one in enumerate(views) if one.other_work and not one.absent), 0)
    if first:
        axes.axhline(first - 0.5, color=look.MUTED, lw=0.9, ls=(0, (1, 2)), zorder=1)


def footing(summary: Summary) -> list[str]:
    """The last notes of a chart: how far those lie from the model that do other work, and what was measured."""
    return [*view.other_work_texts(summary), view.basis_text(summary)]


def names_width(views: Sequence[ServerView]) -> float:
    """Inches that the names at the left of a chart take, their marks included."""
    widest = max((sheet.width(sheet.drawable(v.name)) for v in views), default=0.0)
    return min(2.2, max(0.8, widest + 0.42))


def distinct_names(views: Sequence[ServerView], inches: float, size: float = look.TEXT_PT) -> tuple[str, ...]:
    """Names as they can be drawn, still different from one another."""
    return look.distinct([fit(v.name, inches, size) for v in views])


def tick_time(seconds: float) -> str:
    """`500 ms`, for ticks and limits."""
    return view.short(units.duration_text(seconds))


def tick_rate(per_second: float) -> str:
    """`5/s`, for ticks; zero is just `0`."""
    return view.short(units.rate_text(per_second)) if per_second else "0"


def tick_dollars(dollars: float) -> str:
    """`$50`, for ticks."""
    return view.short(units.dollars_text(dollars))


def mark(axes: Axes, x: float, y: float, style: look.Style, row: Row, size: float = 6.5) -> None:
    """One point in its server's colour and marker; hollow where the row is INVALID."""
    hollow = row.verdict is Verdict.INVALID
    axes.plot(
        [x],
        [y],
        marker=style.marker,
        mfc=look.PAPER if hollow else style.colour,
        mec=style.colour if hollow else look.PAPER,
        mew=1.4 if hollow else 0.7,
        ms=size,
        zorder=5,
        clip_on=False,
    )


def style_of(summary: Summary, one: ServerView) -> look.Style:
    """One server's look."""
    return look.styles(len(summary.servers))[one.number]


def measured_rows(summary: Summary) -> list[Row]:
    """Every row with figures."""
    return [row for one in view.servers(summary) for row in one.measured]


def time_of(row: Row, name: str) -> float | None:
    """One percentile of response time in seconds, if it can stand on a log axis."""
    value = view.percentile(row.response_time, name)
    return value if value is not None and value > 0 else None


def point_of(row: Row, name: str) -> tuple[float, float] | None:
    """(throughput, percentile) of a row; None where either is missing."""
    time = time_of(row, name)
    return None if time is None or row.throughput is None else (row.throughput, time)


def count_text(row: Row, needs: int | None) -> str:
    """`400`, or `98 of 130` where a percentile needs more replies than there are."""
    answered = row.response_time.n if row.response_time is not None else 0
    return f"{units.count_text(answered)} of {units.count_text(needs)}" if needs else units.count_text(row.n)


def verdict_word(row: Row) -> str:
    """The verdict, `-` where there is none."""
    return row.verdict.value if row.verdict is not None else "-"


def interval_text(row: Row) -> str:
    """The interval of p95 in words."""
    band = row.p95_interval
    if band is None or band.low is None or band.high is None:
        return "-"
    return f"{units.duration_text(band.low)} to {units.duration_text(band.high)}"


def cost_interval(row: Row) -> str:
    """The interval of a cost in words."""
    band = row.cost_per_million
    if band is None or band.low is None or band.high is None:
        return "-"
    return f"{units.dollars_text(band.low)} to {units.dollars_text(band.high)}"


def absent_rows(summary: Summary, columns: int) -> tuple[tuple[str, ...], ...]:
    """Servers without figures, as lines of a data table."""
    return tuple((v.name, v.absent, *["-"] * (columns - 2)) for v in view.servers(summary) if v.absent)


def absences(views: Sequence[ServerView]) -> list[str]:
    """Servers without figures, as notes below a chart."""
    return [f"{v.name} - {v.absent}" for v in views if v.absent]


def too_few(summary: Summary, name: str) -> list[str]:
    """The rows that a chart leaves out because a percentile has too few requests, as one note at most."""
    few = [
        f"{one.name} {row.label} ({count_text(row, view.needed(row, name))})"
        for one in view.servers(summary)
        for row in one.measured
        if time_of(row, name) is None and view.needed(row, name)
    ]
    return [f"Not drawn, n too small for {view.tail_text(summary)}: {', '.join(few)}."] if few else []


def sentence_only(title: str, summary: Summary, sentence: str, notes: Sequence[str] = ()) -> Sheet:
    """A sentence instead of an empty axis."""
    paper = Sheet(title, "", 0.3, [*notes, *absences(view.servers(summary)), *footing(summary)])
    paper.text(0, paper.top + 0.1, sheet.drawable(sentence))
    return paper


def tint(colour: str) -> str:
    """The colour thinned with paper: opaque, so that no line shows through."""
    return look.mixed(colour, look.PAPER, look.TINT)


def with_accuracy(chart: Chart, summary: Summary) -> Chart:
    """The chart with two more columns of data, how far each server is from the model; itself where all do its work.

    A chart whose lines are not servers stays as it is.
    """
    said = view.other_work_texts(summary)
    if not said or chart.columns[0] != "server":
        return chart
    known = {
        one.name: (same_class_text(one.summary.answers), differs_text(one.summary.answers))
        for one in view.servers(summary)
    }
    rows = tuple((*row, *known.get(row[0], ("-", "-"))) for row in chart.rows)
    columns = (*chart.columns, "same class", "off by")
    return replace(chart, columns=columns, rows=rows, description=" ".join([chart.description, *said]))


def spoken(what: str, summary: Summary, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """What a reader who cannot see the chart gets: what it is, its first dozen rows, where the rest is."""
    said = [
        f"{row[0]}: " + ", ".join(f"{c} {v}" for c, v in zip(columns[1:], row[1:], strict=True) if v != "-")
        for row in rows
    ]
    more = f" {len(said) - 12} more rows are in the table below." if len(said) > 12 else ""
    limit = view.slo_text(summary)
    return " ".join([what, *([f"SLO: {limit}."] if limit else []), "; ".join(said[:12]) + "." + more])
