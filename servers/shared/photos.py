"""What every engine needs of a photo: its bytes out of a request, and its pixels where TensorFlow is not there.

It knows nothing of a model.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np


class NoPhotoError(ValueError):
    """What was sent is no photo."""


def from_base64(text: str) -> bytes:
    """The bytes that a JSON request carries as text.   Raises: NoPhotoError."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as failure:
        raise NoPhotoError(f"no photo in the request: {failure}") from failure


def pixels(jpeg: bytes, height: int, width: int) -> Any:
    """Float32 (1, height, width, 3), values 0-255, as `tf.io.decode_jpeg` and `tf.image.resize` make them.

    libjpeg-turbo with its fast integer transform and smooth upsampling, as in TensorFlow.   Raises: NoPhotoError.
    """
    import simplejpeg

    try:
        photo = simplejpeg.decode_jpeg(jpeg, colorspace="RGB", fastdct=True, fastupsample=False)
    except ValueError as failure:
        raise NoPhotoError(f"no photo in the request: {failure}") from failure
    return resized(photo, height, width)[None]


def resized(photo: Any, height: int, width: int) -> Any:
    """Bilinear between pixel centres without smoothing: uint8 (any, any, 3) -> float32 (height, width, 3)."""
    upper, lower, down = _between(photo.shape[0], height)
    left, right, across = _between(photo.shape[1], width)
    above, below = photo[upper], photo[lower]
    across, down = across[None, :, None], down[:, None, None]
    top, bottom = (
        (ends[0] + (ends[1] - ends[0]) * across)
        for ends in ((row[:, left].astype(np.float32), row[:, right].astype(np.float32)) for row in (above, below))
    )
    return top + (bottom - top) * down


def _between(length: int, wanted: int) -> tuple[Any, Any, Any]:
    """For each wanted position the two that it lies between, and how far from the first; float32 as TensorFlow's."""
    scale = np.float32(length) / np.float32(wanted)
    at = (np.arange(wanted, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    floor = np.floor(at)
    first = np.maximum(floor.astype(np.int64), 0)
    second = np.minimum(np.ceil(at).astype(np.int64), length - 1)
    return first, second, (at - floor).astype(np.float32)
