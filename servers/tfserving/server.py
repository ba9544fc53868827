"""TensorFlow Serving's own program, `tensorflow_model_server`, on CPU or GPU, over REST or gRPC.

What is put into its files and read from its words lies in the modules beside this one.
"""

from __future__ import annotations

import http.client
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from bench import server
from bench.errors import LaunchError
from bench.rungs import Rung

from .batching import Batching  # noqa: TID252 -- this folder is no part of any package that has a name
from .failures import explanation, stage, startup_parts  # noqa: TID252
from .flags import APART, FlagValue, check_given, check_known, check_session_config, flag_text  # noqa: TID252
from .laying import Records, lay  # noqa: TID252
from .models import ONLY, Ask, Laid, Model, asked_model, check_names, config_text  # noqa: TID252
from .monitoring import CONFIG, PATH, totals  # noqa: TID252
from .refusals import error_kind  # noqa: TID252
from .sources import PROGRAM, Binary, Docker, InImage, Runtime, find, install, sources  # noqa: TID252

if TYPE_CHECKING:
    from bench.payload.signature import Signature
    from bench.protocols import Wire
    from bench.swap import Swap

DEVICES = Path("/dev")

LEAST_THREADS = 64
"""Handler threads unless asked otherwise: of the program's own 4 per core, eight clients get RESOURCE_EXHAUSTED."""

MOST_THREADS = 1024
"""Handler threads at most, unless asked otherwise: its gRPC suffers from many more."""

GPU_START_TIMEOUT = 1800.0
"""Seconds; TensorFlow itself warns that compiling for a GPU newer than the build could take 30 minutes."""
LONGEST_SOCKET = 107
"""Bytes of a UNIX socket's path that the kernel takes."""
_SCRAPE_SECONDS = 5.0

Threads = Annotated[int, Ge(1), Le(4096)]


