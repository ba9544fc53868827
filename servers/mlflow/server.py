"""MLflow's scoring server around the SavedModel: the app that `mlflow models serve` starts, started directly."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le

from bench import server
from bench.rungs import Rung
from bench.serving.python_program import installed_versions, saved_model_environment, startup_failure

if TYPE_CHECKING:
    from bench.protocols import Wire

HERE = Path(__file__).resolve().parent
KEEP_ALIVE_S = 75


@dataclass(frozen=True, kw_only=True)
class Server(server.Server):
    """MLflow's scoring server; `workers` is its own key."""

    title: ClassVar[str] = "MLflow's scoring server with a python_function around the SavedModel"
    model_form: ClassVar[server.ModelForm | None] = "saved_model"
    requirements: ClassVar[str | None] = "requirements.txt"
    start_timeout_s: ClassVar[float] = 300.0  # every worker loads TensorFlow and the model, all at the same time

    processes: Annotated[int, Ge(1), Le(256)] = 1
    """`--workers` of `mlflow models serve`: processes, each with a model of its own."""
    tf_threads: Annotated[int, Ge(1), Le(256)] | None = None
    """TensorFlow's threads in each process; by default the cores divided by the processes, at least one."""

    def computing(self, place: server.Place) -> server.Computing:
        """Its processes, each with TensorFlow's threads."""
        return server.Computing(self.processes, self._tf_threads(place))

    def _tf_threads(self, place: server.Place) -> int:
        return self.tf_threads or max(1, place.cores // self.processes)

    def version(self, place: server.Place) -> str:
        """MLflow and TensorFlow as installed in its environment."""
        return installed_versions(place.python, "mlflow", "fastapi", "uvicorn", "tensorflow")

    def explain(self, log: str, exit_code: int | None) -> str | None:  # noqa: ARG002 -- its log tells enough
        """A model that cannot be loaded, which its workers would try again for ever."""
        return startup_failure(log)

    @property
    def rung(self) -> Rung:
        """A server for models."""
        return "model server"

    def command(self, place: server.Place) -> server.Command:
        """`python -m uvicorn mlflow.pyfunc.scoring_server.app:app`, with a model folder written into `place.folder`."""
        model = _write_model(place.folder / "model")
        argv = (
            str(place.python),
            "-m",
            "uvicorn",
            "mlflow.pyfunc.scoring_server.app:app",
            f"--host={place.host}",
            f"--port={place.port}",
            f"--workers={self.processes}",
            "--no-access-log",
            f"--timeout-keep-alive={KEEP_ALIVE_S}",
        )
        env = {
            **saved_model_environment(place, self._tf_threads(place), HERE.parent / "shared"),
            "__pyfunc_model_path__": str(model),
            "MLFLOW_TRACKING_URI": (place.folder / "tracking").as_uri(),  # so that it looks for no server
            "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": "300",
            "DO_NOT_TRACK": "true",
        }
        return server.Command(argv, env, cwd=place.folder)

    def wire(self, place: server.Place) -> Wire:  # noqa: ARG002 -- its route is fixed
        """MLflow's own JSON."""
        from .invocations import Invocations  # noqa: TID252 -- a module of this folder

        return Invocations()


def _write_model(folder: Path) -> Path:
    """A model in MLflow's own format: its code beside it, and a flavour that names the loader."""
    code = folder / "code"
    code.mkdir(parents=True)
    (code / "bench_loader.py").write_bytes((HERE / "loader.py").read_bytes())
    column = [{"name": "image", "type": "string", "required": True}]
    flavour = {"loader_module": "bench_loader", "code": "code"}
    described = {"flavors": {"python_function": flavour}, "signature": {"inputs": json.dumps(column)}}
    (folder / "MLmodel").write_text(json.dumps(described, indent=2))  # JSON is YAML
    return folder
