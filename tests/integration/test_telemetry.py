"""Watching real processes: what they are known to use is what is seen of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.samples import read_telemetry
from bench.serving.guard import descendants
from bench.telemetry import memory_now, sampling

pytestmark = pytest.mark.integration

MEGABYTES = 200
KNOWN = f"""
import os, sys, time
held = bytearray(os.urandom(1 << 20) * {MEGABYTES})
print("held", flush=True)
sys.stdin.readline()
child = os.fork()
began_at = time.process_time()
while time.process_time() - began_at < 0.5:
    pass
if child == 0:
    time.sleep(2.2)  # long enough to be found by a close look
    os._exit(0)
os.waitpid(child, 0)
print("done", flush=True)
sys.stdin.readline()
"""
SLEEPERS = """
import threading, time
def sleep_often():
    while True:
        time.sleep(0.001)
input()
for _ in range(3):
    threading.Thread(target=sleep_often, daemon=True).start()
sleep_often()
"""


@pytest.fixture
def known() -> Iterator[subprocess.Popen[str]]:
    """Holds 200 MB, and once told so burns half a second of processor time, and as much again in a child that ends."""
    with subprocess.Popen(
        [sys.executable, "-c", KNOWN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_what_a_process_is_known_to_use_is_what_is_seen_of_it(known: subprocess.Popen[str], tmp_path: Path) -> None:
    def tree() -> list[int]:
        return [known.pid, *descendants(known.pid)]

    held = memory_now(tree)
    assert 1.0 < held["pss_bytes"] / (MEGABYTES * 2**20) < 1.3
    assert 1.0 < held["rss_bytes"] / (MEGABYTES * 2**20) < 1.3
    with sampling(tree, tmp_path / "telemetry.parquet") as watched:
        time.sleep(0.6)  # a first look at it before it begins
        tell(known)
        assert known.stdout is not None
        assert known.stdout.readline() == "done\n"
    seen = read_telemetry(tmp_path / "telemetry.parquet")
    assert 0.7 < seen.cpu_seconds[-1] - seen.cpu_seconds[0] < 2.0  # half a second each, the child's included
    assert np.all(np.diff(seen.cpu_seconds) >= 0)  # also when the child ended
    pss, rss = (column[~np.isnan(column)].max() for column in (seen.pss_bytes, seen.rss_bytes))
    assert 1.0 < pss / (MEGABYTES * 2**20) < 1.5
    assert rss > 1.5 * pss  # parent and child share their pages: PSS counts them once, RSS twice
    assert "pss_bytes" not in watched.missing
    assert watched.cpu_share is not None


def test_the_switches_of_every_thread_are_counted(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPERS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        with sampling(lambda: [process.pid], tmp_path / "t.parquet"):
            time.sleep(0.1)
            tell(process)
            time.sleep(0.5)
        process.kill()
    seen = read_telemetry(tmp_path / "t.parquet").context_switches
    known_switches = seen[~np.isnan(seen)]
    # Four threads, of which /proc/PID/status tells only the first.
    assert known_switches[-1] - known_switches[0] > 4 * 50


def test_watching_a_server_of_several_processes_costs_little(tmp_path: Path) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", "import time, numpy; time.sleep(60)"]) for _ in range(3)]
    try:
        time.sleep(0.5)
        with sampling(lambda: [worker.pid for worker in workers], tmp_path / "t.parquet") as watched:
            time.sleep(1.5)
        assert watched.cpu_share is not None
        assert watched.cpu_share < 0.05  # 0.3 % on a quiet machine
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


@pytest.fixture
def limited_group() -> Iterator[Path]:
    """A control group whose processes get a fifth of one core."""
    group = Path(f"/sys/fs/cgroup/cpu/bench-test-{os.getpid()}")
    try:
        group.mkdir()
        (group / "cpu.cfs_period_us").write_text("100000")
        (group / "cpu.cfs_quota_us").write_text("20000")
    except OSError as failure:
        pytest.skip(f"no control group of version 1 can be made here: {failure}")
    yield group
    for _ in range(50):
        try:
            group.rmdir()
            return
        except OSError:  # its last process is not gone yet
            time.sleep(0.02)


def test_a_server_that_its_control_group_holds_back_is_seen_to_be(limited_group: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "input()\nwhile True: pass"], stdin=subprocess.PIPE, text=True
    ) as busy:
        try:
            (limited_group / "cgroup.procs").write_text(str(busy.pid))
            with sampling(lambda: [busy.pid], tmp_path / "t.parquet"):
                tell(busy)
                time.sleep(1.5)
        finally:
            busy.kill()
    seen = read_telemetry(tmp_path / "t.parquet")
    assert 0.15 < seen.throttled_seconds[-1] / seen.at[-1] < 1.0  # 0.8 on a quiet machine
    assert seen.cpu_seconds[-1] < 0.6 * seen.at[-1]
