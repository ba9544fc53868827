from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from bench.samples import Telemetry, read_telemetry, write_telemetry
from bench.telemetry import CLOSE_SECONDS, Sampler, Sources
from bench.telemetry.nvml import NO_GPU, Gpus, find_gpus
from bench.telemetry.rapl import ABSENT
from tests.doubles.nvml import FakeNvml
from tests.fake_proc import process

NOTHING = {"cpu_energy_joules": ABSENT, "power_watts": NO_GPU}


def sampler(root: Path, sources: Sources | None = None) -> Sampler:
    return Sampler(lambda: [7], sources or Sources(missing=dict(NOTHING)), proc=root, groups=root / "none")


def test_what_takes_long_is_looked_at_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process(tmp_path, 7)
    moments = iter([0.0, *np.arange(0.0, 6.0, 0.5), 6.1])
    monkeypatch.setattr("bench.telemetry.sampler.time.monotonic", lambda: float(next(moments)))
    watched = sampler(tmp_path)
    for _ in range(12):
        watched.sample()
    watched.sample(closely=True)
    seen = watched.telemetry()
    looked = seen.at[~np.isnan(seen.pss_bytes)]
    assert looked[0] == 0.0
    assert np.all(np.diff(looked) >= CLOSE_SECONDS)
    assert 2 <= len(looked) <= 4
    assert np.count_nonzero(~np.isnan(seen.cpu_seconds)) == 13
    assert not np.isnan(seen.context_switches[-1])


def test_a_short_trial_has_its_memory_from_its_end_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process(tmp_path, 7)
    moments = iter([0.0, 0.0, 0.5, 1.6])
    monkeypatch.setattr("bench.telemetry.sampler.time.monotonic", lambda: next(moments))
    watched = sampler(tmp_path)
    watched.sample(closely=True)
    watched.sample()
    watched.sample(closely=True)
    assert np.isnan(watched.telemetry().pss_bytes).tolist() == [False, True, False]


def test_a_column_without_a_value_has_its_reason(tmp_path: Path) -> None:
    process(tmp_path, 7, pss_kb=None)
    watched = sampler(tmp_path)
    watched.sample(closely=True)
    assert set(watched.missing) == {*NOTHING, "pss_bytes", "throttled_seconds"}


def test_the_gpus_are_columns_of_every_row(tmp_path: Path) -> None:
    process(tmp_path, 7)
    gpus = find_gpus(FakeNvml(gpus=1, metered=False), {})
    assert isinstance(gpus, Gpus)
    watched = sampler(tmp_path, Sources(gpus=gpus))
    watched.sample()
    watched.sample()
    seen = watched.telemetry()
    assert seen.power_watts.tolist() == [70.5, 70.5]
    assert seen.gpu_memory_bytes.tolist() == [3e9, 3e9]
    assert watched.missing["gpu_energy_joules"] == "this GPU does not tell it"
    assert "power_watts" not in watched.missing


def test_throttled_seconds_count_from_the_first_look(tmp_path: Path) -> None:
    proc, groups = tmp_path / "proc", tmp_path / "groups"
    process(proc, 7)
    groups.mkdir()
    (proc / "7/cgroup").write_text("0::/\n")
    (groups / "cpu.stat").write_text("throttled_usec 7000000\n")
    watched = Sampler(lambda: [7], Sources(), proc=proc, groups=groups)
    watched.sample()
    (groups / "cpu.stat").write_text("throttled_usec 8500000\n")
    watched.sample()
    assert watched.telemetry().throttled_seconds.tolist() == [0.0, 1.5]


def test_the_cost_of_looking_is_told(tmp_path: Path) -> None:
    process(tmp_path, 7)
    watched = sampler(tmp_path)
    watched.sample(closely=True)
    watched.sample(closely=True)
    assert sampler(tmp_path).cpu_share is None
    assert (watched.cpu_share or 0) > 0


def test_columns_without_a_value_take_no_room_and_come_back_as_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    one = np.asarray([1.0, 2.0])
    write_telemetry(path, Telemetry(one, one, one, pss_bytes=np.asarray([5.0, math.nan])))
    import pyarrow.parquet as pq

    assert pq.read_schema(path).names == ["at", "cpu_seconds", "rss_bytes", "pss_bytes"]
    again = read_telemetry(path)
    assert again.pss_bytes[0] == 5.0
    assert np.isnan(again.pss_bytes[1])
    assert np.isnan(again.context_switches).all()
    assert again.power_watts.shape == (2,)


@pytest.mark.parametrize("name", ["pss_bytes", "gpu_energy_joules"])
def test_telemetry_without_a_column_has_it_as_not_a_number(name: str) -> None:
    one = np.zeros(3)
    assert np.isnan(getattr(Telemetry(one, one, one), name)).tolist() == [True] * 3
