"""From sessions over commits to the command that decides: it is pasted where the sessions were made, and it runs."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.cli import main
from bench.history.lines import lines_of
from bench.history.rows import Row
from bench.server import find_kind

pytestmark = pytest.mark.integration

SCENARIO = """
name: regression
load: [{profile: poisson, arrival_rate: 200, duration: 200ms}]
warmup: {duration: 50ms, at_most: 50ms}
gates: [p50]
servers:
  echo: {kind: ../serving/echo, parallel: 64}
"""


def git(*words: str) -> str:
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    return subprocess.run(["git", *identity, *words], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Eight commits of a server; the fifth makes it slower by a tenth."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "serving" / "echo"
    folder.mkdir(parents=True)
    (tmp_path / "load").mkdir()
    (tmp_path / "load" / "regression.yaml").write_text(SCENARIO)
    for name in ("server.py", "app.py"):
        (folder / name).write_bytes((find_kind("echo", tmp_path) / name).read_bytes())
    program, found = folder / "server.py", []
    git("init", "-q", "-b", "main")
    for number in range(1, 9):
        if number == 5:
            program.write_text(program.read_text().replace("Duration = 0.010", "Duration = 0.011"))
        (folder / "app.py").write_text(f"{(folder / 'app.py').read_text()}# {number}\n")
        git("add", ".")
        git("commit", "-q", "-m", str(number))
        found.append(git("rev-parse", "HEAD"))
    return found


def test_the_command_of_a_suspect_runs_where_its_sessions_were_made(
    commits: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = lines_of(_nights(commits))
    (suspect,) = line.suspects
    assert (suspect.last_good.commit, suspect.first_bad.commit) == (commits[3], commits[4])
    assert suspect.command.startswith("bench ab load/regression.yaml --baseline echo@")
    words = shlex.split(suspect.command)
    assert main([*words[1:], "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert f"baseline   echo@{commits[3][:10]} delay=20ms ({commits[3][:12]})" in said
    assert f"candidate  echo@{commits[4][:10]} delay=20ms ({commits[4][:12]})" in said
    assert "A/A: both sides" not in said


def _nights(commits: list[str]) -> list[Row]:
    """Three sessions of every commit, each with keys of its side and settings of its own."""
    row = Row(
        session="",
        at="",
        scenario="regression",
        server="echo",
        metric="p50",
        load="poisson-200",
        scale="log",
        mean=float(np.log(0.010)),
        sd=0.005,
        n=12,
        environment="e",
        machine="a machine",
        workload="w",
        scenario_file="load/regression.yaml",
        keys="delay=20ms",
        settings="seed=3",
    )
    rng = np.random.default_rng(1)
    slower = np.log1p([0.1 * (place >= 4) for place in range(len(commits))])
    return [
        replace(
            row,
            session=f"{commit[:10]}-{night}",
            commit=commit,
            committed_at=f"2026-11-{place + 1:02d}T00:00:00+00:00",
            at=f"2026-11-{place + 1:02d}T0{night}:00:00+00:00",
            mean=float(row.mean + slower[place] + rng.normal(0, 0.005)),
        )
        for place, commit in enumerate(commits)
        for night in range(3)
    ]
