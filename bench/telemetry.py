"""What a server's process tree uses while it is loaded, sampled by one thread: CPU seconds and resident memory."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil

from bench.samples import Telemetry, write_telemetry

INTERVAL_SECONDS = 0.5


class Sampler:
    """Rows so far; a process that has ended keeps the CPU seconds that were last seen of it."""

    def __init__(self, tree: Callable[[], list[int]]) -> None:
        self._tree = tree
        self._ended_cpu = 0.0
        self._last: dict[int, float] = {}
        self._began_at = time.monotonic()
        self._rows: list[tuple[float, float, float]] = []

    def sample(self) -> None:
        """Add one row: seconds since the trial began, CPU seconds and resident bytes of the whole tree."""
        now = time.monotonic() - self._began_at
        cpu: dict[int, float] = {}
        resident = 0
        for pid in self._tree():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                with process.oneshot():
                    times = process.cpu_times()
                    resident += process.memory_info().rss
                cpu[pid] = times.user + times.system
        self._ended_cpu += sum(seconds for pid, seconds in self._last.items() if pid not in cpu)
        self._last = cpu
        self._rows.append((now, self._ended_cpu + sum(cpu.values()), float(resident)))

    def telemetry(self) -> Telemetry:
        """The rows as columns."""
        at, cpu, resident = np.array(self._rows, dtype=np.float64).reshape(-1, 3).T
        return Telemetry(at, cpu, resident)


@contextlib.contextmanager
def sampling(tree: Callable[[], list[int]], path: Path) -> Iterator[None]:
    """Sample a process tree twice a second while the block runs, then write the columns to `path`."""
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
        yield
    finally:
        stop.set()
        thread.join()
        write_telemetry(path, sampler.telemetry())
