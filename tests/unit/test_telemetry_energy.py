from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench.telemetry.idle import idle_power
from bench.telemetry.nvml import NO_GPU, NONE_VISIBLE, Gpus, find_gpus
from bench.telemetry.rapl import ABSENT, DENIED, Rapl, find_rapl
from bench.telemetry.sampler import Sources
from tests.doubles.nvml import FakeNvml


def zone(root: Path, name: str, label: str, joules: float, span: float = 100.0) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{label}\n")
    (folder / "max_energy_range_uj").write_text(f"{span * 1e6:.0f}\n")
    (folder / "energy_uj").write_text(f"{joules * 1e6:.0f}\n")
    return folder / "energy_uj"


def test_packages_and_their_memory_are_added_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 10)
    memory = zone(tmp_path, "intel-rapl:0:1", "dram", 5)
    cores = zone(tmp_path, "intel-rapl:0:0", "core", 8)
    board = zone(tmp_path, "intel-rapl:1", "psys", 50)
    rapl = find_rapl(tmp_path)
    assert isinstance(rapl, Rapl)
    for file, joules in ((package, 13), (memory, 6), (cores, 90), (board, 90)):
        file.write_text(f"{joules * 1e6:.0f}")
    assert rapl.joules() == pytest.approx(4.0)


def test_a_counter_that_begins_anew_is_carried_on(tmp_path: Path) -> None:
    file = zone(tmp_path, "intel-rapl:0", "package-0", 98)
    rapl = find_rapl(tmp_path)
    assert isinstance(rapl, Rapl)
    file.write_text(f"{3e6:.0f}")
    assert rapl.joules() == pytest.approx(5.0)
    file.write_text(f"{4e6:.0f}")
    assert rapl.joules() == pytest.approx(6.0)


def test_a_counter_that_is_lost_is_no_zero(tmp_path: Path) -> None:
    file = zone(tmp_path, "intel-rapl:0", "package-0", 1)
    rapl = find_rapl(tmp_path)
    assert isinstance(rapl, Rapl)
    file.unlink()
    assert math.isnan(rapl.joules())


def test_without_powercap_the_reason_is_said(tmp_path: Path) -> None:
    assert find_rapl(tmp_path / "none") == ABSENT


def test_counters_that_only_root_may_read_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    real = Path.read_text

    def refuse(path: Path, *arguments: str, **more: str) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **more)

    monkeypatch.setattr(Path, "read_text", refuse)
    assert find_rapl(tmp_path) == DENIED


def test_gpus_are_read_together() -> None:
    nvml = FakeNvml(gpus=2)
    gpus = find_gpus(nvml, {})
    assert isinstance(gpus, Gpus)
    nvml.joules = 250.0
    seen = gpus.read()
    assert seen.utilisation == pytest.approx(0.4)
    assert seen.memory_bytes == 2 * 3e9
    assert seen.power_watts == pytest.approx(2 * 70.5)
    assert seen.clock_hz == pytest.approx(1.59e9)
    assert seen.energy_joules == pytest.approx(2 * 150.0)


def test_only_visible_gpus_are_read() -> None:
    nvml = FakeNvml(gpus=3)
    for said, count in (("1", 1), ("GPU-0,2", 2), ("0,1,2", 3)):
        gpus = find_gpus(nvml, {"CUDA_VISIBLE_DEVICES": said})
        assert isinstance(gpus, Gpus)
        assert len(gpus.handles) == count
    assert find_gpus(nvml, {"CUDA_VISIBLE_DEVICES": ""}) == NONE_VISIBLE


def test_a_machine_without_gpu_says_so() -> None:
    assert str(find_gpus(FakeNvml(gpus=0), {})).startswith(NO_GPU)
    assert str(find_gpus(FakeNvml(gpus=1, broken=True), {})).startswith(NO_GPU)


def test_a_figure_that_a_gpu_does_not_tell_costs_that_figure_only() -> None:
    gpus = find_gpus(FakeNvml(gpus=1, metered=False), {})
    assert isinstance(gpus, Gpus)
    seen = gpus.read()
    assert math.isnan(seen.energy_joules)
    assert seen.power_watts == pytest.approx(70.5)


def test_idle_power_is_what_was_drawn_meanwhile(tmp_path: Path) -> None:
    file = zone(tmp_path, "intel-rapl:0", "package-0", 10, span=1e6)
    rapl = find_rapl(tmp_path)
    assert isinstance(rapl, Rapl)
    gpus = find_gpus(FakeNvml(gpus=1, metered=False), {})
    assert isinstance(gpus, Gpus)

    def sleep(seconds: float) -> None:
        file.write_text(f"{int(file.read_text()) + 2_000_000}")

    idle = idle_power(Sources(rapl=rapl, gpus=gpus), 0.5, sleep)
    assert idle.cpu_watts is not None
    assert idle.cpu_watts * idle.seconds == pytest.approx(10.0)
    assert idle.gpu_watts == pytest.approx(70.5)


def test_where_there_is_no_counter_idle_power_takes_no_time() -> None:
    def sleep(_: float) -> None:
        raise AssertionError("nothing to wait for")

    idle = idle_power(Sources(missing={"cpu_energy_joules": ABSENT}), 5.0, sleep)
    assert (idle.seconds, idle.cpu_watts, idle.gpu_watts) == (0.0, None, None)
    assert idle.missing == {"cpu_energy_joules": ABSENT}
