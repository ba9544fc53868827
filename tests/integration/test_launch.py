"""Servers start, become ready, and are gone afterwards whatever happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from bench import server
from bench.errors import LaunchError
from bench.protocols.plain import PlainJson
from bench.server import Command, Place
from bench.serving import guard
from bench.serving.guarded import guarded
from bench.serving.launch import free_ports, running

pytestmark = pytest.mark.integration

SCRIPTED = Path(__file__).parents[1] / "doubles" / "scripted_server.py"
FAMILY = "setsid sleep 1000 & sleep 1000 & wait"
"""A program with a child in its own session, which no signal to its process group reaches."""


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_for(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@dataclass(frozen=True, kw_only=True)
class Scripted(server.Server):
    title: ClassVar[str] = "whatever the shell does"
    start_timeout_s: ClassVar[float] = 3.0
    script: str

    def command(self, place: Place) -> Command:
        script = self.script.format(port=place.port, python=sys.executable, scripted=SCRIPTED)
        return Command(argv=("sh", "-c", script))

    def wire(self, place: Place) -> PlainJson:
        return PlainJson()


def test_everything_a_program_started_is_gone_after_the_block() -> None:
    with guarded(["sh", "-c", FAMILY]) as program:
        assert wait_for(lambda: len(program.tree()) == 3)
        tree = program.tree()
        assert program.alive()
    assert all(gone(pid) for pid in tree)


def test_a_program_that_ends_by_itself_leaves_no_children_behind() -> None:
    with guarded(["sh", "-c", "setsid sleep 1000 & echo; exit 3"]) as program:
        assert wait_for(lambda: program.poll() is not None)
        assert program.poll() == 3
        assert program.tree() == []
        assert program.killed == 1


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace() -> None:
    with guarded(["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], grace=0.3) as program:
        pid = program.pid
        time.sleep(0.2)
    assert gone(pid)
    assert program.killed >= 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_after_the_harness_dies_of_a_signal(number: signal.Signals) -> None:
    harness = textwrap.dedent(f"""
        import time
        from bench.serving.guarded import guarded
        with guarded(["sh", "-c", {FAMILY!r}]) as program:
            while len(program.tree()) < 3:
                time.sleep(0.02)
            print(*program.tree(), flush=True)
            time.sleep(1000)
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", harness], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    pids = [int(word) for word in process.stdout.readline().split()]
    assert len(pids) == 3
    process.send_signal(number)
    process.wait()
    process.stdout.close()
    assert wait_for(lambda: all(gone(pid) for pid in pids))


def test_the_program_ends_even_if_its_guard_is_killed() -> None:
    with guarded(["sleep", "1000"]) as program:
        pid = program.pid
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(parent, signal.SIGKILL)
        assert wait_for(lambda: gone(pid))


def test_files_that_appeared_meanwhile_are_swept_and_older_ones_are_not(tmp_path: Path) -> None:
    (tmp_path / "region_old").touch()
    with guarded(["sh", "-c", f"touch {tmp_path}/region_new; sleep 1000"], sweep=[f"{tmp_path}/region_*"]):
        assert wait_for((tmp_path / "region_new").exists)
    assert [path.name for path in tmp_path.iterdir()] == ["region_old"]


def test_a_final_command_runs_after_a_program_that_ended(tmp_path: Path) -> None:
    with guarded(["sh", "-c", "exit 3"], final=["touch", str(tmp_path / "done")]) as program:
        assert wait_for(lambda: program.poll() == 3)
        assert (tmp_path / "done").exists()


def test_a_final_command_runs_for_a_program_that_will_not_end(tmp_path: Path) -> None:
    with guarded(["sh", "-c", "trap '' TERM; sleep 1000"], grace=0.3, final=["touch", str(tmp_path / "done")]):
        assert not (tmp_path / "done").exists()
    assert (tmp_path / "done").exists()


