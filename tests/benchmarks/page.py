"""What every benchmark prints: the machine in words, Markdown tables, and how busy others kept it meanwhile."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import psutil

Figures = TypeVar("Figures")
QUIET = 0.005
"""How far others may disturb a try that needs no other: a p99 feels what one in a hundred meets."""


@dataclass(frozen=True, slots=True)
class Table:
    """One Markdown table with a heading and the sentences that belong to it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """As text; the first column is words, the others are numbers."""
        rule = ["---", *["--:"] * (len(self.columns) - 1)]
        lines = [_line(self.columns), _line(rule), *map(_line, self.rows)]
        return "\n".join([f"### {self.title}", "", *lines, "", *(f"- {note}" for note in self.notes), ""])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def show(text: str | Table) -> None:
    """Print at once; a benchmark takes minutes."""
    print(text.markdown() if isinstance(text, Table) else text, flush=True)  # noqa: T201


def machine() -> str:
    """Cores, processor, kernel and versions; nothing that names a host."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("locust", "gevent", "grpcio"))
    virtual = "virtual " if "hypervisor" in Path("/proc/cpuinfo").read_text() else ""
    return (
        f"{os.cpu_count()} {virtual}cores ({model}), Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}, {packages}."
    )


@dataclass(slots=True)
class Others:
    """How far others disturbed us, as a share: of the machine that they used, or of the time that we waited for a core.

    The larger one counts. The kernel counts the first by samples and misses what runs between them; the second is
    exact, but of the processes only that live from beginning to end.
    """

    share: float = 0.0


@contextlib.contextmanager
def watching() -> Iterator[Others]:
    """What others did while the block lasted; steal and interrupts are theirs too."""
    seen = Others()
    began_at, busy, ours, waited = time.monotonic(), _busy_seconds(), _our_seconds(), _waited_seconds()
    yield seen
    seconds = time.monotonic() - began_at
    used = (_busy_seconds() - busy) - (_our_seconds() - ours)
    now = _waited_seconds()
    longest = max((now[one] - waited[one] for one in now.keys() & waited.keys()), default=0.0)
    seen.share = max(0.0, used / (seconds * (os.cpu_count() or 1)), longest / seconds)


@dataclass(frozen=True, slots=True)
class Tried(Generic[Figures]):
    """The try that others disturbed least, how far they did, and how many tries there were."""

    figures: Figures
    others: float
    tries: int


def await_quiet(patience: float) -> None:
    """Return once others left the machine alone for half a second, or after so many seconds."""
    gives_up_at = time.monotonic() + patience
    share = 1.0
    while share > QUIET and time.monotonic() < gives_up_at:
        with watching() as others:
            time.sleep(0.5)
        share = others.share


def quietest(measure: Callable[[], Figures], most: int = 6) -> Tried[Figures]:
    """Measure until a try was quiet, at most so often; which one counts depends on others' load, not on the figures."""
    tries: list[tuple[float, Figures]] = []
    while len(tries) < most and (not tries or min(share for share, _ in tries) > QUIET):
        await_quiet(20.0)
        with watching() as others:
            figures = measure()
        tries.append((others.share, figures))
    share, best = min(tries, key=lambda one: one[0])
    return Tried(best, share, len(tries))


def _busy_seconds() -> float:
    spent = psutil.cpu_times()
    return float(sum(spent) - spent.idle - spent.iowait - spent.guest - spent.guest_nice)


def _our_seconds() -> float:
    """Of this process, of its children that ended, and of all that live below it."""
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            spent = process.cpu_times()
            total += spent.user + spent.system + spent.children_user + spent.children_system
    return total


def _waited_seconds() -> dict[int, float]:
    """By process below this one: how long its first thread was ready to run and had no core."""
    waited = {}
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(OSError, IndexError):
            waited[process.pid] = int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[1]) / 1e9
    return waited


def rate(per_second: float) -> str:
    """`12,300/s`, three figures."""
    return f"{float(f'{per_second:.3g}'):,.0f}"


def ms(seconds: float) -> str:
    """Milliseconds with two decimals: hundredths of them are what is told apart here."""
    return f"{seconds * 1e3:.2f}"


def percent(share: float) -> str:
    """`3.1 %`."""
    return f"{share * 100:.1f} %"
