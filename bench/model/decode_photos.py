"""The child program that decodes photos as the exported model does, for requests that carry pixels.

`images.py` starts it by path with one argument, a job file. How a JPEG becomes pixels is told by `build_model.py`
alone, which is loaded from beside it; nothing else of ours is.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType


def main(job_file: Path) -> None:
    """Write float32 (photos, height, width, 3), values 0-255, to the job's file."""
    import numpy as np  # here, so that nothing is imported before the job is known to be there

    job = json.loads(job_file.read_text())
    builder = _builder()
    height, width = job["height"], job["width"]
    shape = (len(job["photos"]), height, width, 3)
    table = np.lib.format.open_memmap(job["file"], mode="w+", dtype="<f4", shape=shape)
    for row, photo in enumerate(job["photos"]):
        table[row] = builder._decoded(Path(photo).read_bytes(), height, width).numpy()
    table.flush()


def _builder() -> ModuleType:
    file = Path(__file__).with_name("build_model.py")
    spec = importlib.util.spec_from_file_location("build_model", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_model"] = module  # dataclasses look their module up while they are made
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(Path(sys.argv[1]))
