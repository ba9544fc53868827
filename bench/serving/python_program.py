"""For kinds whose program is in Python around the SavedModel: what such a program is told, and which versions it has.

The program finds `classifier.py` on its path, which lies in `servers/shared`.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import LaunchError
from bench.server import Place

if TYPE_CHECKING:
    from bench.protocols import Wire

_ERROR = re.compile(r"[\w.]*(Error|Exception)\b.*:")
"""The last line of a traceback."""


def saved_model_environment(place: Place, threads: int, classifier: Path) -> dict[str, str]:
    """Variables for `classifier.py` in the folder `classifier` and the libraries below it; `threads` are TensorFlow's.

    Raises: LaunchError without a SavedModel.
    """
    if place.model is None:
        raise LaunchError("there is no model to serve")
    return {
        "MODEL_PATH": str(place.model.saved_model / "1"),
        "MODEL_THREADS": str(threads),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
        "CUDA_VISIBLE_DEVICES": "-1",  # a CPU server also where TensorFlow would find a GPU
        "PYTHONPATH": str(classifier),
        "TMPDIR": str(place.folder),  # what a killed program leaves there is removed with it
        "PYTHONUNBUFFERED": "1",  # the log's last lines must be there when it dies
    }


def plain_wire(place: Place) -> Wire:
    """The plain JSON that these programs speak: photos, or the tensors of a model of any inputs."""
    from bench.protocols.plain import PlainJson
    from bench.protocols.plain_tensors import PlainTensors

    signature = None if place.model is None else place.model.signature
    return PlainJson() if signature is None else PlainTensors(signature.output_names)


def startup_failure(log: str) -> str | None:
    """Why a program that restarts its workers for ever will never serve; None if nothing of the kind is in its log."""
    if "Application startup failed" not in log:
        return None
    lines = [line.strip() for line in log.splitlines() if _ERROR.match(line.strip())]
    return f"its app does not start: {lines[-1][:300]}" if lines else "its app does not start"


def installed_versions(python: Path, *distributions: str) -> str:
    """`fastapi 0.165.0, uvicorn 0.54.0`: packages in the environment of an interpreter; `?` for one that is not there.

    Read from the names of their metadata folders, so that nothing is started.
    """
    return ", ".join(f"{name} {_version(python, name)}" for name in distributions)


def own_versions(*distributions: str) -> str:
    """The same, of packages in the harness's own environment."""
    return ", ".join(f"{name} {metadata.version(name)}" for name in distributions)


def _version(python: Path, distribution: str) -> str:
    for folder in python.parent.parent.glob(f"lib/python3.*/site-packages/{distribution}-*.dist-info"):
        return folder.name.removesuffix(".dist-info").removeprefix(f"{distribution}-")
    return "?"
