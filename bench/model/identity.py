"""Which model it is, whatever its file is called: a digest of what it is made of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from bench.cache import content_digest
from bench.model.files import ModelSpec

BUILT_IN = ("random", "imagenet")


def model_digest(spec: ModelSpec) -> str:
    """SHA-256 of the model's file (`sha256sum` says the same), or of the names that a built-in one is made from.

    Raises: ScenarioError if a file of it cannot be read.
    """
    if spec.path is not None:
        return content_digest(spec.path)
    weights = spec.weights if spec.weights in BUILT_IN else content_digest(Path(spec.weights))
    made_from = [spec.keras_application, weights, spec.seed if weights == "random" else None]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()
