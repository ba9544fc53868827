"""Flask's own development server around `model.predict`: what tutorials teach, measured as it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bench import server
from bench.errors import LaunchError
from bench.forms.engines import Computation, EngineName, Precision
from bench.rungs import Rung
from bench.serving.python_program import installed_versions, own_versions, plain_wire
from bench.units import UnitError

if TYPE_CHECKING:
    from bench.payload.signature import Signature
    from bench.protocols import Wire

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, kw_only=True)
class Server(server.Server):
    """The naive server; its first two keys are the choices that tutorials differ in."""

    title: ClassVar[str] = "Flask's development server with model.predict, as tutorials write it"
    model_form: ClassVar[server.ModelForm | None] = "h5"

    load_per_request: bool = False
    """Load the model anew in every request."""
    threaded: bool = True
    """One thread per connection, without a limit; off: one request at a time."""
    engine: EngineName = "keras"
    """What computes the model: `model.predict` of the tutorials, or another one in its place."""
    precision: Precision = "f32"
    """In what it computes; anything but f32 is other work, whose answers are judged by `accuracy`."""

    def __post_init__(self) -> None:
        """The form of the model and the environment, which depend on the engine."""
        computation = Computation(self.engine, self.precision)
        if self._tutorials:
            return
        if self.load_per_request:
            raise UnitError("load_per_request is what the tutorials' app does", "leave it out, or 'engine'")
        object.__setattr__(self, "model_form", computation.form)
        if not computation.with_tensorflow:
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

    def version(self, place: server.Place) -> str:
        """Flask, Werkzeug and what computes, as installed where it runs."""
        if self._computation.with_tensorflow:
            return own_versions("flask", "werkzeug", "keras", "tensorflow")
        return installed_versions(place.python, "flask", "werkzeug", self._computation.package)

    @property
    def rung(self) -> Rung:
        """The naive one, as long as it is the tutorial's; with another engine the model is what was optimised."""
        if self.load_per_request:
            return ""
        return "naive" if self._tutorials else "model optimised"

    def command(self, place: server.Place) -> server.Command:
        """`python app.py`, or `python engine_app.py` for another engine."""
        program, engine = self._program(place)
        env = {
            **engine,
            "HOST": place.host,
            "PORT": str(place.port),
            "THREADED": "true" if self.threaded else "false",
            "LOAD_PER_REQUEST": "true" if self.load_per_request else "false",
            "FLASK_DEBUG": "0",  # an inherited 1 would start the reloader and the debugger
            "FLASK_RUN_FROM_CLI": "false",  # an inherited true makes app.run() return at once
            "FLASK_SKIP_DOTENV": "1",
        }
        return server.Command((str(place.python), str(HERE / program)), env, cwd=place.folder)

    def _program(self, place: server.Place) -> tuple[str, dict[str, str]]:
        """The file that runs, and what it is told of the model."""
        tutorials = self._tutorials
        if place.model is not None and place.model.signature is not None:
            threads = None if tutorials else place.cores
            return "tensor_app.py", self._computation.tensor_environment(
                place, threads, place.model.h5 if tutorials else None
            )
        if tutorials:
            return "app.py", _of_the_tutorials(place)
        return "engine_app.py", self._computation.environment(place, place.cores)

    def cannot_take(self, signature: Signature | None) -> str:  # noqa: ARG002 -- JSON holds any of them
        """What its engine has no way to compute."""
        return self._computation.cannot_take()

    def wire(self, place: server.Place) -> Wire:
        """Plain JSON."""
        return plain_wire(place)


def _of_the_tutorials(place: server.Place) -> dict[str, str]:
    """The training artefact, and nothing about threads: TensorFlow takes as many as there are cores."""
    if place.model is None or place.model.h5 is None:
        raise LaunchError("there is no h5 file to serve", hint="a model given as a SavedModel has none")
    return {
        "MODEL_PATH": str(place.model.h5),
        "IMAGE_HEIGHT": str(place.model.height),
        "IMAGE_WIDTH": str(place.model.width),
        "CUDA_VISIBLE_DEVICES": "-1",  # a CPU server also where TensorFlow would find a GPU
        "KERAS_BACKEND": "tensorflow",
        "PYTHONUNBUFFERED": "1",  # the log's last lines must be there when it dies
    }
