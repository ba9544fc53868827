"""Triton, from the wheel nvidia-pytriton: an engine in its Python backend, asked over KServe v2.

This module writes the model repository and says what to start; what runs inside the server is model.py.
"""

from __future__ import annotations

import ctypes.util
import json
import os
import platform
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge

import bench.server
from bench.errors import LaunchError
from bench.forms.engines import Computation, EngineName, Precision, programs_folder, write_example
from bench.rungs import Rung
from bench.server import Command, Duration, Missing, ModelForm, Place

from .any_inputs import tensor_lines, unable  # noqa: TID252 -- this folder is no part of any package that has a name

if TYPE_CHECKING:
    from bench.model.files import ModelFiles
    from bench.payload.signature import Signature
    from bench.protocols import Wire

MODEL = "classifier"
INPUT, OUTPUT = "jpeg", "probabilities"
SHARED_MEMORY = "bench_triton_"
"""How the names of our shared memory begin, so that what is removed from /dev/shm is nobody else's."""

_HERE = Path(__file__).resolve().parent
_PYTHONS = ((3, 11), (3, 12))  # older ones bench does not run on; 3.13 has no TensorFlow that accepts numpy 1
_GLIBC = (2, 35)  # of the wheel: manylinux_2_35
_TRITON = {"0.7.0": "2.51.0"}  # the server inside each nvidia-pytriton; the program has no option that tells


@dataclass(frozen=True, slots=True)
class Batching:
    """Triton's dynamic batcher: requests that wait together are answered together."""

    max_batch_size: Annotated[int, Ge(2)] = 16
    queue_delay: Duration = 0.0
    """How long a request may wait for company; a lone client pays it in full."""


