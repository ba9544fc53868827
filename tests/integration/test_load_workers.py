"""Several load workers: of this machine, joined from elsewhere, and in network namespaces of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest

from bench.errors import LoadError
from bench.load import drive as driving
from bench.load.crew import Crew, Remote
from bench.load.drive import Generator, generator
from bench.load.driven import Driven, counts
from bench.profiles import Closed, Poisson
from bench.protocols import Request
from bench.results import TrialRecord, load_run
from bench.samples import WRONG_ANSWER, Samples
from bench.serving.address import Address
from bench.serving.launch import free_ports
from tests.driving import ROOT, WIRE, drive, listening
from tests.integration.test_load import RIGHT, SCRIPTED
from tests.integration.test_run import Bench

pytestmark = pytest.mark.integration

ECHO = ROOT / "servers" / "echo" / "app.py"
LONG = """
name: long
load:
  - {profile: poisson, arrival_rate: 100, duration: 8s}
warmup: {duration: 200ms}
slo: {percentile: 50, response_time: 200ms, error_rate: 1%}
servers:
  one: {kind: echo, delay: 5ms, parallel: 100}
"""
BRIEF = LONG.replace("8s", "1s")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generator]:
    """A master with two workers on this machine."""
    with generator(tmp_path_factory.mktemp("load") / "load.log", Crew(2)) as load:
        load.wait_ready()
        yield load


@pytest.fixture(scope="module")
def echo() -> Iterator[int]:
    with listening(sys.executable, "-I", str(ECHO), "127.0.0.1", "PORT", "0.002", "1000") as port:
        yield port


def by_arrival(driven: Driven) -> list[tuple[float, int]]:
    return sorted(zip(driven.rows["intended_at"].tolist(), driven.rows["payload"].tolist(), strict=True))


def test_two_workers_send_what_one_would_have_sent(pair: Generator, echo: int, tmp_path: Path) -> None:
    point = Poisson(arrival_rate=200, duration=1.0)
    with generator(tmp_path / "load.log") as one:
        one.wait_ready()
        alone, _ = drive(one, echo, point)
    together, samples = drive(pair, echo, point)
    assert by_arrival(together) == by_arrival(alone)
    assert together.workers == 2
    assert together.schedule is not None
    assert np.array_equal(samples.worker, np.arange(len(together.schedule)) % 2)
    assert counts(samples)["ok"] == counts(samples)["scheduled"] == len(together.schedule)
    assert np.all(samples.send_lag >= 0)


def test_users_of_a_closed_loop_are_split(pair: Generator, echo: int) -> None:
    driven, samples = drive(pair, echo, Closed(users=5, duration=0.8))
    assert driven.connections == 5
    for worker, users in enumerate((3, 2)):
        own = samples.where(samples.worker == worker)
        starts, ends = own.sent_at[:, None], own.done_at[:, None]
        at = np.linspace(0.3, 0.7, 40)
        assert ((starts <= at) & (at < ends)).sum(axis=0).max() == users


def test_one_user_needs_one_worker_only(pair: Generator, echo: int) -> None:
    driven, samples = drive(pair, echo, Closed(users=1, duration=0.3))
    assert driven.workers == 1
    assert set(samples.worker) == {0}


def test_several_workers_warm_up_until_all_are_steady_and_begin_their_windows_together(pair: Generator) -> None:
    point = Poisson(arrival_rate=80, duration=1.0)
    with listening(sys.executable, str(SCRIPTED), "PORT", "cold*60", "ok*200000") as port:
        driven, samples = drive(pair, port, point, warmup=0.4, warmup_most=20.0)
    assert driven.failure is None
    assert 0.4 < driven.window_at < 20.0
    assert driven.schedule is not None
    window = driven.schedule[driven.schedule >= driven.window_at] - driven.window_at
    planned = np.array(list(point.send_times(20.0, Random(7))))
    assert window == pytest.approx(planned[planned >= 20.0] - 20.0, abs=1e-9)
    assert counts(samples)["unsent"] == 0
    assert len(samples) == len(driven.schedule)
    assert {0, 1} == set(samples.worker)


def test_errors_and_replies_of_several_workers_mean_what_they_meant(pair: Generator) -> None:
    behaviours = ("ok", "error500", "wrong")  # in turn; three, so that arrivals of either worker meet each
    with listening(sys.executable, str(SCRIPTED), "PORT", *behaviours) as port:
        driven, samples = drive(pair, port, Poisson(arrival_rate=100, duration=1.0), expected=RIGHT)
    third = len(samples) / 3
    for error in ("HTTP 500: no", WRONG_ANSWER):
        assert abs(np.count_nonzero(samples.has_error(error)) - third) <= 2
        assert set(samples.worker[samples.has_error(error)]) == {0, 1}
    assert len(set(driven.replies)) == len(driven.replies)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_worker_that_is_lost_is_named_and_no_row_that_was_written_is_lost(
    number: signal.Signals, echo: int, tmp_path: Path
) -> None:
    hit: list[int] = []

    def tick(seconds: float, requests: int, errors: int, p50: float | None) -> None:
        if requests > 10_000 and not hit:
            hit.append(load.worker_pids[1])
            os.kill(hit[0], number)

    with generator(tmp_path / "load.log", Crew(2)) as load:
        load.wait_ready()
        began_at = time.monotonic()
        driven, samples = drive(load, echo, Closed(users=32, duration=60.0), tick=tick)
        assert time.monotonic() - began_at < 30  # the trial is not driven to its end for nothing
        assert not load.alive()
    assert driven.failure is None
    assert len(driven.lost_workers) == 1
    assert f"pid {hit[0]}" in driven.lost_workers[0]
    assert np.count_nonzero(samples.worker == 0) > 1000
    assert np.count_nonzero(samples.worker == 1) > 1000


def test_workers_send_grpc_just_as_well(pair: Generator) -> None:
    with listening(sys.executable, "-m", "tests.doubles.grpc_echo", "PORT") as port:
        requests = [Request("/echo.Echo/Call", body, ()) for body in (b"one", b"two")]
        driven, samples = drive(pair, port, Closed(users=4, duration=0.5), transport="grpc", requests=requests)
    assert counts(samples)["ok"] == len(samples) > 20
    assert set(samples.worker) == {0, 1}
    assert sorted(driven.replies) == [(0, b"one"), (1, b"two")]


def test_files_larger_than_a_message_reach_a_worker_from_elsewhere(echo: int, tmp_path: Path) -> None:
    listen = Address("127.0.0.1", *free_ports(1))
    photo = bytes(range(256)) * 2**13  # 2 MiB
    requests = [WIRE.request(photo + bytes([number])) for number in range(2)]
    with generator(tmp_path / "load.log", Crew(0, Remote(listen, 1))) as load:
        worker = subprocess.Popen([sys.executable, "-m", "bench", "worker", "--connect", str(listen)], cwd=ROOT)
        load.wait_ready()
        driven, samples = drive(load, echo, Closed(users=2, duration=0.5), requests=requests)
    assert worker.wait(timeout=20) == 0
    assert counts(samples)["ok"] == len(samples) > 2
    assert {number for number, _ in driven.replies} == {0, 1}
    right = [np.array(WIRE.answer(body)) for _, body in sorted(driven.replies)]
    assert not np.array_equal(right[0], right[1])  # the two differ in their last byte only


def test_gone_with_the_block_are_master_and_workers(tmp_path: Path) -> None:
    with generator(tmp_path / "load.log", Crew(2)) as load:
        load.wait_ready()
        pids = load.worker_pids
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_worker_that_never_connects_is_waited_for_and_then_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driving, "JOIN_SECONDS", 1.0)
    listen = Address("127.0.0.1", *free_ports(1))
    with generator(tmp_path / "load.log", Crew(1, Remote(listen, 1))) as load:
        with pytest.raises(LoadError, match="1 of 2 load workers joined") as raised:
            load.wait_ready()
        assert raised.value.exit_code == 13
        assert raised.value.hint == f"on each other machine: bench worker --connect {listen}"


# From elsewhere, through the command line


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    runner = Bench(tmp_path)
    yield runner
    deadline = time.monotonic() + 15
    while (left := runner.left_running()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def here() -> str:
    return str(Address("127.0.0.1", *free_ports(1)))


def words_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and what it said to a person."""
    with process:
        _, err = process.communicate(timeout=60)
    return process.returncode, err


