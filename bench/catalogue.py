"""What there is to choose from: kinds of servers, scenarios, profiles, metrics, prices; one line each.

Each list is read from where the thing itself lives, so a new folder, class or function shows up by itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import ServerFolderError, UsageError
from bench.names import did_you_mean
from bench.units import dollars_text

if TYPE_CHECKING:
    from bench.cost.prices import Price

_ENGINE_SECONDS = 2.0
"""So long a Docker engine that hangs may hold up the list."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that there is, and one line about it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Kind(Item):
    """A kind of server: what it needs beside bench itself, whether this machine has it, else why not and what helps.

    `built` tells whether its environment is there too; one that is not is built before it is first measured.
    """

    needs: str = ""
    here: bool = True
    built: bool = True
    reason: str = ""
    fix: str = ""


def servers() -> tuple[Kind, ...]:
    """Every kind that comes with bench."""
    from bench.programs.docker import one_round
    from bench.server import known_kinds

    with one_round(_ENGINE_SECONDS):
        return tuple(_kind(name, folder) for name, folder in known_kinds().items())


def _kind(name: str, folder: Path) -> Kind:
    from bench.programs.environments import environment_built
    from bench.server import load_kind

    try:
        kind = load_kind(folder)
        built = environment_built(folder, kind.requirements)
    except ServerFolderError as failure:
        return Kind(name, "cannot be used", here=False, reason=failure.what, fix=failure.hint)
    own = f"an environment of its own: bench install {name}" if kind.requirements else "nothing more"
    needs = kind.needs or own
    try:
        lack = kind.here()
    except Exception as failure:  # a fault of that folder must not hide the others
        return Kind(name, kind.title, needs, False, built, f"its check for what is missing failed: {failure!r}")
    if lack is not None:
        return Kind(name, kind.title, needs, False, built, lack.reason, lack.fix)
    return Kind(name, kind.title, needs, built=built)


def scenarios() -> tuple[Item, ...]:
    """Every scenario that comes with bench: its path, and the first comment of its file."""
    return tuple(Item(_shown(path), _first_comment(path)) for path in _scenario_files())


def profiles() -> tuple[Item, ...]:
    """Every load profile: what it does and its keys."""
    from bench.profiles import PROFILES

    return tuple(
        Item(name, f"{_first_line(profile)} keys: {', '.join(field.name for field in fields(profile) if field.init)}")
        for name, profile in PROFILES.items()
    )


def metrics() -> tuple[Item, ...]:
    """Every metric: its title, unit and which way is better."""
    from bench.measures.metrics import METRICS
    from bench.measures.usage import USAGE_METRICS

    of_requests = (Item(m.name, f"{m.title} ({m.unit}, {m.better} is better)") for m in METRICS.values())
    of_use = (Item(m.name, f"{m.title} ({m.unit}, {m.better} is better)") for m in USAGE_METRICS.values())
    return (*of_requests, *of_use)


def prices() -> tuple[Item, ...]:
    """Every price of the book and of the file that BENCH_PRICES names: of what machine, where, of which day."""
    from bench.cost.price_file import all_prices

    return tuple(Item(p.instance, _price_text(p)) for p in all_prices() if p.usd_per_hour is not None)


def _price_text(price: Price) -> str:
    """`$0.408/h  16 cores (16 vCPU), 32 GiB, arm64; aws us-east-1, as of 2026-07-20`."""
    cores = "" if price.cores is None else f"{price.cores:g} core{'' if price.cores == 1 else 's'}"
    vcpu = "" if price.vcpu is None else f"{price.vcpu} vCPU"
    size = f"{cores} ({vcpu})" if cores and vcpu else vcpu
    memory = "" if price.memory_gib is None else f"{price.memory_gib:g} GiB"
    accelerator = "" if price.accelerators is None else f"{price.accelerators:g} x {price.accelerator}"
    machine = ", ".join(part for part in (size, memory, price.arch, accelerator) if part)
    place = f"{price.provider} {price.region}".strip() + (f", as of {price.as_of}" if price.as_of else "")
    return f"{dollars_text(price.usd_per_hour)}/h  {machine}{'; ' if machine else ''}{place}"


CATALOGUES: Mapping[str, Callable[[], tuple[Item, ...]]] = {
    "servers": servers,
    "scenarios": scenarios,
    "profiles": profiles,
    "metrics": metrics,
    "prices": prices,
}
"""What `bench list` can list."""


def find_scenario(name: str) -> Path:
    """The file that a person means: a path, or the bare name of a scenario that comes with bench (`smoke`).

    A folder of that name, such as one with results, is not meant.
    Raises: UsageError for a bare name that is neither a file nor such a scenario.
    """
    path = Path(name)
    try:
        exists, folder = path.exists(), path.is_dir()
    except (OSError, ValueError):
        exists = folder = False
    if (exists and not folder) or os.sep in name or path.suffix:
        return path
    known = {file.stem: file for file in _scenario_files()}
    if name not in known and folder:
        return path  # whoever reads it says what is wrong with it
    if name not in known:
        raise UsageError(f"no such scenario: {name!r}", hint=did_you_mean(name, known, "scenarios"))
    return known[name]


def scenario_argument(path: Path) -> str:
    """What a person gives a command to mean this file: the name of one that comes with bench, or a path."""
    known = {file: file.stem for file in _scenario_files()}
    return known.get(path.resolve()) or _shown(path)


def _scenario_files() -> tuple[Path, ...]:
    package = Path(__file__).resolve().parent
    folders = (package.parent / "scenarios", package / "shipped" / "scenarios")
    return tuple(file for folder in folders for file in sorted(folder.glob("*.yaml")))


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _first_comment(path: Path) -> str:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().partition("\n")[0]
