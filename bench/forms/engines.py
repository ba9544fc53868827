"""The engines that can compute the model behind a server in Python: which forms they take and what they run with.

One row here and one module of the same name in `servers/shared/engines/` make an engine, for every kind that has the
key. This module is the harness's half: it imports no runtime and starts nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.errors import LaunchError
from bench.programs.install import cpu_has
from bench.server import Missing, ModelForm, Place, kind_folders
from bench.serving.python_program import saved_model_environment
from bench.units import UnitError

EngineName = Literal["keras", "tensorflow", "onnxruntime", "openvino", "litert"]
Precision = Literal["f32", "pruned", "bf16", "dynamic", "int8"]

_WORDS: Mapping[Precision, str] = {
    "pruned": "half of each kernel's weights zero",
    "bf16": "computed in bfloat16",
    "dynamic": "int8 weights",
    "int8": "int8 weights and activations",
}


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine: the form of the model for each precision that it computes in.

    `package` is its distribution's name as its metadata folder spells it. One `with_tensorflow` runs wherever a kind's
    own environment has TensorFlow; the others have pinned packages of their own beside their module.
    """

    name: EngineName
    forms: Mapping[Precision, ModelForm]
    package: str
    with_tensorflow: bool = field(default=False, kw_only=True)
    tensors: bool = field(default=False, kw_only=True)
    """Whether its module has a `TensorEngine`, for models of any inputs."""


ENGINES: Mapping[EngineName, Engine] = {
    engine.name: engine
    for engine in (
        Engine("keras", {"f32": "keras", "pruned": "keras_pruned"}, "keras", with_tensorflow=True, tensors=True),
        Engine("tensorflow", {"f32": "saved_model"}, "tensorflow", with_tensorflow=True, tensors=True),
        Engine(
            "onnxruntime", {"f32": "onnx", "int8": "onnx_int8", "pruned": "onnx_pruned"}, "onnxruntime", tensors=True
        ),
        Engine("openvino", {"f32": "openvino", "bf16": "openvino", "int8": "openvino_int8"}, "openvino", tensors=True),
        Engine("litert", {"f32": "litert", "dynamic": "litert_dynamic", "int8": "litert_int8"}, "ai_edge_litert"),
    )
}


def programs_folder() -> Path:
    """The folder that programs have on their path to find `engines`, `classifier` and `photos`."""
    return next(folder / "shared" for folder in kind_folders() if (folder / "shared" / "engines").is_dir())


def write_example(place: Place) -> Path:
    """One request's inputs as JSON in `place.folder`, for an engine to answer before anybody asks.

    Raises: LaunchError if the model has none.
    """
    from bench.payload.tensors import unpacked
    from bench.protocols.plain_tensors import json_arrays  # numpy is not needed to list servers

    if place.model is None or not place.model.example:
        raise LaunchError("there is no model of any inputs to serve")
    file = place.folder / "example.json"
    file.write_bytes(b'{"inputs": ' + json_arrays(unpacked(place.model.example)) + b"}")
    return file


@dataclass(frozen=True, slots=True)
class Computation:
    """An engine in one precision, as a kind's keys chose it.   Raises: UnitError for a precision that it has not."""

    engine: EngineName
    precision: Precision = "f32"

    def __post_init__(self) -> None:
        """Refuse what the engine does not compute in."""
        known = ENGINES[self.engine].forms
        if self.precision not in known:
            what = f"engine {self.engine} does not compute in {self.precision}"
            raise UnitError(what, f"it computes in {', '.join(known)}")

    @property
    def form(self) -> ModelForm:
        """The form of the model that it takes."""
        return ENGINES[self.engine].forms[self.precision]

    @property
    def package(self) -> str:
        """The distribution whose version tells what computed."""
        return ENGINES[self.engine].package

    @property
    def with_tensorflow(self) -> bool:
        """Whether it runs where TensorFlow is installed."""
        return ENGINES[self.engine].with_tensorflow

    @property
    def requirements(self) -> str:
        """The pinned packages of servers in Python around it, where it does not run with TensorFlow; absolute."""
        return str(programs_folder() / "engines" / f"requirements-{self.engine}.txt")

    @property
    def other_work(self) -> str:
        """That it rounds, where it does."""
        return _WORDS.get(self.precision, "")

    def missing(self) -> Missing | None:
        """A CPU without instructions for bfloat16, where OpenVINO would compute in float32 and say nothing."""
        if self.precision == "bf16" and not (cpu_has("avx512_bf16") or cpu_has("amx_bf16")):
            return Missing("this CPU has no instructions for bfloat16", "leave 'precision' out")
        return None

    def cannot_take(self) -> str:
        """Why it cannot compute a model of any inputs, in a clause; empty if it can."""
        return "" if ENGINES[self.engine].tensors else f"engine {self.engine} takes photos only"

    def file(self, place: Place) -> Path:
        """The file, or the version folder of the SavedModel.   Raises: LaunchError if the model has no such form."""
        file = None if place.model is None else place.model.file(self.form)
        if file is None:
            raise LaunchError(f"there is no model as {self.form} to serve")
        return file / "1" if self.form == "saved_model" else file

    def tensor_environment(self, place: Place, threads: int | None, file: Path | None = None) -> dict[str, str]:
        """Variables that `engines.tensor_engine()` is told by; without `threads` TensorFlow takes as many as it likes.

        Writes the request that is answered before anybody asks into `place.folder`. Raises: LaunchError.
        """
        model = place.model
        if model is None or model.signature is None:
            raise LaunchError("there is no model of any inputs to serve")
        environment = saved_model_environment(place, threads or place.cores, programs_folder())
        if threads is None:
            for name in ("MODEL_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
                del environment[name]
        return environment | {
            "MODEL_ENGINE": self.engine,
            "MODEL_PATH": str(file or self.file(place)),
            "MODEL_SIGNATURE": json.dumps(model.signature.as_mapping()),
            "MODEL_EXAMPLE": str(write_example(place)),
            "KERAS_BACKEND": "tensorflow",
        }

    def environment(self, place: Place, threads: int) -> dict[str, str]:
        """Variables that `engines.engine()` is told by, and those of the libraries below it.   Raises: LaunchError."""
        file = self.file(place)
        assert place.model is not None
        return {
            **saved_model_environment(place, threads, programs_folder()),
            "MODEL_ENGINE": self.engine,
            "MODEL_PATH": str(file),
            "MODEL_PRECISION": self.precision,
            "IMAGE_HEIGHT": str(place.model.height),
            "IMAGE_WIDTH": str(place.model.width),
            "KERAS_BACKEND": "tensorflow",
        }
