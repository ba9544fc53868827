"""The child program that multiplies matrices as fast as it can, and tells how many operations per second it reached.

`peak.py` starts it by path with one argument, JSON: `cores` to run on (null: all), `precisions`, `seconds` for each of
them with each library, `gpu`, `parent`. It imports nothing of ours and writes one line of JSON per finding, at once, so
that what it found is known even if its time runs out.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

SIZES = (1024, 2048)
"""Large enough to reach the peak, small enough for many tries: whatever disturbs a try, another may be spared."""
GPU_SIZES = (4096, 8192)
_LEAST_TRIES = 3


def best(multiply: Callable[[int], object], sizes: tuple[int, ...], seconds: float) -> tuple[float, int]:
    """Operations per second of the fastest multiplication, and its size; each size is tried in turn."""
    for size in sizes:  # memory is touched, threads are started, kernels are chosen
        multiply(size)
    found, ends_at, tries = (0.0, sizes[0]), time.perf_counter() + seconds, 0
    while tries < _LEAST_TRIES or time.perf_counter() < ends_at:
        for size in sizes:
            began_at = time.perf_counter()
            multiply(size)
            found = max(found, (2 * size**3 / (time.perf_counter() - began_at), size))
        tries += 1
    return found


def _numpy(seconds: float) -> None:
    import numpy as np

    rng = np.random.default_rng(1)
    given = {size: rng.standard_normal((size, size), dtype=np.float32) for size in SIZES}
    kept = {size: np.empty_like(matrix) for size, matrix in given.items()}
    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {}).get("name", "BLAS")
    _tell("f32", f"NumPy {np.__version__} ({blas})", *best(
        lambda size: np.matmul(given[size], given[size], out=kept[size]), SIZES, seconds
    ))  # fmt: skip


def _tensorflow(precisions: list[str], seconds: float, gpu: bool) -> None:
    import tensorflow as tf

    library = f"TensorFlow {tf.__version__}"
    types = {"f32": tf.float32, "bf16": tf.bfloat16}
    for precision in precisions:
        _tell(precision, library, *best(_multiplier(tf, types[precision], SIZES, "/CPU:0"), SIZES, seconds))
    if not gpu:
        return
    if not tf.config.list_physical_devices("GPU"):
        _say({"missing": "gpu", "reason": "TensorFlow sees no GPU"})
        return
    for precision in ("f32", "bf16"):
        # As a server computes: a GPU with tensor cores multiplies float32 as TF32 unless it is told not to.
        _tell(f"gpu_{precision}", library, *best(
            _multiplier(tf, types[precision], GPU_SIZES, "/GPU:0"), GPU_SIZES, seconds
        ))  # fmt: skip


def _multiplier(tf: Any, dtype: Any, sizes: tuple[int, ...], device: str) -> Callable[[int], object]:
    """Multiplies a square matrix of the size that it is asked for by itself, and waits for the result."""
    with tf.device(device):
        given = {size: tf.cast(tf.random.stateless_normal((size, size), (1, 2)), dtype) for size in sizes}

    def multiply(size: int) -> object:
        with tf.device(device):
            return tf.matmul(given[size], given[size])[0, 0].numpy()

    return multiply


def _tell(precision: str, library: str, per_second: float, size: int) -> None:
    _say({"precision": precision, "library": library, "flops": per_second, "size": size})


def _say(finding: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(finding) + "\n")
    sys.stdout.flush()


def main(job: dict[str, Any]) -> int:
    """Do the job."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 = PR_SET_PDEATHSIG
        if job["cores"]:
            os.sched_setaffinity(0, job["cores"])  # before a library counts them
    if os.getppid() != job["parent"]:  # it died before the lines above
        return 1
    _numpy(job["seconds"])
    try:
        _tensorflow(job["precisions"], job["seconds"], job["gpu"])
    except ImportError:
        _say({"missing": "tensorflow", "reason": "TensorFlow is not installed"})
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
