"""Each way of being wrong is told when it is there, and a clean run is left alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bench.results import AnswerCheck, CoresSeen, Outcome, SwapRecord, TrialRecord
from bench.samples import TIMED_OUT, UNSENT, WRONG_ANSWER, Bools, Samples, Telemetry
from bench.validity import CHECKS, Evidence, Reason, Verdict, judge, verdict_of
from tests.recorded import TFSERVING, Point, simulate

START, END = 2.0, 42.0
GOOD = AnswerCheck(
    distinct=3, checked=400, unchecked=0, wrong=0, largest_difference=1e-6, tolerance=1e-4, photo_distance=0.05
)


HOST = {"seconds": 42.0, "cores": 4.0, "busy_seconds": 46.0, "steal_seconds": 0.3, "own_cpu_seconds": 0.5}
CPU = {"cpu": {"usable_cores": 4, "quota_cores": None}}
CALIBRATED = {
    "ceiling": 4000.0,
    "reaches": [
        {"transport": "http", "request_bytes": 100, "ceiling": 4000.0, "cpu_share": 0.98},
        {"transport": "http", "request_bytes": 200_000, "ceiling": 1500.0, "cpu_share": 0.5},
        {"transport": "grpc", "request_bytes": 100, "ceiling": 2000.0, "cpu_share": 1.0},
    ],
}


def used(server_seconds: float) -> Telemetry:
    """A server that used so many CPU seconds evenly over the trial."""
    at = np.arange(0.0, END + 0.5, 0.5)
    return Telemetry(at, 3.0 + server_seconds * at / END, np.full(len(at), 1e9))


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
        users=point.users,
        timeout=6.0,
        window=(START, END),
        counts={"scheduled": len(samples)},
        connections=8,
        generator_cpu_seconds=2.0,
        generator_workers=1,
        answers=GOOD,
        host=HOST,
    )
    return Evidence(
        (samples,),
        (trial,),
        (START, END),
        open_loop,
        0.95,
        0.001,
        telemetry=(used(42.0),),
        options={"workers": 2, "tf_threads": 2},
        environment=CPU,
        calibration=CALIBRATED,
    )


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


def with_host(clean: Evidence, **changes: float) -> Evidence:
    return with_trial(clean, lambda trial: replace(trial, host={**HOST, **changes}))


def slower(samples: Samples, rows: Bools, factor: float) -> Samples:
    """These rows take so much longer; what waited behind them is left as it is."""
    longer = np.where(rows, samples.service_time * (factor - 1), 0.0)
    return replace(samples, done_at=samples.done_at + longer)


def inputs(samples: Samples, count: int, *, cyclic: bool) -> Samples:
    """The same requests with so many different inputs, in a circle or drawn at random."""
    n = len(samples)
    drawn = np.arange(n) % count if cyclic else np.random.default_rng(5).integers(0, count, n)
    return replace(samples, payload=drawn.astype(np.int64))


def cached(samples: Samples, factor: float = 0.5) -> Samples:
    """What was asked before comes back in half the time."""
    again = np.ones(len(samples), dtype=np.bool_)
    again[np.unique(samples.payload, return_index=True)[1]] = False
    return slower(samples, again, factor)


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
    "worker-lost": (
        Verdict.INVALID,
        lambda clean: with_trial(clean, lambda t: replace(t, lost_workers=("load worker 2 (b, pid 7): it left",))),
    ),
    "worker-replaced": (
        Verdict.INVALID,
        lambda clean: with_trial(clean, lambda t: replace(t, worker_pids_changed=True)),
    ),
    "overloaded": (Verdict.SUSPECT, lambda _: evidence(arrival_rate=20.0)),
    "generator-saturated": (
        Verdict.SUSPECT,
        lambda clean: with_trial(clean, lambda t: replace(t, generator_cpu_seconds=41.0)),
    ),
    "beyond-half-ceiling": (Verdict.SUSPECT, lambda clean: replace(clean, calibration={"ceiling": 15.0})),
    "littles-law": (
        Verdict.SUSPECT,  # a tenth of the time between two requests goes into the generator
        lambda _: with_rows(evidence(open_loop=False), lambda s: slower(s, every(s, 1), 0.9)),
    ),
    "answered-from-cache": (
        Verdict.SUSPECT,
        lambda _: with_rows(evidence(open_loop=False), lambda s: cached(inputs(s, 300, cyclic=False))),
    ),
    "not-steady": (Verdict.SUSPECT, lambda clean: with_rows(clean, lambda s: slower(s, s.intended_at > 27, 1.5))),
    "connections-partly-reused": (
        Verdict.SUSPECT,
        lambda clean: with_trial(clean, lambda t: replace(t, connections=150)),
    ),
    "foreign-load": (Verdict.SUSPECT, lambda clean: with_host(clean, busy_seconds=80.0)),
    "stolen-time": (Verdict.SUSPECT, lambda clean: with_host(clean, steal_seconds=8.0)),
    "clock-changed": (Verdict.SUSPECT, lambda clean: with_host(clean, throttle_events=12.0)),
    "cores-shared": (
        Verdict.VALID,
        lambda clean: with_trial(
            replace(clean, telemetry=(used(140.0),)), lambda t: replace(t, generator_cpu_seconds=20.0, host={})
        ),
    ),
    "outside-its-cores": (
        Verdict.SUSPECT,
        lambda clean: with_trial(
            clean, lambda t: replace(t, cores=CoresSeen((0,), (0, 1), (1,), processes=1, outside=("sh (0-1)",)))
        ),
    ),
    "more-threads-than-cores": (Verdict.VALID, lambda clean: replace(clean, options={"workers": 3, "tf_threads": 2})),
    "only-steady-answers": (
        Verdict.VALID,
        lambda clean: with_trial(clean, lambda t: replace(t, answers=replace(GOOD, basis="its own first answers"))),
    ),
    "below-agreement": (
        Verdict.INVALID,
        lambda clean: with_trial(
            clean,
            lambda t: replace(
                t, answers=replace(GOOD, other_work="int8 weights", other_top=GOOD.checked // 2, least_agreement=0.99)
            ),
        ),
    ),
    "other-work": (
        Verdict.VALID,
        lambda clean: with_trial(clean, lambda t: replace(t, answers=replace(GOOD, other_work="int8 weights"))),
    ),
    "not-watched": (
        Verdict.VALID,
        lambda clean: with_trial(
            replace(clean, telemetry=(None,)), lambda t: replace(t, telemetry_missing={"cpu_seconds": "not ours"})
        ),
    ),
    "throttled": (
        Verdict.SUSPECT,
        lambda clean: replace(
            clean, telemetry=tuple(replace(it, throttled_seconds=it.at * 0.5) for it in clean.telemetry if it)
        ),
    ),
    "watching-costs": (Verdict.VALID, lambda clean: with_trial(clean, lambda t: replace(t, sampler_cpu_share=0.02))),
    "swap-unfinished": (
        Verdict.INVALID,
        lambda clean: with_trial(clean, lambda t: replace(t, swap=SwapRecord("1", "2", copy_at=10.0, renamed_at=10.1))),
    ),
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


def test_a_note_leaves_the_verdict_alone_and_comes_last() -> None:
    noted = replace(evidence(), options={"instances": 8, "threads": 1})
    assert verdict_of(judge(noted)) is Verdict.VALID
    assert [reason.id for reason in judge(noted)] == ["more-threads-than-cores"]
    spoilt = replace(with_host(noted, steal_seconds=8.0))
    assert [reason.verdict for reason in judge(spoilt)] == [Verdict.SUSPECT, Verdict.VALID]


def test_without_host_telemetry_environment_and_calibration_their_checks_are_silent() -> None:
    bare = replace(evidence(), telemetry=(), options={}, environment={}, calibration=None)
    assert judge(with_trial(bare, lambda t: replace(t, host={}, generator_cpu_seconds=None, connections=None))) == ()


def test_a_server_that_closes_every_connection_is_only_what_it_is() -> None:
    assert judge(with_trial(evidence(), lambda t: replace(t, connections=t.counts["scheduled"]))) == ()


def test_a_ceiling_belongs_to_one_worker_one_transport_and_one_size_of_request() -> None:
    clean = evidence()  # 8/s of 0.06 to 0.2 MB
    narrow = [{"transport": t, "request_bytes": b, "ceiling": c, "cpu_share": 1.0} for t, b, c in (
        ("http", 100, 40.0), ("http", 500_000, 12.0), ("grpc", 100, 40.0),
    )]  # fmt: skip
    slow = replace(clean, calibration={"ceiling": 40.0, "reaches": narrow})
    assert "beyond-half-ceiling" in found(slow)
    assert judge(with_trial(slow, lambda t: replace(t, generator_workers=2))) == ()
    assert judge(replace(slow, options={"protocol": "grpc"})) == ()
    idle = [{**each, "cpu_share": 0.4} for each in narrow]  # it reached 12/s with less than half a core
    assert judge(replace(slow, calibration={"ceiling": 40.0, "reaches": idle})) == ()


def test_a_cache_is_found_when_a_list_of_inputs_begins_again() -> None:
    clean = evidence(open_loop=False)
    assert "answered-from-cache" in found(with_rows(clean, lambda s: cached(inputs(s, 300, cyclic=True))))
    assert "answered-from-cache" not in found(with_rows(clean, lambda s: inputs(s, 300, cyclic=True)))


def test_a_slow_beginning_is_not_taken_for_a_cache() -> None:
    def warming(samples: Samples) -> Samples:
        return replace(samples, done_at=samples.done_at + 0.2 * np.exp(-samples.intended_at / 5))

    ids = found(with_rows(evidence(open_loop=False), lambda s: warming(inputs(s, 150, cyclic=True))))
    assert "answered-from-cache" not in ids
    assert "warm-up-not-over" in ids


def test_with_three_photos_nothing_is_said_about_a_cache() -> None:
    assert judge(with_rows(evidence(open_loop=False), lambda s: inputs(s, 3, cyclic=False))) == ()


def test_a_backlog_that_grows_behind_a_long_warm_up_is_seen_though_waits_do_not_double() -> None:
    server, point = replace(TFSERVING, service=0.012), Point(arrival_rate=183.0, duration=40.0)  # a tenth too much
    samples = simulate(server, point, np.random.default_rng(1), np.random.default_rng(2))
    samples = replace(samples, measured=samples.intended_at >= 25.0)
    flood = replace(evidence(), parts=(samples,), window=(25.0, END))
    reason = found(flood)["overloaded"]
    assert reason.numbers.keys() == {"unanswered_first", "unanswered_last"}


def test_a_cold_server_that_could_not_keep_up_is_told_by_the_queue_it_left() -> None:
    server, point = replace(TFSERVING, service=0.012, warms=2.0), Point(arrival_rate=140.0, duration=40.0)
    samples = simulate(server, point, np.random.default_rng(1), np.random.default_rng(2))
    assert "unanswered_first" in found(replace(evidence(), parts=(samples,)))["warm-up-not-over"].numbers


def test_a_load_that_is_meant_to_change_is_not_called_unsteady() -> None:
    for spoilt in (FIRES["not-steady"][1], FIRES["warm-up-not-over"][1], FIRES["overloaded"][1]):
        ramp = with_trial(spoilt(evidence()), lambda t: replace(t, profile="ramp"))
        assert not {"not-steady", "warm-up-not-over", "overloaded"} & found(ramp).keys()


def test_a_closed_loop_that_stalls_is_not_steady_though_half_of_its_requests_are_as_fast_as_ever() -> None:
    def stalling(samples: Samples) -> Samples:
        # For seven of the last third's thirteen seconds nothing comes back, and so nothing is sent.
        return samples.where(~((samples.intended_at > 30) & (samples.intended_at < 37)))

    clean = evidence(open_loop=False)
    assert "thirds" in found(with_rows(clean, stalling))["not-steady"].what


def test_the_few_slow_requests_after_a_short_warm_up_are_told_when_they_are_in_the_tail() -> None:
    def cold(samples: Samples) -> Samples:
        return slower(samples, samples.intended_at < START + 1.5, 15.0)

    reason = found(with_rows(evidence(open_loop=False), cold))["warm-up-not-over"]
    assert START < float(reason.numbers["steady_from"]) < START + 3


@pytest.mark.parametrize("spread", [0.15, 1.0])
@pytest.mark.parametrize("load", [0.3, 0.5, 0.7, 1, 8], ids=lambda load: f"{load}")
def test_of_many_steady_servers_hardly_one_is_doubted(load: float, spread: float) -> None:
    # One server with log-normal service times, open loop at 30 to 70 % or 1 or 8 users, about a minute each.
    # Each statement is made at four to five standard deviations, so that a dozen of them stay below 1 % together.
    told = [steady_server(seed, load, spread) for seed in range(25)]
    assert sum(bool(ids) for ids in told) <= 1, told


def steady_server(seed: int, load: float, spread: float) -> set[str]:
    server = replace(TFSERVING, service=0.05, lanes=1, spread=spread)
    mean = server.service * float(np.exp(spread**2 / 2))
    point = Point(arrival_rate=load / mean, duration=60.0) if load < 1 else Point(users=int(load), duration=60.0)
    samples = simulate(server, point, np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2]))
    clean = evidence(open_loop=load < 1)
    trial = replace(clean.trials[0], users=point.users, counts={"scheduled": len(samples)}, profile=point.profile)
    return found(replace(clean, parts=(samples,), trials=(trial,), window=(2.0, 62.0), telemetry=())).keys() - {
        "too-few-requests"
    }
