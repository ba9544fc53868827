"""A capacity search on a server whose capacity is known by construction, with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.measures.capacity import capacity_of
from bench.results import Outcome, load_run
from bench.summary import summarise

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
EDGE = 70.4
"""Requests/s at which two workers of 20 ms reach a p95 of 60 ms: simulated in tests/unit/test_capacity.py."""
SEARCH = """
name: search
load:
  - {profile: closed, users: 8, duration: 1s}
  - {profile: capacity, duration: 4s, most_looks: 7}
warmup: {duration: 300ms, at_most: 300ms}
timeout: 3s
slo: {percentile: 95, response_time: 60ms, error_rate: 1%}
servers:
  known: {kind: echo, delay: 20ms, parallel: 2, price: {per_hour: 0.36}}
"""


def start(folder: Path, text: str) -> subprocess.Popen[str]:
    (folder / "search.yaml").write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.doubles.without_charts", "run", "search.yaml"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, text: str) -> tuple[int, str, Mapping[str, Any]]:
    with start(folder, text) as process:
        out, err = process.communicate(timeout=180)
    found = list(folder.glob("results/*/*/summary.json"))
    assert len(found) == 1, err
    return process.returncode, out, json.loads(found[0].read_text())


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Mapping[str, Any]]:
    folder = tmp_path_factory.mktemp("searched")
    code, out, summary = run(folder, SEARCH + 'fail_if: ["known.capacity < 10", "known.capacity > 1000"]\n')
    assert code == 0, out
    (manifest,) = folder.glob("results/*/*/run.json")
    return manifest.parent, out, summary


@pytest.mark.alone
def test_a_known_capacity_is_found(searched: tuple[Path, str, Mapping[str, Any]]) -> None:
    (server,) = searched[2]["servers"]
    assert server["capacity"]["value"] == pytest.approx(EDGE, rel=0.15)
    assert server["capacity"]["low"] <= EDGE * 1.03
    assert server["capacity"]["high"] >= EDGE * 0.97


@pytest.mark.alone
def test_every_look_is_a_trial_with_its_own_rows_and_none_is_a_row_of_the_table(
    searched: tuple[Path, str, Mapping[str, Any]],
) -> None:
    folder, _, summary = searched
    stored = load_run(folder)
    looks = [trial for trial in stored.trials if trial.look]
    assert 3 <= len(looks) <= 7
    assert {trial.label for trial in looks} == {"capacity"}
    for trial in looks:
        samples = stored.samples(trial)
        assert samples is not None
        assert len(samples) == trial.counts["scheduled"]
        assert int(samples.measured.sum()) >= 130
    assert [row["label"] for row in summary["rows"]] == ["closed-8", "capacity"]
    assert len(summary["looks"]) == len(looks)
    assert stored.warnings == ()


@pytest.mark.alone
def test_the_report_computes_the_capacity_from_the_stored_looks(
    searched: tuple[Path, str, Mapping[str, Any]],
) -> None:
    folder, _, written = searched
    again = summarise([load_run(folder)])
    assert again.servers[0].capacity == capacity_of([row.look for row in again.looks if row.look is not None])
    assert again.servers[0].capacity is not None
    assert again.servers[0].capacity.value == written["servers"][0]["capacity"]["value"]


@pytest.mark.alone
def test_the_answer_names_the_capacity_and_its_cost(searched: tuple[Path, str, Mapping[str, Any]]) -> None:
    row = next(row for row in searched[2]["rows"] if row["label"] == "capacity")
    assert "capacity" in searched[1].partition("SLO:")[0]
    assert row["slo_met"] is True
    assert "at the lower end of its capacity at the SLO" in row["cost_per_million"]["basis"]
    assert row["cost_per_million"]["low"] < row["cost_per_million"]["value"]


@pytest.mark.alone
def test_an_edge_outside_the_range_is_said_to_lie_above(tmp_path: Path) -> None:
    text = SEARCH.replace("most_looks: 7", "most_looks: 4, from_rate: 35, to_rate: 45")
    _, out, summary = run(tmp_path, text.replace("  - {profile: closed, users: 8, duration: 1s}\n", ""))
    capacity = summary["servers"][0]["capacity"]
    assert (capacity["low"], capacity["high"]) == (45.0, None)
    assert "above 45.0/s" in out.replace("\n", " ")


def test_a_search_that_was_interrupted_keeps_its_looks(tmp_path: Path) -> None:
    with start(tmp_path, SEARCH) as process:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("results/*/*/trials/*-capacity-0[12]-*/trial.json"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    (manifest,) = tmp_path.glob("results/*/*/run.json")
    summary = summarise([load_run(manifest.parent)])
    row = next(row for row in summary.rows if row.label == "capacity")
    assert row.outcome is Outcome.OK
    assert row.reason == "the search was cut short"
    assert len(summary.looks) >= 2
