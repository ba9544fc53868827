from __future__ import annotations

import math
from pathlib import Path

from bench.telemetry.control_group import NO_COUNT, NO_GROUP, Throttling, throttling_of


def member(root: Path, who: str, lines: str) -> None:
    (root / "proc" / who).mkdir(parents=True, exist_ok=True)
    (root / "proc" / who / "cgroup").write_text(lines)


def group(root: Path, path: str, stat: str) -> Path:
    folder = root / "groups" / path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.stat").write_text(stat)
    return folder / "cpu.stat"


def found(root: Path) -> Throttling | str:
    return throttling_of(7, proc=root / "proc", groups=root / "groups")


def test_a_container_of_version_2_has_a_group_of_its_own(tmp_path: Path) -> None:
    member(tmp_path, "self", "0::/user\n")
    member(tmp_path, "7", "0::/docker/abc\n")
    group(tmp_path, ".", "usage_usec 5\n")
    group(tmp_path, "docker", "usage_usec 5\nnr_throttled 0\nthrottled_usec 0\n")
    group(tmp_path, "docker/abc", "usage_usec 5\nnr_periods 9\nnr_throttled 3\nthrottled_usec 2500000\n")
    throttling = found(tmp_path)
    assert isinstance(throttling, Throttling)
    assert throttling.own
    assert throttling.read() == (2.5, 0.0)


def test_version_1_counts_nanoseconds_and_may_share_our_group(tmp_path: Path) -> None:
    for who in ("self", "7"):
        member(tmp_path, who, "4:cpu,cpuacct:/pod\n2:memory:/pod\n0::/\n")
    group(tmp_path, "cpu,cpuacct/pod", "nr_periods 9\nnr_throttled 3\nthrottled_time 1500000000\n")
    throttling = found(tmp_path)
    assert isinstance(throttling, Throttling)
    assert not throttling.own
    assert throttling.read() == (1.5,)


def test_a_path_that_leads_out_of_what_is_visible_means_the_mount(tmp_path: Path) -> None:
    member(tmp_path, "self", "0::/\n")
    member(tmp_path, "7", "0::/../../elsewhere\n")
    group(tmp_path, ".", "throttled_usec 1000000\n")
    throttling = found(tmp_path)
    assert isinstance(throttling, Throttling)
    assert throttling.read() == (1.0,)


def test_a_group_without_a_count_says_so(tmp_path: Path) -> None:
    member(tmp_path, "self", "0::/\n")
    member(tmp_path, "7", "0::/\n")
    group(tmp_path, ".", "usage_usec 5\n")
    assert found(tmp_path) == NO_COUNT


def test_a_machine_without_control_groups_says_so(tmp_path: Path) -> None:
    assert found(tmp_path) == NO_GROUP


def test_a_counter_that_vanishes_is_no_zero(tmp_path: Path) -> None:
    member(tmp_path, "self", "0::/\n")
    member(tmp_path, "7", "0::/\n")
    file = group(tmp_path, ".", "throttled_usec 1000000\n")
    throttling = found(tmp_path)
    assert isinstance(throttling, Throttling)
    file.unlink()
    assert math.isnan(throttling.read()[0])
