"""Which cores the servers get and which the load generator: the same for every server of a run.

Deciding is pure and takes a small value that describes the machine; `read_processor` makes that value of this one.
Nothing here pins anything: the guard does, before exec.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import ScenarioError
from bench.units import UnitError, cores_text

if TYPE_CHECKING:
    from bench.scenario.scenario import Scenario

FEWEST_TO_SPLIT = 4
"""With fewer cores than this, keeping one for the generator would take too much from the servers."""
_MOST_CORES = 4096
_EXAMPLE = "a number is how many (cores: 4), text or a list is which (cores: 0-3, cores: [0, 2])"
_TOPOLOGY = "topology/thread_siblings_list"

Asked = int | tuple[int, ...] | None
"""What a scenario says: how many cores, which ones, or nothing."""


@dataclass(frozen=True, slots=True)
class Processor:
    """The logical cores that may be used, one group per physical core, and the time that a control group allows.

    `quota` is in cores' worth of time, None where there is no limit.
    """

    groups: tuple[tuple[int, ...], ...]
    quota: float | None = None

    @property
    def usable(self) -> tuple[int, ...]:
        """Every logical core that may be used, ascending."""
        return tuple(sorted(core for group in self.groups for core in group))

    @property
    def worth(self) -> int:
        """How many cores can be kept busy: those there are, or as many as the quota pays for, a part counting whole."""
        count = len(self.usable)
        return count if self.quota is None else min(count, max(1, math.ceil(self.quota)))

    def beside(self, cores: Iterable[int]) -> set[int]:
        """These cores and all others that are hyper-threads of the same physical ones."""
        given = set(cores)
        return given | {core for group in self.groups if given & set(group) for core in group}


@dataclass(frozen=True, slots=True)
class Budget:
    """Cores of every server and of the load generator, by number; the latter has none if load comes from elsewhere.

    `siblings` tells that, though no core is shared, hyper-threads of one physical core are.
    """

    server: tuple[int, ...]
    generator: tuple[int, ...]
    usable: tuple[int, ...]
    quota: float | None = None
    siblings: bool = False

    @property
    def count(self) -> int:
        """How many threads can compute at once in a server: its cores, or fewer where the quota pays for fewer."""
        return len(self.server) if self.quota is None else min(len(self.server), max(1, math.ceil(self.quota)))

    @property
    def shared(self) -> tuple[int, ...]:
        """Cores that both have."""
        return tuple(sorted(set(self.server) & set(self.generator)))

    def as_mapping(self) -> dict[str, Any]:
        """What a run's manifest keeps; `sentence` is for readers."""
        return {
            "server": list(self.server),
            "generator": list(self.generator),
            "usable": list(self.usable),
            "quota": self.quota,
            "count": self.count,
            "shared": list(self.shared),
            "siblings": self.siblings,
            "sentence": budget_text(self),
        }


def split(processor: Processor, asked: Asked = None, workers: int = 1, *, remote: bool = False) -> Budget:
    """The cores of the servers, and those of `workers` load processes; `remote` ones are on other machines.

    Raises: ScenarioError if cores are asked for that may not be used here.
    """
    usable = processor.usable
    if asked is None:
        server, generator = _by_default(processor, workers, remote)
    else:
        server = _asked_for(processor, asked)
        generator = () if remote else _what_is_left(processor, server)
    siblings = not set(server) & set(generator) and bool(processor.beside(server) & set(generator))
    return Budget(tuple(sorted(server)), tuple(sorted(generator)), usable, processor.quota, siblings)


def generator_room(processor: Processor, asked: Asked) -> int:
    """How many load processes the servers leave room for."""
    if asked is None:
        return max(1, processor.worth - 1)
    budget = split(processor, asked)
    return max(1, processor.worth - 1 if budget.shared else len(budget.generator))


