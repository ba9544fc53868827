from __future__ import annotations

from dataclasses import replace

import pytest

from bench.report.charts.copies import copies
from bench.report.sheet import house_style, svg_bytes
from bench.results import Outcome
from bench.summary import Interval, Summary, Verdict
from tests import report_cases as cases


def summary(*servers: tuple[str, int, str, float, float | None], verdict: Verdict = Verdict.VALID) -> Summary:
    """Servers of (name, copies, cores, throughput, dollars per million)."""
    rows, known = [], []
    for name, count, cores, rate, dollars in servers:
        row = cases.row(name, ("closed-8", 8, None))
        cost = None if dollars is None else Interval(dollars)
        rows.append(replace(row, throughput=rate, goodput=rate, cost_per_million=cost, verdict=verdict))
        options = {"replicas": count, "of": {"kind": "gunicorn"}, "cores": cores}
        known.append(replace(cases.server(name), kind="replicas", options=options))
    return cases.summary(rows, known)


THREE = (("one", 1, "same", 10.0, 5.0), ("two", 2, "same", 18.0, 3.0), ("two-each", 2, "each", 19.0, 5.5))


def test_copies_are_told_with_their_number_their_cores_and_what_they_cost() -> None:
    chart = copies(summary(*THREE))
    assert chart is not None
    assert [row[:4] for row in chart.rows] == [
        ("one", "1", "gunicorn", "on the cores of one server"),
        ("two", "2", "gunicorn", "on the cores of one server"),
        ("two-each", "2", "gunicorn", "each on as many cores of its own"),
    ]
    assert "throughput 18.0/s" in chart.description
    with house_style():
        text = svg_bytes(chart.paper.figure).decode()
    assert "Dollars per million requests within the SLO" in text


@pytest.mark.parametrize(
    "servers",
    [(), THREE[:1], (THREE[1], THREE[2])],
    ids=["no copies", "one number of copies", "the same number twice"],
)
def test_without_two_numbers_of_copies_there_is_no_chart(servers: tuple[tuple[str, int, str, float, float]]) -> None:
    assert copies(summary(*servers)) is None
    assert copies(cases.summary([cases.row("a", ("closed-1", 1, None))], [cases.server("a")])) is None


def test_without_a_price_there_is_one_panel_and_a_note() -> None:
    chart = copies(summary(*((*server[:4], None) for server in THREE)))
    assert chart is not None
    assert len(chart.paper.figure.axes) == 1


def test_copies_that_were_skipped_are_named_with_their_reason() -> None:
    made = summary(*THREE)
    absent = replace(cases.server("four"), outcome=Outcome.SKIPPED, reason="nginx is not on PATH", kind="replicas")
    chart = copies(replace(made, servers=(*made.servers, absent)))
    assert chart is not None
    assert any(row[0] == "four" and "nginx is not on PATH" in row[1] for row in chart.rows)
