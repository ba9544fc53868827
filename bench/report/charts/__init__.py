"""One function per chart: Summary -> Chart. Skipped and failed servers are in every one, with their reason.

A server keeps its colour, marker and dash in all of them; an INVALID row is drawn hollow; a figure that
could not be computed is said in words, never drawn as zero.
"""

from __future__ import annotations

from bench.report import view
from bench.report.charts.beginnings import model_size, startup
from bench.report.charts.breakdown import breakdown
from bench.report.charts.copies import copies
from bench.report.charts.cost import cost
from bench.report.charts.course import over_time
from bench.report.charts.curves import latency_against_throughput
from bench.report.charts.frontier import frontier
from bench.report.charts.grid import latency, throughput
from bench.report.charts.ladder import ladder
from bench.report.charts.parts import Chart, with_accuracy
from bench.report.charts.stairs import staircase
from bench.report.charts.tails import ecdf, percentile_curve
from bench.report.sheet import house_style
from bench.summary import Summary

__all__ = [
    "Chart",
    "all_charts",
    "breakdown",
    "copies",
    "cost",
    "ecdf",
    "frontier",
    "ladder",
    "latency",
    "latency_against_throughput",
    "model_size",
    "over_time",
    "percentile_curve",
    "staircase",
    "startup",
    "throughput",
]


def all_charts(summary: Summary) -> tuple[Chart, ...]:
    """The charts of a report, in reading order; a ladder, model sizes or money only where the run has any.

    Where a server does other work than the model, the data of each chart say how far every server is from the model.
    """
    with house_style():
        rungs, sizes = ladder(summary), model_size(summary)
        money = (cost, frontier, staircase) if view.priced(summary) else ()
        drawn = (
            latency(summary),
            throughput(summary),
            latency_against_throughput(summary),
            percentile_curve(summary),
            ecdf(summary),
            *(draw(summary) for draw in money),
            *([more] if (more := copies(summary)) is not None else []),
            over_time(summary),
            breakdown(summary),
            *([rungs] if rungs.paper.figure.axes else []),
            startup(summary),
            *([sizes] if sizes.paper.figure.axes else []),
        )
    return tuple(with_accuracy(chart, summary) for chart in drawn)
