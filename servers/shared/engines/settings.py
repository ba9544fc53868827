"""What every engine is told, and the photo that each answers before anybody asks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Settings:
    """The file or folder of the model, with how many threads a request is computed, the photos' size.

    `precision` is in what the engine computes where it has a choice: f32 or bf16, elsewhere what the file is.
    """

    path: str
    threads: int
    height: int
    width: int
    precision: str = "f32"

    @classmethod
    def of_environment(cls) -> Settings:
        """Those that the harness set."""
        env = os.environ
        return cls(
            env["MODEL_PATH"],
            int(env["MODEL_THREADS"]),
            int(env["IMAGE_HEIGHT"]),
            int(env["IMAGE_WIDTH"]),
            env["MODEL_PRECISION"],
        )

    @property
    def blank(self) -> Any:
        """Float32 (1, height, width, 3) of zeros."""
        return np.zeros((1, self.height, self.width, 3), np.float32)
