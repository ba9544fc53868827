"""The model in the forms of other runtimes: built once into the cache by a child process, with what each one answers.

A form is a file (`onnx`), a variant a way of computing it (`openvino` in f32 or bf16). How far a variant's answers lie
from Keras's is measured on the payload when it is built, so speed never stands alone. The child, `export_forms.py`,
runs in an environment of its own: what converts is not needed to serve, and disagrees with what serves.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.artifact import ModelFiles, last_lines, locked
from bench.engines import ENGINES, programs_folder
from bench.environments import environment
from bench.errors import ArtifactError
from bench.images import decoded_images
from bench.payload import Photo, photos_digest

Say = Callable[[str], None]

REQUIREMENTS = Path(__file__).with_name("data") / "requirements-forms.txt"
_CHILD = Path(__file__).with_name("export_forms.py")


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of computing a form: by which engine, in which precision."""

    name: str
    form: str
    engine: str
    precision: str = "f32"


FILES: Mapping[str, str] = {
    "frozen": "model.pb",
    "onnx": "model.onnx",
    "onnx_pruned": "model.onnx",
    "openvino": "model.xml",
    "litert": "model.tflite",
    "litert_dynamic": "model.tflite",
    "litert_int8": "model.tflite",
}
"""File of each form that is made from the SavedModel; `export_forms.py` has the same names."""


def _variants() -> Iterator[Variant]:
    """Every way in which an engine computes a form that is made here; the name tells the precision where that does."""
    for engine in ENGINES.values():
        for precision, form in engine.forms.items():
            if form in FILES:
                several = list(engine.forms.values()).count(form) > 1
                name = f"{form}-{precision}" if several else form
                yield Variant(name.replace("_", "-"), form, engine.name, precision)


VARIANTS: tuple[Variant, ...] = tuple(_variants())


@dataclass(frozen=True, slots=True)
class FormFigures:
    """One variant of the model as it lies in the cache, for the record and the report.

    `build_seconds` were taken by its own conversion, None for what the model's build or the person gave. `same_top` of
    `photos` have the class that Keras puts first; `largest_difference` is that of two probabilities; None where nobody
    asked the variant, or where `failure` says why there is none. `compressed_bytes` is the size in a zip archive, all
    that zeros among the weights make smaller.
    """

    name: str
    form: str
    size_bytes: int | None
    build_seconds: float | None = None
    photos: int | None = None
    same_top: int | None = None
    largest_difference: float | None = None
    failure: str = ""
    compressed_bytes: int | None = None

    @property
    def agreement(self) -> float | None:
        """Share of the photos whose first class is Keras's."""
        return None if self.same_top is None or not self.photos else self.same_top / self.photos


@dataclass(frozen=True, slots=True)
class Forms:
    """Where each form that could be built lies, and the figures of every variant that was wanted."""

    files: Mapping[str, Path]
    figures: tuple[FormFigures, ...]


def build_forms(
    model: ModelFiles, wanted: Collection[str], photos: Sequence[Photo], right: NDArray[np.float32], say: Say
) -> Forms:
    """The wanted forms, a frozen graph always among them, from the cache or built by a child process within minutes.

    A form whose converter fails is left out and its reason kept: the others can still be measured.
    Shape: right (photos, classes).
    Raises: ArtifactError if the converters' environment cannot be built or the child dies.
    """
    needed = [form for form in FILES if form in {"frozen", *wanted}]
    folder = model.folder / "forms" / _key()
    variants = [it for it in VARIANTS if it.form in needed]
    if not _all_there(folder, needed, variants, photos):
        with locked(model.folder.with_name(f"{model.folder.name}.lock"), say, model.name):
            if not _all_there(folder, needed, variants, photos):
                _build(folder, model, needed, variants, photos, say)
    figures = [*_given(model), *_figures(folder, needed, variants, photos, right)]
    return Forms({form: file for form in needed if (file := folder / form / FILES[form]).is_file()}, tuple(figures))


def _key() -> str:
    """Of all that the forms depend on beside the model, whose folder they lie in."""
    engines = sorted((programs_folder() / "engines").glob("*.py"))
    parts = [file.read_bytes() for file in (_CHILD, REQUIREMENTS, *engines)]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def _all_there(folder: Path, needed: Iterable[str], variants: Iterable[Variant], photos: Sequence[Photo]) -> bool:
    built = all((folder / form / "built.json").is_file() for form in needed)
    return built and all((_answered(folder, it, photos)).is_file() for it in variants)


def _answered(folder: Path, variant: Variant, photos: Sequence[Photo]) -> Path:
    return folder / "answers" / f"{variant.name}-{photos_digest(photos)[:16]}.json"


# ---- figures --------------------------------------------------------------------------------------------------


