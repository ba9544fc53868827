"""`bench check --server-folder` tells what a server lacks, step by step."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli import main
from bench.conformance import Step, examine
from bench.server import known_kinds

pytestmark = pytest.mark.integration

STEPS = (
    "loads",
    "can run here",
    "starts and is ready",
    "answers right",
    "fails cleanly",
    "stops",
    "frees its ports",
    "leaves no file",
)
BAD = '''
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
import numpy as np
from bench import server
from bench.protocols.plain import PlainJson

@dataclass(frozen=True, kw_only=True)
class Server(server.Server):
    """Does everything wrong that can be done."""
    title: ClassVar[str] = "a bad one"
    start_timeout_s: ClassVar[float] = 20.0
    dies: bool = False
    crashes: bool = False
    def command(self, place):
        words = ("exit",) if self.dies else (str(place.port), *(["crashes"] if self.crashes else []))
        return server.Command((str(place.python), str(Path(__file__).with_name("app.py")), *words))
    def wire(self, place):
        return PlainJson()
    def expected(self, photo):
        share = zlib.crc32(photo) % 90 / 100
        return np.array([share, 1 - share], dtype=np.float32)
'''
APP = """
import os, signal, subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

if sys.argv[1] == "exit":
    sys.exit("no model here")
Path(__file__).with_name("left.txt").touch()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", "60"], start_new_session=True)
signal.signal(signal.SIGTERM, signal.SIG_DFL)

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if "crashes" in sys.argv and not body.startswith(b"{"):
            os._exit(3)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"probabilities": [1.0, 0.0]}')

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def tried(folder: Path, *assignments: str) -> dict[str, Step]:
    """Steps by name; only the server's own folder is looked at, as others use the machine's at the same time."""
    return {step.name: step for step in examine(folder, set=assignments, say=lambda _: None, watch=[folder])}


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "server.py").write_text(BAD)
    (folder / "app.py").write_text(APP)
    return folder


@pytest.mark.parametrize("kind", ["echo", pytest.param("flask", marks=pytest.mark.tensorflow)])
def test_a_kind_that_comes_with_bench_lacks_nothing(kind: str) -> None:
    steps = tried(known_kinds()[kind])
    assert tuple(steps) == STEPS
    assert all(step.ok for step in steps.values()), steps


def test_everything_that_is_wrong_with_a_server_is_told_at_once_with_what_helps(bad: Path) -> None:
    steps = tried(bad)
    failed = {name: step for name, step in steps.items() if not step.ok}
    assert set(failed) == {"answers right", "fails cleanly", "stops", "leaves no file"}
    assert all(step.hint for step in failed.values())
    assert "differs from the right one by" in failed["answers right"].text
    assert "answered as if it were good" in failed["fails cleanly"].text
    assert "a process had to be killed" in failed["stops"].text
    assert str(bad / "left.txt") in failed["leaves no file"].text


def test_a_server_that_does_not_start_is_tried_no_further_than_what_it_left(bad: Path) -> None:
    steps = tried(bad, "dies=true")
    assert not steps["starts and is ready"].ok
    assert "no model here" in steps["starts and is ready"].hint
    assert tuple(steps) == ("loads", "can run here", "starts and is ready", "leaves no file")


def test_a_server_that_nonsense_ends_is_told_so_and_not_that_it_stopped_as_it_should(bad: Path) -> None:
    steps = tried(bad, "crashes=true")
    assert (steps["fails cleanly"].ok, steps["fails cleanly"].text) == (False, "a broken request ended the server")
    assert not steps["stops"].ok


def test_a_server_that_never_gets_ready_is_told_what_was_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "mute"
    folder.mkdir()
    (folder / "server.py").write_text(BAD.replace("start_timeout_s: ClassVar[float] = 20.0", "start_timeout_s = 0.5"))
    (folder / "app.py").write_text("import time; time.sleep(100)")
    steps = tried(folder)
    assert "not ready after 0.5 s: nothing listens on its port" in steps["starts and is ready"].text
    assert steps["leaves no file"].ok


def test_the_command_prints_one_line_a_step_and_says_13_if_one_failed(
    bad: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bad.parent)
    assert main(["check", "--server-folder", "./bad", "--set", "dies=true"]) == 13
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok      loads: a bad one"
    assert any(line.startswith("failed  starts and is ready: ") for line in lines)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--server-folder", "nowhere"], "no server.py in nowhere"),
        (["--server-folder", "./bad", "--set", "diez=true"], "did you mean 'dies'"),
        (["--server-folder", "./bad", "smoke"], "give a SCENARIO or a --server-folder"),
        ([], "give a SCENARIO or a --server-folder"),
    ],
)
def test_a_folder_that_is_no_server_is_wrong_usage(
    argv: list[str], says: str, bad: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bad.parent)
    assert main(["check", *argv]) == 2
    assert says in capsys.readouterr().err
