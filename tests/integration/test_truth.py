"""What is measured against servers whose answer is known; `python -m tests.benchmarks.truth` prints the tight figures.

The bounds from below hold on any machine: a client cannot see less than the server did. Those from above leave
room for a machine that does something else at the same time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.load.drive import Generator
from bench.measures import metrics
from bench.measures.answers import expectation
from bench.measures.metrics import METRICS, Window
from bench.measures.stats import percentile
from bench.profiles import Constant, Poisson
from bench.samples import TIMED_OUT, WRONG_ANSWER, Samples
from tests.doubles.scripted_server import shares
from tests.driving import PHOTOS, drive, known_server, listening, load_process, one_queue, true_delays

pytestmark = [pytest.mark.integration, pytest.mark.alone]

SHARES = (0.5, 0.95, 0.99)
SLOW = 0.02
"""What the word `slow` of the scripted server means, in seconds."""
RIGHT = expectation([np.array(shares(photo), dtype=np.float32) for photo in PHOTOS], tolerance=1e-3)


@pytest.fixture(scope="module")
def load() -> Iterator[Generator]:
    with load_process() as process:
        yield process


def measured(name: str, samples: Samples, seconds: float = 1.0) -> float:
    return METRICS[name].compute(samples, Window(0.5, 0.5 + seconds))


def test_the_p99_of_a_server_that_stalls_is_that_of_everybody_who_should_have_been_served(load: Generator) -> None:
    # A tenth of all requests meets the stall and waits for the rest of it: the longest tenth of those, 450 ms. That is
    # so of any five seconds, wherever in them the stall lies. Other programs can only make the queue drain later, so
    # the quietest of three tries is the one that tells.
    with known_server("stall", 5.0, 0.5) as port:
        for _ in range(3):
            _, samples = drive(load, port, Constant(arrival_rate=1000, duration=5.0))
            if measured("response_time.p99", samples) <= 0.45 * 1.02:
                break
    assert samples.ok.all()
    assert measured("response_time.p99", samples) == pytest.approx(0.45, rel=0.02)
    assert measured("response_time.p50", samples) < 0.05


@pytest.mark.parametrize("model", [("fixed", 0.01), ("lognormal", 0.01, 0.5, 1.0)], ids=lambda model: str(model[0]))
def test_service_times_are_those_that_the_server_saw(
    load: Generator, tmp_path: Path, model: tuple[str, *tuple[float, ...]]
) -> None:
    with known_server(*model, record=tmp_path / "record") as port:
        _, samples = drive(load, port, Poisson(arrival_rate=1000, duration=3.0))
    assert samples.ok.all()
    truth = true_delays(tmp_path / "record", int(np.count_nonzero(~samples.measured)))
    times = samples.service_time[samples.measured]
    assert len(times) == len(truth)
    for share in SHARES:
        true = percentile(truth, share)
        assert true - 0.0001 <= percentile(times, share) <= true * 1.05 + 0.001
    assert measured("send_lag.p50", samples) < 0.0005


def test_response_times_of_one_worker_are_those_of_its_queue(load: Generator) -> None:
    with known_server("queue", 0.01, 1) as port:
        _, samples = drive(load, port, Poisson(arrival_rate=80, duration=4.0))
    assert samples.ok.all()
    truth = one_queue(samples.intended_at, 0.01)[samples.measured]
    times = samples.response_time[samples.measured]
    assert np.mean(truth) > 0.015  # there was a queue
    for of_truth, of_times in (
        (np.mean(truth), np.mean(times)),
        (percentile(truth, 0.95), percentile(times, 0.95)),
    ):
        assert of_truth - 0.0001 <= of_times <= of_truth * 1.05 + 0.001


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("drop", "connection closed before a reply"),
        ("error500", "HTTP 500: no"),
        ("garbage", "reply is not HTTP"),
        ("wrong", WRONG_ANSWER),
        ("hang", TIMED_OUT),
    ],
)
def test_faults_are_counted_and_improve_no_figure(load: Generator, fault: str, error: str) -> None:
    program = ("-m", "tests.doubles.scripted_server", "PORT", "slow", "slow", "slow", fault)
    with listening(sys.executable, *program) as port:
        _, samples = drive(load, port, Poisson(arrival_rate=200, duration=1.0), timeout=0.5, expected=RIGHT)
    faults = samples.has_error(error)
    assert np.array_equal(faults, ~samples.ok)
    assert abs(np.count_nonzero(faults) - len(samples) / 4) <= 2
    for name in ("response_time.mean", "response_time.p50", "response_time.p90", "service_time.p50"):
        assert measured(name, samples) >= SLOW
    assert metrics.good_times(samples, "response_time").min() >= SLOW
    assert measured("throughput", samples) <= np.count_nonzero(samples.ok)
    assert measured("goodput", samples) <= measured("throughput", samples)
    assert 0.15 < measured("error_rate", samples) < 0.35
    assert np.isinf(percentile(metrics.judged_times(samples), 0.95))
    assert metrics.slo_met(samples, Window(0.5, 1.5, slo=10.0), 0.95, 0.5) is False


def test_one_connection_in_a_hundred_dropped_is_one_request_in_a_hundred_failed(load: Generator) -> None:
    program = ("-m", "tests.doubles.scripted_server", "PORT", *["ok"] * 99, "drop")
    with listening(sys.executable, *program) as port:
        _, samples = drive(load, port, Poisson(arrival_rate=300, duration=2.0))
    dropped = np.count_nonzero(samples.has_error("connection closed before a reply"))
    assert dropped == np.count_nonzero(~samples.ok)
    assert abs(dropped - len(samples) / 100) <= 1
