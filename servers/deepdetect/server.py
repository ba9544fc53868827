"""DeepDetect's own image: a Torch or TensorRT model of a person's own behind its REST API."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from bench.errors import LaunchError
from bench.programs import docker
from bench.server import Command, Missing, Place
from bench.serving.imaged import ImageServer, lacking_gpu
from bench.units import UnitError

if TYPE_CHECKING:
    from .api import DeepDetectApi  # noqa: TID252 -- this folder is no part of any package that has a name

SERVICE = "classifier"
_PORT = 8080
_OURS = {"input": ("connector", "width", "height"), "mllib_parameters": ("nclasses",)}


@dataclass(frozen=True, kw_only=True)
class Server(ImageServer):
    """DeepDetect; its keys are its own API's, spelled alike."""

    title: ClassVar[str] = "DeepDetect with a Torch or TensorRT model of your own (needs its image)"
    needs: ClassVar[str] = "a Docker engine, DeepDetect's image, and a Torch or TensorRT model"
    usual_image: ClassVar[str] = "docker.jolibrain.com/deepdetect_cpu"
    start_timeout_s: ClassVar[float] = 1800.0  # TensorRT builds its engine at the first start

    image: str = usual_image
    repository: Annotated[str, "path"]
    """The folder with the model, as DeepDetect's `model.repository`; a copy of it is served."""
    classes: Annotated[int, Ge(2), Le(100_000)]
    """`nclasses`: how many the model tells apart."""
    mllib: Literal["torch", "tensorrt"] = "torch"
    """Which library runs it; DeepDetect has no other left for images: no TensorFlow, no Caffe."""
    width: Annotated[int, Ge(1), Le(8192)] = 224
    height: Annotated[int, Ge(1), Le(8192)] = 224
    input: Mapping[str, Any] = field(default_factory=dict)
    """More of the image connector's parameters, such as `{rgb: true, scale: 0.0039}`."""
    mllib_parameters: Mapping[str, Any] = field(default_factory=dict)
    """More of the library's parameters, such as `{gpu: true, datatype: fp16}`."""
    answers: Literal["model", "steady"] = "steady"
    """Compared with the scenario's model, or with the first ones that it gives itself."""

    def __post_init__(self) -> None:
        """Refuse what the keys of their own already say."""
        super().__post_init__()
        for name, taken in _OURS.items():
            twice = next((key for key in taken if key in getattr(self, name)), None)
            if twice is not None:
                raise UnitError(f"{name}.{twice} is set by another key", "see width, height and classes")

    @property
    def judged_by_model(self) -> bool:
        """Only where it serves the scenario's model in a form of its own."""
        return self.answers == "model"

    @property
    def may_learn(self) -> bool:
        """Without a model its own first answers are what later ones are compared with."""
        return True

    def missing(self) -> Missing | None:
        """No model, no GPU for TensorRT, no engine, or no image."""
        if not Path(self.repository).is_dir():
            return Missing(f"no such folder: {self.repository}", "'repository' names the folder with the model")
        return (lacking_gpu() if self.mllib == "tensorrt" else None) or super().missing()

    def command(self, place: Place) -> Command:
        """The image's own program, told to create the service before it listens."""
        from .api import service_line  # noqa: TID252

        shared = place.folder / "deepdetect"
        model = shared / "model"
        try:
            shutil.copytree(self.repository, model)
        except (OSError, shutil.Error) as failure:
            raise LaunchError(f"the model cannot be copied: {failure}", where=self.repository) from failure
        start_list = shared / "services"
        start_list.write_text(service_line(SERVICE, self.service(model)))
        if self.user == "image":  # it writes beside the model, and is somebody else
            for path in (shared, *shared.rglob("*")):
                path.chmod(0o777 if path.is_dir() else 0o666)
        container = self.container(place, inside=(_PORT,), folders={shared: True})
        if self.mllib == "tensorrt" and self.gpus is None:
            container = replace(container, gpus="all")
        return docker.contained(Command(("", "-service_start_list", str(start_list))), container)

    def service(self, repository: Path) -> dict[str, Any]:
        """The body of `PUT /services`."""
        return {
            "mllib": self.mllib,
            "description": "image classification service",
            "type": "supervised",
            "model": {"repository": str(repository)},
            "parameters": {
                "input": {"connector": "image", "width": self.width, "height": self.height, **self.input},
                "mllib": {"nclasses": self.classes, **self.mllib_parameters},
                "output": {},
            },
        }

    def wire(self, place: Place) -> DeepDetectApi:  # noqa: ARG002 -- its routes are fixed
        """DeepDetect's own JSON."""
        from .api import DeepDetectApi  # noqa: TID252

        return DeepDetectApi(SERVICE, self.classes, self.width, self.height)
