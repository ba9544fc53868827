from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import ResultsError, UnwritableError, UsageError
from bench.report import write_report
from tests.recorded import FLASK, NO_GPU, Point, write_run

FILES = {"summary.json", "summary.csv", "report.html", "report.md"}
CHARTS = {
    f"{name}.{kind}"
    for name in (
        "latency", "throughput", "latency-throughput", "percentiles", "ecdf", "cost", "latency-cost", "staircase",
        "over-time", "breakdown", "startup", "model-size",
    )
    for kind in ("svg", "png")
}  # fmt: skip


def _run(folder: Path, seed: int = 1) -> Path:
    return write_run(folder, seed, servers=(FLASK, NO_GPU), points=(Point(users=1, duration=30.0),))


def _contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_report_is_written_into_the_run_by_default_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    run = _run(tmp_path)
    assert write_report([run]) == run
    assert {path.name for path in run.iterdir()} >= FILES
    assert {path.name for path in (run / "charts").iterdir()} == CHARTS
    assert not list(run.rglob("*.partial"))


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    run = _run(tmp_path)
    assert _contents(write_report([run], tmp_path / "a")) == _contents(write_report([run], tmp_path / "b"))


def test_two_runs_make_one_report_in_a_folder_of_its_own(tmp_path: Path) -> None:
    runs = [_run(tmp_path / "1"), _run(tmp_path / "2", 2)]
    out = write_report(runs, tmp_path / "both" / "report")
    assert {path.name for path in out.iterdir()} >= FILES


def test_two_runs_without_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="several runs"):
        write_report([tmp_path, tmp_path])


def test_no_run_is_refused() -> None:
    with pytest.raises(UsageError, match="no run"):
        write_report([])


def test_a_folder_that_holds_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError):
        write_report([tmp_path])


def test_a_run_whose_scenario_is_gone_still_gets_its_report(tmp_path: Path) -> None:
    run = _run(tmp_path)
    (run / "scenario.yaml").unlink()
    assert (write_report([run]) / "report.html").exists()


def test_the_terminal_table_needs_no_drawing_library() -> None:
    code = (
        "import sys, bench.report.text; print([m for m in ('matplotlib', 'jinja2', 'tensorflow') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_disk_that_does_not_take_the_report_leaves_the_run_and_says_how_to_write_it_elsewhere(tmp_path: Path) -> None:
    run = _run(tmp_path)
    (run / "report.md.partial").symlink_to("/dev/full")
    with pytest.raises(UnwritableError, match=r"report\.md: the disk is full") as failure:
        write_report([run])
    assert f"bench report {run} --out DIR" in failure.value.hint
    assert write_report([run], tmp_path / "elsewhere") == tmp_path / "elsewhere"
