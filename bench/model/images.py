"""Photos as the model takes them: decoded and resized once by TensorFlow in a child process, kept in the cache.

A request that carries pixels needs exactly those that the exported graph would compute from the JPEG, or the check
of answers would compare two decoders. The harness itself imports no TensorFlow; it only looks the pixels up.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.cache import cache_folder, locked
from bench.child import last_lines
from bench.errors import ArtifactError
from bench.model.files import ModelFiles
from bench.payload.photos import Photo, photos_digest

Pixels = NDArray[np.float32]
"""One decoded photo; shape (height, width, 3), values 0-255."""

_CHILD = Path(__file__).with_name("decode_photos.py")
_DECODER = Path(__file__).with_name("build_model.py")


@dataclass(frozen=True, slots=True)
class Images:
    """The pixels of known photos; `file` is float32 of shape (photos, height, width, 3), `rows` maps digest to row."""

    file: Path
    rows: Mapping[str, int]

    def of(self, jpeg: bytes) -> Pixels:
        """The pixels of one of the photos.   Raises: ArtifactError for any other."""
        row = self.rows.get(_digest(jpeg))
        if row is None:
            raise ArtifactError("a photo was asked for that was not decoded", where=str(self.file))
        table = np.load(self.file, mmap_mode="r")
        return np.array(table[row], dtype=np.float32)


def decoded_images(model: ModelFiles, photos: Sequence[Photo], say: Callable[[str], None]) -> Images:
    """The photos in the size that the model takes, from the cache or decoded by a child process within seconds.

    Raises: ArtifactError if TensorFlow is missing or fails.
    """
    folder = cache_folder() / "images"
    file = folder / f"{_key(model, photos)}.npy"
    if not file.is_file():
        with locked(file.with_suffix(".lock"), say, "decoded photos"):
            if not file.is_file():
                say(f"decoding {len(photos)} photos to {model.height} x {model.width} pixels")
                _decode(file, model, photos)
    return Images(file, {_digest(photo.jpeg): row for row, photo in enumerate(photos)})


def _digest(jpeg: bytes) -> str:
    return hashlib.sha256(jpeg).hexdigest()


def _key(model: ModelFiles, photos: Sequence[Photo]) -> str:
    try:
        version = metadata.version("tensorflow")
    except metadata.PackageNotFoundError:
        raise ArtifactError("tensorflow is not installed, and photos are decoded with it") from None
    programs = [hashlib.sha256(program.read_bytes()).hexdigest() for program in (_CHILD, _DECODER)]
    parts = [programs, version, model.height, model.width, photos_digest(photos)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _decode(file: Path, model: ModelFiles, photos: Sequence[Photo]) -> None:
    """Write beside the final place and rename: what was killed leaves nothing that looks finished."""
    half = file.with_suffix(".half")
    log = file.with_suffix(".log")
    with tempfile.TemporaryDirectory(prefix="job-", dir=file.parent) as scratch:
        names = []
        for number, photo in enumerate(photos):
            name = Path(scratch) / f"{number:05d}.jpg"
            name.write_bytes(photo.jpeg)
            names.append(str(name))
        job = Path(scratch) / "job.json"
        job.write_text(json.dumps({"photos": names, "file": str(half), "height": model.height, "width": model.width}))
        env = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
        command = [sys.executable, "-P", str(_CHILD), str(job)]
        with log.open("wb") as words:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=words, stderr=words, env=env, check=False)
    if done.returncode != 0:
        half.unlink(missing_ok=True)
        raise ArtifactError("the photos could not be decoded", where=str(log), hint=last_lines(log))
    log.unlink()
    half.rename(file)