@dataclass(frozen=True, kw_only=True)
class Server(server.Server):
    """TensorFlow Serving, one process, one model or several."""

    needs: ClassVar[str] = "tensorflow_model_server (bench install tfserving) or a Docker engine with its image"
    title: ClassVar[str] = "TensorFlow Serving (tensorflow_model_server), REST or gRPC, CPU or GPU"
    model_form: ClassVar[server.ModelForm | None] = "saved_model"
    port_count: ClassVar[int] = 2  # gRPC, REST

    binary: str | None = None
    """The program; by default what BENCH_TFSERVING_BINARY names, what is on PATH, or what was fetched earlier."""
    runtime: Runtime = "auto"
    """`auto`: a program of this machine, or else an image of its Docker engine."""
    docker: Docker | None = None
    """How it runs in a container; chooses Docker."""
    protocol: Literal["rest", "grpc", "grpc-unix"] = "rest"
    """`grpc-unix` is gRPC over a UNIX socket, without the network stack."""
    request: Literal["jpeg", "tensor"] = "jpeg"
    """What a request carries: the JPEG, decoded by the model, or float32 pixels that were decoded beforehand."""
    device: Literal["cpu", "gpu"] = "cpu"
    models: Mapping[str, Model] = field(default_factory=dict)
    """Several models, or several versions of one, by name; by default the scenario's model alone."""
    ask: Ask = field(default_factory=Ask)
    """Which model and version the load goes to."""
    batching: Batching | None = None
    model_warmup: bool | Annotated[int, Ge(1), Le(1000)] = False
    """Whether the program replays a request of each batch size before it opens its ports; a number repeats them."""
    session_config_file: Annotated[str | None, "path"] = None
    """A ConfigProto as text, such as `gpu_options { allow_growth: true }`."""
    mixed_precision: Literal["bfloat16"] | None = None
    xla: bool = False
    """Compile with XLA what the model asks to be compiled."""
    gpu_memory_fraction: Annotated[float, Gt(0), Le(1)] | None = None
    """By default TensorFlow takes nearly all of the GPU's memory."""
    grpc_max_threads: Threads | None = None
    """By default what the load and the batches need, 64 at least: every request under way holds a thread."""
    rest_api_num_threads: Annotated[int, Ge(2), Le(4096)] | None = None
    """As above; one alone would hang, because the event loop takes a thread."""
    intra_op_threads: Threads | None = None
    """Threads within one operation; by default the core budget."""
    inter_op_threads: Threads | None = None
    """Operations at a time; by default the core budget."""
    flags: Mapping[str, FlagValue] = field(default_factory=dict)
    """Any other flag of the program, without its dashes."""

    def __post_init__(self) -> None:
        """Refuse flags that the harness sets, and names that are no flags."""
        check_given(self.flags, self.protocol)
        check_names(self.models)
        asked_model(self._models, self.ask)
        if self.runtime == "binary" and self.docker is not None:
            raise ValueError("docker has no meaning with runtime: binary")
        if self.binary is not None and (self.runtime == "docker" or self.docker is not None):
            raise ValueError("binary has no meaning in a container; docker.image names what runs there")
        if self.gpu_memory_fraction is not None and self.device != "gpu":
            raise ValueError("gpu_memory_fraction needs device: gpu")

    @property
    def start_timeout(self) -> float:
        """A GPU that the build has no code for gets it compiled at the first start."""
        return GPU_START_TIMEOUT if self.device == "gpu" else self.start_timeout_s

    @property
    def needs_images(self) -> bool:
        """A tensor request carries pixels."""
        return self.request == "tensor"

    def socket(self, place: server.Place) -> Path | None:
        """In the scratch folder."""
        return place.folder / "grpc.sock" if self.protocol == "grpc-unix" else None

    @property
    def load_port(self) -> int:
        """GRPC has the first port, REST the second."""
        return 1 if self.protocol == "rest" else 0

    def missing(self) -> server.Missing | None:
        """No GPU where one is asked for, or no program."""
        if self.device == "gpu" and not _has_nvidia_gpu():
            return server.Missing(
                "no NVIDIA GPU on this machine",
                "run the scenario on a machine that has one, then merge both runs: bench report RUN RUN",
            )
        origin = self._origin()
        return origin if isinstance(origin, server.Missing) else None

    def sources(self) -> tuple[server.Source, ...]:
        """Named or on PATH, fetched earlier, or an image."""
        return sources(self.binary, self.device, self.docker)

    @classmethod
    def install(cls, order: server.Order, say: Callable[[str], None]) -> Path:
        """From TensorFlow's own Debian repository."""
        return install(order, say)

    def version(self, place: server.Place) -> str:  # noqa: ARG002 -- it depends on the program alone
        """What `--version` says, such as `ModelServer 2.20.0, Library 2.20.0`, and the image it is in."""
        origin = self._required_origin()
        said = re.findall(r"^TensorFlow (\w+): (\S+)", origin.says("--version"), re.MULTILINE)
        return ", ".join(filter(None, [*(f"{part} {number}" for part, number in said), origin.label]))

    @property
    def rung(self) -> Rung:
        """A server for models; a rung further if it batches, and the last one on a GPU."""
        if self.device == "gpu":
            return "GPU"
        return "batching" if self.batching else "model server"

    def command(self, place: server.Place) -> server.Command:
        """The program with every flag written `--flag=value`, the only form it reads."""
        origin = self._required_origin()
        if place.model is None:
            raise LaunchError(f"a model is needed to start {PROGRAM}")
        laid = [self._lay(place, name, model) for name, model in self._models.items()]
        flags = self._flags(place, laid)
        check_known(origin, flags, self.flags)
        argv = (origin.program, *(f"--{name}={flag_text(value)}" for name, value in flags.items()))
        env = {"TF_CPP_MIN_LOG_LEVEL": "0"}  # an inherited one silences the log that errors are shown from
        if self.device == "cpu":
            env["CUDA_VISIBLE_DEVICES"] = "-1"  # a GPU build would take the GPU unasked
        mounts = {each.base: False for each in laid if not each.base.is_relative_to(place.folder)}
        mounts[place.folder] = self.socket(place) is not None
        if self.session_config_file is not None:
            mounts[Path(self.session_config_file).resolve()] = False
        return origin.command(server.Command(argv, env, cwd=place.folder), place, mounts)

    def computing(self, place: server.Place) -> server.Computing:
        """One process, with the threads within one operation; those of several at a time wait for each other."""
        return server.Computing(1, self.intra_op_threads or place.cores)

    def wire(self, place: server.Place) -> Wire:
        """REST in row format or PredictionService.Predict, with the JPEG, its pixels, or any inputs of the model."""
        from bench.protocols.tfserving import TfServingGrpc, TfServingRest

        if place.model is not None and place.model.signature is not None:
            return self._tensor_wire(place.model.signature)
        pixels = None
        if self.request == "tensor":
            if place.model is None or place.model.images is None:
                raise LaunchError("no decoded photos are there to send as tensors")
            pixels = place.model.images.of
        name, version, label = asked_model(self._models, self.ask), self.ask.version, self.ask.label
        if self.protocol == "rest":
            return TfServingRest(name, pixels, version, label)
        return TfServingGrpc(name, pixels=pixels, version=version, label=label)

    def _tensor_wire(self, signature: Signature) -> Wire:
        from bench.protocols.tfserving_tensors import TfServingTensorsGrpc, TfServingTensorsRest

        name, version, label = asked_model(self._models, self.ask), self.ask.version, self.ask.label
        made = TfServingTensorsRest if self.protocol == "rest" else TfServingTensorsGrpc
        return made(signature, name, version, label)

    def cannot_take(self, signature: Signature | None) -> str:
        """What its REST API has no way to say."""
        if signature is None or self.protocol != "rest":
            return ""
        from bench.protocols.tfserving_tensors import NOT_IN_JSON

        odd = sorted({spec.dtype for spec in (*signature.inputs, *signature.outputs)} & set(NOT_IN_JSON))
        return f"TensorFlow Serving's REST API has no {odd[0]}; protocol: grpc has" if odd else ""

    def error_kind(self, error: str) -> str:
        """RESOURCE_EXHAUSTED by its meaning, UNAVAILABLE, DEADLINE_EXCEEDED, over gRPC and REST alike."""
        return error_kind(error)

    def cannot_swap(self) -> str:
        """Where the load or the policy keeps to a version."""
        name = asked_model(self._models, self.ask)
        if self.ask.version is not None or self.ask.label is not None:
            return "its load asks for one version, whatever takes over; leave out ask.version and ask.label"
        model = self._models[name]
        if model.serve != "latest" or (model.latest or 1) > 1:
            return f"models.{name} keeps the old version; a new one takes its place only with serve: latest"
        return ""

    def swap(self, place: server.Place) -> Swap:
        """The next version's folder, copied beside and renamed."""
        from .swap import FolderSwap  # noqa: TID252 -- here, because few load points need it

        name = asked_model(self._models, self.ask)
        base, target = place.folder / "models" / name, f"{place.host}:{place.ports[0]}"
        return FolderSwap(base, max(self._models[name].versions), target, name)

    def explain(self, log: str, exit_code: int | None) -> str | None:
        """What its words and its exit code are known to mean."""
        return explanation(log, exit_code)

    def startup_parts(self, log: str) -> Mapping[str, float]:
        """Loading the model, and replaying its warm-up records."""
        return startup_parts(log)

    def stage(self, log: str) -> str:
        """Looking for the model, loading it, replaying warm-up records, or open."""
        return stage(log)

    def counters(self, place: server.Place) -> Mapping[str, float]:
        """Requests, runs, the batching queue, from its Prometheus page on the REST port; empty if there is none."""
        connection = http.client.HTTPConnection(place.host, place.ports[1], timeout=_SCRAPE_SECONDS)
        with closing(connection):
            try:
                connection.request("GET", PATH)
                reply = connection.getresponse()
                page = reply.read().decode(errors="replace")
            except (OSError, http.client.HTTPException):
                return {}
        return totals(page) if reply.status == 200 else {}

    @property
    def _models(self) -> Mapping[str, Model]:
        return self.models or {ONLY: Model()}

    def _batching_of(self, model: Model) -> Batching | None:
        """The parameters that a model's own version folders get; None where those for all count."""
        if model.batching is not None:
            return model.batching
        return self.batching if self._per_model else None

    @property
    def _per_model(self) -> bool:
        own = any(model.batching is not None for model in self._models.values())
        return own or (self.batching is not None and self.batching.per_model)

    def _lay(self, place: server.Place, name: str, model: Model) -> Laid:
        swapped = place.swaps and name == asked_model(self._models, self.ask)
        warmed = self.model_warmup is not False and model.path is None
        sizes = (self._batching_of(model) or self.batching or Batching()).warmup_sizes
        records = Records(self.request, sizes) if warmed else None
        return lay(place, name, model, self._batching_of(model), records, moved=swapped)

    def _threads(self, place: server.Place) -> int:
        """Handler threads that no request has to be refused for; a thread that is not needed is not started."""
        given = [self.batching, *(model.batching for model in self._models.values())]
        sizes = [max(it.max_batch_size or 0, it.max_execution_batch_size or 0) for it in given if it is not None]
        batches = 2 * max(sizes, default=0)
        return min(MOST_THREADS, max(LEAST_THREADS, batches, 2 * place.in_flight))

    def _flags(self, place: server.Place, laid: Sequence[Laid]) -> dict[str, FlagValue]:
        threads = self._threads(place)
        monitoring = place.folder / "monitoring_config.txt"
        monitoring.write_text(CONFIG)
        flags: dict[str, FlagValue] = {
            "port": place.ports[0],
            "rest_api_port": place.ports[1],
            **self._model_flags(place, laid),
            "grpc_max_threads": self.grpc_max_threads or threads,
            "rest_api_num_threads": self.rest_api_num_threads or threads,
            "tensorflow_intra_op_parallelism": self.intra_op_threads or place.cores,
            "tensorflow_inter_op_parallelism": self.inter_op_threads or place.cores,
            "max_num_load_retries": 0,  # else a broken model takes five minutes to be reported
            # look for versions once, never while measuring, unless a new one is what is measured
            "file_system_poll_wait_seconds": int(place.swaps),
            "monitoring_config_file": str(monitoring),
        }
        if socket := self.socket(place):
            if len(os.fsencode(socket)) > LONGEST_SOCKET:
                hint = "TMPDIR names another folder for scratch files; choose a shorter one"
                raise LaunchError(f"too long for a UNIX socket's path: {socket}", hint=hint)
            flags["grpc_socket_path"] = str(socket)
        flags |= self._batching_flags(place) | self._session_flags() | dict(self.flags)
        flags["grpc_channel_arguments"] = ",".join(
            filter(None, (str(self.flags.get("grpc_channel_arguments", "")), APART))
        )
        return flags

    def _model_flags(self, place: server.Place, laid: Sequence[Laid]) -> dict[str, FlagValue]:
        if not self.models:
            return {"model_name": laid[0].name, "model_base_path": str(laid[0].base)}
        file = place.folder / "models.config"
        file.write_text(config_text(laid))
        flags: dict[str, FlagValue] = {"model_config_file": str(file)}
        labels = any(each.model.labels for each in laid)  # they are looked at before anything is loaded
        return flags | ({"allow_version_labels_for_unavailable_models": True} if labels else {})

    def _batching_flags(self, place: server.Place) -> dict[str, FlagValue]:
        if self.batching is None and not self._per_model:
            return {}
        batching = self.batching or Batching()
        file = place.folder / "batching_parameters.txt"
        file.write_text(batching.pool_text() if self._per_model else batching.text())
        flags: dict[str, FlagValue] = {"enable_batching": True, "batching_parameters_file": str(file)}
        return flags | ({"enable_per_model_batching_parameters": True} if self._per_model else {})

    def _session_flags(self) -> dict[str, FlagValue]:
        flags: dict[str, FlagValue] = {}
        if self.session_config_file is not None:
            file = Path(self.session_config_file).resolve()
            check_session_config(file)
            flags["tensorflow_session_config_file"] = str(file)
        if self.mixed_precision is not None:
            flags["mixed_precision"] = self.mixed_precision
        if self.xla:
            flags[f"xla_{self.device}_compilation_enabled"] = True
        if self.gpu_memory_fraction is not None:
            flags["per_process_gpu_memory_fraction"] = self.gpu_memory_fraction
        if self.model_warmup > 1:
            flags["num_request_iterations_for_warmup"] = self.model_warmup
        return flags

    def _origin(self) -> Binary | InImage | server.Missing:
        return find(self.runtime, self.binary, self.device, self.docker)

    def _required_origin(self) -> Binary | InImage:
        origin = self._origin()
        if isinstance(origin, server.Missing):
            raise LaunchError(origin.reason, hint=origin.fix)
        return origin


def _has_nvidia_gpu() -> bool:
    """Whether a device node is there; containers may show a driver in /proc, or nvidia-smi, without one."""
    return any(DEVICES.glob("nvidia[0-9]*"))
