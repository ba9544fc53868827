"""What an exchange of the model cost, from the times that were noted and the rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.report.charts.course import over_time
from bench.report.html import report_html
from bench.report.markdown import report_markdown
from bench.report.sheet import svg_bytes
from bench.report.swaps import SWAP_HEAD, swaps
from bench.report.text import summary_text
from bench.results import Outcome, SwapRecord, TrialRecord
from bench.samples import Samples
from bench.summary.swapped import swap_figures, swap_marks, swap_sentence
from bench.validity import Evidence, Verdict
from bench.validity.swapping import swap_unfinished
from tests import report_cases as cases

SEEN = SwapRecord("1", "2", 20.0, 20.4, 21.0, 21.9, 22.5, 22.0, 22.1, {"1": 20, "2": 18})
TRIAL = TrialRecord(
    "001-a-swap-1", 1, "a", "tfserving", 1, "swap", "swap-1", Outcome.OK, arrival_rate=1.0, duration=30.0, swap=SEEN
)
WINDOW = (10.0, 40.0)


def samples(slow: float = 0.3, failed: tuple[float, ...] = ()) -> Samples:
    """One request a second that takes 0.1 s, but `slow` seconds at 21; those due at `failed` are refused."""
    due = np.arange(0.0, 40.0)
    took = np.where(due == 21.0, slow, np.where(due == 15.0, 0.12, 0.1))
    bad = np.isin(due, failed)
    none = np.zeros(len(due), dtype=np.int64)
    return Samples(
        intended_at=due,
        sent_at=due,
        first_byte_at=due + took,
        done_at=due + took,
        status=np.where(bad, 503, 200),
        ok=~bad,
        error=np.where(bad, 0, -1),
        errors=("HTTP 503",),
        measured=due >= WINDOW[0],
        payload=none,
        request_bytes=none,
        response_bytes=none,
        worker=none,
    )


def test_downtime_is_counted_from_the_copy_on_and_compared_with_what_was_before() -> None:
    figures = swap_figures(TRIAL, samples(failed=(12.0, 23.0)), WINDOW)
    assert figures is not None
    assert (figures.requests, figures.failed) == (20, 1), "what failed before the exchange is none of its failures"
    assert figures.worst == pytest.approx(0.3)
    assert figures.worst_before == pytest.approx(0.12)
    assert figures.p50_before == pytest.approx(0.1)
    assert figures.copying == pytest.approx(0.4)
    assert figures.took_over == pytest.approx(1.6)
    assert figures.seen_by == "answers"
    assert figures.both_loaded == pytest.approx(1.5)
    assert figures.old_answered_until == pytest.approx(1.7)


def test_where_answers_do_not_tell_their_version_the_server_s_word_counts() -> None:
    silent = replace(SEEN, answers={}, first_new_at=None, last_old_at=None)
    figures = swap_figures(replace(TRIAL, swap=silent), samples(), WINDOW)
    assert figures is not None
    assert figures.took_over == pytest.approx(1.5)
    assert figures.seen_by == "status"
    assert [words for _, words in swap_marks(replace(TRIAL, swap=silent))] == ["renamed", "version 2 ready"]


def test_what_was_never_seen_is_unknown_and_never_zero() -> None:
    figures = swap_figures(replace(TRIAL, swap=SwapRecord("1", "2", 20.0, 20.4)), samples(), WINDOW)
    assert figures is not None
    assert (figures.took_over, figures.both_loaded, figures.old_answered_until) == (None, None, None)
    assert "never took over" in swap_sentence("a", figures)
    assert swap_figures(replace(TRIAL, swap=None), samples(), WINDOW) is None


def test_the_sentence_says_whether_there_was_downtime() -> None:
    clean, bad = swap_figures(TRIAL, samples(), WINDOW), swap_figures(TRIAL, samples(failed=(21.0, 22.0)), WINDOW)
    assert clean is not None
    assert bad is not None
    assert swap_sentence("a", clean) == (
        "a lost none of 20 requests while version 2 took over, 1.60 s after its rename, both in memory for 1.50 s; the "
        "slowest answer took 300 ms, before that 120 ms."
    )
    assert swap_sentence("a", bad).startswith("a lost 2 of 20 requests while version 2 took over")


def test_a_swap_whose_end_was_not_seen_is_in_doubt_and_one_that_was_seen_whole_is_not() -> None:
    def judged(record: SwapRecord) -> Verdict | None:
        rows = samples()
        reason = swap_unfinished(Evidence((rows,), (replace(TRIAL, swap=record),), WINDOW, True), rows)
        return reason.verdict if reason else None

    assert judged(SEEN) is None
    assert judged(replace(SEEN, gone_at=None)) is Verdict.SUSPECT
    assert judged(replace(SEEN, answers={"1": 20}, first_new_at=None)) is Verdict.INVALID


def test_every_form_of_the_report_tells_what_the_exchange_cost() -> None:
    figures = swap_figures(TRIAL, samples(), WINDOW)
    assert figures is not None
    typical = cases.typical()
    rows = (replace(typical.rows[0], swaps=(figures,)), *typical.rows[1:])
    summary = replace(typical, rows=rows, answer=swap_sentence("flask", figures))
    (line,) = swaps(summary)
    assert len(line) == len(SWAP_HEAD)
    assert line[2:] == ("20", "0", "300 ms", "120 ms", "400 ms", "1.60 s", "answers", "1.50 s")
    assert "A new version while it serves" in report_html(summary, [], [])
    assert "| 1.60 s | answers |" in report_markdown(summary, [])
    assert "took over, 1.60 s after its rename" in " ".join(summary_text(summary).split())
    assert "A new version while it serves" not in report_html(typical, [], [])


def test_the_chart_over_time_shows_the_load_point_with_the_exchange_and_marks_its_moments() -> None:
    typical = cases.typical()
    marks = swap_marks(TRIAL)
    lines = tuple(replace(it, marks=marks) if it.label == "poisson-1" else it for it in typical.timelines)
    drawn = svg_bytes(over_time(replace(typical, timelines=lines)).paper.figure).decode()
    assert "1/s arriving" in drawn, "what happens at a moment can be seen over time alone"
    assert "renamed 20.4 s" in drawn
    assert "version 2 answers 22 s" in drawn
    assert "renamed" not in svg_bytes(over_time(typical).paper.figure).decode()
