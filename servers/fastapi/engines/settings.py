"""Settings of every engine, from the environment, and the photo that each answers before anybody asks."""

from __future__ import annotations

import os
from typing import Any

import numpy as np


def model_path() -> str:
    """The file or folder of the model."""
    return os.environ["MODEL_PATH"]


def threads() -> int:
    """With how many threads one request is computed."""
    return int(os.environ["MODEL_THREADS"])


def precision() -> str:
    """In what the engine computes where it has a choice: f32 or bf16."""
    return os.environ["MODEL_PRECISION"]


def image_size() -> tuple[int, int]:
    """Height and width of the photos that the model takes."""
    return int(os.environ["IMAGE_HEIGHT"]), int(os.environ["IMAGE_WIDTH"])


def blank() -> Any:
    """Float32 (1, height, width, 3) of zeros."""
    return np.zeros((1, *image_size(), 3), np.float32)