def only_trial(bench: Bench) -> tuple[TrialRecord, Samples]:
    run = load_run(bench.run_folder())
    (trial,) = run.trials
    samples = run.samples(trial)
    assert samples is not None
    return trial, samples


def test_workers_join_from_elsewhere_and_their_rows_come_back(bench: Bench) -> None:
    where = here()
    workers = [bench.start("worker", "--connect", where) for _ in range(2)]
    code, _, err = bench("run", bench.write(BRIEF), "--listen", where, "--workers-expected", "2")
    assert code == 0, err
    for process in workers:
        code, err = words_of(process)
        assert code == 0, err
        assert f"joined {where} as load worker" in err
        assert "done: told to stop" in err
    trial, samples = only_trial(bench)
    assert trial.generator_workers == 2
    assert trial.counts["scheduled"] == trial.counts["ok"] == len(samples) > 80
    assert np.array_equal(samples.worker, np.arange(len(samples)) % 2)


def test_a_remote_worker_that_dies_makes_the_trial_invalid_and_is_named(bench: Bench) -> None:
    where = here()
    workers = [bench.start("worker", "--connect", where) for _ in range(2)]
    with bench.start("run", bench.write(LONG), "--listen", where, "--workers-expected", "2") as process:
        wait_for_load(bench)
        victims = [
            pid for pid, line in bench.processes().items() if "locustfile.py worker" in line and "guard" not in line
        ]
        os.kill(victims[0], signal.SIGKILL)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 12, err
    trial, samples = only_trial(bench)
    assert f"pid {victims[0]}" in trial.lost_workers[0]
    (row,) = bench.summary()["rows"]
    assert row["verdict"] == "INVALID"
    assert "worker-lost" in [reason["id"] for reason in row["reasons"]]
    assert trial.counts["ok"] > 20
    assert len(samples) == trial.counts["scheduled"]
    assert sorted(words_of(worker)[0] for worker in workers) == [0, 13]


