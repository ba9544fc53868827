"""MLServer (Seldon) around the SavedModel: a runtime of our own, asked over KServe v2 by REST or gRPC."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Le

from bench import server
from bench.errors import LaunchError
from bench.rungs import Rung
from bench.serving.python_program import installed_versions, saved_model_environment

if TYPE_CHECKING:
    from bench.protocols import Wire

HERE = Path(__file__).resolve().parent
MODEL = "classifier"
_NEWEST_PYTHON = (3, 12)


@dataclass(frozen=True, slots=True)
class Batching:
    """MLServer's adaptive batching: requests that wait together are answered together."""

    max_batch_size: Annotated[int, Ge(2), Le(1024)] = 8
    max_batch_time: server.Duration = 0.002
    """How long a request may wait for company; a lone client pays it in full."""


@dataclass(frozen=True, kw_only=True)
class Server(server.Server):
    """MLServer; its keys are MLServer's own, spelled alike."""

    title: ClassVar[str] = "MLServer around the SavedModel, over KServe v2"
    model_form: ClassVar[server.ModelForm | None] = "saved_model"
    requirements: ClassVar[str | None] = "requirements.txt"
    port_count: ClassVar[int] = 3
    start_timeout_s: ClassVar[float] = 300.0

    protocol: Literal["rest", "grpc"] = "grpc"
    """KServe v2 as JSON, or as gRPC; MLServer's REST takes no binary tensors."""
    parallel_workers: Annotated[int, Ge(0), Le(256)] = 0
    """Processes that compute, each with a model of its own; 0 computes in the process that answers."""
    batching: Batching | None = None
    tf_threads: Annotated[int, Ge(1), Le(256)] | None = None
    """TensorFlow's threads in each process; by default the cores divided by the processes, at least one."""

    def missing(self) -> server.Missing | None:
        """A Python that its package refuses."""
        if sys.version_info[:2] <= _NEWEST_PYTHON:
            return None
        return server.Missing(f"mlserver 1.7.1 needs Python 3.12 or older, this is {sys.version.split()[0]}")

    @property
    def rung(self) -> Rung:
        """A server for models; the next rung if it batches."""
        return "batching" if self.batching else "model server"

    @property
    def load_port(self) -> int:
        """The first port is HTTP, the second gRPC; the third, metrics, gets no load."""
        return 1 if self.protocol == "grpc" else 0

    def computing(self, place: server.Place) -> server.Computing:
        """Its processes, each with TensorFlow's threads."""
        return server.Computing(max(1, self.parallel_workers), self._tf_threads(place))

    def _tf_threads(self, place: server.Place) -> int:
        return self.tf_threads or max(1, place.cores // max(1, self.parallel_workers))

    def version(self, place: server.Place) -> str:
        """MLServer and TensorFlow as installed in its environment."""
        return installed_versions(place.python, "mlserver", "fastapi", "uvicorn", "uvloop", "tensorflow")

    def explain(self, log: str, exit_code: int | None) -> str | None:  # noqa: ARG002 -- its log tells enough
        """A model that cannot be loaded; MLServer then goes on without it."""
        if f"Couldn't load model '{MODEL}'" not in log:
            return None
        return "it could not load the model, and would go on without it; its log tells why"

    def command(self, place: server.Place) -> server.Command:
        """`python -m mlserver start FOLDER`, with its settings and the model's written there."""
        folder = self._write_settings(place)
        shared = HERE.parent / "shared"
        env = {**saved_model_environment(place, self._tf_threads(place), shared), "HOME": str(place.folder)}
        env["PYTHONPATH"] = f"{env['PYTHONPATH']}:{HERE}"
        start = "from mlserver.cli import main; main()"
        return server.Command((str(place.python), "-c", start, "start", str(folder)), env, cwd=place.folder)

    def _write_settings(self, place: server.Place) -> Path:
        http, grpc, metrics = place.ports
        folder = place.folder / "served"
        (folder / MODEL).mkdir(parents=True)
        settings = {
            "debug": False,
            "host": place.host,
            "http_port": http,
            "grpc_port": grpc,
            "metrics_port": metrics,
            "parallel_workers": self.parallel_workers,
            "gzip_enabled": False,
        }
        batch = self.batching
        model = {
            "name": MODEL,
            "implementation": "runtime.ClassifierRuntime",
            "max_batch_size": batch.max_batch_size if batch else 0,
            "max_batch_time": batch.max_batch_time if batch else 0.0,
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        (folder / MODEL / "model-settings.json").write_text(json.dumps(model))
        return folder

    def wire(self, place: server.Place) -> Wire:
        """KServe v2 in the form that `protocol` names."""
        from bench.protocols import kserve  # numpy is not needed to list servers

        if place.model is None:
            raise LaunchError("there is no model to serve")
        form = kserve.KServeGrpc if self.protocol == "grpc" else kserve.KServeJson
        return form(model=MODEL, classes=place.model.classes)
