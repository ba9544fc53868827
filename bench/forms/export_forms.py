"""The child program that turns a model into other runtimes' forms, each by its function in `converters.py`.

`forms.py` starts it by path with one argument, a job file, with the interpreter of an environment that has the
converters. It imports nothing of ours but the file beside it; what the converters say goes to stderr, which is a log.
`ask_form.py` measures what each form answers.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import signal
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

LARGEST_RATIO, GRAPH_BYTES = 1.5, 4_000_000
"""A file may take so many times the bytes of its weights, and so many for its graph: more is a weight stored twice."""


def _beside(name: str) -> ModuleType:
    """A file beside this one, which is on no path: other modules there could stand for packages."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while they are made
    spec.loader.exec_module(module)
    return module


converters = _beside("converters")


def main(job_file: Path) -> int:
    """Do the job; 0 done, anything else a traceback."""
    job = json.loads(job_file.read_text())
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 = PR_SET_PDEATHSIG
    if os.getppid() != job["parent"]:
        sys.exit("the harness is gone")
    progress = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(sentence: str) -> None:
        print(sentence, file=progress, flush=True)  # stdout is this program's protocol

    folder = Path(job["folder"])
    built = {form: {"compressed_bytes": _compressed(Path(given))} for form, given in job["given"].items()}
    if job["build"]:
        built |= _build(job, folder, tell)
    (folder / "done.json").write_text(json.dumps({"built": built}))
    return 0


# ---- building -------------------------------------------------------------------------------------------------


def _build(job: Mapping[str, Any], folder: Path, tell: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """Each form in a folder of its name; seconds from the SavedModel, the Keras file or the ONNX file to it."""
    import numpy as np

    frozen, freezing, loaded = None, 0.0, None
    given = {key: Path(job[key]) for key in ("saved_model", "keras", "onnx") if job[key] is not None}
    saved_model, keras, onnx = (given.get(key) for key in ("saved_model", "keras", "onnx"))
    if saved_model is not None:
        import tensorflow as tf

        tell("freezing the SavedModel")
        loaded = tf.saved_model.load(str(saved_model))  # the function dies with it
        begun = time.perf_counter()
        frozen = converters.freeze(loaded.signatures["tensor"])
        freezing = time.perf_counter() - begun
    there = {form: Path(known["file"]) for form, known in job["there"].items()}
    before = {form: known["seconds"] for form, known in job["there"].items()}
    material = converters.Material(frozen, np.load(job["images"], mmap_mode="r"), saved_model, keras, onnx, there)
    weights = onnx.stat().st_size if onnx is not None else _weight_bytes(frozen)
    built: dict[str, dict[str, Any]] = {}
    for form in job["build"]:
        tell(f"converting the model to {form}")
        (folder / form).mkdir()
        file = folder / form / converters.FILES[form]
        begun = time.perf_counter()
        try:
            source = None if form == "onnx_pruned" and keras is None else converters.MADE_FROM.get(form)
            if source is not None and source not in there:
                raise converters.RefusedError(f"it is made from {source}, which could not be made")
            converters.BUILDING[form](material, file)
            _check_size(file.parent, weights)
        except Exception as failure:  # one converter's trouble must not cost the others
            built[form] = {"failure": _said(failure)}
            continue
        seconds = time.perf_counter() - begun + before.get(source or "", freezing)
        built[form] = {"seconds": seconds, "compressed_bytes": _compressed(file.parent)}
        there[form], before[form] = file, seconds
    return built


def _weight_bytes(frozen: Any) -> int:
    """Bytes of the constants of a frozen graph."""
    nodes = frozen.graph.as_graph_def().node
    return sum(node.attr["value"].tensor.ByteSize() for node in nodes if node.op == "Const")


def _check_size(folder: Path, weights: int) -> None:
    size = sum(file.stat().st_size for file in folder.iterdir())
    if size > LARGEST_RATIO * weights + GRAPH_BYTES:
        raise converters.RefusedError(
            f"it takes {size / 1e6:.0f} MB for {weights / 1e6:.0f} MB of weights, so some are there twice"
        )


def _compressed(path: Path) -> int:
    """Bytes of a file, or of each file of a folder, in a zip archive."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return sum(len(zlib.compress(file.read_bytes())) for file in files)


def _said(failure: BaseException) -> str:
    """The first line that says something, with the kind of failure where it is a converter's."""
    if isinstance(failure, converters.RefusedError):
        return str(failure)
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    return f"{type(failure).__name__}: {lines[0][:300]}" if lines else type(failure).__name__


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