def _by_default(processor: Processor, workers: int, remote: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    pool = _first(processor, processor.worth)
    if remote:
        return pool, ()
    if len(pool) < FEWEST_TO_SPLIT:
        return pool, pool
    kept: list[int] = []
    groups = [tuple(core for core in group if core in pool) for group in processor.groups]
    groups = [group for group in groups if group]
    if len(groups) == 1:  # hyper-threads of one physical core: the best there is
        room = min(workers, len(pool) - 1)
        return pool[:-room], pool[-room:]
    while len(kept) < workers and len(groups) > 1:  # whole physical cores, the last ones: the first serve interrupts
        kept += groups.pop()
    return tuple(core for group in groups for core in group), tuple(kept)


def _first(processor: Processor, count: int) -> tuple[int, ...]:
    """So many logical cores, in whole physical cores as far as it goes."""
    return tuple(core for group in processor.groups for core in group)[:count]


def _asked_for(processor: Processor, asked: int | tuple[int, ...]) -> tuple[int, ...]:
    usable = processor.usable
    hint = f"usable here: {cores_text(usable)} ({_cores(len(usable))})"
    if isinstance(asked, int):
        if asked > len(usable):
            raise ScenarioError(f"{_cores(asked)} for the servers, and this machine has {len(usable)}", hint=hint)
        return _first(processor, asked)
    absent = [core for core in asked if core not in usable]
    if absent:
        raise ScenarioError(f"this process may not use {_numbered(absent)}", hint=hint)
    return asked


def _what_is_left(processor: Processor, server: Sequence[int]) -> tuple[int, ...]:
    """Cores for the generator: of other physical cores, else hyper-threads of the same, else all."""
    usable = processor.usable
    near = processor.beside(server)
    apart = tuple(core for core in usable if core not in near)
    return apart or tuple(core for core in usable if core not in server) or usable


def budget_of(scenario: Scenario, *, workers: int = 1, remote: bool = False) -> Budget:
    """The split of this machine that a scenario asks for.   Raises: ScenarioError with the line of its `cores`."""
    try:
        return split(read_processor(), scenario.cores, workers, remote=remote)
    except ScenarioError as failure:
        raise ScenarioError(failure.what, where=scenario.where("cores"), hint=failure.hint) from failure


def budget_before_load(scenario: Scenario, *, remote: bool = False) -> Budget:
    """The split while it is not known yet how many load workers there will be.   Raises: ScenarioError."""
    workers = scenario.workers or 0
    return budget_of(scenario, workers=max(1, workers), remote=not workers) if remote else budget_of(scenario)


def budget_text(budget: Budget) -> str:
    """Who has which cores, in a sentence or two; plainly where they are shared."""
    servers = f"Every server gets {_numbered(budget.server)} ({len(budget.server)} of {_cores(len(budget.usable))})"
    if not budget.generator:
        said = f"{servers}; the load comes from other machines."
    elif set(budget.generator) == set(budget.server):
        said = f"{servers}, and the load generator shares {_them(budget.server)}: each slows the other down."
    elif budget.shared:
        said = (
            f"{servers}; the load generator has {_numbered(budget.generator)} and so shares {_numbered(budget.shared)}."
        )
    else:
        same = ", hyper-threads of the same physical core, so they still slow each other down" * budget.siblings
        said = f"{servers}; the load generator has {_numbered(budget.generator)} to itself{same}."
    if budget.quota is not None and budget.quota < len(budget.usable):
        said += f" Their control group allows {budget.quota:g} cores' worth of time to everything together."
    return said


def parse_cores(value: object) -> Asked:
    """The key `cores` of a scenario: 4 is how many, `0-3` or [0, 2-5] is which.   Raises: UnitError."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= _MOST_CORES:
            wanted = "at least 1" if value < 1 else f"at most {_MOST_CORES:,}"
            raise UnitError(f"must be {wanted}, got {value}", _EXAMPLE)
        return value
    items = value if isinstance(value, list | tuple) else str(value).split(",")
    found = [core for item in items for core in _range(item, value)]
    if not found:
        raise UnitError("must not be empty", _EXAMPLE)
    return tuple(sorted(set(found)))


def _range(item: object, whole: object) -> range:
    match = re.fullmatch(r"\s*(\d{1,4})\s*(?:-\s*(\d{1,4})\s*)?", "" if isinstance(item, bool) else str(item))
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise UnitError(f"no cores: {whole!r}", _EXAMPLE)
    return range(int(match[1]), int(match[2] or match[1]) + 1)


def read_processor(root: Path = Path("/sys/devices/system/cpu")) -> Processor:
    """What this process may use of this machine: its affinity, hyper-threads, and its control group's quota."""
    from bench.machine.facts import quota_cores

    here = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    usable = sorted(here)
    return Processor(_physical(usable, root), quota_cores())


def _physical(usable: Sequence[int], root: Path) -> tuple[tuple[int, ...], ...]:
    """The usable cores, hyper-threads of one physical core together; each by itself where nothing tells."""
    groups: dict[tuple[int, ...], None] = {}
    for core in usable:
        try:
            siblings = set(parse_list((root / f"cpu{core}" / _TOPOLOGY).read_text()))
        except (OSError, ValueError):
            siblings = set()
        groups[tuple(sorted((siblings | {core}) & set(usable)))] = None
    return tuple(groups)


def parse_list(text: str) -> tuple[int, ...]:
    """The kernel's way to write core numbers: `0-3,8`.   Raises: ValueError."""
    found: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
"""What decides how many threads a library computes with, where nothing else was said to it."""


def thread_environment(count: int) -> dict[str, str]:
    """Every such variable set to the budget, whatever the person's shell says; a kind may say otherwise."""
    return dict.fromkeys(THREAD_VARIABLES, str(count))


def threads_told(environment: Mapping[str, str]) -> dict[str, str]:
    """The thread variables of an environment, for the record."""
    return {name: environment[name] for name in THREAD_VARIABLES if name in environment}


def _cores(count: int) -> str:
    return f"{count} core" if count == 1 else f"{count} cores"


def _numbered(cores: Sequence[int]) -> str:
    return f"core {cores[0]}" if len(cores) == 1 else f"cores {cores_text(cores)}"


def _them(cores: Sequence[int]) -> str:
    return "it" if len(cores) == 1 else "them"
