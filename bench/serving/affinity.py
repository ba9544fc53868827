"""On which cores the processes of a server, or of the load generator, can really run: asked of the kernel.

A process may change its own affinity, and a thread that of itself alone, so every thread is looked at.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bench.names import printable
from bench.results import CoresSeen
from bench.units import cores_text

_MOST_NAMED = 8


def cores_seen(budget: Sequence[int], server: Iterable[int], generator: Iterable[int]) -> CoresSeen:
    """What the kernel says of these process ids, children not included; `outside` are those beyond the budget."""
    allowed = {pid: cores for pid in server if (cores := process_cores(pid))}
    given = set(budget)
    outside = [f"{_name(pid)} ({cores_text(cores)})" for pid, cores in allowed.items() if given and not cores <= given]
    load: set[int] = set().union(*map(process_cores, generator))
    return CoresSeen(
        budget=tuple(sorted(given)),
        server=tuple(sorted(set().union(*allowed.values()))),
        generator=tuple(sorted(load)),
        processes=len(allowed),
        outside=tuple(dict.fromkeys(outside))[:_MOST_NAMED],
    )


def both(before: CoresSeen, after: CoresSeen) -> CoresSeen:
    """What was seen at either of two moments; processes as many as there were at most."""
    return CoresSeen(
        budget=before.budget,
        server=tuple(sorted({*before.server, *after.server})),
        generator=tuple(sorted({*before.generator, *after.generator})),
        processes=max(before.processes, after.processes),
        outside=tuple(dict.fromkeys((*before.outside, *after.outside)))[:_MOST_NAMED],
    )


def process_cores(pid: int) -> set[int]:
    """Cores that any thread of a process can run on; empty if it is gone, or nothing tells."""
    found: set[int] = set()
    for thread in _threads(pid):
        try:
            found |= os.sched_getaffinity(thread)
        except (OSError, AttributeError):  # it ended meanwhile; not Linux
            continue
    return found


@contextlib.contextmanager
def kept_to(cores: Sequence[int]) -> Iterator[None]:
    """Keep the calling thread, and whatever it starts, on these cores while the block lasts; without any, do nothing.

    So the harness's own work takes no time from a server that has its cores to itself.
    """
    if not cores or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _threads(pid: int) -> Iterator[int]:
    try:
        yield from [int(entry.name) for entry in os.scandir(f"/proc/{pid}/task")]
    except OSError:
        return


def _name(pid: int) -> str:
    """What the kernel calls a process; the text is the process's own."""
    try:
        return printable(Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()) or "process"
    except OSError:
        return "process"
