"""The load generator against real servers whose behaviour is known."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from bench.load.drive import Generator, generator
from bench.load.driven import Driven, counts, to_samples
from bench.measures.answers import expectation, judge
from bench.profiles import Closed, Poisson, Profile
from bench.protocols import ReplyRule
from bench.protocols.plain import PlainJson
from bench.samples import TIMED_OUT, WRONG_ANSWER, Samples
from bench.scenario.plan import Trial
from bench.serving.launch import free_ports
from tests.doubles.scripted_server import shares

pytestmark = pytest.mark.integration

SCRIPTED = Path(__file__).parents[1] / "doubles" / "scripted_server.py"
ECHO = Path(__file__).parents[2] / "servers" / "echo" / "app.py"
WIRE = PlainJson()
PHOTOS = (b"one", b"two")
RIGHT = expectation([np.array(shares(photo), dtype=np.float32) for photo in PHOTOS], tolerance=1e-3)


@contextmanager
def listening(*argv: str) -> Iterator[int]:
    """A server program whose first argument is its port; ready once it accepts."""
    (port,) = free_ports(1)
    process = subprocess.Popen([sys.executable, *(str(port) if word == "PORT" else word for word in argv)])
    try:
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generator]:
    with generator(tmp_path_factory.mktemp("load") / "load.log") as process:
        process.wait_ready()
        yield process


def drive(
    load: Generator,
    port: int,
    point: Profile,
    folder: Path,
    *,
    timeout: float = 5.0,
    judged: bool = False,
    warmup: float = 0.2,
    warmup_most: float = 0.2,
    rule: ReplyRule | None = None,
) -> tuple[Driven, Samples]:
    trial = Trial(1, "s", 1, point, warmup=warmup, timeout=timeout, seed=7, warmup_most=warmup_most)
    requests = [replace(WIRE.request(photo), reply=rule) for photo in PHOTOS]
    folder.mkdir()
    driven = load.drive(trial, requests, "http", "127.0.0.1", port, folder, tick=lambda *_: None, healthy=lambda: True)
    assert driven.failure is None
    wrong = judge(WIRE.answer, driven.replies, RIGHT).wrong if judged else np.zeros(0, dtype=np.bool_)
    return driven, to_samples(driven, [len(request.body) for request in requests], wrong)


def scripted(load: Generator, folder: Path, *behaviours: str, timeout: float = 5.0) -> tuple[Driven, Samples]:
    with listening(str(SCRIPTED), "PORT", *behaviours) as port:
        return drive(load, port, Poisson(arrival_rate=100, duration=0.8), folder / "raw", timeout=timeout, judged=True)


@pytest.mark.parametrize("behaviour", ["ok", "chunked", "interim", "split", "close_after", "until_close"])
def test_every_lawful_way_of_answering_is_understood(load: Generator, tmp_path: Path, behaviour: str) -> None:
    _, samples = scripted(load, tmp_path, behaviour)
    assert len(samples) > 50
    assert counts(samples)["ok"] == len(samples)
    assert np.all(samples.first_byte_at <= samples.done_at)
    assert np.all(samples.sent_at >= samples.intended_at)


def test_connections_are_kept_where_the_server_allows_and_counted_where_it_does_not(
    load: Generator, tmp_path: Path
) -> None:
    for name in ("kept", "closed"):
        (tmp_path / name).mkdir()
    kept, samples = scripted(load, tmp_path / "kept", "ok")
    closed, closed_samples = scripted(load, tmp_path / "closed", "close_after")
    assert kept.connections < len(samples) / 2
    assert closed.connections == len(closed_samples)


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ("error500", "HTTP 500: no"),
        ("garbage", "reply is not HTTP"),
        ("early_close", "connection closed in the middle of a reply"),
        ("drop", "connection closed before a reply"),
        ("wrong", WRONG_ANSWER),
    ],
)
def test_each_fault_is_counted_as_what_it_is(load: Generator, tmp_path: Path, behaviour: str, error: str) -> None:
    _, samples = scripted(load, tmp_path, "ok", "ok", "ok", behaviour)
    faults = int(np.count_nonzero(samples.has_error(error)))
    assert faults == counts(samples)["failed"]
    assert abs(faults - len(samples) / 4) <= 2
    assert counts(samples)["ok"] == len(samples) - faults


def test_a_good_status_with_a_body_that_tells_of_a_failure_is_a_failure_of_its_own_kind(
    load: Generator, tmp_path: Path
) -> None:
    rule = ReplyRule(varies=r"0\.[0-9]+", fails=r"0\.05, 0\.95", fails_as="late")
    with listening(str(SCRIPTED), "PORT", "ok", "ok", "ok", "wrong") as port:
        driven, samples = drive(load, port, Poisson(arrival_rate=100, duration=0.8), tmp_path / "raw", rule=rule)
    assert np.count_nonzero(samples.has_error("late")) == counts(samples)["failed"] > 0
    assert counts(samples)["ok"] + counts(samples)["failed"] == len(samples)
    assert {body for _, body in driven.replies} == {b'{"probabilities": [, ]}'}, "what varies is left out"


@pytest.mark.alone
def test_a_server_that_hangs_makes_time_outs_and_delays_nobody_else(load: Generator, tmp_path: Path) -> None:
    _, samples = scripted(load, tmp_path, "ok", "ok", "ok", "hang", timeout=0.5)
    timed_out = samples.has_error(TIMED_OUT)
    assert abs(np.count_nonzero(timed_out) - len(samples) / 4) <= 2
    assert np.all(np.isnan(samples.done_at[timed_out]))
    assert np.nanmedian(samples.response_time) < 0.25


def test_nobody_listening_is_a_row_of_refused_connections(load: Generator, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    _, samples = drive(load, port, Closed(users=2, duration=0.5), tmp_path / "raw")
    assert len(samples) > 4
    assert samples.has_error("connection refused").all()


def test_open_loop_sends_exactly_the_schedule_and_the_same_one_again(load: Generator, tmp_path: Path) -> None:
    with listening("-I", str(ECHO), "127.0.0.1", "PORT", "0.002", "100") as port:
        first, _ = drive(load, port, Poisson(arrival_rate=200, duration=1.0), tmp_path / "a")
        again, _ = drive(load, port, Poisson(arrival_rate=200, duration=1.0), tmp_path / "b")
    assert first.schedule is not None
    assert again.schedule is not None
    assert np.array_equal(first.schedule, again.schedule)
    assert np.array_equal(np.sort(first.rows["intended_at"]), first.schedule)


@pytest.mark.alone
def test_a_known_delay_is_measured_as_that_delay(load: Generator, tmp_path: Path) -> None:
    with listening("-I", str(ECHO), "127.0.0.1", "PORT", "0.05", "100") as port:
        _, samples = drive(load, port, Poisson(arrival_rate=50, duration=2.0), tmp_path / "raw")
    assert samples.response_time.min() >= 0.05
    assert np.median(samples.response_time) < 0.06


@pytest.mark.alone
def test_waiting_for_a_busy_server_counts_from_the_intended_time(load: Generator, tmp_path: Path) -> None:
    # One worker of 20 ms is offered 100 requests/s, twice what it can do: the queue grows by half of what arrives.
    with listening("-I", str(ECHO), "127.0.0.1", "PORT", "0.02", "1") as port:
        _, samples = drive(load, port, Poisson(arrival_rate=100, duration=1.5), tmp_path / "raw", timeout=10.0)
    assert counts(samples)["ok"] == len(samples)
    last = samples.response_time[-10:]
    assert np.median(last) > 0.4
    assert np.median(samples.send_lag) < 0.05  # nobody waited on our side


@pytest.mark.alone
def test_closed_loop_keeps_as_many_requests_in_flight_as_there_are_users(load: Generator, tmp_path: Path) -> None:
    with listening("-I", str(ECHO), "127.0.0.1", "PORT", "0.02", "100") as port:
        _, samples = drive(load, port, Closed(users=4, duration=1.0), tmp_path / "raw")
    assert np.array_equal(samples.intended_at, samples.sent_at)
    starts, ends = samples.sent_at[:, None], samples.done_at[:, None]
    at = np.linspace(0.3, 1.0, 50)
    in_flight = ((starts <= at) & (at < ends)).sum(axis=0)
    assert in_flight.max() <= 4
    assert np.median(in_flight) >= 3


@pytest.mark.alone
@pytest.mark.parametrize(
    ("point", "warmup"), [(Closed(users=4, duration=0.5), 1.6), (Poisson(arrival_rate=80, duration=1.0), 0.8)]
)
def test_the_window_begins_once_latency_is_steady_and_nobody_stops_for_it(
    load: Generator, tmp_path: Path, point: Profile, warmup: float
) -> None:
    # The cold requests end just before the warm-up would: too late to call it steady.
    with listening(str(SCRIPTED), "PORT", "cold*70", "ok*200000") as port:
        driven, samples = drive(load, port, point, tmp_path / "raw", warmup=warmup, warmup_most=20.0)
    assert warmup + 0.3 < driven.window_at < 20.0
    assert np.median(samples.response_time[samples.measured]) < 0.05
    assert samples.intended_at.max() < driven.window_at + point.duration
    assert counts(samples)["unsent"] == 0
    sent = samples.sent_at
    around = np.diff(np.sort(sent[(sent > driven.window_at - 0.3) & (sent < driven.window_at + 0.3)]))
    assert around.max() < 0.2


def test_a_warm_up_that_does_not_get_steady_ends_at_its_limit(load: Generator, tmp_path: Path) -> None:
    with listening(str(SCRIPTED), "PORT", "cold*40", "ok*200000") as port:
        point = Closed(users=1, duration=0.5)
        driven, _ = drive(load, port, point, tmp_path / "raw", warmup=0.4, warmup_most=1.0)
    assert driven.window_at == 1.0


def test_the_window_after_a_longer_warm_up_has_the_same_schedule(load: Generator, tmp_path: Path) -> None:
    point = Poisson(arrival_rate=80, duration=1.0)
    with listening(str(SCRIPTED), "PORT", "cold*60", "ok*200000") as port:
        driven, _ = drive(load, port, point, tmp_path / "raw", warmup=0.4, warmup_most=20.0)
    assert driven.schedule is not None
    window = driven.schedule[driven.schedule >= driven.window_at] - driven.window_at
    planned = np.array(list(point.send_times(20.0, Random(7))))
    assert window == pytest.approx(planned[planned >= 20.0] - 20.0, abs=1e-9)


def test_a_generator_that_is_killed_leaves_the_rows_it_had(tmp_path: Path) -> None:
    with (
        generator(tmp_path / "load.log") as load,
        listening("-I", str(ECHO), "127.0.0.1", "PORT", "0.0", "1000") as port,
    ):
        load.wait_ready()
        trial = Trial(
            number=1, server="s", repetition=1, point=Closed(users=2, duration=30.0), warmup=0.0, timeout=1.0, seed=1
        )
        (tmp_path / "raw").mkdir()
        killed = False

        def tick(seconds: float, requests: int, errors: int, p50: float | None) -> None:
            nonlocal killed
            if requests > 5000 and not killed:
                killed = True
                load.kill(signal.SIGKILL)

        driven = load.drive(
            trial, [WIRE.request(b"x")], "http", "127.0.0.1", port, tmp_path / "raw", tick, healthy=lambda: True
        )
    assert driven.failure is not None
    assert len(driven.rows) > 4000


def test_a_trial_that_makes_no_sense_any_more_ends_early(load: Generator, tmp_path: Path) -> None:
    with listening(str(SCRIPTED), "PORT", "ok") as port:
        trial = Trial(
            number=1, server="s", repetition=1, point=Closed(users=1, duration=60.0), warmup=0.0, timeout=1.0, seed=1
        )
        (tmp_path / "raw").mkdir()
        began_at = time.monotonic()
        load.drive(
            trial,
            [WIRE.request(b"x")],
            "http",
            "127.0.0.1",
            port,
            tmp_path / "raw",
            tick=lambda *_: None,
            healthy=lambda: False,
        )
    assert time.monotonic() - began_at < 20
