"""One function per chart: Summary -> Chart. Skipped and failed servers are in every one, with their reason.

A server keeps its colour, marker and dash in all of them; an INVALID row is drawn hollow; a figure that
could not be computed is said in words, never drawn as zero.
"""

from __future__ import annotations

from bench.report.charts.cost import cost
from bench.report.charts.course import over_time
from bench.report.charts.curves import latency_against_throughput
from bench.report.charts.frontier import frontier
from bench.report.charts.grid import latency, throughput
from bench.report.charts.parts import Chart
from bench.report.charts.stairs import staircase
from bench.report.sheet import house_style
from bench.summary import Summary

__all__ = [
    "Chart",
    "all_charts",
    "cost",
    "frontier",
    "latency",
    "latency_against_throughput",
    "over_time",
    "staircase",
    "throughput",
]


def all_charts(summary: Summary) -> tuple[Chart, ...]:
    """The charts of a report, in reading order."""
    with house_style():
        return (
            latency(summary),
            throughput(summary),
            latency_against_throughput(summary),
            cost(summary),
            frontier(summary),
            staircase(summary),
            over_time(summary),
        )
