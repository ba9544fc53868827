"""The course of a trial says what its rows say, in stretches that can be seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.measures.timeline import DOTS, FEWEST, MOST, first_of_each, timeline
from bench.results import Outcome, TrialRecord
from bench.samples import TIMED_OUT, Samples, Telemetry
from tests.recorded import TFSERVING, Point, simulate

TRIAL = TrialRecord("1-a", 1, "a", "a", 0, "poisson", "poisson-50", Outcome.OK)


def rows(duration: float = 40.0, rate: float = 50.0) -> Samples:
    fast = replace(TFSERVING, service=0.01)
    point = Point(arrival_rate=rate, duration=duration)
    return simulate(fast, point, np.random.default_rng(1), np.random.default_rng(2))


def test_each_stretch_has_the_latency_of_the_requests_due_in_it() -> None:
    samples = rows()
    slow = replace(samples, done_at=samples.done_at + np.where(np.floor(samples.intended_at) == 7, 1.0, 0.0))
    line = timeline(TRIAL, slow, None, (2.0, 42.0), 0.0)
    assert line.step == 1.0
    assert line.at == tuple(map(float, range(42)))
    values = [value for value in line.p50 if value is not None]
    assert [at for at, value in zip(line.at, line.p50, strict=True) if value is not None and value > 1] == [7.0]
    assert len(values) == 42
    assert all(a is None or (b is not None and a >= b) for a, b in zip(line.p95, line.p50, strict=True))


def test_rates_add_up_to_the_requests() -> None:
    samples = rows()
    failed = np.asarray(np.arange(len(samples)) % 10 == 0, dtype=np.bool_)
    samples = replace(samples, ok=~failed, errors=(TIMED_OUT,), error=np.where(failed, 0, -1))
    line = timeline(TRIAL, samples, None, (2.0, 42.0), 0.0)
    assert sum(value or 0 for value in line.offered) == pytest.approx(len(samples))
    assert sum(value or 0 for value in line.errors) == pytest.approx(np.count_nonzero(failed))
    came = np.count_nonzero(samples.ok & (samples.done_at <= 42.0))
    assert sum(value or 0 for value in line.achieved) == pytest.approx(came)


def test_a_stretch_that_the_window_cuts_short_counts_per_second_of_what_is_left() -> None:
    line = timeline(TRIAL, rows(duration=38.5, rate=200.0), None, (2.0, 40.5), 0.0)
    assert line.offered[-1] == pytest.approx(200, rel=0.3)


@pytest.mark.parametrize("duration", [0.5, 3.0, 9.0, 40.0, 600.0, 20_000.0])
def test_there_are_neither_too_few_stretches_nor_too_many(duration: float) -> None:
    line = timeline(TRIAL, rows(1.0), None, (0.0, duration), 0.0)
    assert len(line.at) <= MOST
    assert len(line.at) >= FEWEST or line.step == 0.2


def test_few_requests_are_shown_one_by_one_and_many_are_not() -> None:
    assert len(timeline(TRIAL, rows(4.0), None, (2.0, 6.0), 0.0).dots) <= DOTS
    assert len(timeline(TRIAL, rows(4.0), None, (2.0, 6.0), 0.0).dots) > 100
    assert timeline(TRIAL, rows(), None, (2.0, 42.0), 0.0).dots == ()


def test_cores_and_memory_are_those_of_the_stretch_and_unknown_where_nobody_watched() -> None:
    at = np.arange(0.0, 30.0, 0.5)
    cpu = np.where(at < 10, at, 10 + 2 * (at - 10))
    line = timeline(TRIAL, rows(), Telemetry(at, cpu, np.full(60, 1e9)), (2.0, 42.0), 0.0)
    assert line.cores[5] == pytest.approx(1.0)
    assert line.cores[20] == pytest.approx(2.0)
    assert line.cores[35] is None
    assert line.memory_bytes[5] == pytest.approx(1e9)
    assert line.memory_bytes[35] is None
    assert line.memory_basis == "RSS"


def test_a_window_that_ends_a_moment_after_a_stretch_has_no_rate_over_that_moment() -> None:
    plain, late = (timeline(TRIAL, rows(), None, (2.0, end), 0.0) for end in (42.0, 42.00002))
    assert len(late.at) == len(plain.at)
    assert max(rate for rate in late.offered if rate) == pytest.approx(
        max(rate for rate in plain.offered if rate), rel=0.01
    )


def test_memory_is_pss_where_it_was_looked_at_and_straight_in_between() -> None:
    at = np.arange(0.0, 30.0, 0.5)
    pss = np.where(at == 0.0, 1e9, np.where(at == 29.5, 2e9, np.nan))
    line = timeline(TRIAL, rows(), Telemetry(at, at, np.full(60, 5e9), pss_bytes=pss), (2.0, 42.0), 0.0)
    assert line.memory_basis == "PSS"
    assert line.memory_bytes[14] == pytest.approx(1.49e9, rel=0.01)


def test_a_trial_without_rows_has_a_course_of_nothing() -> None:
    line = timeline(TRIAL, rows().where(np.zeros(len(rows()), dtype=np.bool_)), None, (2.0, 42.0), 0.0)
    assert set(line.p50) == {None}
    assert set(line.offered) == {0.0}


def test_the_first_trial_of_each_server_stands_for_it() -> None:
    one = timeline(TRIAL, rows(), None, (2.0, 42.0), 0.0)
    lines = [one, replace(one, trial_id="2-a"), replace(one, server="b"), replace(one, label="poisson-80")]
    assert [(line.server, line.trial_id) for line in first_of_each(lines, "poisson-50")] == [("a", "1-a"), ("b", "1-a")]
