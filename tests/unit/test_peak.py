from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bench.errors import ResultsError
from bench.machine import peak as module
from bench.machine.gemm import best
from bench.machine.peak import NO_BF16, NO_GPU, RAN_OUT, Peak, Reached, has_bf16, keep_peak, load_peak, measure_peak

F32 = {"precision": "f32", "library": "NumPy 2 (blas)", "flops": 2e11, "size": 1024}
FASTER = {"precision": "f32", "library": "TensorFlow 2", "flops": 3e11, "size": 2048}
BF16 = {"precision": "bf16", "library": "TensorFlow 2", "flops": 5e11, "size": 2048}


@pytest.fixture(autouse=True)
def _a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "gpus", lambda: ())


def measured(monkeypatch: pytest.MonkeyPatch, *findings: Mapping[str, Any], bf16: bool = True) -> Peak:
    monkeypatch.setattr(module, "has_bf16", lambda: bf16)
    monkeypatch.setattr(module, "_child", lambda *_: (list(findings), "its last word"))
    return measure_peak((0, 1))


def test_the_faster_library_is_the_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    peak = measured(monkeypatch, F32, FASTER, BF16)
    assert peak.reached == {"f32": Reached(3e11, "TensorFlow 2", 2048), "bf16": Reached(5e11, "TensorFlow 2", 2048)}
    assert peak.cores == 2
    assert "300 GFLOP/s in f32 (TensorFlow 2)" in peak.sentence


def test_what_is_missing_has_its_own_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measured(monkeypatch, F32, bf16=False).missing["bf16"] == NO_BF16
    assert measured(monkeypatch, F32).missing["bf16"] == RAN_OUT
    absent = {"missing": "tensorflow", "reason": "TensorFlow is not installed"}
    assert measured(monkeypatch, F32, absent).missing["bf16"] == "TensorFlow is not installed"
    assert measured(monkeypatch, F32).missing["gpu_f32"] == NO_GPU


def test_without_f32_there_is_no_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ResultsError, match="its last word"):
        measured(monkeypatch, BF16)


def test_the_kept_peak_only_rises(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_peak(2) is None
    keep_peak(measured(monkeypatch, FASTER))
    kept = keep_peak(measured(monkeypatch, F32, BF16))
    assert kept == load_peak(2)
    assert kept.reached["f32"].flops == 3e11
    assert kept.reached["bf16"].flops == 5e11
    assert "bf16" not in kept.missing
    assert load_peak(4) is None


def test_a_try_on_a_quiet_machine_counts_as_quiet_whatever_came_after(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = replace(measured(monkeypatch, FASTER, BF16), load_average=0.1)
    keep_peak(quiet)
    assert not keep_peak(replace(measured(monkeypatch, F32), load_average=8.0)).disturbed


def test_a_damaged_file_is_no_peak(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    keep_peak(measured(monkeypatch, F32))
    file = module.peak_file(2)
    for text in ("{]", "[]", "{}", json.dumps({**json.loads(file.read_text()), "reached": {}})):
        file.write_text(text)
        assert load_peak(2) is None
    assert "left aside" in caplog.text


def test_a_peak_of_a_busy_machine_is_tried_again_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = replace(measured(monkeypatch, F32, BF16), load_average=3.0)
    old = replace(fresh, measured_at=(datetime.now(UTC) - timedelta(hours=2)).isoformat())
    assert fresh.disturbed
    assert not fresh.stale
    assert old.stale
    assert not replace(old, load_average=0.1).stale
    assert "may reach more" in old.sentence


def test_the_processor_says_whether_it_has_bf16(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    for flags, there in (("sse avx512f", False), ("sse avx512_bf16 fma", True), ("amx_bf16", True)):
        info.write_text(f"processor : 0\nflags\t\t: {flags}\n")
        assert has_bf16(info) is there
    assert not has_bf16(tmp_path / "none")


def test_the_fastest_try_counts_and_the_first_does_not() -> None:
    sizes: list[int] = []
    flops, size = best(sizes.append, (8, 16), 0.0)
    assert flops > 0
    assert size in (8, 16)
    assert sizes == [8, 16] * 4