@dataclass(frozen=True, kw_only=True)
class Server(bench.server.Server):
    """Triton with N copies of the model, each a process with an engine of its own."""

    title: ClassVar[str] = (
        "Triton's Python backend with one of five engines, by default TensorFlow, over KServe v2 (CPU)"
    )
    model_form: ClassVar[ModelForm | None] = "saved_model"
    requirements: ClassVar[str | None] = "requirements.txt"
    port_count: ClassVar[int] = 3
    start_timeout_s: ClassVar[float] = 180.0

    protocol: Literal["rest", "rest-binary", "grpc"] = "grpc"
    """KServe v2 as JSON, as JSON with the tensors in binary behind it, or as gRPC."""
    instances: Annotated[int, Ge(1)] = 1
    """Copies of the model, each in a process of its own."""
    batching: Batching | None = None
    """Dynamic batching; without it every request is run alone."""
    threads: Annotated[int, Ge(1)] | None = None
    """The engine's threads in each instance; by default the cores are shared out among the instances."""
    engine: EngineName = "tensorflow"
    """What computes the model in each instance."""
    precision: Precision = "f32"
    """In what it computes; anything but f32 is other work, whose answers are judged by `accuracy`."""

    def __post_init__(self) -> None:
        """The form of the model and the environment, which depend on the engine."""
        computation = Computation(self.engine, self.precision)
        object.__setattr__(self, "model_form", computation.form)
        if not computation.with_tensorflow:
            object.__setattr__(self, "requirements", "requirements-engines.txt")

    @property
    def _computation(self) -> Computation:
        return Computation(self.engine, self.precision)

    def missing(self) -> Missing | None:
        """What the wheel cannot do without: platform, Python, libpython; or a CPU that has not the precision."""
        return _missing_platform() or _missing_libpython() or self._computation.missing()

    @property
    def other_work(self) -> str:
        """That it rounds, where it does."""
        return self._computation.other_work

    @property
    def load_port(self) -> int:
        """The first port is HTTP, the second gRPC; the third, metrics, gets no load."""
        return 1 if self.protocol == "grpc" else 0

    def version(self, place: Place) -> str:
        """Versions of the server and of what computes, as installed in its environment."""
        packages = _site_packages(place.python)
        engine = self._computation.package
        triton, engine_version, numpy = (_installed(packages, name) for name in ("nvidia_pytriton", engine, "numpy"))
        server = f"Triton {_TRITON[triton]} (nvidia-pytriton {triton})" if triton in _TRITON else f"pytriton {triton}"
        return f"{server}, {engine} {engine_version}, numpy {numpy}"

    def litter(self, place: Place) -> tuple[str, ...]:
        """The shared memory of this start; a stub that crashes leaves it behind."""
        return (f"/dev/shm/{SHARED_MEMORY}{place.port}_*",)  # noqa: S108 -- where Triton puts it

    @property
    def rung(self) -> Rung:
        """A server for models; the next rung if it batches."""
        return "batching" if self.batching else "model server"

    def command(self, place: Place) -> Command:
        """Writes model repository and backend folder into `place.folder`.

        Raises: LaunchError if the environment holds no Triton for its Python.
        """
        model = _model(place)
        triton = _triton(place.python)
        program = "model.py" if model.signature is None else "tensor_model.py"
        repository = _write_repository(place.folder / "models", self._config(place, model), program)
        backends = _link_backend(place.folder / "backends", triton, _python_version(place.python))
        http, grpc, metrics = place.ports
        argv = (
            str(triton / "bin" / "tritonserver"),
            f"--model-repository={repository}",
            f"--backend-directory={backends}",
            f"--http-address={place.host}",
            f"--http-port={http}",
            f"--grpc-address={place.host}",
            f"--grpc-port={grpc}",
            f"--metrics-address={place.host}",
            f"--metrics-port={metrics}",
            "--allow-gpu-metrics=false",
            "--disable-auto-complete-config",  # the configuration is complete; asking the model costs a second start
            "--exit-timeout-secs=5",
            "--backend-config=python,stub-timeout-seconds=120",
            f"--backend-config=python,shm-region-prefix-name={SHARED_MEMORY}{place.port}_",
        )
        return Command(argv, env=self._environment(place))

    def wire(self, place: Place) -> Wire:
        """KServe v2 in the form that `protocol` names."""
        from bench.protocols import kserve  # numpy is not needed to list servers

        signature = _model(place).signature
        if signature is not None:
            return self._tensor_wire(signature)
        classes = _model(place).classes
        if self.protocol == "rest":
            return kserve.KServeJson(model=MODEL, classes=classes, input_name=INPUT, output_name=OUTPUT)
        if self.protocol == "rest-binary":
            return kserve.KServeBinary(model=MODEL, classes=classes, input_name=INPUT, output_name=OUTPUT)
        return kserve.KServeGrpc(model=MODEL, classes=classes, input_name=INPUT, output_name=OUTPUT)

    def _tensor_wire(self, signature: Signature) -> Wire:
        from bench.protocols import kserve_tensors as kserve

        if self.protocol == "rest":
            return kserve.KServeTensorsJson(model=MODEL, signature=signature)
        if self.protocol == "rest-binary":
            return kserve.KServeTensorsBinary(model=MODEL, signature=signature)
        return kserve.KServeTensorsGrpc(model=MODEL, signature=signature)

    def cannot_take(self, signature: Signature | None) -> str:
        """What Triton, its batcher or the engine cannot be told of."""
        if signature is None or not signature.outputs:
            return self._computation.cannot_take()
        lack = unable(signature, batched=self.batching is not None, in_json=self.protocol == "rest")
        return self._computation.cannot_take() or lack

    def computing(self, place: Place) -> bench.server.Computing:
        """Its instances, each with the engine's threads."""
        return bench.server.Computing(self.instances, self._threads(place))

    def _threads(self, place: Place) -> int:
        return self.threads or max(1, place.cores // self.instances)

    def _environment(self, place: Place) -> dict[str, str]:
        """What the server and its stubs need of their environment."""
        venv = place.python.parent
        env = {
            # The stub takes its packages from the first python3 on PATH; PYTHONPATH it ignores.
            "PATH": f"{venv}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "CUDA_VISIBLE_DEVICES": "-1",
            "OMP_NUM_THREADS": str(self._threads(place)),
            "TF_CPP_MIN_LOG_LEVEL": "1",
            "KERAS_BACKEND": "tensorflow",
        }
        libpython = _libpython_beside(_home(place.python), _python_version(place.python))
        if libpython is not None:
            # Linked alone into a folder: its own folder may hold other libraries that must not come first.
            folder = place.folder / "lib"
            folder.mkdir(exist_ok=True)
            (folder / libpython.name).symlink_to(libpython)
            env["LD_LIBRARY_PATH"] = str(folder)
        return env

    def _config(self, place: Place, model: ModelFiles) -> str:
        """config.pbtxt. On the wire a request has the shape [1, 1], with batching and without."""
        batch = self.batching
        rows = "" if batch else "-1, "  # with max_batch_size 0 the dims include the batch axis
        tensors = [
            f'input [ {{ name: "{INPUT}" data_type: TYPE_STRING dims: [ {rows}1 ] }} ]',
            f'output [ {{ name: "{OUTPUT}" data_type: TYPE_FP32 dims: [ {rows}{model.classes} ] }} ]',
        ]
        if model.signature is not None:
            tensors = tensor_lines(model.signature, batched=batch is not None)
        lines = [
            f'name: "{MODEL}"',
            'backend: "python"',
            f"max_batch_size: {batch.max_batch_size if batch else 0}",
            *tensors,
            f"instance_group [ {{ kind: KIND_CPU count: {self.instances} }} ]",
        ]
        if batch:
            lines.append(f"dynamic_batching {{ max_queue_delay_microseconds: {round(batch.queue_delay * 1_000_000)} }}")
        for key, value in (
            ("programs", str(programs_folder())),
            ("engine", self.engine),
            ("model", str(self._computation.file(place))),
            ("precision", self.precision),
            ("threads", str(self._threads(place))),
            ("height", str(model.height)),
            ("width", str(model.width)),
            *_told_of_inputs(place, model),
        ):
            lines.append(
                f'parameters {{ key: "{key}" value {{ string_value: {json.dumps(value, ensure_ascii=False)} }} }}'
            )
        return "\n".join(lines) + "\n"


def _model(place: Place) -> ModelFiles:
    if place.model is None:
        raise LaunchError("Triton serves a model, and none was given", where="servers/triton")
    return place.model


def _told_of_inputs(place: Place, model: ModelFiles) -> tuple[tuple[str, str], ...]:
    """The signature, and the file of a request that each instance answers first."""
    if model.signature is None:
        return ()
    return ("signature", json.dumps(model.signature.as_mapping())), ("example", str(write_example(place)))


def _write_repository(folder: Path, config: str, program: str) -> Path:
    """The model repository: one model, one version, whose program is a copy of ours."""
    version = folder / MODEL / "1"
    version.mkdir(parents=True)
    (folder / MODEL / "config.pbtxt").write_text(config, encoding="utf-8")
    shutil.copyfile(_HERE / program, version / "model.py")
    return folder


def _link_backend(folder: Path, triton: Path, python: str) -> Path:
    """The backend folder: links, because library and stub find their own libraries relative to where they lie."""
    backend = folder / "python"
    backend.mkdir(parents=True)
    for target in (
        triton / "backends" / "python" / "libtriton_python.so",
        triton / "backends" / "python" / "triton_python_backend_utils.py",
        triton / "python_backend_stubs" / python / "triton_python_backend_stub",
    ):
        if not target.exists():
            raise LaunchError(
                "not in the environment of this server",
                where=str(target),
                hint=f"nvidia-pytriton has stubs for the Pythons {', '.join(sorted(_stubs(triton)))}",
            )
        (backend / target.name).symlink_to(target)
    return folder


def _stubs(triton: Path) -> tuple[str, ...]:
    return tuple(stub.name for stub in (triton / "python_backend_stubs").glob("3.*"))


def _triton(python: Path) -> Path:
    """The folder inside nvidia-pytriton that holds the server itself."""
    return _site_packages(python) / "pytriton" / "tritonserver"


def _site_packages(python: Path) -> Path:
    """Where the environment of this interpreter keeps its packages.   Raises: LaunchError if it is no environment."""
    for folder in sorted(python.parent.parent.glob("lib/python3.*/site-packages")):
        return folder
    raise LaunchError("not the interpreter of a virtual environment", where=str(python))


def _python_version(python: Path) -> str:
    """Version of the environment's Python, as `3.11`."""
    return _site_packages(python).parent.name.removeprefix("python")


def _installed(packages: Path, distribution: str) -> str:
    """The version of an installed package, read from the name of its metadata folder; `?` if it is not there."""
    for folder in packages.glob(f"{distribution}-*.dist-info"):
        return folder.name.removesuffix(".dist-info").removeprefix(f"{distribution}-")
    return "?"


def _home(python: Path) -> Path:
    """The installation that the environment was made from."""
    config = python.parent.parent / "pyvenv.cfg"
    for line in config.read_text(encoding="utf-8").splitlines() if config.is_file() else ():
        key, _, value = line.partition("=")
        if key.strip() == "home":
            return Path(value.strip()).parent
    return Path(sys.base_prefix)


def _libpython_beside(prefix: Path, version: str) -> Path | None:
    """The shared libpython that came with an interpreter: the one that fits its standard library best."""
    library = prefix / "lib" / f"libpython{version}.so.1.0"
    return library if library.is_file() else None


def _missing_platform() -> Missing | None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return Missing(f"Triton runs here on Linux x86_64 only, this is {platform.system()} {platform.machine()}")
    libc, version = platform.libc_ver()
    if libc != "glibc" or tuple(int(part) for part in version.split(".")[:2]) < _GLIBC:
        return Missing(
            f"Triton's wheel needs glibc {_GLIBC[0]}.{_GLIBC[1]} or newer, this is {libc or 'no glibc'} {version}"
        )
    if sys.version_info[:2] not in _PYTHONS:
        known = " or ".join(f"{major}.{minor}" for major, minor in _PYTHONS)
        return Missing(f"the pinned packages need Python {known}, this is {platform.python_version()}")
    return None


def _missing_libpython() -> Missing | None:
    version = sysconfig.get_python_version()
    if _libpython_beside(Path(sys.base_prefix), version) or ctypes.util.find_library(f"python{version}"):
        return None
    return Missing(
        f"Triton's Python backend loads libpython{version}.so.1.0, which this machine lacks",
        fix=f"apt-get install libpython{version}",
    )
