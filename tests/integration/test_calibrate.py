"""The load generator measured for real, for a few seconds: that it works, not how fast this machine is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cli import main
from bench.load.calibration import store_calibration, this_machine
from bench.running.calibrate import DELAY, PHOTO_BYTES, SMALL_BYTES, calibrate
from tests.calibrated import calibrated

pytestmark = pytest.mark.integration

SCENARIO = """
name: short
load: [{profile: poisson, arrival_rate: RATE, duration: 1s}]
warmup: {duration: 200ms}
servers: {one: {kind: echo, delay: 2ms, parallel: 4}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, with a cache that holds a calibration of this machine: 40,000/s."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    store_calibration(calibrated(machine=this_machine()))
    return tmp_path


@pytest.mark.alone
def test_a_short_calibration_finds_a_ceiling_and_adds_time_that_is_not_negative() -> None:
    said: list[str] = []
    found = calibrate(seconds=4.0, say=said.append, short=True)
    assert [(reach.transport, reach.request_bytes) for reach in found.reaches] == [
        (transport, size) for transport in ("http", "grpc") for size in (SMALL_BYTES, PHOTO_BYTES)
    ]
    http, _, grpc, _ = found.reaches
    assert found.ceiling == http.ceiling > 1_000
    assert grpc.ceiling > 100
    assert found.added_p50 is not None
    assert found.added_p50 >= 0
    assert found.short
    assert said[0] == "HTTP, 300 B: closed loop against a null server"
    opened = [point for point in found.points if point.arrival_rate is not None]
    assert len(opened) == 4
    for point in opened:
        assert point.added_p50 is not None
        assert point.send_lag_p50 is not None
        assert point.added_p50 >= point.send_lag_p50, "a reply never came before the delay was over"
    assert found.delay == DELAY


def test_a_run_keeps_the_calibration_of_this_machine_and_says_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "short.yaml").write_text(SCENARIO.replace("RATE", "40"))
    assert main(["run", "short.yaml"]) in (0, 12), "12: a busy machine may make the row invalid"
    out, err = capsys.readouterr()
    (manifest,) = here.glob("results/short/*/run.json")
    kept = json.loads(manifest.read_text())["calibration"]
    assert (kept["ceiling"], kept["up_to"], kept["short"]) == (40_000, 20_000, False)
    assert "adds at most 400 µs at p99 up to 20,000/s" in " ".join(out.split())
    assert "calibrating" not in err


def test_a_target_above_half_the_ceiling_is_refused_before_anything_is_measured(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "short.yaml").write_text(SCENARIO.replace("RATE", "50000"))
    assert main(["run", "short.yaml"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "poisson-50000 asks for 50,000/s" in err
    assert "20,000/s" in err
    assert "hint: " in err
    assert not list(here.glob("results/short/*/trials/*"))
