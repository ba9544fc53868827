"""How long a large report takes to read and to render, and how many bytes its page has.

`python -m tests.benchmarks.rendering` writes a recorded run of 20 servers at 8 load points with about 1,000,000 rows
in all, reads it, renders it, and prints what each took in wall and processor seconds. Wanted: 15 s and 5 MB.
`--rows` sets the rows; rendering does not depend on them, because a row's spread is of one size.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from bench import units
from bench.report.write import write_report_from
from bench.results import load_run
from bench.summary import summarise
from tests.benchmarks.page import Table, show
from tests.recorded import FLASK, GUNICORN, TFSERVING, TRITON, Point, write_run

SERVERS = tuple(
    replace(kind, name=f"{kind.name}-{number}", service=kind.service * (1 + 0.07 * number))
    for number in range(5)
    for kind in (FLASK, GUNICORN, TFSERVING, TRITON)
)
POINTS = (
    *(Point(users=users) for users in (1, 4, 8)),
    *(Point(arrival_rate=rate) for rate in (1.0, 2.0, 3.0, 4.0, 6.0)),
)
WANTED_SECONDS, WANTED_BYTES = 15.0, 5_000_000
Made = TypeVar("Made")


def main() -> None:
    """Write, read, render, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=1_000_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-rendering-") as folder:
        run = load_run(write_run(Path(folder), 1, rows=asked.rows, servers=SERVERS, points=POINTS, capacity=False))
        summary, reading = timed(lambda: summarise([run]))
        _, rendering = timed(lambda: write_report_from(summary, [run], run.folder))
        size = (run.folder / "report.html").stat().st_size
        rows = sum(sum(trial.counts.get(name, 0) for name in ("sent", "unsent")) for trial in run.trials)
        both = tuple(a + b for a, b in zip(reading, rendering, strict=True))
        show(
            Table(
                f"A report of {len(SERVERS)} servers, {len(POINTS)} load points, {units.count_text(rows)} rows",
                ("", "wall", "processor"),
                [
                    ("read and summarise", *map(units.duration_text, reading)),
                    ("render page and charts", *map(units.duration_text, rendering)),
                    ("both", *map(units.duration_text, both)),
                ],
                (f"report.html: {units.bytes_text(size)}, wanted at most {units.bytes_text(WANTED_BYTES)}",
                 f"wanted at most {units.duration_text(WANTED_SECONDS)}"),
            )
        )  # fmt: skip


def timed(made: Callable[[], Made]) -> tuple[Made, tuple[float, float]]:
    """What it gives, and the wall and processor seconds that took."""
    wall, used = time.monotonic(), time.process_time()
    found = made()
    return found, (time.monotonic() - wall, time.process_time() - used)


if __name__ == "__main__":
    main()
