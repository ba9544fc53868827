"""How many floating-point operations a model takes on one image: counted once by a child process, kept beside it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.cache import locked
from bench.errors import ArtifactError
from bench.files import write_text
from bench.model.files import ModelFiles

_CHILD = Path(__file__).with_name("count_flops.py")
_PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class ModelFlops:
    """Operations on one image, decoding and resizing it apart: `flops` in all, of which `multiply_adds` pairs.

    A multiplication with its addition counts 2, anything element by element 1. `by_kind` has them by kind of node,
    `unknown` how many nodes of the graph were of a kind that is not counted.
    """

    flops: int
    multiply_adds: int
    by_kind: Mapping[str, int] = field(default_factory=dict)
    unknown: Mapping[str, int] = field(default_factory=dict)


def model_flops(model: ModelFiles, say: Callable[[str], None]) -> ModelFlops:
    """The model's operations, from beside the model or counted now, which takes some seconds.

    Raises: ArtifactError if they cannot be counted.
    """
    if model.signature is not None:
        raise ArtifactError(f"{model.name} takes tensors, and operations are counted of models of photos")
    if model.onnx is not None:
        raise ArtifactError(f"{model.name} was given as an ONNX file, and only TensorFlow's operations are counted")
    file = model.folder / f"flops-{_method()}.json"
    if not file.is_file():
        with locked(model.folder.with_name(f"{model.folder.name}.lock"), say, model.name):
            if not file.is_file():
                say(f"counting the operations of {model.name} on one image, once for this model")
                write_text(file, _counted(model))
    try:
        return ModelFlops(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as failure:
        raise ArtifactError(f"cannot be read: {failure}", where=str(file), hint=f"rm {file}") from failure


def _method() -> str:
    """Changes whenever the way of counting does."""
    return hashlib.sha256(_CHILD.read_bytes()).hexdigest()[:8]


def _counted(model: ModelFiles) -> str:
    # No GPU: nothing is computed. -P: else bench/ itself would come first on the child's path.
    env = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    with tempfile.TemporaryDirectory(prefix="bench-flops-") as scratch:
        result = Path(scratch) / "flops.json"
        argv = [sys.executable, "-P", str(_CHILD), str(model.saved_model / "1"), str(result), str(os.getpid())]
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env,
            start_new_session=True,
        ) as child:  # fmt: skip
            try:
                _, said = child.communicate(timeout=_PATIENCE)
            except subprocess.TimeoutExpired as failure:
                raise ArtifactError(f"the operations of {model.name} were not counted in {_PATIENCE:g} s") from failure
            finally:
                if child.poll() is None:
                    os.killpg(child.pid, signal.SIGKILL)
        if child.returncode != 0 or not result.is_file():
            last = said.decode(errors="replace").strip().splitlines()[-1:]
            raise ArtifactError(f"the operations of {model.name} cannot be counted", hint="".join(last))
        return result.read_text(encoding="utf-8")
