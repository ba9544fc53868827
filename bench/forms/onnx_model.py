"""A model that a person gives as an ONNX file: made ready for engines, and what it answers, kept.

The counterpart of `artifact.py`, whose cache and child processes it uses. Nothing here imports onnx or a runtime: the
child, `adapt_onnx.py`, has both in the environment that forms are made in.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from bench.cache import built_beside, cache_folder, content_digest, locked
from bench.child import run_child
from bench.errors import ArtifactError, ScenarioError
from bench.forms.building import REQUIREMENTS
from bench.forms.engines import programs_folder
from bench.model.artifact import build_model, build_reference, reference_name, reference_within
from bench.model.files import ModelFiles, ModelSpec, Reference, model_name
from bench.model.images import decoded_images
from bench.model.obtainable import FROM_ONNX, GIVEN_AS_ONNX, ONLY_F32
from bench.model.onnx_file import OnnxFile, check_photos, read_onnx
from bench.model.tensor_model import Outputs, judged_reference
from bench.payload.examples import Example, examples_digest
from bench.payload.photos import Photo
from bench.programs.environments import environment
from bench.server import ModelForm

MISSING = {form: GIVEN_AS_ONNX for form in get_args(ModelForm) if form not in FROM_ONNX}
"""Forms that no ONNX file is turned into, with the reason."""
_CHILD = Path(__file__).with_name("adapt_onnx.py")

Say = Callable[[str], None]


def photo_model(spec: ModelSpec, photos: Sequence[Photo], say: Say) -> tuple[ModelFiles, Reference]:
    """A model that takes photos, whatever it comes as, and what it answers to these; built once, within minutes.

    Raises: ScenarioError for a file that is unfit, ArtifactError if it cannot be built, or answers two photos so alike
    that the check of answers could not fail.
    """
    if spec.path is not None and spec.path.suffix == ".onnx":
        model = build_onnx_model(spec, say)
        return model, onnx_reference(model, photos, say)
    model = build_model(spec, photos, say)
    return model, build_reference(model, photos, say)


def build_onnx_model(spec: ModelSpec, say: Say) -> ModelFiles:
    """The ONNX file with a photo's values as its input, from the cache or made by a child process within seconds.

    Raises: ScenarioError if it is no model of photos or ONNX Runtime cannot compute it.
    """
    assert spec.path is not None
    check_photos(spec.path)
    name = model_name(spec)
    place = partial(_place, name, spec.path, spec.pixels)
    folder, known = place(), read_onnx(spec.path)  # in this order: its description is part of what may change meanwhile
    if not (folder / "model.json").is_file():
        with locked(folder.with_name(f"{folder.name}.lock"), say, name):
            if not (folder / "model.json").is_file():
                path, layout = str(spec.path.absolute()), asdict(known.photos)
                job = {"task": "adapt", "path": path, "pixels": spec.pixels, **layout}
                _run_into(folder, place, job, name, say)
    facts = json.loads((folder / "model.json").read_text())
    return ModelFiles(
        name=name,
        folder=folder,
        h5=None,
        keras=None,
        saved_model=folder / "saved_model",
        height=known.photos.height,
        width=known.photos.width,
        classes=facts["classes"],
        size_bytes={},
        missing=MISSING,
        onnx=folder / "model.onnx",
    )


def onnx_reference(model: ModelFiles, photos: Sequence[Photo], say: Say) -> Reference:
    """What ONNX Runtime answers for these photos, from the cache or computed by a child process.

    Raises: ArtifactError if two photos are answered so alike that the check of answers could not fail.
    """
    file = model.folder / reference_name(photos)
    if not file.is_file():
        with locked(model.folder.with_name(f"{model.folder.name}.lock"), say, model.name):
            if not file.is_file():
                _compute_reference(file, model, photos, say)
    outputs = np.load(file)
    distance, closest = _photo_distance(outputs, photos)
    figures = {"photo_distance": distance, "closest": closest, "largest": float(np.abs(outputs).max())}
    return reference_within(model, photos, file, figures)


# ---- any inputs -------------------------------------------------------------------------------------------------


def build_onnx_tensor_model(spec: ModelSpec, say: Say) -> ModelFiles:
    """The same for a model of any inputs: ONNX and OpenVINO files that take what it takes.

    Raises: ScenarioError if it is no model or ONNX Runtime cannot compute it.
    """
    assert spec.path is not None
    name = model_name(spec)
    place = partial(_place, name, spec.path, "as they are")
    folder, known = place(), read_onnx(spec.path)
    if not (folder / "model.json").is_file():
        with locked(folder.with_name(f"{folder.name}.lock"), say, name):
            if not (folder / "model.json").is_file():
                _run_into(folder, place, {"task": "prepare", "path": str(spec.path.absolute())}, name, say)
    lacking = json.loads((folder / "model.json").read_text())
    forms = {"onnx": folder / "model.onnx", "openvino": folder / "model.xml"}
    missing = MISSING | {form: ONLY_F32 for form in FROM_ONNX if form not in forms} | lacking
    return ModelFiles(
        name=name,
        folder=folder,
        h5=None,
        keras=None,
        saved_model=folder / "saved_model",
        height=0,
        width=0,
        classes=0,
        size_bytes={form: _size(file) for form, file in forms.items() if form not in missing},
        forms={form: file for form, file in forms.items() if form not in missing},
        signature=known.signature,
        missing=missing,
        onnx=folder / "model.onnx",
    )


def onnx_tensor_reference(model: ModelFiles, examples: Sequence[Example], say: Say) -> tuple[Reference, Outputs]:
    """What ONNX Runtime answers to these examples, from the cache or computed by a child process.

    Raises: ArtifactError if examples are answered so alike that the check of answers could not fail.
    """
    packed = [example.packed for example in examples]
    file = model.folder / f"references/{examples_digest(packed)[:16]}.npz"
    if not file.is_file():
        with locked(model.folder.with_name(f"{model.folder.name}.lock"), say, model.name):
            if not file.is_file():
                _answer_examples(file, model, packed, say)
    with np.load(file, allow_pickle=False) as found:
        outputs = tuple(found[name] for name in sorted(found.files))
    return judged_reference(file, model.name, examples, outputs), outputs


def _answer_examples(file: Path, model: ModelFiles, packed: Sequence[bytes], say: Say) -> None:
    assert model.signature is not None
    computing = _empty(model.folder.with_name(f".{model.folder.name}.reference"))
    job: dict[str, Any] = {
        "task": "ask",
        "model": str(model.onnx),
        "signature": model.signature.as_mapping(),
        "programs": str(programs_folder()),
        "package": str(Path(__file__).resolve().parents[2]),
    }
    python = environment("forms", REQUIREMENTS, say)
    run_child(_CHILD, job, computing, {"examples": packed}, model.name, say, python)
    file.parent.mkdir(exist_ok=True)
    (computing / "outputs.npz").rename(file)
    shutil.rmtree(computing)


def _size(file: Path) -> int:
    return sum(each.stat().st_size for each in (file, file.with_suffix(".bin")) if each.is_file())


# ---- both -------------------------------------------------------------------------------------------------------


def _place(name: str, path: Path, pixels: str) -> Path:
    """The folder in the cache of what is built from this file and those beside it, as they are now."""
    return cache_folder() / "models" / f"{name}-{_key(path, read_onnx(path), pixels)}"


def _key(path: Path, known: OnnxFile, pixels: str) -> str:
    """A digest of everything that the built files depend on; changes to any of it build anew."""
    files = [path, *(path.parent / place for place in known.data_files)]
    programs = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (_CHILD, REQUIREMENTS)]
    parts = [programs, [content_digest(file) for file in files], pixels]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _run_into(folder: Path, place: Callable[[], Path], job: dict[str, Any], name: str, say: Say) -> None:
    try:
        with built_beside(folder, place) as building:
            run_child(_CHILD, job, building, {}, name, say, environment("forms", REQUIREMENTS, say))
    except ArtifactError as failure:
        if failure.where:  # it broke, and did not refuse the file
            raise
        raise ScenarioError(failure.what, hint=failure.hint) from None


def _compute_reference(file: Path, model: ModelFiles, photos: Sequence[Photo], say: Say) -> None:
    images = decoded_images(model, photos, say).file
    computing = _empty(model.folder.with_name(f".{model.folder.name}.reference"))
    job: dict[str, Any] = {"task": "answer", "model": str(model.onnx), "images": str(images)}
    run_child(_CHILD, job, computing, {}, model.name, say, environment("forms", REQUIREMENTS, say))
    file.parent.mkdir(exist_ok=True)
    (computing / "outputs.npy").rename(file)
    shutil.rmtree(computing)


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)  # of a build that was killed; we hold the lock
    folder.mkdir(parents=True)
    return folder


def _photo_distance(outputs: NDArray[np.float32], photos: Sequence[Photo]) -> tuple[float, tuple[int, int]]:
    """Smallest difference between the answers to two photos whose bytes differ, and which two.

    Shape: outputs (photos, classes).
    """
    pairs = (
        (float(np.abs(outputs[one] - outputs[other]).max()), (one, other))
        for one in range(len(photos))
        for other in range(one + 1, len(photos))
        if photos[one].jpeg != photos[other].jpeg
    )
    return min(pairs, default=(0.0, (0, 0)))
