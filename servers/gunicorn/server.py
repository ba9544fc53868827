"""The naive Flask app of servers/flask behind gunicorn: the same code in several processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Le

from bench import server
from bench.errors import LaunchError
from bench.forms.engines import Computation, EngineName, Precision
from bench.machine.facts import memory_bytes
from bench.rungs import Rung
from bench.serving.python_program import installed_versions, own_versions, plain_wire
from bench.units import UnitError

if TYPE_CHECKING:
    from bench.payload.signature import Signature
    from bench.protocols import Wire

HERE = Path(__file__).resolve().parent
APP_FOLDER = HERE.parent / "flask"
CONFIG = HERE / "gunicorn_conf.py"

TIMEOUT_S = 300
"""A worker that is silent for so long is killed; loading and the first request of a large model take a while."""
KEEP_ALIVE_S = 75
WORKER_BYTES = 2 << 30
"""Memory that a worker should find: TensorFlow with EfficientNetB5 takes about 1.3 GB, and requests come on top."""
LIGHT_WORKER_BYTES = 1 << 30
"""The same without TensorFlow, whose own share is the larger one."""

WorkerClass = Literal["sync", "gthread", "gevent"]


@dataclass(frozen=True, kw_only=True)
class Server(server.Server):
    """Flask under gunicorn; its keys are gunicorn's own, spelled alike."""

    title: ClassVar[str] = "The same Flask app behind gunicorn, several processes"
    model_form: ClassVar[server.ModelForm | None] = "h5"
    start_timeout_s: ClassVar[float] = 300.0  # every worker loads TensorFlow and the model, all at the same time

    workers: Annotated[int, Ge(1), Le(256)] | None = None
    """Processes, each with a model of its own; by default one on each core of the budget that memory is there for."""
    threads: Annotated[int, Ge(1), Le(256)] = 1
    """Threads that answer in each process; more than one makes `sync` into `gthread`."""
    worker_class: WorkerClass = "sync"
    tf_threads: Annotated[int, Ge(1), Le(256)] | None = None
    """The engine's threads in each process; by default the cores divided by the workers, at least one."""
    engine: EngineName = "keras"
    """What computes the model: `model.predict` of the tutorials, or another one in its place."""
    precision: Precision = "f32"
    """In what it computes; anything but f32 is other work, whose answers are judged by `accuracy`."""

    def __post_init__(self) -> None:
        """Refuse what gunicorn would silently ignore; form of the model and environment depend on the engine."""
        if self.worker_class == "gevent" and self.threads > 1:
            raise ValueError("threads mean nothing to worker_class gevent; leave them out or use gthread")
        computation = Computation(self.engine, self.precision)
        if not self._tutorials:
            object.__setattr__(self, "model_form", computation.form)
        if computation.with_tensorflow:
            return
        if self.worker_class == "gevent":
            raise UnitError(f"engine {self.engine} does not go with worker_class gevent", "use sync or gthread")
        object.__setattr__(self, "requirements", computation.requirements)

    @property
    def _computation(self) -> Computation:
        return Computation(self.engine, self.precision)

    @property
    def _tutorials(self) -> bool:
        """Whether the app is the tutorials' own, around the training artefact; there is no pruned one of that."""
        return self.engine == "keras" and self.precision == "f32"

    def missing(self) -> server.Missing | None:
        """A CPU that cannot compute in the precision."""
        return self._computation.missing()

    @property
    def other_work(self) -> str:
        """That it rounds, where it does."""
        return self._computation.other_work

    @property
    def effective_worker_class(self) -> WorkerClass:
        """The worker class that really runs."""
        return "gthread" if self.worker_class == "sync" and self.threads > 1 else self.worker_class

    def workers_at(self, place: server.Place) -> int:
        """As many as asked for, else one on each core, but no more than have room for the engine and a model."""
        if self.workers is not None:
            return self.workers
        room = (memory_bytes() or 0) // (WORKER_BYTES if self._computation.with_tensorflow else LIGHT_WORKER_BYTES)
        return max(1, min(place.cores, room, 256))

    def computing(self, place: server.Place) -> server.Computing:
        """Its workers, each with TensorFlow's threads."""
        return server.Computing(self.workers_at(place), self._tf_threads(place))

    def _tf_threads(self, place: server.Place) -> int:
        return self.tf_threads or max(1, place.cores // self.workers_at(place))

    def version(self, place: server.Place) -> str:
        """Gunicorn with its worker class, Flask and what computes, as installed where it runs."""
        if self._computation.with_tensorflow:
            gunicorn, others = own_versions("gunicorn"), own_versions("flask", "keras", "tensorflow")
        else:
            gunicorn = installed_versions(place.python, "gunicorn")
            others = installed_versions(place.python, "flask", self._computation.package)
        return f"{gunicorn} ({self.effective_worker_class}), {others}"

    @property
    def rung(self) -> Rung:
        """What comes before a model server."""
        return "web server"

    def command(self, place: server.Place) -> server.Command:
        """`python -m gunicorn app:app`, or `engine_app:app` for another engine."""
        program, env = self._program(place)
        argv = [
            str(place.python),
            "-m",
            "gunicorn",
            f"--config={CONFIG}",
            f"--chdir={APP_FOLDER}",
            f"--bind={place.host}:{place.port}",
            f"--workers={self.workers_at(place)}",
            f"--threads={self.threads}",
            f"--worker-class={self.effective_worker_class}",
            f"--timeout={TIMEOUT_S}",
            f"--keep-alive={KEEP_ALIVE_S}",
            "--no-control-socket",  # it lies at one place per user: two servers would take it from each other
            f"{program}:app",
        ]
        env["GUNICORN_CMD_ARGS"] = ""  # an inherited one could add --preload, under which TensorFlow hangs
        return server.Command(tuple(argv), env, cwd=place.folder)

    def _program(self, place: server.Place) -> tuple[str, dict[str, str]]:
        """The module that runs, and what it is told of the model."""
        threads = self._tf_threads(place)
        if place.model is not None and place.model.signature is not None:
            file = place.model.h5 if self._tutorials else None
            return "tensor_app", self._computation.tensor_environment(place, threads, file)
        if self._tutorials:
            return "app", _of_the_tutorials(place, threads)
        return "engine_app", self._computation.environment(place, threads)

    def cannot_take(self, signature: Signature | None) -> str:  # noqa: ARG002 -- JSON holds any of them
        """What its engine has no way to compute."""
        return self._computation.cannot_take()

    def wire(self, place: server.Place) -> Wire:
        """Plain JSON."""
        return plain_wire(place)


def _of_the_tutorials(place: server.Place, threads: int) -> dict[str, str]:
    """The training artefact, with TensorFlow's threads told from outside, since the app is not to be touched."""
    if place.model is None or place.model.h5 is None:
        raise LaunchError("there is no h5 file to serve", hint="a model given as a SavedModel has none")
    return {
        "MODEL_PATH": str(place.model.h5),
        "IMAGE_HEIGHT": str(place.model.height),
        "IMAGE_WIDTH": str(place.model.width),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
        "CUDA_VISIBLE_DEVICES": "-1",  # a CPU server also where TensorFlow would find a GPU
        "KERAS_BACKEND": "tensorflow",
        "PYTHONUNBUFFERED": "1",
    }
