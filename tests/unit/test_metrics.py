"""What was lost is a miss, what failed fast is no latency, and what is not known is not a number."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.measures.metrics import METRICS, Window, error_rate, good_times, goodput, judged_times, slo_met, throughput
from bench.samples import TIMED_OUT, UNSENT, Samples
from tests.recorded import FLASK, Point, simulate

WINDOW = Window(0.0, 10.0, slo=1.0)


def rows(times: list[float], *, start: float = 0.0, gap: float = 0.1) -> Samples:
    """Requests intended every `gap` seconds and sent at once; a time of NaN is one that timed out."""
    n = len(times)
    intended = np.asarray(start + gap * np.arange(n), dtype=np.float64)
    done = np.asarray(intended + np.asarray(times), dtype=np.float64)
    lost = np.isnan(done)
    zeros = np.zeros(n, dtype=np.int64)
    return Samples(
        intended_at=intended,
        sent_at=intended.copy(),
        first_byte_at=done.copy(),
        done_at=done,
        status=np.where(lost, 0, 200),
        ok=~lost,
        error=np.where(lost, 0, -1),
        errors=(TIMED_OUT, UNSENT, "503 Service Unavailable"),
        measured=np.ones(n, dtype=np.bool_),
        payload=zeros,
        request_bytes=zeros,
        response_bytes=zeros,
        worker=zeros,
    )


def test_a_lost_request_counts_as_outside_the_slo() -> None:
    assert slo_met(rows([0.5] * 95 + [0.9] * 5), WINDOW, 0.95, 0.1) is True
    assert slo_met(rows([0.5] * 94 + [math.nan] * 6), WINDOW, 0.95, 0.1) is False
    assert slo_met(rows([0.5] * 95 + [math.nan] * 5), WINDOW, 0.95, 0.1) is True


def test_a_request_that_never_left_counts_as_outside_the_slo() -> None:
    samples = rows([0.5] * 90 + [math.nan] * 10)
    samples.sent_at[90:] = math.nan
    samples.error[90:] = 1
    assert slo_met(samples, WINDOW, 0.95, 1.0) is False
    assert error_rate(samples, WINDOW) == pytest.approx(0.1)


def test_errors_above_the_limit_miss_the_slo_however_fast_the_rest_is() -> None:
    samples = rows([0.1] * 98 + [math.nan] * 2)
    assert slo_met(samples, WINDOW, 0.95, 0.02) is True
    assert slo_met(samples, WINDOW, 0.95, 0.019) is False


def test_the_slo_is_met_at_its_limit_and_says_nothing_about_no_requests() -> None:
    at_limit = rows([1.0] * 20, gap=0.125)  # sums of these are exact
    assert slo_met(at_limit, WINDOW, 0.95, 0.0) is True
    assert slo_met(at_limit, Window(0.0, 10.0, slo=0.999), 0.95, 0.0) is False
    assert slo_met(rows([]), WINDOW, 0.95, 0.0) is None


def test_a_fast_error_is_never_latency_and_never_within_the_slo() -> None:
    samples = rows([0.5] * 50 + [0.001] * 50)
    samples.ok[50:] = False
    samples.error[50:] = 2
    assert METRICS["response_time.p50"].compute(samples, WINDOW) == pytest.approx(0.5)
    assert np.isinf(judged_times(samples)[50:]).all()
    assert goodput(samples, WINDOW) == pytest.approx(5.0)


def test_warm_up_rows_are_left_out_of_latency_and_errors() -> None:
    samples = rows([3.0] * 20 + [0.5] * 40)
    samples.measured[:20] = False
    assert METRICS["response_time.max"].compute(samples, WINDOW) == pytest.approx(0.5)
    assert len(good_times(samples, "response_time")) == 40


def test_a_percentile_with_too_few_requests_is_not_a_number() -> None:
    p95 = METRICS["response_time.p95"].compute
    assert math.isnan(p95(rows([0.5] * 129), WINDOW))
    assert p95(rows([0.5] * 130), WINDOW) == pytest.approx(0.5)


def test_nothing_measured_is_not_a_number_rather_than_zero() -> None:
    for metric in METRICS.values():
        if metric.unit == "s":
            assert math.isnan(metric.compute(rows([]), WINDOW)), metric.name
    assert math.isnan(error_rate(rows([]), WINDOW))
    assert math.isnan(throughput(rows([]), Window(1.0, 1.0)))


def test_goodput_leaves_out_correct_replies_that_came_too_late() -> None:
    samples = rows([0.5] * 40 + [1.5] * 10)
    assert throughput(samples, WINDOW) == pytest.approx(5.0)
    assert goodput(samples, WINDOW) == pytest.approx(4.0)


def test_an_overloaded_server_is_not_credited_with_the_rate_it_was_offered() -> None:
    rng, schedule = np.random.default_rng(1), np.random.default_rng(2)
    point = Point(arrival_rate=7, duration=8.0)  # one lane of 0.19 s serves 5.3 per second; nothing times out yet
    samples = simulate(FLASK, point, schedule, rng)
    assert samples.ok.all()
    assert throughput(samples, Window(2.0, 10.0)) == pytest.approx(1 / 0.19, rel=0.12)
    assert np.count_nonzero(samples.measured) / 8.0 > 6


def test_every_metric_says_its_unit_and_which_way_is_better() -> None:
    assert {"response_time.p95", "service_time.p50", "send_lag.p99", "throughput", "goodput", "error_rate"} <= set(
        METRICS
    )
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.title
        assert not metric.title.endswith(".")
        assert metric.better == ("higher" if metric.unit == "1/s" else "lower")
