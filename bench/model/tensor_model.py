"""A model of any inputs on disk, and its right answers to examples: built once by a child process and kept.

The counterpart of `artifact.py`, whose cache and child process it uses, for models that are asked with tensors.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.cache import built_beside, cache_folder, content_digest, locked
from bench.child import run_child
from bench.errors import ArtifactError, ScenarioError
from bench.model.artifact import build_model, version_of
from bench.model.check import check_model_file
from bench.model.files import ModelFiles, ModelSpec, Reference, model_name, size_of
from bench.model.model_signature import file_signature
from bench.payload.examples import Example, examples_digest
from bench.payload.photos import sample_photos
from bench.payload.signature import DEFAULT_KEY, Signature, signature_of

TIGHTEST, LOOSEST = 1e-5, 1e-2
"""Bounds of the difference at which two answers agree, as shares of the largest output.

Within them it is a twentieth of the distance between examples. Two runtimes' float32 differ by some 1e-6 of it.
"""
MOST_COMPARED = 500
"""Examples whose answers are held to each other's; of more, as many at equal steps."""
_PACKAGE = Path(__file__).resolve().parents[1]
_CHILD = _PACKAGE / "model" / "build_tensors.py"
_PROGRAMS = (_CHILD, _PACKAGE / "payload" / "signature.py", _PACKAGE / "payload" / "tensors.py")

Say = Callable[[str], None]


def given_signature(spec: ModelSpec) -> Signature | None:
    """What the model takes as far as its file tells without being loaded; None if it does not."""
    return None if spec.path is None else file_signature(spec.path)


def build_tensor_model(spec: ModelSpec, examples: Sequence[Example], say: Say) -> ModelFiles:
    """The model in every form, with its signature, from the cache or built by a child process within seconds.

    `examples` that are known already are answered while TensorFlow is loaded anyway. A keras_application is built as
    for photos first, and then asked with pixels, values 0-255.
    Raises: ArtifactError if TensorFlow is missing or the model cannot be built, ScenarioError if its file is unfit.
    """
    path, name = spec.path, model_name(spec)
    if path is None:
        built = build_model(spec, sample_photos(), say)
        assert built.keras is not None
        path = built.keras
    check_model_file(path)
    folder = _place(name, path)
    if not (folder / "model.json").is_file():
        with locked(folder.with_name(f"{folder.name}.lock"), say, name):
            if not (folder / "model.json").is_file():
                _build_into(folder, path, name, examples, say)
    model = _model_files(name, folder)
    for why in model.replaced.values():
        say(f"{name} has no .h5 file, and what would load it loads the .keras file: {why}")
    return model


def tensor_reference(model: ModelFiles, examples: Sequence[Example], say: Say) -> tuple[Reference, Outputs]:
    """What the model answers to these examples, from the cache or computed by a child process.

    Raises: ArtifactError if examples are answered so alike that the check of answers could not fail.
    """
    file = model.folder / _reference_name(examples)
    if not file.is_file():
        with locked(model.folder.with_name(f"{model.folder.name}.lock"), say, model.name):
            if not file.is_file():
                _compute_reference(model, examples, say)
    with np.load(file, allow_pickle=False) as found:
        outputs = tuple(found[name] for name in sorted(found.files))
    return judged_reference(file, model.name, examples, outputs), outputs


Outputs = tuple[NDArray[np.float32], ...]
"""One row of numbers an example; of different lengths where the model's outputs are."""


def judged_reference(file: Path, name: str, examples: Sequence[Example], outputs: Outputs) -> Reference:
    """The tolerance that suits these answers.

    The distance is that of the example which is hardest to tell apart, to half of the others: scalar outputs of two
    examples may be close by chance, and a server that answers one for all is found all the same.
    Raises: ArtifactError if that check could not fail.
    """
    largest = max(float(np.abs(output).max()) for output in outputs)
    distance, hardest = _distance(examples, outputs)
    share = min(max(distance / 20, TIGHTEST * largest), LOOSEST * largest)
    if largest == 0 or distance < 10 * share:
        raise ArtifactError(
            f"the check of answers could not fail: {name} answers {examples[hardest].name} and at least half of the "
            f"other examples only {distance:.2g} apart, and answers agree within {share:.2g}",
            hint=f"at least {10 * share:.2g} is needed; give examples that this model tells apart (payload.rows, "
            "payload.tensors)",
        )
    return Reference(file, share, distance)


