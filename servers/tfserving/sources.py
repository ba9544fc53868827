"""Where `tensorflow_model_server` comes from: a program that is named or on PATH, one fetched earlier, or an image.

This module knows nothing of the program's flags, and fetches nothing unless it is told to install.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Gt

from bench.cache import cache_folder
from bench.errors import ArtifactError
from bench.programs import docker
from bench.server import Command, Missing, Order, Place, Source
from bench.units import cores_text

PROGRAM = "tensorflow_model_server"
BINARY_VARIABLE = "BENCH_TFSERVING_BINARY"
REPOSITORY_VARIABLE = "BENCH_TFSERVING_REPOSITORY"
REPOSITORY = "https://storage.googleapis.com/tensorflow-serving-apt"
IMAGE = "tensorflow/serving:2.20.0"
INSTALL = "bench install tfserving"

_FAST, _UNIVERSAL = "tensorflow-model-server", "tensorflow-model-server-universal"
_FAST_NEEDS = ("avx", "sse4_2")
_FILE = f"usr/bin/{PROGRAM}"
_SAYS_SECONDS = 20.0
_GPU_CACHE_BYTES = 4 << 30

Runtime = Literal["auto", "binary", "docker"]
Device = Literal["cpu", "gpu"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Docker:
    """How it runs in a container; giving any of it chooses Docker."""

    image: str | None = None
    """By default tensorflow/serving:2.20.0, with -gpu for device: gpu."""
    cpuset: str | None = None
    """The cores it may use, such as 0-3 or 0,2, in place of those of the budget, which every other server gets."""
    memory: Annotated[int, "size", Gt(0)] | None = None
    """Memory at most, without swap; beyond it the kernel ends the server."""
    network: Literal["bridge", "host"] = "bridge"
    """`host` leaves out Docker's proxy, through which every byte goes otherwise, and listens on all interfaces."""

    def __post_init__(self) -> None:
        """Refuse what `docker run` would refuse only at the start."""
        if self.cpuset is not None and not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", self.cpuset):
            raise ValueError(f"cpuset is a list of cores such as 0-3 or 0,2, got {self.cpuset!r}")


