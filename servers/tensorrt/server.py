"""TensorRT through Triton's own image: an ONNX model that ONNX Runtime hands to TensorRT, or an engine built before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from bench.errors import LaunchError
from bench.programs import docker
from bench.rungs import Rung
from bench.server import Command, Computing, Duration, Missing, ModelForm, Place
from bench.serving.imaged import ImageServer, lacking_gpu

if TYPE_CHECKING:
    from bench.model.files import ModelFiles
    from bench.protocols import Wire

    from .onnx_names import Names  # noqa: TID252 -- this folder is no part of any package that has a name

MODEL = "classifier"


@dataclass(frozen=True, slots=True)
class Batching:
    """Triton's dynamic batcher: requests that wait together are answered together."""

    max_batch_size: Annotated[int, Ge(2), Le(1024)] = 16
    queue_delay: Duration = 0.0
    """How long a request may wait for company; a lone client pays it in full."""


@dataclass(frozen=True, kw_only=True)
class Server(ImageServer):
    """Triton with one model on GPUs, computed by TensorRT."""

    title: ClassVar[str] = "TensorRT in Triton, on a GPU (needs its image)"
    needs: ClassVar[str] = "an NVIDIA GPU, a Docker engine with NVIDIA's container toolkit, and Triton's image"
    usual_image: ClassVar[str] = "nvcr.io/nvidia/tritonserver:26.07-py3"
    model_form: ClassVar[ModelForm | None] = "onnx"
    port_count: ClassVar[int] = 3
    start_timeout_s: ClassVar[float] = 1800.0  # TensorRT builds its engine at the start, which takes minutes

    image: str = usual_image
    gpus: str | None = "all"
    protocol: Literal["rest-binary", "grpc"] = "grpc"
    """KServe v2 as JSON with the tensors in binary behind it, or as gRPC."""
    plan: Annotated[str | None, "path"] = None
    """An engine that trtexec built of the same ONNX model, with the same TensorRT and for the same GPU."""
    precision: Literal["FP32", "FP16"] = "FP32"
    """What TensorRT may compute in; a plan was built with its own."""
    workspace: Annotated[int, "size", Gt(0)] = 1 << 30
    """GPU memory that building the engine may take."""
    instances: Annotated[int, Ge(1), Le(64)] = 1
    """Copies of the model on each GPU."""
    batching: Batching | None = None
    """Dynamic batching; without it every request is run alone."""

    @classmethod
    def here(cls) -> Missing | None:
        """A GPU, an engine and the image."""
        return lacking_gpu() or super().here()

    def missing(self) -> Missing | None:
        """No GPU, no engine, no image, or no such plan."""
        if self.plan is not None and not Path(self.plan).is_file():
            return Missing(f"no such file: {self.plan}", "'plan' names an engine, such as model.plan")
        return lacking_gpu() or super().missing()

    @property
    def needs_images(self) -> bool:
        """A TensorRT engine decodes no JPEG."""
        return True

    @property
    def other_work(self) -> str:
        """Half precision rounds more than the reference."""
        return "FP16" if self.precision == "FP16" else ""

    @property
    def rung(self) -> Rung:
        """The last one: it runs on a GPU alone."""
        return "GPU"

    @property
    def load_port(self) -> int:
        """The first port is HTTP, the second gRPC; the third, metrics, gets no load."""
        return 1 if self.protocol == "grpc" else 0

    def computing(self, place: Place) -> Computing:
        """A GPU computes; the cores prepare for it."""
        return Computing(1, place.cores)

    def command(self, place: Place) -> Command:
        """`tritonserver` in its image, with a model repository written into `place.folder`.

        Raises: LaunchError without the ONNX form of the model, an engine or the image.
        """
        model, file = _onnx(place)
        repository = place.folder / "models"
        version = repository / MODEL / "1"
        version.mkdir(parents=True)
        (repository / MODEL / "config.pbtxt").write_text(self.config(model, _names(file)), encoding="utf-8")
        served = file if self.plan is None else Path(self.plan).resolve()
        (version / ("model.onnx" if self.plan is None else "model.plan")).symlink_to(served)
        http, grpc, metrics = place.ports
        inside = "0.0.0.0"  # noqa: S104 -- inside; outside it is mapped to loopback alone
        argv = (
            "tritonserver",
            f"--model-repository={repository}",
            *(f"--http-address={inside}", f"--http-port={http}"),
            *(f"--grpc-address={inside}", f"--grpc-port={grpc}"),
            *(f"--metrics-address={inside}", f"--metrics-port={metrics}"),
            "--disable-auto-complete-config",  # the configuration is complete
            "--exit-timeout-secs=5",
        )
        container = self.container(place, folders={place.folder: False, served.parent: False})
        return docker.contained(Command(argv), container)

    def config(self, model: ModelFiles, names: Names) -> str:
        """config.pbtxt: an ONNX model with the TensorRT accelerator, or a plan. On the wire both take [1, h, w, 3]."""
        dims = [model.height, model.width, 3]
        rows = [] if self.batching else [-1]  # with max_batch_size 0 the dims include the batch axis
        backend = "onnxruntime" if self.plan is None else "tensorrt"
        lines = [
            f'name: "{MODEL}"',
            f'backend: "{backend}"',
            f"max_batch_size: {self.batching.max_batch_size if self.batching else 0}",
            _tensor("input", names.input, [*rows, *dims]),
            _tensor("output", names.output, [*rows, model.classes]),
            f"instance_group [ {{ kind: KIND_GPU count: {self.instances} }} ]",
        ]
        if self.batching:
            delay = round(self.batching.queue_delay * 1_000_000)
            lines.append(f"dynamic_batching {{ max_queue_delay_microseconds: {delay} }}")
        if self.plan is None:
            lines.append(self._accelerator())
        lines += [_warmup(names.input, size, [*([] if self.batching else [size]), *dims]) for size in self._sizes()]
        return "\n".join(lines) + "\n"

    def _accelerator(self) -> str:
        given = {"precision_mode": self.precision, "max_workspace_size_bytes": str(self.workspace)}
        parameters = " ".join(f'parameters {{ key: "{key}" value: "{value}" }}' for key, value in given.items())
        accelerator = f'gpu_execution_accelerator : [ {{ name : "tensorrt" {parameters} }} ]'
        return f"optimization {{ execution_accelerators {{ {accelerator} }} }}"

    def _sizes(self) -> tuple[int, ...]:
        """Batches that are run before it is ready: TensorRT builds its engine at the first one of each new size."""
        return (1, self.batching.max_batch_size) if self.batching else (1,)

    def wire(self, place: Place) -> Wire:
        """KServe v2 with the pixels, in the form that `protocol` names."""
        from .pixels import PixelsBinary, PixelsGrpc  # noqa: TID252 -- numpy is not needed to list servers

        model, file = _onnx(place)
        names = _names(file)
        if model.images is None:
            raise LaunchError("no decoded photos are there to send as tensors")
        api: dict[str, Any] = {"model": MODEL, "classes": model.classes, "pixels": model.images.of}
        kind = PixelsGrpc if self.protocol == "grpc" else PixelsBinary
        return kind(**api, input_name=names.input, output_name=names.output)


def _onnx(place: Place) -> tuple[ModelFiles, Path]:
    model = place.model
    file = None if model is None else model.file("onnx")
    if model is None or file is None:
        raise LaunchError("there is no model as onnx to serve", hint="give the model as a .keras or .h5 file")
    return model, file


def _names(file: Path) -> Names:
    from .onnx_names import names_of  # noqa: TID252

    return names_of(file)


def _tensor(kind: str, name: str, dims: Sequence[int]) -> str:
    return f"{kind} [ {{ name: {json.dumps(name)} data_type: TYPE_FP32 dims: [ {', '.join(map(str, dims))} ] }} ]"


def _warmup(name: str, size: int, dims: Sequence[int]) -> str:
    tensor = f"data_type: TYPE_FP32 dims: [ {', '.join(map(str, dims))} ] zero_data: true"
    inputs = f"inputs {{ key: {json.dumps(name)} value: {{ {tensor} }} }}"
    return f'model_warmup [ {{ name: "of {size}" batch_size: {size} {inputs} }} ]'
