"""What can run on this machine and, for what cannot, why and the command that changes it.

It looks and changes nothing; every look ends within seconds.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.cache import cache_folder
from bench.cost.price_file import VARIABLE, read_prices
from bench.cost.prices import price_book
from bench.errors import ScenarioError, ServerFolderError
from bench.machine.facts import gpus, quota_cores, usable_cores
from bench.machine.peak import load_peak
from bench.programs.docker import find_engine, one_round
from bench.programs.environments import environment_built
from bench.scenario.budget import budget_text, read_processor, split
from bench.server import Missing, known_kinds, load_kind
from bench.telemetry.rapl import DENIED, find_rapl
from bench.units import bytes_text

_CACHE_BYTES = 4e9  # TensorFlow in an environment of its own takes about 2 GB, a large model in three forms 1 GB
_RESULTS_BYTES = 2e8
_ENGINE_SECONDS = 5.0
_ELSEWHERE = {"cache": "export BENCH_CACHE=DIR", "results": "bench run SCENARIO --out DIR"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it is there, what was found or is missing, and what would help."""

    area: str
    name: str
    ok: bool
    text: str
    fix: str = ""


def examine(results: Path = Path("results")) -> tuple[Finding, ...]:
    """One finding per kind of server, one per place that a kind's program can come from, then one per facility."""
    return (*_kinds(), *(look() for look in FACILITIES), _space("results", results, _RESULTS_BYTES))


def _kinds() -> tuple[Finding, ...]:
    with one_round(_ENGINE_SECONDS):
        return tuple(finding for name, folder in known_kinds().items() for finding in _kind_and_sources(name, folder))


def _kind_and_sources(name: str, folder: Path) -> tuple[Finding, ...]:
    """The kind, then each place where its program is looked for, in the order of use."""
    try:
        sources = load_kind(folder)().sources()
    except Exception:  # whatever is wrong with the folder, the finding of the kind itself tells
        sources = ()
    found = (Finding("source", f"{name}: {source.name}", source.ok, source.text, source.fix) for source in sources)
    return (_kind(name, folder), *found)


def _kind(name: str, folder: Path) -> Finding:
    try:
        kind = load_kind(folder)
        built = environment_built(folder, kind.requirements)
    except ServerFolderError as failure:
        return Finding("server", name, False, failure.what, failure.hint)
    try:
        lack = kind.here()
    except Exception as failure:  # a fault of that folder must not hide what the others say
        return Finding("server", name, False, f"its check for what is missing failed: {failure!r}")
    if lack is not None:
        return Finding("server", name, False, lack.reason, lack.fix)
    later = "" if built else f"; its environment is not built yet: bench install {name}, or the first run does it"
    return Finding("server", name, True, f"{kind.title}{later}")


def tensorflow() -> Finding:
    """TensorFlow builds the models; it is not imported here."""
    version = _version("tensorflow")
    if version is None:
        return Finding(
            "facility", "TensorFlow", False, "not installed; models cannot be built", "pip install tensorflow"
        )
    return Finding("facility", "TensorFlow", True, version)


def uv() -> Finding:
    """Uv builds the environments of servers whose packages disagree with ours."""
    version = _version("uv")
    program = shutil.which("uv")
    if version is None and program is None:
        return Finding("facility", "uv", False, "not installed; no environments for servers", "pip install uv")
    return Finding("facility", "uv", True, version or str(program))


def gpu() -> Finding:
    """GPUs, as nvidia-smi shows them."""
    found = gpus()
    if found:
        return Finding("facility", "GPU", True, "; ".join(f"{g['name']}, {g['memory']}" for g in found))
    if shutil.which("nvidia-smi") is None:
        return Finding(
            "facility", "GPU", False, "nvidia-smi is not on PATH", "install the NVIDIA driver, if there is a GPU"
        )
    return Finding("facility", "GPU", False, "nvidia-smi shows none", "nvidia-smi")


