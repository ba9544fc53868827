"""Paired sessions through the command line: real servers, real load, real exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench.cli import main
from bench.history.store import read_history
from bench.results import load_run
from bench.scenario.scenario import load_scenario

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SCENARIO = """
name: pairs
load: [{profile: poisson, arrival_rate: 400, duration: 250ms}]
warmup: {duration: 50ms, at_most: 50ms}
slo: {percentile: 95, response_time: 200ms, error_rate: 1%}
gates: [p50]
servers:
  steady: {kind: echo, delay: 20ms, parallel: 64}
  slower: {kind: echo, delay: 24ms, parallel: 64}
  broken: {kind: echo, delay: 20ms, start_timeout: 1ms}
"""
SIX = ("--pairs", "6", "--gap", "0s")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pairs.yaml").write_text(SCENARIO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return tmp_path


def session(here: Path) -> Path:
    (folder,) = (here / "results" / "pairs").iterdir()
    return folder


def test_a_fifth_more_service_time_is_regressed_and_reads_the_same_ever_after(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(here / "summary.md"))
    argv = ["ab", "pairs.yaml", "--baseline", "steady", "--candidate", "slower", *SIX, "--junit", "junit.xml"]
    assert main(argv) == 10
    said, progress = capsys.readouterr()
    assert said.startswith("Regressed: 1 of 1 gated cell (poisson-400 p50 +")
    assert "6 pairs, about" in progress
    assert "will see a change of poisson-400 p50" in progress
    before, after = progress.split("measured again on fresh pairs")
    (first, total), *others = re.findall(r"\[(\d+)/(\d+)\] starting", after)
    assert int(total) - int(first) + 1 == 2 * 12, "the whole of what has to be confirmed is counted ahead"
    assert [int(index) for index, _ in others] == list(range(int(first) + 1, int(first) + 1 + len(others)))
    assert max(int(number) for number in re.findall(r"repetition (\d+)", before)) <= 9
    (failure,) = ET.parse(here / "junit.xml").getroot().iter("failure")
    assert failure.get("type") == "regressed"
    assert "**REGRESSED**" in (here / "summary.md").read_text()

    folder = session(here)
    run = load_run(folder)
    assert run.manifest.pairing is not None
    assert 2 * 18 <= len(run.manifest.pairing.measured) <= 2 * (18 + 9), "three in the place of others at most"
    by_pair: dict[int, set[int]] = {}
    for measured in run.manifest.pairing.measured:
        seeds = {trial.seed for trial in run.trials if trial.number in measured.trials}
        by_pair.setdefault(measured.slot.pair, set()).update(seeds)
    assert all(len(seeds) == 1 for seeds in by_pair.values()), "both sides of a pair get the same arrivals"
    assert len({seed for seeds in by_pair.values() for seed in seeds}) == len(by_pair)
    page = (folder / "report.html").read_text()
    assert "Did it change?" in page
    assert (folder / "charts" / "verdict-forest.svg").exists()
    assert (folder / "charts" / "verdict-shift.png").exists()

    kept = read_history(here / "results" / "history.jsonl").rows
    assert {row.server for row in kept} == {"steady", "slower"}, "a session enters itself in the history"
    assert {(row.session, row.scenario_file) for row in kept} == {(folder.name, "pairs.yaml")}

    written = (folder / "verdict.json").read_text()
    assert main(["compare", str(folder)]) == 10
    assert capsys.readouterr().out == said
    assert main(["compare", str(folder), "--format", "json"]) == 10
    assert capsys.readouterr().out == written
    assert json.loads(written)["word"] == "regressed"


def test_a_server_against_itself_passes_and_tells_later_sessions_how_noisy_this_machine_is(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.paired import ab, noise

    monkeypatch.setattr(noise, "noise_file", lambda environment: here / "noise" / f"{environment}.json")
    scenario = load_scenario(here / "pairs.yaml")
    result = ab.ab(scenario, baseline="steady", candidate="steady", pairs=6, gap=0.0, report=False)
    assert (result.verdict.same, result.exit_code()) == (True, 0)
    assert result.verdict.sentence.startswith("A/A, both sides are the same")
    with ab.planned(scenario, baseline="steady", candidate="steady") as plan:
        (seen,) = plan.visible
    assert seen.aa_pairs == 6


def test_a_candidate_that_never_starts_ends_the_session_as_nothing_measured(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ab", "pairs.yaml", "--baseline", "steady", "--candidate", "broken", *SIX]) == 13
    said = capsys.readouterr().out
    assert said.startswith("Nothing measured: broken: ")
    assert main(["compare", str(session(here))]) == 13
    assert capsys.readouterr().out == said


def test_an_interrupted_session_keeps_what_it_measured_and_never_passes(here: Path) -> None:
    argv = ["ab", "pairs.yaml", "--baseline", "steady", "--candidate", "slower", *SIX]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-m", "bench", *argv], cwd=here, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("[3/"):
                break
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        said.append(process.stderr.read())
        assert process.wait() == 130, "".join(said)
    folder = session(here)
    assert len(load_run(folder).trials) >= 2
    assert main(["compare", str(folder)]) == 12
