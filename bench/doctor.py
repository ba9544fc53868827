"""What can run on this machine and, for what cannot, why and the command that changes it.

It looks and changes nothing; every look ends within seconds.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.artifact import cache_folder
from bench.errors import ServerFolderError
from bench.machine import gpus, quota_cores, usable_cores
from bench.server import known_kinds, load_kind
from bench.units import bytes_text

_ENGINE_SECONDS = 5.0
_CACHE_BYTES = 4e9  # TensorFlow in an environment of its own takes about 2 GB, a large model in three forms 1 GB
_RESULTS_BYTES = 2e8


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it is there, what was found or is missing, and what would help."""

    area: str
    name: str
    ok: bool
    text: str
    fix: str = ""


def examine(results: Path = Path("results")) -> tuple[Finding, ...]:
    """One finding per kind of server, then one per facility."""
    return (*_kinds(), *(look() for look in FACILITIES), _space("results", results, _RESULTS_BYTES))


def _kinds() -> tuple[Finding, ...]:
    return tuple(_kind(name, folder) for name, folder in known_kinds().items())


def _kind(name: str, folder: Path) -> Finding:
    try:
        kind = load_kind(folder)
    except ServerFolderError as failure:
        return Finding("server", name, False, failure.what, failure.hint)
    try:
        lack = kind().missing()
    except TypeError:  # a kind that has keys without a default
        return Finding("server", name, True, f"{kind.title} (it has keys that must be given)")
    except Exception as failure:  # a fault of that folder must not hide what the others say
        return Finding("server", name, False, f"its check for what is missing failed: {failure!r}")
    if lack is not None:
        return Finding("server", name, False, lack.reason, lack.fix)
    return Finding("server", name, True, kind.title)


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
    program = shutil.which("docker")
    if program is None:
        return Finding("facility", "Docker", False, "docker is not on PATH", "https://docs.docker.com/engine/install")
    try:
        answer = subprocess.run(
            [program, "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            text=True,
            timeout=_ENGINE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as failure:
        return Finding("facility", "Docker", False, f"its engine does not answer: {failure}", "docker version")
    if answer.returncode != 0:
        said = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        return Finding("facility", "Docker", False, f"its engine does not answer: {said}", "systemctl start docker")
    return Finding("facility", "Docker", True, f"engine {answer.stdout.strip()}")


def nginx() -> Finding:
    """Nginx, for several copies of a server behind one address."""
    program = shutil.which("nginx", path=f"{_search_path()}:/usr/sbin:/usr/local/sbin")
    if program is None:
        return Finding("facility", "nginx", False, "nginx is not on PATH", "apt-get install nginx-light")
    return Finding("facility", "nginx", True, program)


def cores() -> Finding:
    """Cores that this process may use; the server and the load generator share them."""
    count, quota = usable_cores(), quota_cores()
    text = f"{count} usable" if quota is None else f"{count} usable, limited to {quota:g} by the control group"
    if min(count, quota or count) < 2:
        return Finding("facility", "cores", False, f"{text}; the load generator takes its part", "use 2 or more cores")
    return Finding("facility", "cores", True, text)


def cache_space() -> Finding:
    """Room for models and environments."""
    return _space("cache", cache_folder(), _CACHE_BYTES)


FACILITIES: tuple[Callable[[], Finding], ...] = (tensorflow, uv, gpu, docker, nginx, cores, cache_space)
"""What is looked at beside the servers, in the order of the output."""


def _space(name: str, folder: Path, needed: float) -> Finding:
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    try:
        free = shutil.disk_usage(there).free
    except OSError as failure:
        return Finding("facility", f"disk: {name}", False, f"{folder}: {failure.strerror}")
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
