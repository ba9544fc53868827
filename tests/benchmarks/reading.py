"""How long `bench report` takes on many rows, how much memory, and how many bytes a row is on disk.

`python -m tests.benchmarks.reading --rows 10000000` writes a recorded run of about that many rows, reads it with
`bench report` in a process of its own and prints what that took. `--one-trial` puts all rows into one trial,
the worst case for memory. Wanted: 24 bytes a row, 20 s and 2 GB for 10,000,000 rows.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from bench import units
from tests.recorded import FLASK, GUNICORN, TFSERVING, TRITON, Fake, Point, write_run

SEVERAL: tuple[Sequence[Fake], Sequence[Point]] = (
    (FLASK, GUNICORN, TFSERVING, TRITON),
    (Point(users=1), Point(users=8), Point(arrival_rate=2), Point(arrival_rate=4)),
)
ONE: tuple[Sequence[Fake], Sequence[Point]] = ((TFSERVING,), (Point(arrival_rate=8, duration=60.0),))


def main() -> None:
    """Write, read, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--one-trial", action="store_true", help="all rows in one trial instead of sixteen")
    asked = parser.parse_args()
    servers, points = ONE if asked.one_trial else SEVERAL
    with tempfile.TemporaryDirectory(prefix="bench-reading-") as folder:
        run = write_run(Path(folder), 1, rows=asked.rows, servers=servers, points=points)
        files = sorted(run.rglob("samples.parquet"))
        rows = sum(pq.read_metadata(file).num_rows for file in files)
        size = sum(file.stat().st_size for file in files)
        print(f"{rows:,} rows in {len(files)} trials, {size / rows:.1f} bytes a row", flush=True)  # noqa: T201
        began_at = time.monotonic()
        subprocess.run([sys.executable, "-m", "bench", "report", str(run)], check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - began_at
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        print(f"bench report: {units.duration_text(seconds)}, peak memory {units.bytes_text(peak)}")  # noqa: T201


if __name__ == "__main__":
    main()
