"""Cores and tuning through the command line: real servers, real load, what the kernel says of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.scenario.budget import read_processor as processor
from bench.scenario.budget import split
from bench.units import cores_text

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SCENARIO = """
name: tuned
cores: 1
load: [{profile: closed, users: 8, duration: 1s}]
warmup: {duration: 200ms}
slo: {percentile: 50, response_time: 1s, error_rate: 1%}
tune_time: 6s
servers:
  shop: {kind: echo, delay: 20ms, tune: {parallel: [1, 4]}}
  odd: {kind: ./odd, words: escape, tune: {words: [crash]}}
"""
ODD = """
import sys
from dataclasses import dataclass
from pathlib import Path
from bench import server
from bench.server import load_kind, known_kinds

ECHO = load_kind(known_kinds()["echo"])
PROGRAM = Path(__file__).with_name("odd.py")

@dataclass(frozen=True, kw_only=True)
class Server(ECHO):
    title = "leaves its cores, or does not start"
    words: str = "stay"

    def command(self, place):
        echo = super().command(place)
        return server.Command((str(place.python), str(PROGRAM), self.words, *echo.argv))
"""
ODD_PROGRAM = """
import os, sys
if sys.argv[1] == "crash":
    sys.exit("no settings of this kind")
if sys.argv[1] == "escape":
    os.sched_setaffinity(0, range(1024))
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one run of the scenario above."""
    folder = tmp_path_factory.mktemp("tuned")
    (folder / "odd").mkdir()
    (folder / "odd" / "server.py").write_text(ODD)
    (folder / "odd" / "odd.py").write_text(ODD_PROGRAM)
    (folder / "tuned.yaml").write_text(SCENARIO)
    done = subprocess.run(
        [sys.executable, "-m", "tests.doubles.without_charts", "run", "tuned.yaml"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 12), done.stderr
    (found,) = folder.glob("results/tuned/*")
    return found


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def trials(run: Path) -> dict[str, Any]:
    return {it["id"]: it for it in (read(path) for path in run.glob("trials/*/trial.json"))}


def test_server_and_load_generator_run_on_their_cores_and_the_records_say_so(run: Path) -> None:
    manifest, budget = read(run / "run.json"), split(processor(), 1)
    assert manifest["budget"]["server"] == list(budget.server)
    assert len(budget.server) == 1
    (shop, *_) = (server for server in manifest["servers"] if server["name"] == "shop")
    assert shop["cores"] == list(budget.server)
    assert shop["threads"]["OMP_NUM_THREADS"] == "1"
    assert shop["computing"] == {"processes": 1, "threads": 1}
    seen = [it["cores"] for it in trials(run).values() if it["server"].startswith("shop")]
    assert len(seen) == 4, "two settings, the server and its tuned variant"
    assert all(it["server"] == list(budget.server) and it["generator"] == list(budget.generator) for it in seen)
    assert all(it["outside"] == [] and it["processes"] >= 1 for it in seen)


def test_tuning_finds_the_best_by_construction_and_the_variant_runs_with_it(run: Path) -> None:
    (tuning, *_) = (it for it in read(run / "summary.json")["tunings"] if it["server"] == "shop")
    assert [(it["settings"], it["default"], it["chosen"]) for it in tuning["tried"]] == [
        ({"parallel": 1}, True, False),
        ({"parallel": 4}, False, True),
    ]
    slow, fast = (it["goodput"] for it in tuning["tried"])
    assert fast / slow == pytest.approx(4, rel=0.25)
    rows = {row["server"]: row for row in read(run / "summary.json")["rows"]}
    assert rows["shop (tuned)"]["goodput"] > 2 * rows["shop"]["goodput"]
    assert rows["shop"]["cores"] == 1
    chosen = {it["server"]: it["chosen"] for it in read(run / "run.json")["tuning"]}
    assert chosen == {"shop": 2, "odd": 1}


def test_a_setting_that_fails_is_shown_with_its_reason_and_does_not_fail_the_run(run: Path) -> None:
    (tuning, *_) = (it for it in read(run / "summary.json")["tunings"] if it["server"] == "odd")
    told = {it["settings"]["words"]: it for it in tuning["tried"]}
    assert told["crash"]["outcome"] == "failed"
    assert "no settings of this kind" in told["crash"]["reason"]
    assert (told["escape"]["outcome"], told["escape"]["default"], told["escape"]["chosen"]) == ("ok", True, True)
    rows = {row["server"]: row for row in read(run / "summary.json")["rows"]}
    assert rows["odd (tuned)"]["outcome"] == "skipped"
    assert "none was clearly better" in rows["odd (tuned)"]["reason"]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is no other core to escape to")
def test_a_server_that_leaves_its_cores_is_caught(run: Path) -> None:
    (row,) = (row for row in read(run / "summary.json")["rows"] if row["server"] == "odd")
    assert "outside-its-cores" in [reason["id"] for reason in row["reasons"]]
    seen = trials(run)[row["trial_ids"][0]]["cores"]
    assert cores_text(seen["server"]) in seen["outside"][0]
    assert set(seen["server"]) > set(seen["budget"])
