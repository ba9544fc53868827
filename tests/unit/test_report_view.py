from __future__ import annotations

from dataclasses import replace

import pytest

from bench.report import view
from bench.report.html import Source, report_html
from bench.report.markdown import report_markdown
from bench.report.text import summary_text
from bench.results import Outcome
from bench.summary import Reason, Verdict
from tests import report_cases as cases


def test_an_invalid_row_is_never_the_choice_however_cheap() -> None:
    good = cases.row("good", cases.POINTS[4], 0.2)
    cheap = cases.row("cheap", cases.POINTS[4], 0.01, verdict=Verdict.INVALID, reasons=[cases.WRONG])
    summary = cases.summary([cheap, good], [cases.server("cheap"), cases.server("good")])
    assert [line.server for line in view.comparison(summary) if line.chosen] == ["good"]


def test_a_row_that_misses_the_slo_is_never_the_choice() -> None:
    summary = cases.summary([cases.row("slow", cases.POINTS[1], 0.9)], [cases.server("slow")])
    assert not any(line.chosen for line in view.comparison(summary))


def test_the_choice_has_the_highest_goodput_where_nothing_is_priced() -> None:
    summary = cases.summary([cases.row("only", cases.POINTS[4], priced=False)], [cases.server("only", priced=False)])
    assert [line.chosen for line in view.comparison(summary)] == ["highest goodput within the SLO"]


def test_every_server_has_a_line_and_the_absent_ones_say_why() -> None:
    lines = view.comparison(cases.typical())
    assert {line.server for line in lines} == {server.server for server in cases.typical().servers}
    absent = {line.server: line.absent for line in lines if line.absent}
    assert absent["tfserving-gpu"] == "skipped: no GPU on this machine: /dev/nvidia0 is not there"
    assert absent["flask-reload"] == "failed: server exited with code 1 before it was ready"


def test_lines_follow_the_load_closed_loop_first() -> None:
    loads = [line.load for line in view.comparison(cases.typical())]
    assert list(dict.fromkeys(loads)) == ["closed-1", "closed-8", "poisson-1", "poisson-2.5", "poisson-4", "-"]


def test_a_load_point_that_no_server_was_measured_at_is_one_line() -> None:
    rows = [cases.row(name, cases.POINTS[0]) for name in ("a", "b")]
    skipped = [
        replace(row, label="capacity", profile="capacity", users=None, outcome=Outcome.SKIPPED, reason="not there yet")
        for row in rows
    ]
    lines = view.comparison(cases.summary([*rows, *skipped], [cases.server("a"), cases.server("b")]))
    last = lines[-1]
    assert (last.server, last.load, last.absent) == ("all 2 servers", "capacity", "skipped: not there yet")
    assert len(lines) == 3


def test_a_percentile_with_too_few_requests_says_how_many_it_takes() -> None:
    assert view.percentile_text(cases.row("a", cases.POINTS[0], n=90), "p95") == "n < 130"


def test_the_three_ways_to_lose_a_request_are_three_counts() -> None:
    row = cases.row("a", cases.POINTS[0], failed=3, timed_out=2, unsent=1)
    assert view.lost(row) == "3 failed, 2 timed out, 1 unsent"


def test_servers_of_equal_name_in_two_runs_carry_their_run() -> None:
    two = [replace(cases.server("flask"), run_id=run) for run in ("r1", "r2")]
    rows = [cases.row("flask", cases.POINTS[0], run_id=run) for run in ("r1", "r2")]
    summary = cases.summary(rows, two, run_ids=("r1", "r2"))
    assert [one.name for one in view.servers(summary)] == ["flask (r1)", "flask (r2)"]
    assert [len(one.measured) for one in view.servers(summary)] == [1, 1]


def test_an_slo_of_another_percentile_is_the_one_that_is_shown() -> None:
    summary = replace(cases.typical(), slo={"percentile": 99.0, "response_time": 0.5})
    assert view.tail_text(summary) == "p99"
    assert view.slo_text(summary) == "p99 response time at most 500 ms"


def test_a_limit_on_a_percentile_that_is_not_shown_is_not_drawn() -> None:
    assert view.slo_limit(replace(cases.typical(), slo={"percentile": 97.5, "response_time": 0.5})) is None


@pytest.mark.parametrize(
    ("text", "short"),
    [("1.00 s", "1 s"), ("2.50/s", "2.5/s"), ("100 ms", "100 ms"), ("$1,000", "$1,000"), ("0.0500/s", "0.05/s")],
)
def test_ticks_lose_zeros_that_say_nothing(text: str, short: str) -> None:
    assert view.short(text) == short


def test_control_characters_are_made_visible() -> None:
    assert view.one_line("red\x1b[31m\nnext\u202e") == "red\\x1b[31m next\\x202e"


def test_a_reason_that_many_rows_share_is_one_doubt_and_invalid_comes_first() -> None:
    doubts = view.doubts(cases.typical())
    assert [doubt.verdict for doubt in doubts] == [Verdict.INVALID, Verdict.SUSPECT]
    what, where = doubts[1].cases[0]
    assert what == cases.LATE.what
    assert where == "gunicorn at closed-1, closed-8, poisson-1, poisson-2.5, poisson-4"


def test_groups_are_as_even_as_can_be() -> None:
    views = view.servers(cases.dozen())
    assert [len(group) for group in view.groups(views, 5)] == [4, 4, 4]
    assert view.groups((), 5) == ()


def test_a_price_says_what_it_is_of_and_its_day() -> None:
    assert view.price_text(cases.PRICE) == "1 x a1.4xlarge at $0.408/h (aws us-east-1, 2026-07-20)"
    assert view.price_text({"per_hour": 2.0, "source": "our bill"}) == "$2.00/h (our bill)"


def test_a_note_is_no_doubt_but_is_said_in_every_output() -> None:
    note = Reason("cores-shared", Verdict.VALID, "server and generator share <2> cores", "use another machine")
    rows = [cases.row("a", point, reasons=[note]) for point in cases.POINTS[:2]]
    noted = cases.summary(rows, [cases.server("a")])
    assert view.doubts(noted) == ()
    assert [(doubt.cases[0][1], doubt.advice) for doubt in view.notes(noted)] == [
        ("a at closed-1, closed-8", "use another machine")
    ]
    assert "note: server and generator share <2> cores (a at closed-1, closed-8)" in summary_text(noted)
    assert "share &lt;2&gt; cores" in report_markdown(noted, ())
    page = report_html(noted, (), [Source(cases.manifest(), "")])
    assert "server and generator share &lt;2&gt; cores" in page
    assert "No check of the measurement found anything wrong." in page


def test_a_failure_is_told_without_the_path_of_its_log_and_with_its_hint_apart() -> None:
    said = "/runs/r/trials/005-a/server.log: server ended (exit code 0) before it was ready\n  hint: its log is empty"
    assert view.absence(Outcome.FAILED, said) == (
        "failed: server ended (exit code 0) before it was ready; its log is empty"
    )
