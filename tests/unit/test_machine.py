from __future__ import annotations

import getpass
import json
import platform
import sys
from pathlib import Path

import pytest

from bench.machine import facts as machine


def test_facts_can_be_written_as_json_and_name_the_processor() -> None:
    facts = json.loads(json.dumps(machine.facts()))
    assert facts["cpu"]["model"]
    assert 1 <= facts["cpu"]["usable_cores"] <= facts["cpu"]["logical_cores"]
    assert facts["memory_bytes"] > 1e6
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))


def test_facts_name_neither_host_nor_user() -> None:
    values = json.dumps(list(_leaves(machine.facts())))
    assert f'"{platform.node()}"' not in values
    assert f'"{getpass.getuser()}"' not in values


def test_the_product_is_what_the_firmware_says_and_unknown_without_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_DMI", tmp_path)
    assert machine.product() is None
    (tmp_path / "sys_vendor").write_text("Amazon EC2\n")
    (tmp_path / "product_name").write_text("g4dn.xlarge\n")
    assert machine.product() == "Amazon EC2 g4dn.xlarge"


def test_versions_leave_out_what_is_not_installed() -> None:
    found = machine.versions(("click", "no-such-package-here"))
    assert list(found) == ["click"]


def test_gpus_are_read_from_the_lines_of_nvidia_smi() -> None:
    text = "Tesla M60, 8129 MiB, 535.104.05, 5.2\nNVIDIA H200, 143771 MiB, 570.1, 9.0\n\nbroken line\n"
    assert machine.parse_gpus(text) == (
        {"name": "Tesla M60", "memory": "8129 MiB", "driver": "535.104.05", "compute_capability": "5.2"},
        {"name": "NVIDIA H200", "memory": "143771 MiB", "driver": "570.1", "compute_capability": "9.0"},
    )


def test_what_the_machine_did_between_two_looks_is_their_difference() -> None:
    before = {"seconds": 10.0, "cores": 2.0, "busy_seconds": 5.0, "own_cpu_seconds": 1.0, "clock_limit": 4000.0}
    after = before | {"seconds": 14.0, "busy_seconds": 11.0, "own_cpu_seconds": 1.5, "clock_limit": 3000.0}
    assert machine.host_used(before, after) == {
        "seconds": 4.0,
        "cores": 2.0,
        "busy_seconds": 6.0,
        "own_cpu_seconds": 0.5,
        "clock_limit_ratio": 0.75,
    }


def test_the_kernels_counters_are_told_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = {"/proc/stat": "cpu  100 20 30 1000 50 4 6 40 10 0\ncpu0 1 2 3\n"}
    monkeypatch.setattr(machine, "_read", lambda path: lines.get(path, ""))
    monkeypatch.setattr("os.sysconf", lambda _: 100)
    found = machine.host_counters()
    assert found["busy_seconds"] == 1.6  # a guest's time is its host's user time, waiting for a disk is idle
    assert found["steal_seconds"] == 0.4
    monkeypatch.setattr(machine, "_read", lambda _: "")
    assert "busy_seconds" not in machine.host_counters()


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    return [leaf for item in value for leaf in _leaves(item)] if isinstance(value, list) else [value]


def test_a_quota_is_read_from_either_version_and_from_the_groups_above(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("4:memory:/elsewhere\n3:cpu,cpuacct:/a/b\n0::/user/app\n")
    assert machine.quota_cores(tmp_path, own) is None
    (tmp_path / "user" / "app").mkdir(parents=True)
    (tmp_path / "user" / "app" / "cpu.max").write_text("max 100000\n")
    (tmp_path / "user" / "cpu.max").write_text("250000 100000\n")
    assert machine.quota_cores(tmp_path, own) == 2.5
    (tmp_path / "cpu" / "a").mkdir(parents=True)
    (tmp_path / "cpu" / "a" / "cpu.cfs_quota_us").write_text("150000\n")
    (tmp_path / "cpu" / "a" / "cpu.cfs_period_us").write_text("100000\n")
    assert machine.quota_cores(tmp_path, own) == 1.5
    (tmp_path / "cpu" / "a" / "cpu.cfs_quota_us").write_text("-1\n")
    assert machine.quota_cores(tmp_path, tmp_path / "nothing") is None
