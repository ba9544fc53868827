"""LitServe around the SavedModel: FastAPI in front, workers behind a queue, batching where it is asked for."""

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


@dataclass(frozen=True, slots=True)
class Batching:
    """Requests that wait together are answered together."""

    max_batch_size: Annotated[int, Ge(2), Le(1024)] = 8
    batch_timeout: server.Duration = 0.005
    """How long a request may wait for company; a lone client pays it in full."""


@dataclass(frozen=True, kw_only=True)
class Server(server.Server):
    """LitServe; its keys are LitServe's own, spelled alike."""

    title: ClassVar[str] = "LitServe around the SavedModel"
    model_form: ClassVar[server.ModelForm | None] = "saved_model"
    requirements: ClassVar[str | None] = "requirements.txt"
    start_timeout_s: ClassVar[float] = 300.0  # every worker loads TensorFlow and the model, all at the same time

    workers_per_device: Annotated[int, Ge(1), Le(256)] = 1
    """Processes that compute, each with a model of its own; `/health` is not ready before all of them are."""
    batching: Batching | None = None
    tf_threads: Annotated[int, Ge(1), Le(256)] | None = None
    """TensorFlow's threads in each process; by default the cores divided by the workers, at least one."""

    def computing(self, place: server.Place) -> server.Computing:
        """Its workers, each with TensorFlow's threads."""
        return server.Computing(self.workers_per_device, self._tf_threads(place))

    def _tf_threads(self, place: server.Place) -> int:
        return self.tf_threads or max(1, place.cores // self.workers_per_device)

    def version(self, place: server.Place) -> str:
        """LitServe and TensorFlow as installed in its environment."""
        return installed_versions(place.python, "litserve", "fastapi", "uvicorn", "tensorflow")

    def explain(self, log: str, exit_code: int | None) -> str | None:  # noqa: ARG002 -- its log tells enough
        """A model that cannot be loaded, which its workers would try again for ever."""
        return startup_failure(log)

    @property
    def rung(self) -> Rung:
        """A server for models; the next rung if it batches."""
        return "batching" if self.batching else "model server"

    def command(self, place: server.Place) -> server.Command:
        """`python app.py`."""
        batching = self.batching
        env = {
            **saved_model_environment(place, self._tf_threads(place), HERE.parent / "shared"),
            "HOST": place.host,
            "PORT": str(place.port),
            "WORKERS": str(self.workers_per_device),
            "MAX_BATCH_SIZE": str(batching.max_batch_size if batching else 1),
            "BATCH_TIMEOUT": str(batching.batch_timeout if batching else 0.0),
            "LITSERVE_DISABLE_TRACKING": "1",
        }
        return server.Command((str(place.python), str(HERE / "app.py")), env, cwd=place.folder)

    def wire(self, place: server.Place) -> PlainJson:  # noqa: ARG002 -- its route is fixed
        """Plain JSON."""
        from bench.protocols.plain import PlainJson

        return PlainJson()
