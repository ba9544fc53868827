"""`bench check --server-folder` tells what a server lacks, step by step."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import pytest

from bench.cli import main
from bench.running import conformance
from bench.running.conformance import Step, examine
from bench.server import known_kinds
from bench.serving import launch
from bench.serving.guarded import guarded

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
SERVER = '''
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
import numpy as np
from bench import server
from bench.protocols.plain import PlainJson

@dataclass(frozen=True, kw_only=True)
class Server(server.Server):
    """Has the faults that it is told to have, and no others."""
    title: ClassVar[str] = "a bad one"
    start_timeout_s: ClassVar[float] = 20.0
    faults: str = ""
    def command(self, place):
        app = Path(__file__).with_name("app.py")
        return server.Command((str(place.python), "-S", str(app), str(place.port), *self.faults.split("+")))
    def wire(self, place):
        return PlainJson()
    def expected(self, photo):
        share = zlib.crc32(photo) % 90 / 100
        return np.array([share, 1 - share], dtype=np.float32)
'''
APP = """
import base64, json, os, signal, subprocess, sys, time, zlib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

faults = sys.argv[2:]
if "exits" in faults:
    sys.exit("no model here")
if "mute" in faults:
    time.sleep(60)
if "leaves-a-file" in faults:
    Path(__file__).with_name("left.txt").touch()
if "ignores-sigterm" in faults or "leaves-a-child" in faults:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "leaves-a-child" in faults:
    subprocess.Popen(["sleep", "60"], start_new_session=True)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            share = zlib.crc32(base64.b64decode(json.loads(body)["image"])) % 90 / 100
        except ValueError:
            if "ends-on-nonsense" in faults:
                os._exit(3)
            if "hangs-on-nonsense" in faults:
                time.sleep(60)
            if "answers-nonsense" not in faults:
                self.send_error(400)
                return
            share = 0
        self.send_response(200)
        self.end_headers()
        share = 1.0 if "wrong" in faults else share
        self.wfile.write(json.dumps({"probabilities": [share, 1 - share]}).encode())

HTTPServer(("127.0.0.1", 0 if "elsewhere" in faults else int(sys.argv[1])), Handler).serve_forever()
"""
FAULTS = {
    "": {},
    "exits": {"starts and is ready": r"server ended \(exit code 1\) before it was ready"},
    "mute": {"starts and is ready": "not ready after 1 s: nothing listens on its port"},
    "elsewhere": {"starts and is ready": r"it listens on port \d+ and was to listen on \d+"},
    "wrong": {"answers right": r"differs from the right one by 0\.\d+, and 1e-05 is allowed"},
    "answers-nonsense": {"fails cleanly": "a broken request was answered as if it were good: .*probabilities"},
    "hangs-on-nonsense": {"fails cleanly": "a broken request got no reply: timed out"},
    "ends-on-nonsense": {
        "fails cleanly": "^a broken request ended the server$",
        "stops": r"it had ended before it was told to \(exit code 3\)",
    },
    "ignores-sigterm": {"stops": "it did not end on SIGTERM and was killed"},
    "leaves-a-child": {"stops": "it left a process behind, which was killed"},
    "leaves-a-file": {"leaves no file": "still there: .*/left.txt"},
    "wrong+answers-nonsense+leaves-a-child+leaves-a-file": {
        "answers right": "differs",
        "fails cleanly": "as if it were good",
        "stops": "left a process behind",
        "leaves no file": "left.txt",
    },
}
"""What is wrong with a server: the steps that tell so, and how; no other step fails."""


def tried(folder: Path, *assignments: str) -> dict[str, Step]:
    """Steps by name; only the server's own folder is looked at, as others use the machine's at the same time."""
    return {step.name: step for step in examine(folder, set=assignments, say=lambda _: None, watch=[folder])}


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "server.py").write_text(SERVER)
    (folder / "app.py").write_text(APP)
    return folder


def test_a_kind_that_comes_with_bench_lacks_nothing() -> None:
    """Those that serve a model: `test_servers_in_python.py`."""
    steps = tried(known_kinds()["echo"])
    assert tuple(steps) == STEPS
    assert all(step.ok for step in steps.values()), steps


@pytest.mark.parametrize("faults", FAULTS)
def test_each_fault_of_a_server_is_named_by_its_step_and_by_no_other(
    faults: str, bad: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "guarded", partial(guarded, grace=0.5))
    monkeypatch.setattr(conformance, "_PATIENCE_SECONDS", 0.5)
    if faults in ("mute", "elsewhere"):
        (bad / "server.py").write_text(SERVER.replace("= 20.0", "= 1.0"))
    failed = {name: step for name, step in tried(bad, f"faults={json.dumps(faults)}").items() if not step.ok}
    assert set(failed) == set(FAULTS[faults])
    for name, says in FAULTS[faults].items():
        assert re.search(says, failed[name].text), failed[name]
        assert failed[name].hint


def test_a_server_that_does_not_start_is_tried_no_further_than_what_it_left(bad: Path) -> None:
    steps = tried(bad, "faults=exits")
    assert "no model here" in steps["starts and is ready"].hint
    assert tuple(steps) == ("loads", "can run here", "starts and is ready", "leaves no file")


def test_the_command_prints_one_line_a_step_and_says_13_if_one_failed(
    bad: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bad.parent)
    assert main(["check", "--server-folder", "./bad", "--set", "faults=exits"]) == 13
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok      loads: a bad one"
    assert any(line.startswith("failed  starts and is ready: ") for line in lines)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--server-folder", "nowhere"], "no server.py in nowhere"),
        (["--server-folder", "./bad", "--set", "fault=exits"], "did you mean 'faults'"),
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
