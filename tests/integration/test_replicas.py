"""Copies behind a real nginx."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import sys
import time
from collections import Counter
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest

from bench.errors import LaunchError
from bench.server import Inner, known_kinds, load_kind
from bench.serving.asking import ask_many
from bench.serving.launch import Running, running

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None, reason="nginx: apt-get install nginx"
    ),
]
SCRIPTED = Path(__file__).parents[1] / "doubles" / "scripted_server.py"


def start(
    tmp_path: Path, of: str, timeout: float = 30.0, replicas: int = 3, **keys: Any
) -> AbstractContextManager[Running]:
    one: Any = load_kind(known_kinds()[of])
    more: Any = load_kind(known_kinds()["replicas"])
    return running(
        more(replicas=replicas, of=Inner(of, known_kinds()[of], one(**keys))),
        model=None,
        python=Path(sys.executable),
        cores=1,
        photos=[b"one"],
        log=tmp_path / "server.log",
        start_timeout=timeout,
    )


def named(tree: list[int]) -> Counter[str]:
    return Counter(Path(f"/proc/{pid}/comm").read_text().strip() for pid in tree)


def wait_until_gone(ready: Running, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while ready.process.alive():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_copies_answer_through_nginx_over_kept_connections_and_all_of_them_do(tmp_path: Path) -> None:
    with start(tmp_path, "echo", delay=0.02) as ready:
        request = ready.wire.request(b"two")
        workers = ask_many(ready.wire, ready.place.host, ready.port, request, 12)
        assert {worker.split()[0] for worker in workers} == {f"127.0.0.1:{port}" for port in ready.place.ports[1:]}
        with closing(http.client.HTTPConnection("127.0.0.1", ready.port, timeout=10)) as connection:
            for _ in range(3):
                connection.request("POST", request.target, request.body)
                assert connection.getresponse().read()
                assert connection.sock is not None, "nginx keeps the connection"
        tree = named(ready.process.tree())
        assert tree["nginx"] == 2, "its master and one worker"
        assert sum(tree.values()) == 2 + 1 + 3, "the supervisor and the copies"
        assert "nginx/" in ready.server.version(ready.place)
    assert not [line for line in (tmp_path / "server.log").read_text().splitlines() if line]


@pytest.mark.parametrize("victim", ["a copy", "nginx"])
def test_whatever_ends_is_named_and_ends_everything(victim: str, tmp_path: Path) -> None:
    with start(tmp_path, "echo") as ready:
        tree = ready.process.tree()
        if victim == "nginx":
            pid = next(pid for pid in tree if named([pid])["nginx"])
        else:
            pid = next(
                pid for pid in tree if str(ready.place.ports[2]).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
            )
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(ready)
        ready.process.stop()
        said = ready.server.explain((tmp_path / "server.log").read_text(), 1)
        where = "nginx" if victim == "nginx" else f"copy 2 of 3 (port {ready.place.ports[2]})"
        assert said == f"{where} ended (killed by SIGKILL)"


def test_a_copy_that_does_not_start_is_named_with_its_words(tmp_path: Path) -> None:
    run = ("sh", "-c", "echo no model here; exit 7 # {port}")
    with (
        pytest.raises(LaunchError, match=r"copy \d of 2 \(port \d+\) ended \(exit code 7\)") as raised,
        start(tmp_path, "command", run=run, replicas=2),
    ):
        pass
    assert "no model here" in raised.value.hint
