from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.measures.usage import NOT_RECORDED
from bench.results import Run
from bench.samples import Telemetry, write_telemetry
from bench.summary import Row, summarise, summary_csv, summary_json
from bench.summary.resources import NO_MODEL, OTHER_CORES
from tests.recorded import recorded_run

PEAK: dict[str, Any] = {
    "reached": {"f32": {"flops": 3e11, "library": "x", "size": 1024}},
    "missing": {"bf16": "none"},
    "cores": 2,
}
HARDWARE: dict[str, Any] = {
    "idle": {"seconds": 2.0, "cpu_watts": 10.0, "gpu_watts": None, "missing": {}},
    "peak": {
        "reached": {"f32": {"flops": 3e11, "library": "x", "size": 1024}},
        "missing": {"bf16": "none"},
        "cores": 2,
    },
    "model": {"name": "m", "flops": 8e8, "multiply_adds": 3.9e8, "unknown": {}},
    "missing": {},
}
"""What a manifest says of the machine and the model."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return recorded_run(tmp_path_factory.mktemp("results"))


def rows(run: Run, hardware: dict[str, Any], **server: Any) -> tuple[Row, ...]:
    servers = tuple(replace(it, model_form="saved_model", **server) for it in run.manifest.servers)
    return summarise([replace(run, manifest=replace(run.manifest, hardware=hardware, servers=servers))]).rows


def test_a_run_that_was_made_before_has_its_memory_and_reasons_for_the_rest(recorded: Run) -> None:
    row = next(row for row in summarise([recorded]).rows if row.resources is not None)
    assert row.resources is not None
    assert row.resources.memory_basis == "RSS"
    assert row.resources.memory_peak_bytes == row.rss_peak_bytes
    assert row.resources.context_switches_per_request is None
    assert row.resources.missing["context_switches_per_request"] == NOT_RECORDED
    assert row.resources.missing["energy_per_request.gross"] == NOT_RECORDED


def test_the_share_of_the_peak_follows_from_throughput(recorded: Run) -> None:
    found = [row for row in rows(recorded, HARDWARE, cores=(0, 1)) if row.resources is not None]
    assert found
    for row in found:
        assert row.resources is not None
        assert row.resources.peak_share == pytest.approx((row.throughput or 0) * 8e8 / 3e11)
        assert row.resources.peak_precision == "f32"


@pytest.mark.parametrize(
    ("hardware", "server", "why"),
    [
        (HARDWARE, {"cores": (0, 1, 2)}, OTHER_CORES),
        (HARDWARE, {"options": {"device": "gpu"}}, NOT_RECORDED),
        ({**HARDWARE, "peak": {**PEAK, "missing": {"gpu_f32": "none"}}}, {"options": {"device": "gpu"}}, "none"),
        ({**HARDWARE, "model": None, "missing": {"model": "cannot be counted"}}, {}, "cannot be counted"),
        ({**HARDWARE, "peak": None, "missing": {"peak": "ran out"}}, {}, "ran out"),
        ({}, {}, NOT_RECORDED),
    ],
)  # fmt: skip
def test_no_share_of_the_peak_without_both_sides(
    recorded: Run, hardware: dict[str, Any], server: dict[str, Any], why: str
) -> None:
    for row in rows(recorded, hardware, **server):
        if row.resources is not None:
            assert row.resources.peak_share is None
            assert row.resources.missing["peak_share"] == why


def test_a_server_that_runs_no_model_has_no_share_of_the_peak(recorded: Run) -> None:
    servers = tuple(replace(it, model_form=None) for it in recorded.manifest.servers)
    manifest = replace(recorded.manifest, hardware=HARDWARE, servers=servers)
    reasons = {
        row.resources.missing["peak_share"]
        for row in summarise([replace(recorded, manifest=manifest)]).rows
        if row.resources is not None
    }
    assert reasons == {NO_MODEL}


def test_resources_are_in_the_json_and_each_has_a_column_in_the_csv(recorded: Run) -> None:
    summary = summarise([recorded])
    shown = [row["resources"] for row in json.loads(summary_json(summary))["rows"] if row["resources"]]
    assert {"memory_peak_bytes", "energy_per_request", "missing"} <= set(shown[0])
    header = summary_csv(summary).splitlines()[0].split(",")
    assert {"memory_peak_bytes", "energy_per_request_gross", "throttled_share", "peak_share"} <= set(header)


def test_full_telemetry_gives_figures(recorded: Run, tmp_path: Path) -> None:
    run = recorded_run(tmp_path)
    trial = next(trial for trial in run.trials if run.telemetry(trial) is not None)
    seen = run.telemetry(trial)
    assert seen is not None
    more = {"pss_bytes": seen.rss_bytes / 2, "context_switches": seen.at * 100, "cpu_energy_joules": seen.at * 40}
    write_telemetry(
        run.folder / "trials" / trial.id / "telemetry.parquet",
        Telemetry(seen.at, seen.cpu_seconds, seen.rss_bytes, **more),
    )
    manifest = replace(run.manifest, hardware=HARDWARE)
    row = next(row for row in summarise([replace(run, manifest=manifest)]).rows if trial.id in row.trial_ids)
    assert row.resources is not None
    used = row.resources
    assert used.memory_basis == "PSS"
    assert used.memory_peak_bytes == pytest.approx(np.nanmax(seen.rss_bytes) / 2)
    assert used.energy_per_request is not None
    assert used.energy_basis == "RAPL"
    assert used.energy_per_request.gross == pytest.approx(40 / (row.throughput or 0), rel=0.3)
    assert used.energy_per_request.gross is not None
    assert used.energy_per_request.net == pytest.approx(used.energy_per_request.gross * 0.75)
    assert "energy_per_request.gross" not in used.missing