def wait_for_load(bench: Bench) -> None:
    """Return once a second of load was sent; rows of remote workers lie with them until the end."""
    deadline = time.monotonic() + 60
    while not list(bench.folder.glob("results/*/*/trials/*/raw/worker-*/schedule.f64")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1.5)


def test_workers_of_a_run_that_is_killed_notice_it_and_end(bench: Bench) -> None:
    where = here()
    worker = bench.start("worker", "--connect", where)
    with bench.start("run", bench.write(LONG), "--listen", where) as process:
        wait_for_load(bench)
        process.kill()
    code, err = words_of(worker)
    assert code == 13
    assert f"the master at {where} is gone" in err


def test_a_worker_that_is_interrupted_tells_the_master_at_once(bench: Bench) -> None:
    where = here()
    workers = [bench.start("worker", "--connect", where) for _ in range(2)]
    with bench.start("run", bench.write(LONG), "--listen", where, "--workers-expected", "2") as process:
        wait_for_load(bench)
        workers[0].send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 12
    assert only_trial(bench)[0].lost_workers[0].endswith("it left")
    assert sorted(words_of(worker)[0] for worker in workers) == [0, 130]


def test_a_master_that_cannot_be_reached_is_told_with_what_to_do(bench: Bench) -> None:
    where = here()
    code, _, err = bench("worker", "--connect", where, "--wait", "1s")
    assert code == 13
    assert f"nothing answered at {where} within 1 s" in err
    assert "bench run --listen" in err


def test_a_port_that_is_in_use_ends_the_run_before_anything_is_measured(bench: Bench) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        code, _, err = bench("run", bench.write(BRIEF), "--listen", where)
    assert code == 13
    assert f"cannot listen at {where}: the port is in use" in err
    assert load_run(bench.run_folder()).trials == ()


def test_an_address_of_another_machine_is_refused(bench: Bench) -> None:
    code, _, err = bench("run", bench.write(BRIEF), "--listen", "192.0.2.1:5557")
    assert code == 13
    assert "cannot listen at 192.0.2.1:5557: this machine has no such address" in err


@pytest.mark.parametrize(
    "flags", [("--listen", "nowhere"), ("--listen", "0.0.0.0:5557"), ("--workers-expected", "2")], ids=lambda it: it[-1]
)
def test_flags_that_make_no_sense_are_wrong_usage_and_leave_no_run(bench: Bench, flags: Sequence[str]) -> None:
    code, _, err = bench("run", bench.write(BRIEF), *flags)
    assert code == 2, err
    assert "hint" in err
    assert not (bench.folder / "results").exists()


