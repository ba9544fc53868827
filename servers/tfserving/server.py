"""TensorFlow Serving's own program, `tensorflow_model_server`, on CPU or GPU, over REST or gRPC."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from bench import server
from bench.errors import LaunchError
from bench.names import nearest

if TYPE_CHECKING:
    from bench.protocols import Wire

PROGRAM = "tensorflow_model_server"
BINARY_VARIABLE = "BENCH_TFSERVING_BINARY"
MODEL_NAME = "model"
DEVICES = Path("/dev")

LEAST_THREADS = 64
"""Handler threads unless asked otherwise: of the program's own 4 per core, eight clients get RESOURCE_EXHAUSTED."""

OURS = frozenset(
    {"port", "rest_api_port", "model_name", "model_base_path", "batching_parameters_file", "enable_batching"}
)

Threads = Annotated[int, Ge(1), Le(4096)]
FlagValue = bool | int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """Server-side batching; the names are those of TensorFlow Serving's BatchingParameters.

    What is left out is left to the program: 1000 rows, no wait, 10 batches per queue, one thread per core.
    """

    max_batch_size: Annotated[int, Ge(1)] | None = None
    batch_timeout: server.Duration | None = None
    """Longest wait for a batch to fill, `batch_timeout_micros` there; a lone client pays it in full."""
    max_enqueued_batches: Annotated[int, Ge(1)] | None = None
    num_batch_threads: Threads | None = None
    allowed_batch_sizes: tuple[Annotated[int, Gt(0)], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would make the program fail only after the model has loaded."""
        sizes = self.allowed_batch_sizes
        if list(sizes) != sorted(set(sizes)):
            raise ValueError(f"allowed_batch_sizes must ascend, got {list(sizes)}")
        if sizes and sizes[-1] != self.max_batch_size:
            raise ValueError(f"the last of allowed_batch_sizes must be max_batch_size, got {sizes[-1]}")

    def text(self) -> str:
        """The parameters as a text proto."""
        wrapped = {
            "max_batch_size": self.max_batch_size,
            "batch_timeout_micros": None if self.batch_timeout is None else round(self.batch_timeout * 1e6),
            "max_enqueued_batches": self.max_enqueued_batches,
            "num_batch_threads": self.num_batch_threads,
        }
        lines = [f"{name} {{ value: {value} }}" for name, value in wrapped.items() if value is not None]
        lines += [f"allowed_batch_sizes: {size}" for size in self.allowed_batch_sizes]
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, kw_only=True)
class Server(server.Server):
    """TensorFlow Serving, one process, one model."""

    title: ClassVar[str] = "TensorFlow Serving (tensorflow_model_server), REST or gRPC, CPU or GPU"
    model_form: ClassVar[server.ModelForm | None] = "saved_model"
    port_count: ClassVar[int] = 2  # gRPC, REST

    binary: str | None = None
    """The program; by default what BENCH_TFSERVING_BINARY names, else what is on PATH."""
    protocol: Literal["rest", "grpc"] = "rest"
    device: Literal["cpu", "gpu"] = "cpu"
    batching: Batching | None = None
    grpc_max_threads: Threads | None = None
    """By default 64, or twice the largest batch: each request that waits in a batch holds a thread."""
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
        for name in self.flags:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(f"not the name of a flag: {name!r}; write it without dashes, as in num_load_threads")
            if name in OURS:
                raise ValueError(f"flag {name} is set by the harness")

    @property
    def load_port(self) -> int:
        """GRPC has the first port, REST the second."""
        return 0 if self.protocol == "grpc" else 1

    def missing(self) -> server.Missing | None:
        """No GPU where one is asked for, or no program."""
        if self.device == "gpu" and not _has_nvidia_gpu():
            return server.Missing(
                "no NVIDIA GPU on this machine",
                "run the scenario on a machine that has one, then merge both runs: bench report RUN RUN",
            )
        if self._program() is not None:
            return None
        if named := self._named():
            return server.Missing(f"{named} is not an executable file", f"correct `binary` or {BINARY_VARIABLE}")
        return server.Missing(
            f"{PROGRAM} is not on PATH",
            f"install TensorFlow Serving (apt package tensorflow-model-server), or name the program with "
            f"`binary: /path/to/{PROGRAM}` or {BINARY_VARIABLE}",
        )

    def version(self, place: server.Place) -> str:  # noqa: ARG002 -- it depends on the program alone
        """What `--version` says, such as `ModelServer 2.20.0, Library 2.20.0`; empty if it says nothing."""
        said = _output_of(self._required_program(), "--version")
        return ", ".join(
            f"{part} {number}" for part, number in re.findall(r"^TensorFlow (\w+): (\S+)", said, re.MULTILINE)
        )

    def command(self, place: server.Place) -> server.Command:
        """The program with every flag written `--flag=value`, the only form it reads."""
        program = self._required_program()
        if place.model is None:
            raise LaunchError(f"a model is needed to start {PROGRAM}")
        base = place.model.saved_model.resolve()
        if not any(folder.name.isdigit() and (folder / "saved_model.pb").is_file() for folder in base.glob("*")):
            # the program would wait for ever for it to appear
            raise LaunchError("no version folder with a saved_model.pb", where=str(base))
        self._check_flags(program)
        flags = self._flags(place, base) | dict(self.flags)
        argv = (str(program), *(f"--{name}={_flag_text(value)}" for name, value in flags.items()))
        env = {"TF_CPP_MIN_LOG_LEVEL": "0"}  # an inherited one silences the log that errors are shown from
        if self.device == "cpu":
            env["CUDA_VISIBLE_DEVICES"] = "-1"  # a GPU build would take the GPU unasked
        return server.Command(argv, env, cwd=place.folder)

    def wire(self, place: server.Place) -> Wire:  # noqa: ARG002 -- the model's name is fixed
        """REST in row format with the JPEG in base64, or PredictionService.Predict."""
        from bench.protocols.tfserving import TfServingGrpc, TfServingRest

        return TfServingGrpc(MODEL_NAME) if self.protocol == "grpc" else TfServingRest(MODEL_NAME)

    def _flags(self, place: server.Place, base: Path) -> dict[str, FlagValue]:
        waiting = 2 * (self.batching.max_batch_size or 0) if self.batching else 0
        threads = min(4096, max(LEAST_THREADS, waiting))
        flags: dict[str, FlagValue] = {
            "port": place.ports[0],
            "rest_api_port": place.ports[1],
            "model_name": MODEL_NAME,
            "model_base_path": str(base),
            "grpc_max_threads": self.grpc_max_threads or threads,
            "rest_api_num_threads": self.rest_api_num_threads or threads,
            "tensorflow_intra_op_parallelism": self.intra_op_threads or place.cores,
            "tensorflow_inter_op_parallelism": self.inter_op_threads or place.cores,
            "grpc_channel_arguments": "grpc.so_reuseport=0",  # else two servers share one port without a word
            "max_num_load_retries": 0,  # else a broken model takes five minutes to be reported
            "file_system_poll_wait_seconds": 0,  # look for versions once, never while measuring
        }
        if self.batching:
            parameters = place.folder / "batching_parameters.txt"
            parameters.write_text(self.batching.text())
            flags |= {"enable_batching": True, "batching_parameters_file": str(parameters)}
        return flags

    def _check_flags(self, program: Path) -> None:
        """Raise for flags the program does not have: it would print its usage and run on without them."""
        if not self.flags:
            return
        known = set(re.findall(r"--(\w+)=", _output_of(program, "--help")))
        for name in self.flags:
            if known and name not in known:
                near = nearest(name, known)
                hint = f"did you mean {near}?" if near else f"see {program} --help"
                raise LaunchError(f"{PROGRAM} has no flag {name}", hint=hint)

    def _named(self) -> str:
        return self.binary or os.environ.get(BINARY_VARIABLE, "")

    def _program(self) -> Path | None:
        found = shutil.which(str(Path(self._named()).expanduser()) if self._named() else PROGRAM)
        return Path(found).absolute() if found else None

    def _required_program(self) -> Path:
        program = self._program()
        if program is None:
            raise LaunchError(f"{self._named() or PROGRAM} is not there")
        return program


def _has_nvidia_gpu() -> bool:
    """Whether a device node is there; containers may show a driver in /proc, or nvidia-smi, without one."""
    return any(DEVICES.glob("nvidia[0-9]*"))


def _flag_text(value: FlagValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _output_of(program: Path, flag: str) -> str:
    """What it prints for a flag that makes it exit; empty if it cannot be run or takes too long."""
    try:
        done = subprocess.run([program, flag], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
