"""One line per server: who is ranked, why the others are not, and which figure is a column's best."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.report import view
from bench.report.markdown import report_markdown
from bench.report.text import summary_text
from bench.summary import Interval, Summary, Verdict
from tests import report_cases as cases


def _cells(summary: Summary, server: str) -> dict[str, view.Cell]:
    line = next(line for line in view.standings(summary) if line.name == server)
    return {column.slug: cell for column, cell in zip(view.columns(summary), line.cells, strict=True)}


def _two(**second: Any) -> Summary:
    cheap = cases.row("cheap", cases.POINTS[4], 0.1, cost_per_million=Interval(5.0, 4.0, 6.0))
    dear = cases.row("dear", cases.POINTS[4], 0.2, cost_per_million=Interval(10.0, 9.0, 11.0), **second)
    return cases.summary([dear, cheap], [cases.server("dear"), cases.server("cheap")])


def test_every_server_has_one_line_and_those_without_figures_come_last() -> None:
    lines = view.standings(cases.typical())
    assert sorted(line.name for line in lines) == sorted(server.server for server in cases.typical().servers)
    assert [line.name for line in lines[-2:]] == ["flask-reload", "tfserving-gpu"]
    assert lines[-1].absent == "skipped: no GPU on this machine: /dev/nvidia0 is not there"


def test_ranked_servers_are_sorted_by_cost_and_the_first_is_the_choice() -> None:
    assert [(line.name, line.place) for line in view.standings(_two())] == [("cheap", 1), ("dear", 2)]


def test_what_is_not_ranked_says_why() -> None:
    said = {line.name: line.why for line in view.standings(cases.typical())}
    assert said["triton"] == "INVALID: 40 of 100 answers disagree with the reference"
    assert said["tfserving-grpc"] == "meets the SLO, but not ranked: no price in the scenario"
    closed = cases.summary(
        [cases.row("a", cases.POINTS[0]), cases.row("b", cases.POINTS[3])], [cases.server("a"), cases.server("b")]
    )
    assert view.standings(closed)[1].why == "meets the SLO in closed loop only"
    slow = cases.summary([cases.row("slow", cases.POINTS[1], 0.9)], [cases.server("slow")])
    assert view.standings(slow)[0].why == "misses the SLO at every load"
    few = cases.summary([cases.row("few", cases.POINTS[3], n=130, slo_met=True)], [cases.server("few")])
    assert view.standings(replace(few, slo={**cases.SLO, "percentile": 99.0}))[0].why.endswith(
        "fewer than 662 requests"
    )
    assert view.standings(replace(few, slo={}))[0].why == "no SLO to rank by"


def test_the_best_of_a_column_is_marked_and_only_among_ranked_servers() -> None:
    summary = _two()
    assert _cells(summary, "cheap")["cost"].best
    assert not _cells(summary, "dear")["cost"].best
    invalid = _two(verdict=Verdict.INVALID, reasons=[cases.WRONG])
    assert not any(cell.best for cell in _cells(invalid, "dear").values())
    assert not any(cell.best for cell in _cells(invalid, "cheap").values()), "one alone is no best"


def test_latencies_at_different_loads_have_no_best() -> None:
    rows = [cases.row("a", cases.POINTS[4], 0.1), cases.row("b", cases.POINTS[3], 0.2)]
    summary = cases.summary(rows, [cases.server("a"), cases.server("b")])
    assert not _cells(summary, "a")["tail"].best
    assert not _cells(summary, "b")["tail"].best


def test_the_times_are_those_of_the_cheapest() -> None:
    summary = _two()
    assert (_cells(summary, "cheap")["times"].text, _cells(summary, "dear")["times"].text) == ("1.00x", "2.00x")


def test_terminal_and_markdown_show_the_same_lines() -> None:
    summary = _two()
    text, markdown = summary_text(summary), report_markdown(summary, ())
    assert "$5.00*" in text
    assert "VALID <- choice" in text
    assert "* best of the servers that are ranked" in text
    assert "**\\$5.00 (\\$4.00 to \\$6.00) ★**" in markdown
    assert markdown.index("cheap") < markdown.index("dear")
