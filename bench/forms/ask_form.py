"""The child program that holds one form of the model in memory and answers photos with it, timed.

`form_asking.py` starts one process for each way of computing, by path with a job file, with the interpreter of the
environment that has the runtimes. It imports nothing of ours but the engines that serve. It tells one JSON line when it
has loaded the form and answered all photos, then one for each line on its stdin, and ends when that closes.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Array = Any
"""A numpy array; this program is not part of the typed package."""
Answering = Callable[[Array], Array]
"""One image, float32 (1, height, width, 3) -> (1, classes)."""


def main(job_file: Path) -> int:
    """Until stdin closes; what cannot be loaded or asked is told as `failure`."""
    job = json.loads(job_file.read_text())
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 = PR_SET_PDEATHSIG
    if os.getppid() != job["parent"]:
        sys.exit("the harness is gone")
    if sys.platform == "linux":
        os.sched_setaffinity(0, job["cores"])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(said: Mapping[str, Any]) -> None:
        print(json.dumps(said), file=answers, flush=True)  # stdout is this program's protocol

    import numpy as np

    images = np.load(job["images"], mmap_mode="r")[: job["at_most"]]
    first = np.array(images[:1], np.float32)
    sys.path.append(job["programs"])  # the engines as they serve, so that it is their answers that are measured
    _import_runtime(job["engine"], job["threads"])
    try:
        answer, measured = _loaded(job, first)
        if job["outputs"] is not None:
            outputs = [answer(np.array(image[None], np.float32)) for image in images]
            np.save(job["outputs"], np.concatenate(outputs).astype(np.float32))
    except Exception as failure:
        tell({"failure": _said(failure)})
        return 0
    tell(measured)
    for line in sys.stdin:
        tell({"seconds": _timed(answer, first, int(line))})
    return 0


def _loaded(job: Mapping[str, Any], image: Array) -> tuple[Answering, dict[str, float]]:
    """What answers, and the memory and seconds that it took to get there and answer once."""
    gc.collect()
    before, begun = _resident_bytes(), time.perf_counter()
    answer = _answering(job, image)
    answer(image)
    seconds = time.perf_counter() - begun
    gc.collect()
    after = _resident_bytes()
    return answer, {"memory_bytes": after - before, "process_bytes": after, "load_seconds": seconds}


def _answering(job: Mapping[str, Any], image: Array) -> Answering:
    if job["engine"] in OWN:
        return OWN[job["engine"]](Path(job["file"]))
    import engines

    settings = engines.Settings(job["file"], job["threads"], *image.shape[1:3], job["precision"])
    compute: Answering = engines.load(job["engine"], settings).compute
    return compute


def _timed(answer: Answering, image: Array, count: int) -> list[float]:
    """Seconds of each of `count` answers; one before them, not counted, since others had the caches meanwhile."""
    answer(image)
    seconds = []
    for _ in range(count):
        begun = time.perf_counter()
        answer(image)
        seconds.append(time.perf_counter() - begun)
    return seconds


def _resident_bytes() -> int:
    """Of this process; pages of a mapped file count once they have been touched."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _import_runtime(engine: str, threads: int) -> None:
    """Before the first look at the memory: a server has its runtime anyway, whichever form it holds."""
    if engine not in OWN:
        importlib.import_module(f"engines.{engine}")
        return
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    if engine == "keras":
        importlib.import_module("keras")
    _ = tf.constant(0.0) + 1.0  # starts its threads, which is no form's doing


# ---- TensorFlow -------------------------------------------------------------------------------------------------


def _keras(file: Path) -> Answering:
    """`model.predict`, as the naive server calls it; an .h5 is loaded as training left it, with its optimizer."""
    import keras

    model = keras.saving.load_model(file)
    return lambda image: model.predict(image, verbose=0)


def _saved_model(file: Path) -> Answering:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(file))
    run = loaded.signatures["tensor"]

    def answer(image: Array, keep: Any = loaded) -> Array:  # noqa: ARG001 -- the signature dies with what it is of
        (outputs,) = run(tf.constant(image)).values()
        return outputs.numpy()

    return answer


def _frozen(file: Path) -> Answering:
    """The one placeholder in, the one tensor out that no other node reads."""
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef.FromString(file.read_bytes())
    read = {name.partition(":")[0] for node in graph.node for name in node.input if not name.startswith("^")}
    (given,) = [node.name for node in graph.node if node.op == "Placeholder"]
    (got,) = [it.name for it in graph.node if it.name not in read and it.op not in ("Placeholder", "Const", "NoOp")]
    whole = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    run = whole.prune(f"{given}:0", f"{got}:0")
    return lambda image: run(tf.constant(image)).numpy()


OWN: Mapping[str, Callable[[Path], Answering]] = {"keras": _keras, "tensorflow": _saved_model, "graph": _frozen}
"""With TensorFlow, where servers take what is not asked about here: photos, or a file without an optimizer."""


def _said(failure: BaseException) -> str:
    """The first line that says something."""
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    return f"{type(failure).__name__}: {lines[0][:300]}" if lines else type(failure).__name__


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