def docker() -> Finding:
    """A Docker engine that answers; nothing is started in it."""
    engine = find_engine()
    if isinstance(engine, Missing):
        return Finding("facility", "Docker", False, engine.reason, engine.fix)
    return Finding("facility", "Docker", True, f"engine {engine.version}{', rootless' if engine.rootless else ''}")


def nginx() -> Finding:
    """Nginx, for several copies of a server behind one address."""
    program = shutil.which("nginx", path=f"{_search_path()}:/usr/sbin:/usr/local/sbin")
    if program is None:
        return Finding("facility", "nginx", False, "nginx is not on PATH", "apt-get install nginx")
    return Finding("facility", "nginx", True, program)


def cores() -> Finding:
    """Cores that this process may use, and how a run splits them between the servers and the load generator."""
    count, quota = usable_cores(), quota_cores()
    text = f"{count} usable" if quota is None else f"{count} usable, limited to {quota:g} by the control group"
    if min(count, quota or count) < 2:
        return Finding("facility", "cores", False, f"{text}; the load generator takes its part", "use 2 or more cores")
    return Finding("facility", "cores", True, f"{text}. {budget_text(split(read_processor()))}")


def servers_cores() -> tuple[int, ...]:
    """The cores that servers get here unless a scenario says otherwise: the peak is measured on them."""
    return split(read_processor()).server


def peak() -> Finding:
    """The peak of this machine, if it was measured already; nothing is measured here."""
    known = load_peak(len(servers_cores()))
    if known is None:
        return Finding("facility", "peak", False, "not measured yet; the next run does", "bench doctor --peak")
    return Finding("facility", "peak", True, known.sentence)


def energy() -> Finding:
    """Counters of energy: the processor's own, which only root may read on most machines."""
    found = find_rapl()
    if isinstance(found, str):
        fix = "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj" if found == DENIED else ""
        return Finding("facility", "energy", False, found, fix)
    return Finding("facility", "energy", True, f"RAPL, {len(found.zones)} counters")


def gpu_library() -> Finding:
    """The library that GPUs are watched with; without a GPU nobody needs it."""
    version = _version("nvidia-ml-py")
    if version is None:
        return Finding("facility", "NVML", False, "GPUs cannot be watched", "pip install nvidia-ml-py")
    return Finding("facility", "NVML", True, f"nvidia-ml-py {version}")


def prices() -> Finding:
    """The book of prices that comes with bench, and the person's own file if BENCH_PRICES names one."""
    named = os.environ.get(VARIABLE)
    book = price_book()
    text = f"{len(book)} that come with bench, the latest of {max(price.as_of for price in book)}"
    if not named:
        return Finding("facility", "prices", True, text)
    try:
        own = read_prices(Path(named).expanduser())
    except ScenarioError as failure:
        said = f"{VARIABLE}: {failure.where}: {failure.what}"
        return Finding("facility", "prices", False, said, f"mend that file, or unset {VARIABLE}")
    return Finding("facility", "prices", True, f"{len(own)} in {named} ({VARIABLE}); {text}")


def cache_space() -> Finding:
    """Room for models and environments."""
    return _space("cache", cache_folder(), _CACHE_BYTES)


FACILITIES: tuple[Callable[[], Finding], ...] = (
    tensorflow,
    uv,
    gpu,
    gpu_library,
    docker,
    nginx,
    cores,
    peak,
    energy,
    prices,
    cache_space,
)
"""What is looked at beside the servers, in the order of the output."""


def _space(name: str, folder: Path, needed: float) -> Finding:
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    try:
        free = shutil.disk_usage(there).free
    except OSError as failure:
        return Finding("facility", f"disk: {name}", False, f"{folder}: {failure.strerror}")
    if not os.access(there, os.W_OK):
        return Finding("facility", f"disk: {name}", False, f"{there} cannot be written to", _ELSEWHERE[name])
    text = f"{bytes_text(free)} free in {folder}"
    if free < needed:
        return Finding(
            "facility", f"disk: {name}", False, f"{text}, about {bytes_text(needed)} needed", f"df -h {there}"
        )
    return Finding("facility", f"disk: {name}", True, text)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _search_path() -> str:
    return os.environ.get("PATH", os.defpath)
