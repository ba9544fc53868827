"""The naive Flask app of servers/flask behind gunicorn: the same code in several processes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Le

from bench import server
from bench.errors import LaunchError
from bench.machine import memory_bytes

if TYPE_CHECKING:
    from bench.protocols.plain import PlainJson

HERE = Path(__file__).resolve().parent
APP_FOLDER = HERE.parent / "flask"
CONFIG = HERE / "gunicorn_conf.py"

TIMEOUT_S = 300
"""A worker that is silent for so long is killed; loading and the first request of a large model take a while."""
KEEP_ALIVE_S = 75
WORKER_BYTES = 2 << 30
"""Memory that a worker should find: TensorFlow with EfficientNetB5 takes about 1.3 GB, and requests come on top."""

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
    """TensorFlow's threads in each process; by default the cores divided by the workers, at least one."""

    def __post_init__(self) -> None:
        """Refuse what gunicorn would silently ignore."""
        if self.worker_class == "gevent" and self.threads > 1:
            raise ValueError("threads mean nothing to worker_class gevent; leave them out or use gthread")

    @property
    def effective_worker_class(self) -> WorkerClass:
        """The worker class that really runs."""
        return "gthread" if self.worker_class == "sync" and self.threads > 1 else self.worker_class

    def workers_at(self, place: server.Place) -> int:
        """As many as asked for, else one on each core, but no more than have room for TensorFlow and a model."""
        if self.workers is not None:
            return self.workers
        room = (memory_bytes() or 0) // WORKER_BYTES
        return max(1, min(place.cores, room, 256))

    def computing(self, place: server.Place) -> server.Computing:
        """Its workers, each with TensorFlow's threads."""
        return server.Computing(self.workers_at(place), self._tf_threads(place))

    def _tf_threads(self, place: server.Place) -> int:
        return self.tf_threads or max(1, place.cores // self.workers_at(place))

    def version(self, place: server.Place) -> str:  # noqa: ARG002 -- it runs in the harness's environment
        """Gunicorn with its worker class, Flask, Keras and TensorFlow as installed."""
        installed = ", ".join(f"{name} {metadata.version(name)}" for name in ("flask", "keras", "tensorflow"))
        return f"gunicorn {metadata.version('gunicorn')} ({self.effective_worker_class}), {installed}"

    def command(self, place: server.Place) -> server.Command:
        """`python -m gunicorn app:app`."""
        if place.model is None or place.model.h5 is None:
            raise LaunchError("there is no h5 file to serve", hint="a model given as a SavedModel has none")
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
            "app:app",
        ]
        threads = str(self._tf_threads(place))
        env = {
            "MODEL_PATH": str(place.model.h5),
            "IMAGE_HEIGHT": str(place.model.height),
            "IMAGE_WIDTH": str(place.model.width),
            "TF_NUM_INTRAOP_THREADS": threads,
            "TF_NUM_INTEROP_THREADS": threads,
            "OMP_NUM_THREADS": threads,
            "GUNICORN_CMD_ARGS": "",  # an inherited one could add --preload, under which TensorFlow hangs
            "CUDA_VISIBLE_DEVICES": "-1",  # a CPU server also where TensorFlow would find a GPU
            "KERAS_BACKEND": "tensorflow",
            "PYTHONUNBUFFERED": "1",
        }
        return server.Command(tuple(argv), env, cwd=place.folder)

    def wire(self, place: server.Place) -> PlainJson:  # noqa: ARG002 -- its route is fixed
        """Plain JSON."""
        from bench.protocols.plain import PlainJson

        return PlainJson()
