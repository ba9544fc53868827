"""BentoML around the SavedModel: an arbiter and a process per worker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le

from bench import server
from bench.rungs import Rung
from bench.serving.python_program import installed_versions, saved_model_environment, startup_failure

if TYPE_CHECKING:
    from bench.protocols.plain import PlainJson

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, kw_only=True)
class Server(server.Server):
    """BentoML; its keys are BentoML's own, spelled alike."""

    title: ClassVar[str] = "BentoML around the SavedModel, in processes"
    model_form: ClassVar[server.ModelForm | None] = "saved_model"
    requirements: ClassVar[str | None] = "requirements.txt"
    start_timeout_s: ClassVar[float] = 300.0  # every worker loads TensorFlow and the model, all at the same time

    workers: Annotated[int, Ge(1), Le(256)] = 1
    """Processes, each with a model of its own."""
    threads: Annotated[int, Ge(1), Le(256)] | None = None
    """Requests that one process computes at the same time; by default as many as TensorFlow has threads there."""
    tf_threads: Annotated[int, Ge(1), Le(256)] | None = None
    """TensorFlow's threads in each process; by default the cores divided by the workers, at least one."""

    def computing(self, place: server.Place) -> server.Computing:
        """Its workers, each with TensorFlow's threads."""
        return server.Computing(self.workers, self._tf_threads(place))

    def _tf_threads(self, place: server.Place) -> int:
        return self.tf_threads or max(1, place.cores // self.workers)

    def version(self, place: server.Place) -> str:
        """BentoML and TensorFlow as installed in its environment."""
        return installed_versions(place.python, "bentoml", "uvicorn", "tensorflow")

    def explain(self, log: str, exit_code: int | None) -> str | None:  # noqa: ARG002 -- its log tells enough
        """A model that cannot be loaded, which its workers would try again for ever."""
        return startup_failure(log)

    @property
    def rung(self) -> Rung:
        """A server for models."""
        return "model server"

    def command(self, place: server.Place) -> server.Command:
        """`python -m bentoml serve service:Classification`."""
        threads = self._tf_threads(place)
        argv = (
            str(place.python),
            "-m",
            "bentoml",
            "serve",
            "service:Classification",
            f"--working-dir={HERE}",
            f"--host={place.host}",
            f"--port={place.port}",
        )
        env = {
            **saved_model_environment(place, threads, HERE.parent / "shared"),
            "WORKERS": str(self.workers),
            "MODEL_CONCURRENT": str(self.threads or threads),
            "BENTOML_HOME": str(place.folder / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "True",
        }
        return server.Command(argv, env, cwd=place.folder)

    def wire(self, place: server.Place) -> PlainJson:  # noqa: ARG002 -- its route is fixed
        """Plain JSON."""
        from bench.protocols.plain import PlainJson

        return PlainJson()
