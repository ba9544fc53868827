"""The small tables of what servers counted inside themselves, and of what requests weigh."""

from __future__ import annotations

from dataclasses import replace

from bench.report.html import report_html
from bench.report.inside import bodies, inside
from bench.report.markdown import report_markdown
from bench.results import Outcome
from bench.summary import Summary
from tests import report_cases as cases

COUNTED = {
    "request_seconds": 4.0,
    "request_count": 100.0,
    "run_seconds": 3.0,
    "run_count": 100.0,
    "queue_seconds": 0.5,
    "queue_count": 100.0,
    "batch_rows": 200.0,
    "batch_count": 50.0,
    "padding_rows": 100.0,
}


def counted(counters: dict[str, float]) -> Summary:
    summary = cases.typical()
    measured = next(row for row in summary.rows if row.outcome is Outcome.OK)
    rows = [replace(row, inside=counters, encode_seconds=0.002) if row is measured else row for row in summary.rows]
    return replace(summary, rows=tuple(rows))


def test_what_a_server_counted_becomes_means_and_shares() -> None:
    (line,) = inside(counted(COUNTED))
    assert line[2:] == ("100", "40.0 ms", "30.0 ms", "5.00 ms", "4", "50 %")


def test_what_a_server_did_not_count_is_no_zero() -> None:
    (line,) = inside(
        counted({"request_seconds": 4.0, "request_count": 100.0, "queue_count": 0.0, "queue_seconds": 0.0})
    )
    assert line[2:] == ("100", "40.0 ms", "-", "-", "-", "-")


def test_a_report_speaks_of_the_inside_only_where_a_server_told() -> None:
    assert not inside(cases.typical())
    assert "Inside the servers" not in report_markdown(cases.typical(), [])
    assert "Inside the servers" not in report_html(cases.typical(), [], [])
    assert "| 100 | 40.0 ms | 30.0 ms | 5.00 ms | 4 | 50 % |" in report_markdown(counted(COUNTED), [])
    assert '<td class="num">30.0 ms</td>' in report_html(counted(COUNTED), [], [])


def test_each_measured_server_has_one_line_of_bytes_and_of_the_time_to_make_a_request() -> None:
    lines = bodies(counted(COUNTED))
    assert len(lines) == len({row.server for row in cases.typical().rows if row.outcome is Outcome.OK})
    assert lines[0][3] == "2.00 ms"
    assert {line[3] for line in lines[1:]} == {"-"}
