from __future__ import annotations

from pathlib import Path

import pytest

from bench import doctor
from bench.doctor import Finding
from bench.programs.docker import Engine
from bench.server import known_kinds


def test_every_kind_and_every_facility_is_looked_at(tmp_path: Path) -> None:
    findings = doctor.examine(tmp_path)
    assert [f.name for f in findings if f.area == "server"] == list(known_kinds())
    assert {f.name for f in findings if f.area == "facility"} == {
        "TensorFlow",
        "uv",
        "GPU",
        "NVML",
        "Docker",
        "nginx",
        "cores",
        "peak",
        "energy",
        "prices",
        "disk: cache",
        "disk: results",
    }
    assert all(f.text for f in findings)


def test_what_is_missing_comes_with_what_would_help(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = [look() for look in (doctor.gpu, doctor.docker)]
    assert not any(f.ok for f in missing)
    assert all(f.fix for f in missing)


def test_a_damaged_file_of_prices_is_told_with_its_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BENCH_PRICES", raising=False)
    assert doctor.prices().ok
    file = tmp_path / "mine.csv"
    monkeypatch.setenv("BENCH_PRICES", str(file))
    file.write_text("instance,usd_per_hour\nbox,0.5\n")
    assert doctor.prices().text.startswith(f"1 in {file} (BENCH_PRICES); ")
    file.write_text("instance,usd_per_hour\nbox,much\n")
    damaged = doctor.prices()
    assert not damaged.ok
    assert f"{file}:2: usd_per_hour: not an amount of dollars: 'much'" in damaged.text
    assert damaged.fix
    file.unlink()
    assert "no such file of prices" in doctor.prices().text


def test_every_place_that_a_program_can_come_from_is_a_line_of_its_own(tmp_path: Path) -> None:
    sources = [f for f in doctor.examine(tmp_path) if f.area == "source"]
    assert [f.name for f in sources if f.name.startswith("tfserving: ")] == [
        "tfserving: BENCH_TFSERVING_BINARY or PATH",
        "tfserving: fetched",
        "tfserving: Docker image",
    ]
    assert all(f.ok or f.fix for f in sources)


def test_a_docker_engine_that_answers_is_told_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_engine", lambda: Engine("28.0", rootless=True))
    assert doctor.docker() == Finding("facility", "Docker", True, "engine 28.0, rootless")


def test_a_kind_whose_folder_is_broken_is_one_missing_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text("raise RuntimeError('no')")
    monkeypatch.setattr(doctor, "known_kinds", lambda: {"broken": tmp_path})
    (finding, *_) = doctor.examine(tmp_path)
    assert not finding.ok
    assert "no" in finding.text


def test_too_little_disk_space_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})())
    finding = doctor.examine(tmp_path / "not" / "there")[-1]
    assert not finding.ok
    assert "10 B free" in finding.text


def test_a_folder_that_cannot_be_written_to_is_told_however_much_room_it_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("bench.doctor.os.access", lambda *_: False)
    (cache, results) = (f for f in doctor.examine(tmp_path / "results") if f.name.startswith("disk: "))
    assert not cache.ok
    assert (results.ok, results.text) == (False, f"{tmp_path} cannot be written to")
    assert "BENCH_CACHE" in cache.fix
    assert "--out" in results.fix