def test_a_worker_of_somebody_elses_run_is_turned_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    where = here()
    monkeypatch.setenv("BENCH_LOAD_TOKEN", "theirs")
    stranger = bench.start("worker", "--connect", where)
    monkeypatch.setenv("BENCH_LOAD_TOKEN", "ours")
    with bench.start("run", bench.write(BRIEF), "--listen", where) as process:
        code, err = words_of(stranger)
        assert code == 13
        assert "BENCH_LOAD_TOKEN is not the master's" in err
        friend = bench.start("worker", "--connect", where)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert words_of(friend)[0] == 0


# In network namespaces


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def namespaces() -> Iterator[tuple[str, ...]]:
    """One namespace with a bridge at 10.77.0.1 and two others on it; nothing outside them is touched."""
    if shutil.which("ip") is None:
        pytest.skip("there is no `ip` program (iproute2)")
    names = tuple(f"bench-test-{os.getpid()}-{role}" for role in ("master", "one", "two"))
    with contextlib.ExitStack() as stack:
        try:
            for name in names:
                ip("netns", "add", name)
                stack.callback(subprocess.run, ["ip", "netns", "del", name], check=True)
                ip("-n", name, "link", "set", "lo", "up")
            ip("-n", names[0], "link", "add", "bridge", "type", "bridge")
            ip("-n", names[0], "addr", "add", "10.77.0.1/24", "dev", "bridge")
            ip("-n", names[0], "link", "set", "bridge", "up")
            for number, name in enumerate(names[1:], start=1):
                ip(
                    "-n",
                    names[0],
                    "link",
                    "add",
                    f"port{number}",
                    "type",
                    "veth",
                    "peer",
                    "name",
                    "eth0",
                    "netns",
                    name,
                )
                ip("-n", names[0], "link", "set", f"port{number}", "master", "bridge", "up")
                ip("-n", name, "addr", "add", f"10.77.0.1{number}/24", "dev", "eth0")
                ip("-n", name, "link", "set", "eth0", "up")
        except subprocess.CalledProcessError as failure:
            pytest.skip(f"network namespaces cannot be made here: {failure.stderr.decode().strip()}")
        yield names


class Elsewhere(Bench):
    """Runs `bench` in a network namespace."""

    def start_in(self, namespace: str, *argv: str) -> subprocess.Popen[str]:
        name, value = self.mark.split("=")
        return subprocess.Popen(
            ["ip", "netns", "exec", namespace, sys.executable, "-m", self.program, *argv],
            cwd=self.folder,
            env={**os.environ, name: value, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def elsewhere(tmp_path: Path, namespaces: tuple[str, ...]) -> Iterator[Elsewhere]:
    runner = Elsewhere(tmp_path)
    yield runner
    deadline = time.monotonic() + 15
    while (left := runner.left_running()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def test_workers_in_namespaces_of_their_own_lose_no_row(elsewhere: Elsewhere, namespaces: tuple[str, ...]) -> None:
    master, *others = namespaces
    workers = [elsewhere.start_in(name, "worker", "--connect", "10.77.0.1:5557") for name in others]
    code, err = words_of(
        elsewhere.start_in(
            master, "run", elsewhere.write(BRIEF), "--listen", "10.77.0.1:5557", "--workers-expected", "2"
        )
    )
    assert code == 0, err
    assert [words_of(worker)[0] for worker in workers] == [0, 0]
    trial, samples = only_trial(elsewhere)
    assert trial.counts["scheduled"] == trial.counts["ok"] == len(samples) > 80
    assert np.array_equal(samples.worker, np.arange(len(samples)) % 2)
    assert trial.lost_workers == ()


def test_a_network_that_breaks_in_the_middle_names_the_worker_behind_it(
    elsewhere: Elsewhere, namespaces: tuple[str, ...]
) -> None:
    master, *others = namespaces
    workers = [elsewhere.start_in(name, "worker", "--connect", "10.77.0.1:5557") for name in others]
    with elsewhere.start_in(
        master, "run", elsewhere.write(LONG), "--listen", "10.77.0.1:5557", "--workers-expected", "2"
    ) as process:
        wait_for_load(elsewhere)
        ip("-n", others[1], "link", "set", "eth0", "down")
        process.communicate(timeout=60)
    assert process.returncode == 12
    trial, samples = only_trial(elsewhere)
    assert len(trial.lost_workers) == 1
    assert trial.lost_workers[0].endswith("nothing was heard of it any more")
    assert len(samples) == trial.counts["scheduled"]
    assert [words_of(worker)[0] for worker in workers] == [0, 13]
