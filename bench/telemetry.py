"""What a server's process tree uses while it is loaded, sampled by one thread: CPU seconds and memory.

One row per sample, `at` in seconds since the trial began, for `telemetry.parquet`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

INTERVAL_SECONDS = 0.5


class Sampler:
    """Rows collected so far: seconds since the trial began, CPU seconds of the tree, its resident bytes, its size."""

    def __init__(self, tree: Callable[[], list[int]]) -> None:
        self._tree = tree
        self._ended_cpu = 0.0
        self._last: dict[int, float] = {}
        self.began_at = time.monotonic()
        self.rows: list[tuple[float, float, int, int]] = []

    def sample(self) -> None:
        """Add one row; a process that has ended keeps the CPU seconds that were last seen of it."""
        now = time.monotonic() - self.began_at
        alive: dict[int, float] = {}
        resident = 0
        for pid in self._tree():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                with process.oneshot():
                    times = process.cpu_times()
                    resident += process.memory_info().rss
                alive[pid] = times.user + times.system
        self._ended_cpu += sum(seconds for pid, seconds in self._last.items() if pid not in alive)
        self._last = alive
        self.rows.append((now, self._ended_cpu + sum(alive.values()), resident, len(alive)))


@contextlib.contextmanager
def sampling(tree: Callable[[], list[int]], path: Path) -> Iterator[Sampler]:
    """Sample a process tree while the block runs, then write the rows to `path`."""
    sampler = Sampler(tree)
    stop = threading.Event()

    def loop() -> None:
        sampler.sample()
        while not stop.wait(INTERVAL_SECONDS):
            sampler.sample()
        sampler.sample()

    thread = threading.Thread(target=loop, name="telemetry", daemon=True)
    thread.start()
    try:
        yield sampler
    finally:
        stop.set()
        thread.join()
        _write(path, sampler)


def _write(path: Path, sampler: Sampler) -> None:
    at, cpu, resident, processes = zip(*sampler.rows, strict=True)
    table = pa.table(
        {
            "at": pa.array(at, pa.float64()),
            "cpu_seconds": pa.array(cpu, pa.float64()),
            "rss_bytes": pa.array(resident, pa.int64()),
            "processes": pa.array(processes, pa.int32()),
        }
    )
    partial = path.with_suffix(".partial")
    pq.write_table(table, partial)
    partial.replace(path)
