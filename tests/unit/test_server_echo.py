"""The echo server's own keys: faults of a known size, and no fault unless one is asked for."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.document import read_document
from bench.problems import Problems
from bench.scenario.fields import instance_of, options_of
from bench.server import Place
from servers.echo import app
from servers.echo.server import Server


def place() -> Place:
    return Place(host="127.0.0.1", ports=(8001,), python=Path("/venv/bin/python"), model=None, folder=Path(), cores=1)


def test_without_faults_the_program_is_told_of_none() -> None:
    assert Server(delay=0.02).command(place()).argv[-4:] == ("127.0.0.1", "8001", "0.02", "1")


def test_every_fault_reaches_the_program() -> None:
    server = Server(tail_share=0.02, tail_factor=3, error_share=0.01, work=500, quota=0.9)
    told = json.loads(server.command(place()).argv[-1])
    assert told == {"tail_share": 0.02, "tail_factor": 3, "error_share": 0.01, "work": 500, "quota": 0.9}


def test_a_share_of_the_requests_takes_longer_by_the_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", random.Random(1).random)
    draw = app.some_slow(0.01, 0.02, 2.0)
    delays = [draw() for _ in range(20_000)]
    assert set(delays) == {0.01, 0.02}
    assert delays.count(0.02) == pytest.approx(400, abs=80)


def ticking(monkeypatch: pytest.MonkeyPatch, chunk_seconds: float, others: float = 0.0) -> Callable[[], float]:
    """A clock that goes on by so much with every chunk of work, and by as long as is slept.

    `others` have the core for this share of the time that the work takes.
    """
    now, used = [0.0], [0.0]

    def monotonic() -> float:
        return now[0]

    def crc32(_: bytes) -> int:
        now[0] += chunk_seconds / 16 / (1 - others)
        used[0] += chunk_seconds / 16
        return 0

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(app, "monotonic", monotonic)
    monkeypatch.setattr(app, "cpu_time", lambda: used[0])
    monkeypatch.setattr(app, "zlib", SimpleNamespace(crc32=crc32))
    monkeypatch.setattr(time, "sleep", sleep)
    return monotonic


@pytest.mark.parametrize(("quota", "seconds"), [(1.0, 10.0), (0.9, 10 / 0.9), (0.5, 20.0)])
def test_under_a_quota_the_same_work_takes_as_much_longer(
    quota: float, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ticking(monkeypatch, chunk_seconds=0.0001)
    processor = app.Processor(rounds=16 * 100, quota=quota)
    for _ in range(1000):
        done_at = processor.work()
    assert done_at == clock() == pytest.approx(seconds, rel=0.01)


def test_a_tenth_less_quota_is_a_tenth_less_work_whatever_others_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    for quota in (0.40, 0.36):
        clock = ticking(monkeypatch, chunk_seconds=0.0001, others=0.5)
        processor = app.Processor(rounds=16, quota=quota)
        count = 0
        while clock() < 20.0:
            processor.work()
            count += 1
        done.append(count)
    assert done[1] / done[0] == pytest.approx(0.9, rel=0.005)


def test_a_quota_that_is_not_used_up_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ticking(monkeypatch, chunk_seconds=0.0001)
    processor = app.Processor(rounds=16 * 10, quota=0.9)
    begins, took = 0.0, []
    for _ in range(50):  # 1 ms of work in every 20 ms
        begins = app.monotonic()
        took.append(processor.work() - begins)
        time.sleep(0.019)
    assert max(took) == pytest.approx(0.001)


@pytest.mark.parametrize("keys", [{"tail_share": "150%"}, {"tail_factor": 0.5}, {"quota": "0%"}, {"error_share": 0.1}])
def test_a_fault_that_makes_no_sense_is_refused(keys: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        options_of(Server).model_validate(keys)


def test_shares_are_written_as_percentages(tmp_path: Path) -> None:
    values = options_of(Server).model_validate({"tail_share": "2%", "error_share": "0.5%", "quota": "90%"})
    (tmp_path / "q.yaml").write_text("{}")
    server = instance_of(values, (), tmp_path, Problems(read_document(tmp_path / "q.yaml")))
    assert (server.tail_share, server.error_share, server.quota) == (0.02, 0.005, 0.9)
