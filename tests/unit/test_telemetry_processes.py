from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.telemetry.processes import PSS_ABSENT, PSS_DENIED, ProcessTree
from tests.fake_proc import PAGE, gone, process


def test_a_tree_is_the_sum_of_its_processes_and_their_threads(tmp_path: Path) -> None:
    process(tmp_path, 7, cpu=1.5, pages=10, pss_kb=30, threads={7: (1, 2), 8: (10, 20)})
    process(tmp_path, 9, cpu=2.5, pages=5, pss_kb=50, threads={9: (100, 200)})
    tree = ProcessTree(lambda: [7, 9], tmp_path)
    assert tree.look_closely() == (333.0, 80 * 1024.0)
    assert tree.look() == (4.0, 15.0 * PAGE)
    assert tree.pss_missing == ""


def test_a_process_that_ends_keeps_what_it_has_used(tmp_path: Path) -> None:
    process(tmp_path, 7, cpu=1.5)
    process(tmp_path, 9, cpu=2.5, threads={9: (100, 0)})
    there = [7, 9]
    tree = ProcessTree(lambda: there, tmp_path)
    tree.look_closely()
    assert tree.look()[0] == 4.0
    gone(tmp_path, 9)
    assert tree.look() == (4.0, 10.0 * PAGE)
    there.remove(9)
    assert tree.look_closely()[0] == 107.0
    assert tree.look()[0] == 4.0


def test_a_process_id_that_is_used_again_is_another_process(tmp_path: Path) -> None:
    process(tmp_path, 7, cpu=5.0, started=1)
    tree = ProcessTree(lambda: [7], tmp_path)
    tree.look_closely()
    tree.look()
    process(tmp_path, 7, cpu=0.25, started=99)
    assert tree.look()[0] == 5.25


def test_a_process_that_only_waits_to_be_reaped_uses_no_memory(tmp_path: Path) -> None:
    process(tmp_path, 7)
    process(tmp_path, 9, state="Z", pages=1000, pss_kb=1000)
    tree = ProcessTree(lambda: [7, 9], tmp_path)
    assert tree.look_closely()[1] == 30 * 1024.0
    assert tree.look()[1] == 10.0 * PAGE


def test_a_thread_that_ends_keeps_its_switches(tmp_path: Path) -> None:
    process(tmp_path, 7, threads={7: (1, 0), 8: (50, 0)})
    tree = ProcessTree(lambda: [7], tmp_path)
    tree.look_closely()
    (tmp_path / "7/task/8/status").unlink()
    (tmp_path / "7/task/8").rmdir()
    assert tree.look_closely()[0] == 51.0


def test_a_kernel_without_pss_is_no_zero(tmp_path: Path) -> None:
    process(tmp_path, 7, pss_kb=None)
    tree = ProcessTree(lambda: [7], tmp_path)
    assert tree.look_closely()[1] is None
    assert tree.pss_missing == PSS_ABSENT


def test_processes_of_somebody_else_tell_no_pss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process(tmp_path, 7)
    real = os.open

    def refuse(path: str, flags: int) -> int:
        if str(path).endswith("smaps_rollup"):
            raise PermissionError(13, "Permission denied")
        return real(path, flags)

    tree = ProcessTree(lambda: [7], tmp_path)
    monkeypatch.setattr("bench.telemetry.processes.os.open", refuse)
    assert tree.look_closely() == (7.0, None)
    assert tree.pss_missing == PSS_DENIED


def test_a_tree_of_nothing_has_no_switches_and_no_memory(tmp_path: Path) -> None:
    tree = ProcessTree(list, tmp_path)
    assert tree.look_closely() == (None, None)
    assert tree.look() == (0.0, 0.0)
