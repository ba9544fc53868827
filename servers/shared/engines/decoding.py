"""What the engines without TensorFlow share: photos are decoded here, then computed one by one or together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from photos import pixels

from engines.settings import Settings


class DecodingEngine(ABC):
    """Pixels out of photos by `photos.pixels`; what computes them says how."""

    together = False
    """Whether several photos are one call; else their answers are computed one after the other."""

    def __init__(self, settings: Settings) -> None:
        self._size = settings.height, settings.width

    def __call__(self, jpegs: list[bytes]) -> Any:
        """Class probabilities, float32, shape (photos, classes).   Raises: NoPhotoError."""
        images = [pixels(jpeg, *self._size) for jpeg in jpegs]
        if self.together and len(images) > 1:
            return self.compute(np.concatenate(images))
        return np.concatenate([self.compute(image) for image in images])

    @abstractmethod
    def compute(self, image: Any) -> Any:
        """Float32 (1, height, width, 3), or (n, ...) where it computes several together -> float32 (n, classes)."""
