"""Photos decoded by the child process are those that the exported model computes for itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.errors import ArtifactError
from bench.model.files import ModelFiles, Reference
from bench.model.images import decoded_images
from bench.payload.photos import Photo

pytestmark = [pytest.mark.integration, pytest.mark.tensorflow]

ASK = """
import json, sys
import numpy as np
import tensorflow as tf
folder, images = sys.argv[1:]
run = tf.saved_model.load(folder).signatures["tensor"]
answers = [run(image=tf.constant(image[None]))["probabilities"].numpy()[0].tolist() for image in np.load(images)]
print(json.dumps(answers))
"""


def test_the_tensor_signature_answers_the_decoded_photos_as_the_reference_does(
    b0_model: tuple[ModelFiles, Reference, tuple[Photo, ...]],
) -> None:
    model, reference, photos = b0_model
    said: list[str] = []
    images = decoded_images(model, photos, said.append)
    table = np.stack([images.of(photo.jpeg) for photo in photos])
    assert table.shape == (len(photos), 224, 224, 3)
    assert table.dtype == np.float32
    assert 200 < table.max() <= 255
    command = [sys.executable, "-c", ASK, str(model.saved_model / "1"), str(images.file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert np.abs(np.array(json.loads(done.stdout)) - np.load(reference.outputs)).max() <= reference.tolerance / 10

    before = len(said)
    assert decoded_images(model, photos, said.append) == images
    assert len(said) == before, "the second time it is found"
    with pytest.raises(ArtifactError, match="not decoded"):
        images.of(b"another photo")


def test_a_photo_that_cannot_be_decoded_leaves_nothing_that_looks_finished(
    b0_model: tuple[ModelFiles, Reference, tuple[Photo, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    with pytest.raises(ArtifactError, match="could not be decoded"):
        decoded_images(b0_model[0], [Photo("broken.jpg", b"no photo")], lambda _: None)
    assert not list(tmp_path.rglob("*.npy"))
    assert not list(tmp_path.rglob("*.half"))
