"""Flask's own development server around `model.predict`: what tutorials teach, measured as it is."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bench import server
from bench.errors import LaunchError

if TYPE_CHECKING:
    from bench.protocols.plain import PlainJson

APP = Path(__file__).resolve().parent / "app.py"


@dataclass(frozen=True, kw_only=True)
class Server(server.Server):
    """The naive server; its keys are the two choices that tutorials differ in."""

    title: ClassVar[str] = "Flask's development server with model.predict, as tutorials write it"
    model_form: ClassVar[server.ModelForm | None] = "h5"

    load_per_request: bool = False
    """Load the model anew in every request."""
    threaded: bool = True
    """One thread per connection, without a limit; off: one request at a time."""

    def version(self, place: server.Place) -> str:  # noqa: ARG002 -- it runs in the harness's environment
        """Flask, Werkzeug, Keras and TensorFlow as installed."""
        return ", ".join(f"{name} {metadata.version(name)}" for name in ("flask", "werkzeug", "keras", "tensorflow"))

    def command(self, place: server.Place) -> server.Command:
        """`python app.py`."""
        if place.model is None or place.model.h5 is None:
            raise LaunchError("there is no h5 file to serve", hint="a model given as a SavedModel has none")
        env = {
            "HOST": place.host,
            "PORT": str(place.port),
            "THREADED": "true" if self.threaded else "false",
            "LOAD_PER_REQUEST": "true" if self.load_per_request else "false",
            "MODEL_PATH": str(place.model.h5),
            "IMAGE_HEIGHT": str(place.model.height),
            "IMAGE_WIDTH": str(place.model.width),
            "CUDA_VISIBLE_DEVICES": "-1",  # a CPU server also where TensorFlow would find a GPU
            "KERAS_BACKEND": "tensorflow",
            "FLASK_DEBUG": "0",  # an inherited 1 would start the reloader and the debugger
            "FLASK_RUN_FROM_CLI": "false",  # an inherited true makes app.run() return at once
            "FLASK_SKIP_DOTENV": "1",
            "PYTHONUNBUFFERED": "1",  # the log's last lines must be there when it dies
        }
        return server.Command((str(place.python), str(APP)), env, cwd=place.folder)

    def wire(self, place: server.Place) -> PlainJson:  # noqa: ARG002 -- its route is fixed
        """Plain JSON."""
        from bench.protocols.plain import PlainJson

        return PlainJson()
