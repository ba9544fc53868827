from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from bench.profiles import Closed
from bench.results import Outcome, TrialRecord
from bench.running.progress import LineProgress, LiveProgress, Progress, make_progress, record_text, time_left
from bench.scenario.plan import Trial

TRIAL = Trial(1, "[red]x[/red]\x1b[2J", 1, Closed(users=8, duration=20.0), warmup=5.0, timeout=30.0, seed=1)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _record(outcome: Outcome, reason: str = "") -> TrialRecord:
    counts = {"scheduled": 132, "ok": 130}
    return TrialRecord("1", 1, TRIAL.server, "echo", 1, "closed", "closed-8", outcome, reason, counts=counts)


def _all_calls(progress: Progress, pass_time: Callable[[float], None]) -> None:
    progress.stage("building")
    progress.launch_started(TRIAL.server, 2, 1, 3)
    progress.trial_started(TRIAL, 25.0)
    pass_time(4.0)
    progress.tick(10, 1, None)
    pass_time(11.0)
    progress.tick(20, 1, 0.0123)
    progress.trial_done(_record(Outcome.OK))
    progress.trial_done(_record(Outcome.FAILED, "it died\nbadly"))
    progress.warning("the machine is busy")
    progress.finished()


def test_without_a_terminal_progress_is_plain_lines() -> None:
    stream, clock = io.StringIO(), Clock()
    _all_calls(LineProgress(stream, 60.0, clock), lambda seconds: setattr(clock, "now", clock.now + seconds))
    assert stream.getvalue().splitlines() == [
        "building",
        "[1/3] starting [red]x[/red]\\x1b[2J, repetition 2 (about 60 s left)",
        "[red]x[/red]\\x1b[2J closed-8: load for 25.0 s",
        "[red]x[/red]\\x1b[2J closed-8: 20 requests, 1 errors, p50 12.3 ms",
        "[red]x[/red]\\x1b[2J closed-8: 132 requests, 2 not ok",
        "[red]x[/red]\\x1b[2J closed-8: failed: it died",
        "badly",
        "warning: the machine is busy",
    ]


def test_on_a_terminal_names_stay_text_and_lines_stay_above_the_panel() -> None:
    stream, clock = Terminal(), Clock()
    _all_calls(LiveProgress(stream, 60.0, clock), lambda seconds: setattr(clock, "now", clock.now + seconds))
    shown = stream.getvalue()
    assert "[red]x[/red]\\x1b[2J closed-8: 132 requests, 2 not ok" in shown
    assert "\x1b[2J" not in shown
    assert "warning: the machine is busy" in shown


def test_the_stream_decides_which_progress_is_made() -> None:
    assert isinstance(make_progress(io.StringIO(), 1.0), LineProgress)
    assert isinstance(make_progress(Terminal(), 1.0), LiveProgress)


def test_a_run_that_takes_longer_than_estimated_says_so() -> None:
    assert time_left(600, 0) == "about 10.0 min left"
    assert time_left(60, 18.2) == "about 42 s left"
    assert time_left(60, 61) == "longer than estimated"


@pytest.mark.parametrize("kind", [LineProgress, LiveProgress])
def test_what_is_built_before_the_first_launch_is_no_part_of_the_time_that_is_left(
    kind: type[LineProgress] | type[LiveProgress],
) -> None:
    stream, clock = Terminal(), Clock()
    progress = kind(stream, 60.0, clock)
    progress.stage("building")
    clock.now = 300.0
    progress.launch_started("one", 1, 1, 3)
    progress.finished()
    assert "about 60 s left" in stream.getvalue()
    assert "longer than estimated" not in stream.getvalue()


def test_once_more_has_to_be_measured_the_time_left_counts_from_there() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = LineProgress(stream, 60.0, clock)
    progress.launch_started("one", 1, 1, 1)
    clock.now = 70.0
    progress.expect(156.0)
    progress.launch_started("one", 2, 2, 25)
    assert stream.getvalue().splitlines()[-1] == "[2/25] starting one, repetition 2 (about 2.6 min left)"


def test_a_trial_that_failed_is_told_with_its_reason() -> None:
    assert record_text(_record(Outcome.SKIPPED, "no GPU")).endswith("closed-8: skipped: no GPU")
