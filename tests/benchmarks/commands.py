"""How long commands take that a person waits for: `python -m tests.benchmarks.commands [--rows N]`.

Wall time of the whole process from start to end. Wanted: `bench --help` within 0.3 s, `bench check` of the example
scenario within 0.6 s, `bench report` on a run of 1,000,000 rows within 6 s.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import pyarrow.parquet as pq

from tests.benchmarks.page import Table, machine, percent, show, watching
from tests.driving import ROOT
from tests.recorded import write_run

BENCH = Path(sys.executable).with_name("bench")
TIMES = 7
REPORT_TIMES = 3


def wall_seconds(argv: Sequence[str], times: int) -> list[float]:
    """Of each of so many starts of a program that has to succeed."""
    seconds = []
    for _ in range(times):
        began_at = time.perf_counter()
        subprocess.run(argv, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - began_at)
    return seconds


def row(title: str, wanted: float, argv: Sequence[str], times: int) -> list[str]:
    """One line of the table; others' share of the machine belongs to it."""
    with watching() as others:
        seconds = wall_seconds(argv, times)
    spread = f"{min(seconds):.2f} - {max(seconds):.2f}"
    return [title, f"{median(seconds):.2f}", spread, f"{wanted:g}", str(times), percent(others.share)]


def main() -> None:
    """Time each command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    asked = parser.parse_args()
    show(f"## Commands\n\n{machine()}\n")
    wall_seconds([str(BENCH), "--help"], 1)  # the first start reads everything from disk
    rows = [
        row("`bench --help`", 0.3, [str(BENCH), "--help"], TIMES),
        row("`bench check`, the example", 0.6, [str(BENCH), "check", "scenarios/efficientnet.yaml"], TIMES),
    ]
    with tempfile.TemporaryDirectory(prefix="bench-commands-") as folder:
        run = write_run(Path(folder), rows=asked.rows)
        written = sum(pq.read_metadata(file).num_rows for file in run.rglob("samples.parquet"))
        report = [str(BENCH), "report", str(run), "--out", str(Path(folder) / "report")]
        rows.append(row(f"`bench report`, {written:,} rows", 6, report, REPORT_TIMES))
    columns = ("command", "median, s", "range, s", "wanted, s", "times", "others used")
    show(Table("Wall time of commands", columns, rows))


if __name__ == "__main__":
    main()
