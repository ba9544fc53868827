"""The main job through the command line: real processes, real signals, real folders."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.payload.photos import photos_digest, sample_photos
from bench.results import load_run

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SCRIPTED = ROOT / "tests" / "doubles" / "scripted_server.py"
SHORT = """
name: short
load:
  - {profile: closed, users: 2, duration: 1s}
  - {profile: poisson, arrival_rate: 40, duration: 1s}
warmup: {duration: 200ms}
slo: {percentile: 50, response_time: 200ms, error_rate: 1%}
servers:
  one: {kind: echo, delay: 20ms, parallel: 4, price: {per_hour: 0.36}}
"""


class Bench:
    """Runs `bench` in a folder of its own and knows whatever it left running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = "tests.doubles.without_charts"
        self.mark = f"BENCH_TEST_MARK={uuid.uuid4().hex}"

    def start(self, *argv: str) -> subprocess.Popen[str]:
        name, value = self.mark.split("=")
        return subprocess.Popen(
            [sys.executable, "-m", self.program, *argv],
            cwd=self.folder,
            env={**os.environ, name: value, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *argv: str) -> tuple[int, str, str]:
        with self.start(*argv) as process:
            out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def write(self, text: str, name: str = "short.yaml") -> str:
        (self.folder / name).write_text(text)
        return name

    def pid_of(self, program: str) -> int:
        """The process of ours that runs this program, not its guard."""
        (pid,) = (pid for pid, line in self.processes().items() if program in line and "guard.py" not in line)
        return pid

    def left_running(self) -> list[str]:
        return list(self.processes().values())

    def processes(self) -> dict[int, str]:
        """Command lines of everything that was started for this test and runs."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if self.mark.encode() in (entry / "environ").read_bytes():
                        found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except OSError:
                    continue
        return found

    def run_folder(self) -> Path:
        (manifest,) = self.folder.glob("results/*/*/run.json")
        return manifest.parent

    def summary(self) -> Mapping[str, Any]:
        return json.loads((self.run_folder() / "summary.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    runner = Bench(tmp_path)
    yield runner
    deadline = time.monotonic() + 15
    while (left := runner.left_running()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def wait_for_rows(bench: Bench, process: subprocess.Popen[str], label: str) -> None:
    """Return half a second after load began on that load point."""
    deadline = time.monotonic() + 60
    while not list(bench.folder.glob(f"results/*/*/trials/*{label}/raw/**/rows.bin")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)


def crashing_kind(folder: Path, *behaviours: str) -> None:
    """A kind of the user's own: the scripted server with these behaviours."""
    kind = folder / "crashing"
    kind.mkdir()
    words = ", ".join(repr(word) for word in behaviours)
    (kind / "server.py").write_text(
        f"""
import zlib
from dataclasses import dataclass
import numpy as np
from bench import server
from bench.protocols.plain import PlainJson

@dataclass(frozen=True, kw_only=True)
class Server(server.Server):
    title = "misbehaves"

    def command(self, place):
        return server.Command((str(place.python), {str(SCRIPTED)!r}, str(place.port), {words}))

    def wire(self, place):
        return PlainJson()

    def expected(self, photo):
        share = zlib.crc32(photo) % 90 / 100
        return np.array([share, 1 - share], dtype=np.float32)
"""
    )


def test_a_run_measures_the_delay_and_leaves_everything_that_the_contract_names(bench: Bench) -> None:
    bench.program = "bench"
    code, out, err = bench("run", bench.write(SHORT), "--format", "json")
    assert code == 0, err
    printed = json.loads(out)
    assert printed["rows"] == bench.summary()["rows"]
    rows = bench.summary()["rows"]
    assert [(row["server"], row["label"]) for row in rows] == [("one", "closed-2"), ("one", "poisson-40")]
    for row in rows:
        assert 0.020 <= row["response_time"]["p50"] < 0.1
        assert row["ok"] == row["n"] > 10
        assert row["cpu_seconds_per_request"] > 0
        assert row["rss_peak_bytes"] > 1_000_000
        assert row["startup_seconds"] > 0
    folder = bench.run_folder()
    for name in ("run.json", "scenario.yaml", "summary.json", "summary.csv", "report.html", "report.md"):
        assert (folder / name).stat().st_size > 0
    assert (folder / "scenario.yaml").read_text() == SHORT
    assert json.loads((folder / "run.json").read_text())["payload_digest"] == photos_digest(sample_photos())
    for trial in folder.glob("trials/*"):
        assert {path.name for path in trial.iterdir()} == {
            *("trial.json", "samples.parquet", "telemetry.parquet", "server.log", "load.log")
        }
    assert {path.suffix for path in folder.glob("charts/*")} == {".svg", ".png"}


def test_a_server_that_dies_is_a_row_with_its_reason_and_the_others_go_on(bench: Bench) -> None:
    crashing_kind(bench.folder, *["ok"] * 20, "die")
    scenario = SHORT + "  dies: {kind: ./crashing}\n"
    code, _, err = bench("run", bench.write(scenario))
    assert code == 13, err
    rows = {(row["server"], row["label"]): row for row in bench.summary()["rows"]}
    assert rows["one", "closed-2"]["outcome"] == rows["one", "poisson-40"]["outcome"] == "ok"
    for label in ("closed-2", "poisson-40"):  # it is started again for its second load point, and dies again
        assert rows["dies", label]["outcome"] == "failed"
        assert "exit code 3" in rows["dies", label]["reason"]
    died = next(trial for trial in load_run(bench.run_folder()).trials if trial.server == "dies")
    assert died.counts["ok"] >= 19


def test_a_load_generator_that_dies_costs_only_the_trial_in_progress(bench: Bench) -> None:
    longer = SHORT.replace("users: 2, duration: 1s", "users: 2, duration: 20s")
    with bench.start("run", bench.write(longer)) as process:
        wait_for_rows(bench, process, "closed-2")
        os.kill(bench.pid_of("locustfile.py"), signal.SIGKILL)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 13, err
    rows_by_label = {row["label"]: row for row in bench.summary()["rows"]}
    assert rows_by_label["closed-2"]["outcome"] == "failed"
    assert "load generator" in rows_by_label["closed-2"]["reason"]
    assert rows_by_label["poisson-40"]["outcome"] == "ok"


def test_a_server_that_never_starts_is_a_row_with_the_last_lines_of_its_log(bench: Bench) -> None:
    crashing_kind(bench.folder, "no-such-behaviour")
    code, _, err = bench("run", bench.write(SHORT + "  never: {kind: ./crashing}\n"))
    assert code == 13, err
    rows = [row for row in bench.summary()["rows"] if row["server"] == "never"]
    assert len(rows) == 2
    assert all(row["outcome"] == "failed" and "KeyError: 'no-such-behaviour'" in row["reason"] for row in rows)
    assert sum(row["outcome"] == "ok" for row in bench.summary()["rows"]) == 2


def test_wrong_answers_make_a_row_invalid_and_never_the_choice(bench: Bench) -> None:
    crashing_kind(bench.folder, "wrong")
    code, _, err = bench("run", bench.write(SHORT + "  wrong: {kind: ./crashing, price: {per_hour: 0.001}}\n"))
    assert code == 12, err
    summary = bench.summary()
    wrong = [row for row in summary["rows"] if row["server"] == "wrong"]
    assert [row["verdict"] for row in wrong] == ["INVALID", "INVALID"]
    assert all(row["ok"] == 0 for row in wrong)
    assert "Choose one" in summary["answer"]


def test_a_server_that_cannot_run_here_is_skipped_unless_it_was_asked_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_TFSERVING_BINARY", "/nowhere/tensorflow_model_server")
    scenario = bench.write(SHORT + "  tf: {kind: tfserving}\nmodel: {keras_application: EfficientNetB0}\n")
    code, out, err = bench("run", scenario)
    assert code == 0, err
    assert "skipped" in out
    skipped = [server for server in bench.summary()["servers"] if server["server"] == "tf"]
    assert skipped[0]["outcome"] == "skipped"
    assert skipped[0]["reason"]
    code, _, err = bench("run", scenario, "--server", "tf")
    assert code == 13
    assert "hint:" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_everything_and_keeps_what_was_measured(bench: Bench, number: signal.Signals) -> None:
    longer = SHORT.replace("arrival_rate: 40, duration: 1s", "arrival_rate: 40, duration: 60s")
    with bench.start("run", bench.write(longer)) as process:
        wait_for_rows(bench, process, "poisson-40")
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == (-9 if number is signal.SIGKILL else 130)
    code, out, err = bench("report", str(bench.run_folder()), "--format", "json")
    assert code == 0, err
    assert json.loads(out)
    rows = [row for row in bench.summary()["rows"] if row["outcome"] == "ok"]
    assert [row["label"] for row in rows] == ["closed-2"]
    assert rows[0]["n"] > 10
    assert bench.summary()["complete"] is False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_server_that_ran_when_a_run_was_ended_reads_interrupted_and_the_next_one_not_reached(
    bench: Bench, number: signal.Signals
) -> None:
    text = "load: [{profile: poisson, arrival_rate: 40, duration: 60s}]\nwarmup: {duration: 200ms}\n"
    text += "servers: {first: {kind: echo}, second: {kind: echo, delay: 5ms}}\n"
    with bench.start("run", bench.write(text)) as process:
        wait_for_rows(bench, process, "poisson-40")
        process.send_signal(number)
        process.communicate(timeout=60)
    servers = json.loads((bench.run_folder() / "run.json").read_text())["servers"]
    told = {server["name"]: (server["outcome"], server["reason"].partition(":")[0]) for server in servers}
    assert told in (
        {"first": ("skipped", "interrupted"), "second": ("skipped", "not reached")},
        {"first": ("skipped", "not reached"), "second": ("skipped", "interrupted")},  # the order is drawn
    )
    (trial,) = (path.name for path in bench.folder.glob("results/*/*/trials/*"))
    assert told["first" if "first" in trial else "second"][1] == "interrupted"


def test_a_results_folder_that_cannot_be_written_is_refused_before_anything_is_measured(bench: Bench) -> None:
    (bench.folder / "file").touch()
    code, _, err = bench("run", bench.write(SHORT), "--out", "file/results")
    assert code == 2
    assert "file/results" in err
    assert "Traceback" not in err


def test_a_disk_that_runs_full_is_an_error_that_says_so(bench: Bench) -> None:
    disk = bench.folder / "disk"
    disk.mkdir()
    bench.program = "bench"
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount the small file system that this test fills")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"no small file system could be mounted: {mounted.stderr.decode().strip()}")
    try:
        code, _, err = bench("run", bench.write(SHORT), "--out", str(disk))
    finally:
        subprocess.run(["umount", str(disk)])
    assert code == 2, err
    assert "disk is full" in err.lower() or "no space left" in err.lower()
    assert "Traceback" not in err
    assert "bug in bench" not in err


def test_the_windows_of_two_runs_have_the_same_schedule(bench: Bench) -> None:
    scenario = bench.write(SHORT)
    for out in ("a", "b"):
        code, _, err = bench("run", scenario, "--out", out)
        assert code == 0, err
    intended = []
    for out in ("a", "b"):
        (run,) = (path.parent for path in bench.folder.glob(f"{out}/*/*/run.json"))
        loaded = load_run(run)
        (trial,) = (trial for trial in loaded.trials if trial.profile == "poisson")
        samples = loaded.samples(trial)
        assert samples is not None
        assert trial.window is not None
        intended.append(samples.intended_at[samples.measured] - trial.window[0])
    assert len(intended[0]) > 20
    assert intended[0] == pytest.approx(intended[1], abs=1e-8)  # instants on disk are rounded to a nanosecond


def test_serve_starts_one_server_and_the_curl_line_it_prints_works(bench: Bench) -> None:
    with bench.start("serve", bench.write(SHORT), "one") as process:
        assert process.stdout is not None
        line = ""
        while "curl" not in line:
            line = process.stdout.readline()
            assert line, "serve ended without a curl line"
        curl = line[line.index("curl") :].strip()
        reply = subprocess.run(["sh", "-c", curl], capture_output=True, text=True, timeout=30)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert len(json.loads(reply.stdout)["probabilities"]) == 10
    assert process.returncode in (0, 130)


def test_an_environment_that_cannot_be_built_skips_its_server(bench: Bench) -> None:
    crashing_kind(bench.folder, "ok")
    server = bench.folder / "crashing" / "server.py"
    server.write_text(
        server.read_text().replace(
            'title = "misbehaves"', 'title = "misbehaves"\n    requirements = "requirements.txt"'
        )
    )
    (bench.folder / "crashing" / "requirements.txt").write_text("no-such-package-of-bench==9.9\n")
    code, out, err = bench("run", bench.write(SHORT + "  own: {kind: ./crashing}\n"))
    assert code == 0, err
    assert "environment could not be built" in out
    own = [server for server in bench.summary()["servers"] if server["server"] == "own"]
    assert own[0]["outcome"] == "skipped"