def _distance(examples: Sequence[Example], outputs: Outputs) -> tuple[float, int]:
    """The smallest, over examples, of the median distance to the others that are different; and of which.

    Of many examples some hundred, evenly spread, stand for all: each is held to each, and 10,000 would take minutes.
    """
    count = len(outputs)
    chosen = range(count) if count <= MOST_COMPARED else range(0, count, -(-count // MOST_COMPARED))
    contents = {it: examples[it].packed for it in chosen}
    best, hardest = float("inf"), 0
    for one in chosen:
        apart = sorted(_apart(outputs[one], outputs[it]) for it in chosen if contents[it] != contents[one])
        middle = apart[(len(apart) - 1) // 2] if apart else 0.0
        if middle < best:
            best, hardest = middle, one
    largest = max(float(np.abs(output).max()) for output in outputs)
    return min(best, 2 * largest), hardest


def _apart(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.abs(one - other).max()) if one.shape == other.shape else float("inf")


def _place(name: str, path: Path) -> Path:
    """The folder in the cache of what is built from this file, as it is now."""
    return cache_folder() / "models" / f"{name}-{_key(path)}"


def _key(path: Path) -> str:
    """A digest of everything that the built files depend on; changes to any of it build anew."""
    parts = [
        [hashlib.sha256(program.read_bytes()).hexdigest() for program in _PROGRAMS],
        [version_of(package) for package in ("tensorflow", "keras")],
        content_digest(path),
        path.suffix,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _reference_name(examples: Sequence[Example]) -> str:
    return f"references/{examples_digest(example.packed for example in examples)[:16]}.npz"


def _model_files(name: str, folder: Path) -> ModelFiles:
    known = json.loads((folder / "model.json").read_text())
    forms = {"h5": folder / "model.h5", "keras": folder / "model.keras", "saved_model": folder / "saved_model"}
    if known["missing"]:
        forms["h5"] = forms["keras"]
    there = {form: path for form, path in forms.items() if path.exists()}
    return ModelFiles(
        name=name,
        folder=folder,
        h5=there.get("h5"),
        keras=there.get("keras"),
        saved_model=forms["saved_model"],
        height=0,
        width=0,
        classes=0,
        size_bytes={form: size_of(path) for form, path in there.items()},
        signature=signature_of(known["signature"]),
        replaced=known["missing"],
    )


def _build_into(folder: Path, path: Path, name: str, examples: Sequence[Example], say: Say) -> None:
    key = (file_signature(path) or Signature((), ())).key
    try:
        with built_beside(folder, partial(_place, name, path)) as building:
            _run(building, path.absolute(), key, examples, name, say, build=True)
    except ArtifactError as failure:
        if failure.where:  # it broke, and did not refuse the file
            raise
        raise ScenarioError(failure.what, hint=failure.hint) from None


def _compute_reference(model: ModelFiles, examples: Sequence[Example], say: Say) -> None:
    assert model.signature is not None
    computing = model.folder.with_name(f".{model.folder.name}.reference")
    shutil.rmtree(computing, ignore_errors=True)
    computing.mkdir()
    _run(computing, model.keras or model.saved_model / "1", model.signature.key, examples, model.name, say, build=False)
    file = model.folder / _reference_name(examples)
    file.parent.mkdir(exist_ok=True)
    (computing / _reference_name(examples)).rename(file)
    shutil.rmtree(computing)


def _run(folder: Path, path: Path, key: str, examples: Sequence[Example], name: str, say: Say, *, build: bool) -> None:
    job = {
        "build": build,
        "name": name,
        "model": str(path),
        "key": key or DEFAULT_KEY,
        "package": str(_PACKAGE.parent),
        "reference": _reference_name(examples),
    }
    run_child(_CHILD, job, folder, {"examples": [example.packed for example in examples]}, name, say)
