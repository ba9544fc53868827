"""FastAPI under uvicorn around one of several engines; by default the SavedModel's own function, as tutorials end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Le

from bench import server
from bench.errors import LaunchError
from bench.python_program import installed_versions, saved_model_environment, startup_failure
from bench.units import UnitError

if TYPE_CHECKING:
    from bench.protocols.plain import PlainJson

HERE = Path(__file__).resolve().parent
KEEP_ALIVE_S = 75

Engine = Literal["keras", "tensorflow", "onnxruntime", "openvino", "litert"]
Precision = Literal["f32", "pruned", "bf16", "dynamic", "int8"]

FORMS: dict[tuple[Engine, Precision], server.ModelForm] = {
    ("keras", "f32"): "keras",
    ("tensorflow", "f32"): "saved_model",
    ("onnxruntime", "f32"): "onnx",
    ("onnxruntime", "pruned"): "onnx_pruned",
    ("openvino", "f32"): "openvino",
    ("openvino", "bf16"): "openvino",
    ("litert", "f32"): "litert",
    ("litert", "dynamic"): "litert_dynamic",
    ("litert", "int8"): "litert_int8",
}
"""What each engine can compute in, and the form of the model that this takes."""
_WORDS = {
    "pruned": "half of each kernel's weights zero",
    "bf16": "computed in bfloat16",
    "dynamic": "int8 weights",
    "int8": "int8 weights and activations",
}
_PACKAGES: dict[Engine, str] = {"litert": "ai_edge_litert"}
"""Where a package's metadata has another name than the engine."""


@dataclass(frozen=True, kw_only=True)
class Server(server.Server):
    """FastAPI under uvicorn: how many processes, and what each computes at once."""

    title: ClassVar[str] = "FastAPI under uvicorn around one of five engines, by default the SavedModel, in processes"
    model_form: ClassVar[server.ModelForm | None] = "saved_model"
    requirements: ClassVar[str | None] = "requirements.txt"
    start_timeout_s: ClassVar[float] = 300.0  # every worker loads TensorFlow and the model, all at the same time

    engine: Engine = "tensorflow"
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
        form = FORMS.get((self.engine, self.precision))
        if form is None:
            known = ", ".join(precision for engine, precision in FORMS if engine == self.engine)
            raise UnitError(f"engine {self.engine} does not compute in {self.precision}", f"it computes in {known}")
        object.__setattr__(self, "model_form", form)
        if self.engine not in ("keras", "tensorflow"):
            object.__setattr__(self, "requirements", f"requirements-{self.engine}.txt")

    def missing(self) -> server.Missing | None:
        """A CPU without instructions for bfloat16, where OpenVINO would compute in float32 and say nothing."""
        from bench.install import cpu_has

        if self.precision == "bf16" and not (cpu_has("avx512_bf16") or cpu_has("amx_bf16")):
            return server.Missing("this CPU has no instructions for bfloat16", "leave 'precision' out")
        return None

    @property
    def other_work(self) -> str:
        """That it rounds, where it does."""
        return _WORDS.get(self.precision, "")

    def computing(self, place: server.Place) -> server.Computing:
        """Its workers, each with the engine's threads."""
        return server.Computing(self.workers, self._tf_threads(place))

    def _tf_threads(self, place: server.Place) -> int:
        return self.tf_threads or max(1, place.cores // self.workers)

    def version(self, place: server.Place) -> str:
        """FastAPI, uvicorn and the engine as installed in its environment."""
        return installed_versions(place.python, "fastapi", "uvicorn", _PACKAGES.get(self.engine, self.engine))

    def explain(self, log: str, exit_code: int | None) -> str | None:  # noqa: ARG002 -- its log tells enough
        """A model that cannot be loaded, which its workers would try again for ever."""
        return startup_failure(log)

    def command(self, place: server.Place) -> server.Command:
        """`python -m uvicorn app:app`."""
        argv = [
            str(place.python),
            "-m",
            "uvicorn",
            "app:app",
            f"--app-dir={HERE}",
            f"--host={place.host}",
            f"--port={place.port}",
            f"--workers={self.workers}",
            "--no-access-log",
            f"--timeout-keep-alive={KEEP_ALIVE_S}",  # 5 s by default: a slow open loop would find them all closed
        ]
        threads = self._tf_threads(place)
        env = {
            **saved_model_environment(place, threads, HERE),
            **self._engine_environment(place),
            "MODEL_CONCURRENT": str(self.concurrent or threads),
        }
        return server.Command(tuple(argv), env, place.folder)

    def _engine_environment(self, place: server.Place) -> dict[str, str]:
        form = FORMS[self.engine, self.precision]
        file = None if place.model is None else place.model.file(form)
        if place.model is None or file is None:
            raise LaunchError(f"there is no model as {form} to serve")
        return {
            "MODEL_ENGINE": self.engine,
            "MODEL_PATH": str(file / "1" if form == "saved_model" else file),
            "MODEL_PRECISION": self.precision,
            "IMAGE_HEIGHT": str(place.model.height),
            "IMAGE_WIDTH": str(place.model.width),
            "KERAS_BACKEND": "tensorflow",
        }

    def wire(self, place: server.Place) -> PlainJson:  # noqa: ARG002 -- its route is fixed
        """Plain JSON."""
        from bench.protocols.plain import PlainJson

        return PlainJson()
