"""Each way of being wrong is told when it is there, and a clean run is left alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bench.results import AnswerCheck, Outcome, TrialRecord
from bench.samples import TIMED_OUT, UNSENT, WRONG_ANSWER, Bools, Samples
from bench.validity import CHECKS, Evidence, Reason, Verdict, judge, verdict_of
from tests.recorded import TFSERVING, Point, simulate

START, END = 2.0, 42.0
GOOD = AnswerCheck(
    distinct=3, checked=400, unchecked=0, wrong=0, largest_difference=1e-6, tolerance=1e-4, photo_distance=0.05
)


def evidence(*, seed: int = 3, open_loop: bool = True, arrival_rate: float = 8.0) -> Evidence:
    """A clean trial: an eighth of a second per request, two lanes, half of them busy."""
    point = Point(arrival_rate=arrival_rate, duration=40.0) if open_loop else Point(users=2, duration=40.0)
    samples = simulate(TFSERVING, point, np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2]))
    trial = TrialRecord(
        id="001-tfserving-poisson-8",
        number=1,
        server="tfserving",
        kind="tfserving",
        repetition=0,
        profile=point.profile,
        label=point.label,
        outcome=Outcome.OK,
        timeout=6.0,
        window=(START, END),
        counts={"scheduled": len(samples)},
        answers=GOOD,
    )
    return Evidence((samples,), (trial,), (START, END), open_loop, 0.95, 0.001)


def with_rows(clean: Evidence, change: Callable[[Samples], Samples]) -> Evidence:
    return replace(clean, parts=(change(clean.parts[0]),))


def with_trial(clean: Evidence, change: Callable[[TrialRecord], TrialRecord]) -> Evidence:
    return replace(clean, trials=(change(clean.trials[0]),))


def with_answers(clean: Evidence, answers: AnswerCheck | None) -> Evidence:
    return with_trial(clean, lambda trial: replace(trial, answers=answers))


def failing(samples: Samples, rows: Bools, error: str, seconds: float | None) -> Samples:
    """The rows get this error, their reply after so many seconds or, with None, never."""
    errors = tuple(dict.fromkeys((*samples.errors, error)))
    never = samples.sent_at + (np.nan if seconds is None else seconds)
    return replace(
        samples,
        ok=samples.ok & ~rows,
        errors=errors,
        error=np.where(rows, errors.index(error), samples.error),
        done_at=np.where(rows, never, samples.done_at),
        sent_at=np.where(rows & (error == UNSENT), np.nan, samples.sent_at),
    )


def hanging(samples: Samples, since: float, room: int) -> Samples:
    """Nothing comes back any more; with `room` requests unanswered the next waits until one of them times out."""
    sent, rows = samples.sent_at.copy(), np.flatnonzero(samples.intended_at > since)
    for row in rows[room:]:
        sent[row] = max(sent[row], sent[row - room] + 6.0)
    hung = failing(replace(samples, sent_at=sent), samples.intended_at > since, TIMED_OUT, None)
    return failing(hung, sent > END, UNSENT, None)


def every(samples: Samples, nth: int) -> Bools:
    return np.asarray(np.arange(len(samples)) % nth == 0, dtype=np.bool_)


def later(samples: Samples, lag: Bools, seconds: float) -> Samples:
    """These rows leave so much later, and come back so much later."""
    shift = np.where(lag, seconds, 0.0)
    return replace(samples, sent_at=samples.sent_at + shift, done_at=samples.done_at + shift)


def found(judged: Evidence) -> dict[str, Reason]:
    return {reason.id: reason for reason in judge(judged)}


@pytest.mark.parametrize("open_loop", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_a_clean_run_gives_every_check_nothing_to_say(seed: int, open_loop: bool) -> None:
    assert judge(evidence(seed=seed, open_loop=open_loop)) == ()


def test_a_busy_server_alone_is_neither_overloaded_nor_cold_more_than_now_and_then() -> None:
    # 14 of the 16.6 requests/s that it can serve: queues come and go.
    told = [set(found(evidence(seed=seed, arrival_rate=14.0))) for seed in range(40)]
    assert not any("warm-up-not-over" in ids for ids in told)
    assert sum("overloaded" in ids for ids in told) <= 8


FIRES: dict[str, tuple[Verdict, Callable[[Evidence], Evidence]]] = {
    "nothing-ok": (
        Verdict.INVALID,
        lambda clean: with_rows(clean, lambda s: failing(s, every(s, 1), TIMED_OUT, None)),
    ),
    "rows-missing": (Verdict.INVALID, lambda clean: with_trial(clean, lambda t: replace(t, counts={"scheduled": 999}))),
    "times-disordered": (
        Verdict.INVALID,
        lambda clean: with_rows(clean, lambda s: replace(s, sent_at=s.sent_at - 0.5)),
    ),
    "late-sends": (Verdict.SUSPECT, lambda clean: with_rows(clean, lambda s: later(s, every(s, 20), 0.02))),
    "offered-not-achieved": (
        Verdict.INVALID,
        lambda clean: with_rows(clean, lambda s: failing(s, every(s, 10), UNSENT, None)),
    ),
    "generator-full": (
        Verdict.SUSPECT,
        lambda clean: with_rows(clean, lambda s: hanging(s, since=20.0, room=30)),
    ),
    "too-few-requests": (Verdict.SUSPECT, lambda _: evidence(arrival_rate=2.0)),
    "errors-above-limit": (
        Verdict.SUSPECT,
        lambda clean: with_rows(clean, lambda s: failing(s, every(s, 100), "500 Internal Server Error", 0.12)),
    ),
    "fast-errors": (
        Verdict.SUSPECT,
        lambda clean: with_rows(clean, lambda s: failing(s, every(s, 20), "503 Service Unavailable", 0.001)),
    ),
    "wrong-answers": (Verdict.INVALID, lambda clean: with_answers(clean, replace(GOOD, wrong=1, example="china.jpg"))),
    "check-could-not-fail": (
        Verdict.INVALID,
        lambda clean: with_answers(clean, replace(GOOD, photo_distance=9 * GOOD.tolerance)),
    ),
    "unchecked-answers": (Verdict.SUSPECT, lambda clean: with_answers(clean, replace(GOOD, unchecked=40))),
    "worker-replaced": (
        Verdict.INVALID,
        lambda clean: with_trial(clean, lambda t: replace(t, worker_pids_changed=True)),
    ),
    "overloaded": (Verdict.SUSPECT, lambda _: evidence(arrival_rate=20.0)),
    "warm-up-not-over": (
        Verdict.SUSPECT,
        lambda clean: with_rows(
            clean,
            lambda s: replace(s, done_at=s.done_at + np.where(s.intended_at < 15, 0.06, 0.0)),
        ),
    ),
}


def test_every_check_of_the_table_has_a_case_that_makes_it_speak() -> None:
    assert set(FIRES) == set(CHECKS)


@pytest.mark.parametrize("check_id", FIRES)
def test_a_check_speaks_when_its_fault_is_there(check_id: str) -> None:
    verdict, spoil = FIRES[check_id]
    reasons = found(spoil(evidence()))
    assert check_id in reasons
    assert reasons[check_id].verdict is verdict
    assert reasons[check_id].what
    assert reasons[check_id].advice


def test_a_wrong_row_counts_even_if_no_answer_check_was_recorded() -> None:
    spoilt = with_rows(evidence(), lambda s: failing(s, every(s, 200), WRONG_ANSWER, 0.12))
    assert found(spoilt)["wrong-answers"].verdict is Verdict.INVALID


def test_one_photo_alone_makes_the_check_suspect_rather_than_invalid() -> None:
    spoilt = with_answers(evidence(), replace(GOOD, photo_distance=float("nan")))
    assert found(spoilt)["check-could-not-fail"].verdict is Verdict.SUSPECT


def test_answers_that_nobody_compared_are_suspect() -> None:
    assert found(with_answers(evidence(), None))["unchecked-answers"].verdict is Verdict.SUSPECT


def test_a_few_unchecked_answers_are_no_reason() -> None:
    assert judge(with_answers(evidence(), replace(GOOD, unchecked=10))) == ()


def test_a_lag_below_a_twentieth_of_the_service_time_is_no_reason() -> None:
    assert judge(with_rows(evidence(), lambda s: later(s, every(s, 1), 0.005))) == ()


def test_what_left_late_because_the_server_held_everything_is_not_blamed_on_the_generator() -> None:
    reasons = found(FIRES["generator-full"][1](evidence()))
    assert "offered-not-achieved" not in reasons
    assert "late-sends" not in reasons


def test_wrong_answers_are_no_fast_errors() -> None:
    spoilt = with_rows(evidence(), lambda s: failing(s, every(s, 10), WRONG_ANSWER, 0.001))
    assert "fast-errors" not in found(spoilt)


def test_closed_loop_is_never_called_overloaded() -> None:
    slower = with_rows(evidence(open_loop=False), lambda s: replace(s, done_at=s.done_at + 5 * (s.intended_at > 30)))
    assert "overloaded" not in found(slower)


def test_repetitions_are_judged_together_without_mixing_their_clocks() -> None:
    one, two = evidence(seed=1), evidence(seed=2)
    assert judge(replace(one, parts=one.parts + two.parts, trials=one.trials + two.trials)) == ()


def test_the_gravest_reason_decides_and_comes_first() -> None:
    spoilt = with_answers(evidence(arrival_rate=2.0), replace(GOOD, wrong=1))
    reasons = judge(spoilt)
    assert [reason.verdict for reason in reasons] == [Verdict.INVALID, Verdict.SUSPECT]
    assert verdict_of(reasons) is Verdict.INVALID
    assert verdict_of(()) is Verdict.VALID
