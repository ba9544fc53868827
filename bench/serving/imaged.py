"""What kinds whose program comes in a Docker image share: the image, its limits, its end.

A kind adds its own program, its own readiness and its own API; how a container is run is `docker.py`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Gt, MinLen

from bench.programs import docker
from bench.server import Missing, Place, Server
from bench.units import UnitError, cores_text

if TYPE_CHECKING:
    from collections.abc import Callable

_IMAGE = re.compile(
    r"(?:(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-fA-F:]+\])(?::\d+)?/)?"  # the registry's host and port
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::\w[\w.-]{0,127})?(?:@[A-Za-z0-9]+:[0-9a-fA-F]{32,})?",
    re.ASCII,
)
"""As Docker spells images; a leading '-' would be an option."""
_CORES = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
_NVIDIA = Path("/dev/nvidia0")


@dataclass(frozen=True, kw_only=True)
class ImageServer(Server):
    """A server that runs in a container."""

    usual_image: ClassVar[str] = ""
    """The image that the kind runs unless a scenario names another; `bench list servers` looks for it."""

    image: Annotated[str, MinLen(1)]
    memory: Annotated[int, "size", Gt(0)] | None = None
    """Memory at most, without swap."""
    cpuset: str | None = None
    """Cores such as 0-3 or 0,2; by default those of the run's budget."""
    gpus: str | None = None
    """What `docker run --gpus` takes, such as `all`."""
    user: Literal["me", "image"] = "me"
    """Who it runs as; `image` for one that insists on a user of its own."""
    pull: bool = False
    """Fetch the image if it is not here; else it has to be."""

    def __post_init__(self) -> None:
        """Refuse what `docker run` would refuse only at the start."""
        post_init = getattr(super(), "__post_init__", None)
        if post_init is not None:
            post_init()
        for image in self.images:
            if not _IMAGE.fullmatch(image):
                raise UnitError(f"'image' is no name of an image: {image!r}", "for example mine:3, in small letters")
        if self.cpuset is not None and not _CORES.fullmatch(self.cpuset):
            raise UnitError(f"cpuset is a list of cores such as 0-3 or 0,2, got {self.cpuset!r}", "")

    @property
    def images(self) -> tuple[str, ...]:
        """Every image that it takes."""
        return (self.image,)

    @classmethod
    def here(cls) -> Missing | None:
        """An engine that answers and, where the kind has one, its image."""
        engine = docker.find_engine()
        if isinstance(engine, Missing):
            return Missing(f"Docker: {engine.reason}", engine.fix)
        return lacking_image(cls.usual_image) if cls.usual_image else None

    def missing(self) -> Missing | None:
        """No engine, or images that are not here and not to be pulled, all of them at once."""
        engine = docker.find_engine()
        if isinstance(engine, Missing):
            return Missing(f"Docker: {engine.reason}", engine.fix)
        if self.pull:
            return None
        theirs = [image for image in self.images if image != self.image]
        lacks = list(filter(None, map(lacking_image, (*theirs, self.image))))
        if not lacks:
            return None
        reasons, fixes = dict.fromkeys(lack.reason for lack in lacks), dict.fromkeys(lack.fix for lack in lacks)
        pull = f"docker pull {self.image}"
        build = f", or docker build -t {self.image} FOLDER" if pull in fixes and self.image != self.usual_image else ""
        return Missing("; ".join(reasons), " && ".join(fixes) + build)

    def prepare(self, say: Callable[[str], None]) -> None:
        """Pull the images, if that was asked for.   Raises: ArtifactError."""
        if self.pull:
            for image in self.images:
                docker.pull_image(image, say)

    def version(self, place: Place) -> str:  # noqa: ARG002 -- an image is the same everywhere
        """The image with its digest."""
        found = docker.find_image(self.image)
        return self.image if isinstance(found, Missing) else f"{found.name} {found.digest}"

    def container(
        self, place: Place, *, inside: Sequence[int] = (), folders: Mapping[Path, bool] | None = None
    ) -> docker.Container:
        """What its program sees; `inside` is where the first ports lead, `folders` whether each may be written to."""
        return docker.Container(
            image=self.image,
            folders=folders or {},
            host=place.host,
            ports=place.ports,
            inside=inside,
            as_image=self.user == "image",
            cpuset=self.cpuset or (cores_text(place.cpuset) if place.cpuset else None),
            memory_bytes=self.memory,
            gpus=self.gpus,
        )


def lacking_image(name: str) -> Missing | None:
    """Missing, with the command that gets it, if an image is not on this machine."""
    found = docker.find_image(name)
    return found if isinstance(found, Missing) else None


def lacking_gpu() -> Missing | None:
    """Missing, if this machine has no NVIDIA GPU."""
    if _NVIDIA.exists():
        return None
    return Missing(
        "no NVIDIA GPU on this machine",
        "run the scenario on a machine that has one, then merge both runs: bench report RUN RUN",
    )
