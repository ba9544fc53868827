"""One thread that looks twice a second at a server's processes, its control group, the GPUs and the energy counters.

What takes long is looked at less often, so that all of it together stays under `BUDGET` of a core; what it really
took is measured and told.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.samples import TELEMETRY_COLUMNS, Telemetry, write_telemetry
from bench.telemetry.control_group import GROUPS, NO_GROUP, Throttling, throttling_of
from bench.telemetry.nvml import Gpus, find_gpus
from bench.telemetry.processes import PROC, ProcessTree
from bench.telemetry.rapl import Rapl, find_rapl

INTERVAL_SECONDS = 0.5
CLOSE_SECONDS = 2.0
"""Between two close looks at least: PSS, threads, new processes."""
BUDGET = 0.003
"""Share of a core that close looks may take; looks that take longer come less often."""
GPU_COLUMNS = ("gpu_utilisation", "gpu_memory_bytes", "power_watts", "gpu_clock_hz", "gpu_energy_joules")
Tree = Callable[[], list[int]]


@dataclass(slots=True)
class Sources:
    """What there is to look at beside processes, and for what there is not, the reason by column."""

    rapl: Rapl | None = None
    gpus: Gpus | None = None
    missing: dict[str, str] = field(default_factory=dict)

    @classmethod
    def find(cls) -> Sources:
        """What this machine offers."""
        found = cls()
        rapl, gpus = find_rapl(), find_gpus()
        if isinstance(rapl, str):
            found.missing["cpu_energy_joules"] = rapl
        else:
            found.rapl = rapl
        if isinstance(gpus, str):
            found.missing |= dict.fromkeys(GPU_COLUMNS, gpus)
        else:
            found.gpus = gpus
        return found

    def close(self) -> None:
        """Let go of the GPUs."""
        if self.gpus is not None:
            self.gpus.close()


class Sampler:
    """Rows so far, and what they cost."""

    def __init__(self, tree: Tree, sources: Sources, *, proc: Path = PROC, groups: Path = GROUPS) -> None:
        self._processes = ProcessTree(tree, proc)
        self._sources = sources
        self._roots = {"proc": proc, "groups": groups}
        self._throttling: Throttling | None = None
        self._throttled_before: tuple[float, ...] = ()
        self._began_at = time.monotonic()
        self._next_close = -math.inf
        self._spacing = 0.0
        self._rows: list[Mapping[str, float]] = []
        self._missing = {**sources.missing, "throttled_seconds": NO_GROUP}
        self.cpu_seconds = 0.0
        """Processor time that the looks took, of the thread that looked."""

    def sample(self, *, closely: bool = False) -> None:
        """Add one row; a close look is taken when it is due, or asked for.

        One that is asked for right after another leaves out the memory, which is what takes long.
        """
        spent_before = time.thread_time()
        now = time.monotonic() - self._began_at
        row: dict[str, float] = {"at": now}
        due = now >= self._next_close
        if closely or due:
            memory = due or now >= self._next_close - self._spacing / 2
            row |= self._close_look(memory=memory)
            took = time.thread_time() - spent_before
            if memory:
                self._spacing = max(CLOSE_SECONDS, took / BUDGET)
                self._next_close = now + self._spacing
        row["cpu_seconds"], row["rss_bytes"] = self._processes.look()
        if self._throttling is not None:
            pairs = zip(self._throttling.read(), self._throttled_before, strict=True)
            row["throttled_seconds"] = max(after - before for after, before in pairs)
        if self._sources.rapl is not None:
            row["cpu_energy_joules"] = self._sources.rapl.joules()
        if self._sources.gpus is not None:
            gpu = self._sources.gpus.read()
            row |= {
                "gpu_utilisation": gpu.utilisation,
                "gpu_memory_bytes": gpu.memory_bytes,
                "power_watts": gpu.power_watts,
                "gpu_clock_hz": gpu.clock_hz,
                "gpu_energy_joules": gpu.energy_joules,
            }
        self._rows.append(row)
        self.cpu_seconds += time.thread_time() - spent_before

    @property
    def cpu_share(self) -> float | None:
        """Share of one core that looking took, from the first to the last row; None before there are two."""
        seconds = self._rows[-1]["at"] - self._rows[0]["at"] if self._rows else 0.0
        return self.cpu_seconds / seconds if seconds > 0 else None

    @property
    def missing(self) -> dict[str, str]:
        """Why a column has not one value, by column."""
        found = dict(self._missing)
        if self._processes.pss_missing:
            found["pss_bytes"] = self._processes.pss_missing
        for name in GPU_COLUMNS:
            if self._sources.gpus is not None and all(math.isnan(row.get(name, math.nan)) for row in self._rows):
                found[name] = "this GPU does not tell it"
        return found

    def telemetry(self) -> Telemetry:
        """The rows as columns."""
        return Telemetry(
            **{
                name: np.array([row.get(name, math.nan) for row in self._rows], dtype=np.float64)
                for name in TELEMETRY_COLUMNS
            }
        )

    def _close_look(self, *, memory: bool) -> dict[str, float]:
        switches, pss = self._processes.look_closely(memory=memory)
        if self._throttling is None and self._processes.pids:
            self._find_group(self._processes.pids[0])
        known = {"context_switches": switches, "pss_bytes": pss}
        return {name: value for name, value in known.items() if value is not None}

    def _find_group(self, pid: int) -> None:
        found = throttling_of(pid, **self._roots)
        if isinstance(found, str):
            self._missing["throttled_seconds"] = found
            return
        self._missing.pop("throttled_seconds", None)
        self._throttling, self._throttled_before = found, found.read()


@contextlib.contextmanager
def sampling(tree: Tree, path: Path) -> Iterator[Sampler]:
    """Sample a process tree twice a second while the block runs, then write the columns to `path`."""
    sources = Sources.find()
    sampler = Sampler(tree, sources)
    stop = threading.Event()

    def loop() -> None:
        sampler.sample(closely=True)
        while not stop.wait(INTERVAL_SECONDS):
            sampler.sample()
        sampler.sample(closely=True)

    thread = threading.Thread(target=loop, name="telemetry", daemon=True)
    thread.start()
    try:
        yield sampler
    finally:
        stop.set()
        thread.join()
        sources.close()
        write_telemetry(path, sampler.telemetry())


def memory_now(tree: Tree) -> dict[str, float]:
    """`rss_bytes` and, where it can be read, `pss_bytes` of a process tree at this moment."""
    processes = ProcessTree(tree)
    _, pss = processes.look_closely()
    _, resident = processes.look()
    return {"rss_bytes": resident} | ({} if pss is None else {"pss_bytes": pss})
