"""What a server needs on disk: the model in every form, built once and kept in a cache keyed by content.

The model is built by a child process (`build_model.py`), so the harness itself never imports TensorFlow; this
module knows where things lie, what they depend on and when they are complete, and nothing of what is inside them.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from bench.cache import Say, built_beside, cache_folder, content_digest, locked
from bench.child import run_child
from bench.errors import ArtifactError, ScenarioError
from bench.model.applications import APPLICATIONS, KERAS_APPLICATIONS
from bench.model.check import check_model_file, weights_file
from bench.model.files import ModelFiles, ModelSpec, Reference, model_name, size_of
from bench.payload.photos import Photo, photos_digest, sample_photos

TIGHTEST_TOLERANCE, LOOSEST_TOLERANCE = 1e-3, 1e-2
"""Bounds of the absolute difference at which two answers agree, for outputs up to 1 (they grow with larger ones).

Within them it is a twentieth of the distance between photos. Measured on EfficientNetB0 and B5 with random weights:
Keras, both signatures of the SavedModel and batches of 1 and 3 differ by at most 2e-5; weights rounded to TF32, what
recent GPUs compute in by default, by a few 1e-3, which must pass; weights rounded to bfloat16 by 0.02 and more,
which is other work and must not.
"""
_CHILD = Path(__file__).with_name("build_model.py")


def build_model(spec: ModelSpec, photos: Sequence[Photo], say: Say) -> ModelFiles:
    """The model in every form, from the cache or, the first time, built by a child process within minutes.

    The reference outputs of `photos` are computed while TensorFlow is loaded anyway; `build_reference` reads them.
    Raises: ArtifactError if TensorFlow is missing or the model cannot be built, ScenarioError if its file is unfit.
    """
    name, folder = model_name(spec), _place(spec)
    if not (folder / "model.json").is_file():
        with locked(folder.with_name(f"{folder.name}.lock"), say, name):
            if not (folder / "model.json").is_file():
                _build_into(folder, spec, photos, say)
    model = _model_files(name, folder)
    for why in model.replaced.values():
        say(f"{name} has no .h5 file, and what would load it loads the .keras file: {why}")
    return model


def build_reference(model: ModelFiles, photos: Sequence[Photo], say: Say) -> Reference:
    """What the model answers for these photos, from the cache or computed by a child process.

    Raises: ArtifactError if two photos are answered so alike that the check of answers could not fail.
    """
    outputs = model.folder / reference_name(photos)
    figures = outputs.with_suffix(".json")
    if not figures.is_file():
        with locked(model.folder.with_name(f"{model.folder.name}.lock"), say, model.name):
            if not figures.is_file():
                _compute_reference(model, photos, say)
    return reference_within(model, photos, outputs, json.loads(figures.read_text()))


def _place(spec: ModelSpec) -> Path:
    """The folder in the cache of what is built from this, as its files are now."""
    return cache_folder() / "models" / f"{model_name(spec)}-{_model_key(spec)}"


def _model_key(spec: ModelSpec) -> str:
    """A digest of everything that the built files depend on; changes to any of it build anew."""
    parts: dict[str, Any] = {
        "program": hashlib.sha256(_CHILD.read_bytes()).hexdigest(),
        "versions": [version_of(package) for package in ("tensorflow", "keras")],
    }
    if spec.path is not None:
        check_model_file(spec.path)
        parts["model"] = content_digest(spec.path)
    else:
        if spec.keras_application not in KERAS_APPLICATIONS:
            raise ScenarioError(
                f"unknown model {spec.keras_application!r}", hint=f"known models: {', '.join(KERAS_APPLICATIONS)}"
            )
        parts["model"] = [spec.keras_application, spec.weights]
        if spec.weights == "random":
            parts["random"] = [spec.seed, photos_digest(sample_photos())]
        elif spec.weights != "imagenet":
            parts["model"] = [spec.keras_application, content_digest(weights_file(spec.weights))]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def version_of(package: str) -> str:
    """The installed version of what models are built with.   Raises: ArtifactError if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        raise ArtifactError(
            f"{package} is not installed, and models are built with it",
            hint="pip install tensorflow   (Linux: it is a dependency of serving-bench; the reading half needs none)",
        ) from None


