"""A server's process tree as /proc tells of it: CPU seconds, memory, context switches. Linux only; elsewhere empty.

/proc is read directly: a psutil.Process costs ten times as much per look, and a sampler must not be noticed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STAT_BYTES, _LONG_BYTES = 1024, 16_384

PSS_DENIED = "another user's processes: smaps_rollup needs the same user or root"
PSS_ABSENT = "this kernel has no smaps_rollup"

Process = tuple[int, int]
"""Process id and the tick it started at: an id that is used again is another process."""


@dataclass(slots=True)
class Grown:
    """Counters by who counts; what has ended keeps the last value that was seen of it."""

    ended: float = 0.0
    last: dict[tuple[int, ...], float] = field(default_factory=dict)

    def update(self, now: dict[tuple[int, ...], float]) -> float:
        """The sum of all, those gone included."""
        self.ended += sum(value for key, value in self.last.items() if key not in now)
        self.last = now
        return self.ended + sum(now.values())


class ProcessTree:
    """The processes that `tree` names, looked at again and again; `root` is where /proc is.

    `look` is cheap: one short file per process that is known. `look_closely` walks the tree anew, every thread of
    it, and adds up the pages of every process, which the kernel does on our time: milliseconds for a large process.
    """

    def __init__(self, tree: Callable[[], Iterable[int]], root: Path = PROC) -> None:
        self._tree = tree
        self._root = str(root)
        self._known: tuple[int, ...] = ()
        self._cpu = Grown()
        self._switches = Grown()
        self.pss_missing = ""
        """Why the last close look could not tell the PSS; empty if it could."""

    @property
    def pids(self) -> tuple[int, ...]:
        """Processes that were there at the last close look."""
        return self._known

    def look(self) -> tuple[float, float]:
        """CPU seconds since the start of each process, those ended included; and resident bytes of those that live."""
        cpu: dict[tuple[int, ...], float] = {}
        resident = 0.0
        for pid in self._known:
            stat = _stat(self._read(f"{pid}/stat", _STAT_BYTES))
            if stat is not None:
                started, seconds, rss = stat
                cpu[pid, started] = seconds
                resident += rss
        return self._cpu.update(cpu), resident

    def look_closely(self, *, memory: bool = True) -> tuple[float | None, float | None]:
        """Context switches of every thread seen so far, voluntary or not, and PSS in bytes; None if not known.

        The switches of a thread that came and went between two close looks are never seen. `memory` is what takes long.
        """
        self._known = tuple(self._tree())
        switches: dict[tuple[int, ...], float] = {}
        shares: list[float | None] = []
        for pid in self._known:
            stat = _stat(self._read(f"{pid}/stat", _STAT_BYTES))
            if stat is None:
                continue
            for thread in self._threads(pid):
                count = _switches(self._read(f"{pid}/task/{thread}/status", _LONG_BYTES))
                if count is not None:
                    switches[pid, stat[0], thread] = count
            if memory:
                shares.append(self._pss(pid))
        known = [share for share in shares if share is not None]
        total = self._switches.update(switches)
        return total if total or switches else None, sum(known) if known and len(known) == len(shares) else None

    def _threads(self, pid: int) -> list[int]:
        try:
            return [int(name) for name in os.listdir(f"{self._root}/{pid}/task") if name.isdecimal()]  # noqa: PTH208
        except OSError:
            return []

    def _pss(self, pid: int) -> float | None:
        """Proportional set size of one process in bytes; 0 for one that has just ended."""
        path = f"{pid}/smaps_rollup"
        try:
            text = _bytes_of(f"{self._root}/{path}", _LONG_BYTES)
        except PermissionError:
            self.pss_missing = PSS_DENIED
            return None
        except FileNotFoundError:
            if not os.path.exists(f"{self._root}/{pid}"):  # noqa: PTH110
                return 0.0
            self.pss_missing = PSS_ABSENT
            return None
        except OSError:  # ESRCH: it ended while we looked
            return 0.0
        self.pss_missing = ""
        place = text.find(b"\nPss:")
        return 1024.0 * int(text[place + 5 :].split(None, 1)[0]) if place >= 0 else 0.0

    def _read(self, path: str, most: int) -> bytes:
        """The beginning of a file of /proc; empty once its process is gone."""
        try:
            return _bytes_of(f"{self._root}/{path}", most)
        except OSError:
            return b""


def _bytes_of(path: str, most: int) -> bytes:
    handle = os.open(path, os.O_RDONLY)
    try:
        return os.read(handle, most)
    finally:
        os.close(handle)


def _stat(text: bytes) -> tuple[int, float, float] | None:
    """Start in ticks, CPU seconds, resident bytes; None for a process that is gone or only waits to be reaped."""
    _, found, rest = text.rpartition(b")")  # the name in brackets may hold anything
    fields = rest.split()
    if not found or len(fields) < 22 or fields[0] == b"Z":
        return None
    return int(fields[19]), (int(fields[11]) + int(fields[12])) / _TICKS, float(int(fields[21]) * _PAGE)


def _switches(text: bytes) -> float | None:
    """Voluntary and involuntary switches in a thread's `status`; None if it does not tell."""
    place = text.find(b"voluntary_ctxt_switches:")
    if place < 0:
        return None
    numbers = text[place:].split()
    return float(int(numbers[1]) + int(numbers[3])) if len(numbers) >= 4 else None