@dataclass(frozen=True, slots=True)
class Binary:
    """A program of this machine."""

    path: Path

    @property
    def program(self) -> str:
        """What a command line begins with."""
        return str(self.path)

    @property
    def label(self) -> str:
        """Nothing beyond what the program says of itself."""
        return ""

    def says(self, flag: str) -> str:
        """What it prints for a flag that makes it exit; empty if it cannot be run or takes too long."""
        try:
            done = subprocess.run([self.path, flag], capture_output=True, text=True, timeout=_SAYS_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout

    def command(self, command: Command, place: Place, mounts: Mapping[Path, bool]) -> Command:  # noqa: ARG002
        """The command as it is."""
        return command


@dataclass(frozen=True, slots=True)
class InImage:
    """The program of an image that is on this machine."""

    image: docker.Image
    device: Device
    limits: Docker

    @property
    def program(self) -> str:
        """What a command line begins with, inside."""
        return PROGRAM

    @property
    def label(self) -> str:
        """The image by its name and its digest."""
        return f"image {self.image.name} {self.image.digest}"

    def says(self, flag: str) -> str:
        """What the program prints for a flag that makes it exit; a GPU build may need a GPU even for that."""
        return docker.output_of(self.image.name, (PROGRAM, flag))

    def command(self, command: Command, place: Place, mounts: Mapping[Path, bool]) -> Command:
        """The same command in a container; `mounts` are the paths it uses, and whether it may write there."""
        env, paths = dict(command.env), dict(mounts)
        if self.device == "gpu":  # compiling for a GPU that the build does not know takes many minutes: once is enough
            compiled = cache_folder() / "cuda"
            compiled.mkdir(parents=True, exist_ok=True)
            paths[compiled] = True
            env |= {"CUDA_CACHE_PATH": str(compiled), "CUDA_CACHE_MAXSIZE": str(_GPU_CACHE_BYTES)}
        container = docker.Container(
            image=self.image.name,
            folders=paths,
            host=place.host,
            ports=place.ports,
            network=self.limits.network,
            cpuset=self.limits.cpuset or cores_text(place.cpuset) or None,
            memory_bytes=self.limits.memory,
            gpus="all" if self.device == "gpu" else None,
        )
        return docker.contained(Command(command.argv, env, command.cwd), container)


def find(runtime: Runtime, binary: str | None, device: Device, limits: Docker | None) -> Binary | InImage | Missing:
    """The first source that is open, or why none is; quick, and changes nothing."""
    if runtime != "docker" and limits is None:
        found = _named(binary) or _on_path() or _fetched(device)
        if found is not None:
            return found
    if runtime != "binary":
        image = docker.find_image(image_name(device, limits))
        if isinstance(image, docker.Image):
            return InImage(image, device, limits or Docker())
        if runtime == "docker" or limits is not None:
            return Missing(f"Docker: {image.reason}", image.fix)
        return _nothing(device, f"; Docker: {image.reason}", f", or {image.fix}" if "pull" in image.fix else "")
    return _nothing(device)


def image_name(device: Device, limits: Docker | None = None) -> str:
    """The image that is asked for."""
    if limits is not None and limits.image is not None:
        return limits.image
    return f"{IMAGE}-gpu" if device == "gpu" else IMAGE


def sources(binary: str | None, device: Device, limits: Docker | None) -> tuple[Source, ...]:
    """Every source with what was found there, in the order in which they are used."""
    named = _named(binary) or _on_path()
    name = f"{BINARY_VARIABLE} or PATH"
    if isinstance(named, Binary):
        first = Source(name, True, named.program)
    elif isinstance(named, Missing):
        first = Source(name, False, named.reason, named.fix)
    else:
        first = Source(name, False, f"no {PROGRAM}", f"export {BINARY_VARIABLE}=/path/to/{PROGRAM}")
    fetched = _fetched(device)
    image = docker.find_image(image_name(device, limits))
    return (
        first,
        Source("fetched", True, fetched.program) if fetched else Source("fetched", False, "none in the cache", INSTALL),
        Source("Docker image", True, f"{image.name} {image.digest}")
        if isinstance(image, docker.Image)
        else Source("Docker image", False, image.reason, image.fix),
    )


def install(order: Order, say: Callable[[str], None]) -> Path:
    """Fetch the program that fits this CPU; where it lies.   Raises: ArtifactError."""
    from bench.programs.install import Repository, cpu_has
    from bench.programs.install import install as fetch

    found = _named(None) or _on_path()
    if isinstance(found, Binary) and order.version is None and order.repository is None:
        say(f"{found.path} is used, so nothing is fetched; --version fetches one all the same")
        return found.path
    if platform.machine() != "x86_64":
        raise ArtifactError(
            f"TensorFlow Serving is built for x86_64 alone, and this machine is {platform.machine()}",
            hint=f"build it yourself, and name it with {BINARY_VARIABLE}",
        )
    address = order.repository or os.environ.get(REPOSITORY_VARIABLE) or REPOSITORY
    package = _FAST if cpu_has(*_FAST_NEEDS) else _UNIVERSAL
    if package == _UNIVERSAL:
        say("this CPU has no AVX or no SSE4.2: the package that does without them is taken")
    return fetch(Repository(address, timeout=order.timeout), package, _FILE, version=order.version, say=say)


def _named(binary: str | None) -> Binary | Missing | None:
    """What a person named; a name that leads nowhere is never passed over."""
    name = binary or os.environ.get(BINARY_VARIABLE)
    if not name:
        return None
    found = shutil.which(str(Path(name).expanduser()))
    if found is None:
        return Missing(f"{name} is not an executable file", f"correct `binary` or {BINARY_VARIABLE}")
    return Binary(Path(found).absolute())


def _on_path() -> Binary | None:
    found = shutil.which(PROGRAM)
    return Binary(Path(found).absolute()) if found else None


def _fetched(device: Device) -> Binary | None:
    """The newest that was fetched and runs on this CPU; none for a GPU, since the packages are CPU builds."""
    from bench.programs.install import cpu_has, installed

    if device == "gpu":
        return None
    fast = installed(_FAST, PROGRAM) if cpu_has(*_FAST_NEEDS) else ()
    found = [*fast, *installed(_UNIVERSAL, PROGRAM)]
    return Binary(found[0]) if found else None


def _nothing(device: Device, more: str = "", other: str = "") -> Missing:
    name = f"name it with `binary: /path/to/{PROGRAM}` or {BINARY_VARIABLE}"
    if device == "gpu":  # what can be fetched is built for CPUs
        return Missing(f"{PROGRAM} is not on PATH{more}", f"{name}{other}")
    return Missing(f"{PROGRAM} is not on PATH, and none was fetched{more}", f"{INSTALL}, or {name}{other}")