def _given(model: ModelFiles) -> Iterator[FormFigures]:
    """Forms that come with the model's build: Keras computes them, so they answer as the reference does."""
    for form, size in model.size_bytes.items():
        if form not in FILES:
            yield FormFigures(form, form, size)


def _figures(
    folder: Path,
    needed: Iterable[str],
    variants: Sequence[Variant],
    photos: Sequence[Photo],
    right: NDArray[np.float32],
) -> Iterator[FormFigures]:
    for form in needed:
        built = json.loads((folder / form / "built.json").read_text())
        seconds, failure = built.get("seconds"), built.get("failure", "")
        size, compressed = None if failure else _size(folder / form), built.get("compressed_bytes")
        own = [it for it in variants if it.form == form]
        if not own or failure:
            yield FormFigures(form, form, size, seconds, failure=failure, compressed_bytes=compressed)
            continue
        for variant in own:
            said = json.loads(_answered(folder, variant, photos).read_text())
            if "failure" in said:
                yield FormFigures(variant.name, form, size, seconds, failure=said["failure"])
                continue
            outputs = np.asarray(said["outputs"], dtype=np.float32)
            yield FormFigures(variant.name, form, size, seconds, *distance(outputs, right), "", compressed)


def distance(outputs: NDArray[np.float32], right: NDArray[np.float32]) -> tuple[int, int, float | None]:
    """Photos, how many of them have the same first class, and the largest difference; shapes (photos, classes).

    Outputs that are not finite numbers agree in nothing, and their difference is None.
    """
    if outputs.shape != right.shape:
        return len(right), 0, None
    same = np.argmax(outputs, axis=1) == np.argmax(right, axis=1)
    finite = np.isfinite(outputs).all(axis=1)
    largest = float(np.max(np.abs(outputs - right))) if finite.all() else None
    return len(right), int(np.count_nonzero(same & finite)), largest


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.name != "built.json")


# ---- the child ------------------------------------------------------------------------------------------------


def _build(
    folder: Path,
    model: ModelFiles,
    needed: Sequence[str],
    variants: Sequence[Variant],
    photos: Sequence[Photo],
    say: Say,
) -> None:
    """Build what is missing beside the final place and rename it; we hold the model's lock."""
    python = environment("forms", REQUIREMENTS, say)
    images = decoded_images(model, photos, say)
    building = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    build = [form for form in needed if not (folder / form / "built.json").is_file()]
    asked = [
        {
            "name": it.name,
            "form": it.form,
            "engine": it.engine,
            "precision": it.precision,
            "file": None if it.form in build else str(folder / it.form / FILES[it.form]),
        }
        for it in variants
        if not _answered(folder, it, photos).is_file()
        and (it.form in build or (folder / it.form / FILES[it.form]).is_file())
    ]
    job = {
        "parent": os.getpid(),
        "folder": str(building),
        "images": str(images.file),
        "saved_model": str(model.saved_model / "1"),
        "programs": str(programs_folder()),
        "build": build,
        "answer": asked,
    }
    (building / "job.json").write_text(json.dumps(job))
    _run_child(python, building, model.name, say)
    _keep(folder, building, json.loads((building / "done.json").read_text()), variants, photos)
    shutil.rmtree(building)


def _run_child(python: Path, building: Path, name: str, say: Say) -> None:
    """To its end or to ours.   Raises: ArtifactError; its log then stays."""
    log = building / "build.log"
    command = [str(python), "-P", str(_CHILD), str(building / "job.json")]
    env = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": ""}
    with (
        log.open("wb") as words,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            env=env,
            text=True,
            start_new_session=True,
        ) as child,
    ):
        try:
            for sentence in child.stdout or ():
                say(sentence.rstrip())
            code = child.wait()
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
    if code != 0:
        ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        raise ArtifactError(f"building the forms of {name} failed ({ended})", where=str(log), hint=last_lines(log))


def _keep(
    folder: Path, building: Path, done: Mapping[str, Any], variants: Sequence[Variant], photos: Sequence[Photo]
) -> None:
    """Move what was built to its place; the small file that says so comes last, inside each form."""
    folder.mkdir(parents=True, exist_ok=True)
    for form, built in done["built"].items():
        shutil.rmtree(folder / form, ignore_errors=True)
        (building / form / "built.json").write_text(json.dumps(built))
        (building / form).rename(folder / form)
    (folder / "answers").mkdir(exist_ok=True)
    for variant in variants:
        said = done["answered"].get(variant.name)
        if said is None:
            # Its form failed: nothing was asked, and nothing will be until the key changes.
            said = {"failure": "there is no such form"}
            if _answered(folder, variant, photos).is_file():
                continue
        elif "outputs" in said:
            said = {"outputs": np.load(building / said["outputs"]).astype(float).tolist()}
        half = _answered(folder, variant, photos).with_suffix(".half")
        half.write_text(json.dumps(said))
        half.rename(_answered(folder, variant, photos))
