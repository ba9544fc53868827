"""FastAPI under uvicorn around one of several engines; by default the SavedModel's own function, as tutorials end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le

from bench import server
from bench.forms.engines import Computation, EngineName, Precision
from bench.rungs import Rung
from bench.serving.python_program import installed_versions, plain_wire, startup_failure

if TYPE_CHECKING:
    from bench.payload.signature import Signature
    from bench.protocols import Wire

HERE = Path(__file__).resolve().parent
KEEP_ALIVE_S = 75


@dataclass(frozen=True, kw_only=True)
class Server(server.Server):
    """FastAPI under uvicorn: how many processes, and what each computes at once."""

    title: ClassVar[str] = "FastAPI under uvicorn around one of five engines, by default the SavedModel, in processes"
    model_form: ClassVar[server.ModelForm | None] = "saved_model"
    requirements: ClassVar[str | None] = "requirements.txt"
    start_timeout_s: ClassVar[float] = 300.0  # every worker loads TensorFlow and the model, all at the same time

    engine: EngineName = "tensorflow"
    """What computes the model: `model.predict`, the SavedModel's function, or a runtime without TensorFlow."""
    precision: Precision = "f32"
    """In what it computes; anything but f32 is other work, whose answers are judged by `accuracy`."""
    workers: Annotated[int, Ge(1), Le(256)] = 1
    """Processes, each with a model of its own."""
    concurrent: Annotated[int, Ge(1), Le(256)] | None = None
    """Requests that one process computes at the same time; by default as many as it has threads."""
    tf_threads: Annotated[int, Ge(1), Le(256)] | None = None
    """The engine's threads in each process; by default the cores divided by the workers, at least one."""

    def __post_init__(self) -> None:
        """The form of the model and the environment, which depend on the engine."""
        computation = Computation(self.engine, self.precision)
        object.__setattr__(self, "model_form", computation.form)
        if not computation.with_tensorflow:
            object.__setattr__(self, "requirements", computation.requirements)

    @property
    def _computation(self) -> Computation:
        return Computation(self.engine, self.precision)

    def missing(self) -> server.Missing | None:
        """A CPU that cannot compute in the precision."""
        return self._computation.missing()

    @property
    def other_work(self) -> str:
        """That it rounds, where it does."""
        return self._computation.other_work

    def computing(self, place: server.Place) -> server.Computing:
        """Its workers, each with the engine's threads."""
        return server.Computing(self.workers, self._tf_threads(place))

    def _tf_threads(self, place: server.Place) -> int:
        return self.tf_threads or max(1, place.cores // self.workers)

    def version(self, place: server.Place) -> str:
        """FastAPI, uvicorn and the engine as installed in its environment."""
        return installed_versions(place.python, "fastapi", "uvicorn", self._computation.package)

    def explain(self, log: str, exit_code: int | None) -> str | None:  # noqa: ARG002 -- its log tells enough
        """A model that cannot be loaded, which its workers would try again for ever."""
        return startup_failure(log)

    @property
    def rung(self) -> Rung:
        """One process of it adds the engine alone to the naive server; several are a web server."""
        return "model optimised" if self.workers == 1 and self.engine != "keras" else "web server"

    def command(self, place: server.Place) -> server.Command:
        """`python -m uvicorn app:app`."""
        tensors = place.model is not None and place.model.signature is not None
        argv = [
            str(place.python),
            "-m",
            "uvicorn",
            "tensor_app:app" if tensors else "app:app",
            f"--app-dir={HERE}",
            f"--host={place.host}",
            f"--port={place.port}",
            f"--workers={self.workers}",
            "--no-access-log",
            f"--timeout-keep-alive={KEEP_ALIVE_S}",  # 5 s by default: a slow open loop would find them all closed
        ]
        threads = self._tf_threads(place)
        env = {
            **(self._computation.tensor_environment if tensors else self._computation.environment)(place, threads),
            "MODEL_CONCURRENT": str(self.concurrent or threads),
        }
        return server.Command(tuple(argv), env, place.folder)

    def cannot_take(self, signature: Signature | None) -> str:  # noqa: ARG002 -- JSON holds any of them
        """What its engine has no way to compute."""
        return self._computation.cannot_take()

    def wire(self, place: server.Place) -> Wire:
        """Plain JSON."""
        return plain_wire(place)