def _model_files(name: str, folder: Path) -> ModelFiles:
    known = json.loads((folder / "model.json").read_text())
    keras, saved_model = folder / "model.keras", folder / "saved_model"
    h5 = keras if known["missing"] else folder / "model.h5"
    forms = {"h5": h5, "keras": keras, "saved_model": saved_model}
    return ModelFiles(
        name=name,
        folder=folder,
        h5=h5 if known["keras_forms"] else None,
        keras=keras if known["keras_forms"] else None,
        saved_model=saved_model,
        height=known["height"],
        width=known["width"],
        classes=known["classes"],
        size_bytes={form: size_of(path) for form, path in forms.items() if path.exists()},
        build_seconds=known.get("build_seconds", {}),
        replaced=known["missing"],
    )


def reference_name(photos: Sequence[Photo]) -> str:
    """Where the answers to these photos lie in the model's folder."""
    return f"references/{photos_digest(photos)[:16]}.npy"


def reference_within(
    model: ModelFiles, photos: Sequence[Photo], outputs: Path, figures: Mapping[str, Any]
) -> Reference:
    """The tolerance that suits answers whose `largest` and `photo_distance` are known.

    Raises: ArtifactError, with the `closest` two, if they are so alike that the check of answers could not fail.
    """
    scale = max(1.0, figures["largest"])
    distance = float(figures["photo_distance"])
    tolerance = min(max(distance / 20, TIGHTEST_TOLERANCE * scale), LOOSEST_TOLERANCE * scale)
    if distance < 10 * tolerance:
        one, other = (photos[number].name for number in figures["closest"])
        raise ArtifactError(
            f"the check of answers could not fail: {model.name} answers {one} and {other} only {distance:.2g} apart, "
            f"and answers agree within {tolerance:.2g}",
            hint=f"at least {10 * tolerance:.2g} is needed; use photos that this model tells apart",
        )
    return Reference(outputs, tolerance, distance)


def _build_into(folder: Path, spec: ModelSpec, photos: Sequence[Photo], say: Say) -> None:
    path = str(spec.path.absolute()) if spec.path is not None else None
    weights = spec.weights if spec.weights in {"random", "imagenet"} else str(weights_file(spec.weights))
    with built_beside(folder, partial(_place, spec)) as building:
        job = {
            "task": "build",
            "spec": {
                "keras_application": spec.keras_application,
                "path": path,
                "weights": weights,
                "seed": spec.seed,
                **(asdict(APPLICATIONS[spec.keras_application]) if spec.keras_application is not None else {}),
            },
            "reference": str(building / reference_name(photos)),
        }
        _run_child(job, building, {"sample": sample_photos(), "photos": photos}, model_name(spec), say)
        differs = json.loads((building / "model.json").read_text())["export_difference"]
        largest = json.loads((building / reference_name(photos)).with_suffix(".json").read_text())["largest"]
        if differs > TIGHTEST_TOLERANCE * max(1.0, largest) / 10:
            raise ArtifactError(
                f"the exported SavedModel differs from Keras by {differs:.2g}", where=str(building / "build.log")
            )


def _compute_reference(model: ModelFiles, photos: Sequence[Photo], say: Say) -> None:
    computing = model.folder.with_name(f".{model.folder.name}.reference")
    shutil.rmtree(computing, ignore_errors=True)
    computing.mkdir()
    job = {
        "task": "reference",
        "keras": str(model.keras) if model.keras else None,
        "saved_model": str(model.saved_model),
        "reference": reference_name(photos),
    }
    _run_child(job, computing, {"photos": photos}, model.name, say)
    outputs = model.folder / reference_name(photos)
    outputs.parent.mkdir(exist_ok=True)
    for suffix in (".npy", ".json"):  # the .json last: it is what says that the outputs are there
        (computing / reference_name(photos)).with_suffix(suffix).rename(outputs.with_suffix(suffix))
    shutil.rmtree(computing)


def _run_child(job: dict[str, Any], folder: Path, photos: Mapping[str, Sequence[Photo]], name: str, say: Say) -> None:
    """Run `build_model.py`, which finds the photos under these keys.   Raises: ArtifactError."""
    run_child(_CHILD, job, folder, {key: [it.jpeg for it in group] for key, group in photos.items()}, name, say)