def test_a_final_command_runs_when_the_harness_is_killed(tmp_path: Path) -> None:
    harness = textwrap.dedent(f"""
        import time
        from bench.serving.guarded import guarded
        with guarded(["sleep", "1000"], final=["touch", {str(tmp_path / "done")!r}]) as program:
            print(program.pid, flush=True)
            time.sleep(1000)
    """)
    process = subprocess.Popen([sys.executable, "-c", harness], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    assert wait_for((tmp_path / "done").exists)
    assert wait_for(lambda: gone(pid))


def test_a_final_command_that_hangs_is_killed_and_keeps_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "guard.py"
    copy.write_text(Path(guard.__file__).read_text().replace("FINAL_SECONDS = 30.0", "FINAL_SECONDS = 0.3"))
    monkeypatch.setattr(guard, "__file__", str(copy))
    with guarded(["true"], final=["sh", "-c", FAMILY]) as program:
        assert wait_for(lambda: program.poll() == 0)
        assert program.tree() == []


def test_a_final_command_that_is_not_there_changes_nothing() -> None:
    with guarded(["sh", "-c", "exit 3"], final=["/no/such/program"]) as program:
        assert wait_for(lambda: program.poll() == 3)


def test_free_ports_are_different_and_below_the_ephemeral_ones() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(20_000 <= port < 32_000 for port in ports)


def start(kind: Scripted, log: Path) -> float:
    with running(kind, model=None, python=Path(sys.executable), cores=1, photos=[b"x"], log=log) as ready:
        assert ready.process.alive()
        assert ready.startup_seconds is not None
        return ready.startup_seconds


def test_a_server_is_ready_once_it_answers_a_real_request(tmp_path: Path) -> None:
    kind = Scripted(script="sleep 0.5; exec {python} {scripted} {port} error500 garbage ok")
    assert start(kind, tmp_path / "server.log") > 0.5


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo no model here >&2; exit 7", "exit code 7"),
        ("kill -ILL $$", "killed by SIGILL"),
        ("echo waiting for ever; exec sleep 1000", "nothing listens"),
        ("exec {python} {scripted} {port} error500", "HTTP 500"),
    ],
)
def test_a_server_that_does_not_come_up_is_an_error_that_says_why(tmp_path: Path, script: str, says: str) -> None:
    log = tmp_path / "server.log"
    with pytest.raises(LaunchError) as raised:
        start(Scripted(script=script), log)
    assert says in str(raised.value)
    assert str(log) == raised.value.where
    for line in log.read_text().splitlines():
        assert line in raised.value.hint


def test_a_program_that_does_not_exist_is_an_error_that_names_it(tmp_path: Path) -> None:
    class Absent(Scripted):
        def command(self, place: Place) -> Command:
            return Command(argv=("no-such-program-anywhere",))

    with pytest.raises(LaunchError, match="no-such-program-anywhere"):
        start(Absent(script=""), tmp_path / "server.log")


@dataclass(frozen=True, kw_only=True)
class Telling(Scripted):
    """It can read its own log."""

    start_timeout_s: ClassVar[float] = 30.0

    def explain(self, log: str, exit_code: int | None) -> str | None:
        if exit_code is not None:
            return f"it said {log.strip()!r} and left with {exit_code}"
        return "it has no model" if "no model" in log else None

    def stage(self, log: str) -> str:
        return "it was still thinking" if "thinking" in log else ""


def test_a_server_whose_log_says_that_it_never_will_serve_is_not_waited_for(tmp_path: Path) -> None:
    began_at = time.monotonic()
    with pytest.raises(LaunchError, match=r"server.log: it has no model\n"):
        start(Telling(script="echo no model; exec sleep 1000"), tmp_path / "server.log")
    assert time.monotonic() - began_at < Telling.start_timeout_s / 2


def test_a_server_that_answers_but_says_that_it_is_not_what_was_asked_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"server.log: it has no model\n"):
        start(Telling(script="echo no model; exec {python} {scripted} {port} ok"), tmp_path / "server.log")


def test_a_server_that_ended_is_explained_by_its_own_log_and_not_by_that_of_an_earlier_start(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_text("of an earlier start\n")
    with pytest.raises(LaunchError, match=r"exit code 3\) before it was ready: it said 'oh' and left with 3"):
        start(Telling(script="echo oh; exit 3"), tmp_path / "server.log")


def test_a_server_that_is_late_says_how_far_it_came(tmp_path: Path) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Impatient(Telling):
        start_timeout_s: ClassVar[float] = 0.5

    with pytest.raises(LaunchError, match=r"after 0.5 s: it was still thinking; nothing listens"):
        start(Impatient(script="echo thinking; exec sleep 1000"), tmp_path / "server.log")


def test_a_program_and_whatever_it_starts_run_on_its_cores_alone() -> None:
    core = max(os.sched_getaffinity(0))
    with guarded(["sh", "-c", FAMILY], cores=[core]) as program:
        assert wait_for(lambda: len(program.tree()) == 3)
        assert [os.sched_getaffinity(pid) for pid in program.tree()] == [{core}] * 3


def test_a_program_is_not_started_on_cores_that_are_not_there(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as words, guarded(["sleep", "9"], stderr=words, cores=[4000]) as program:
        assert wait_for(lambda: program.poll() is not None)
        assert program.poll() == 127
    assert "cannot be pinned to the cores [4000]" in (tmp_path / "log").read_text()
