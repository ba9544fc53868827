"""The model in the forms of other runtimes: built once into the cache by a child process, with what each one answers.

A form is a file (`onnx`), a variant a way of computing it (`openvino` in f32 or bf16). How far a variant's answers lie
from those of the model as it was given, and what memory it takes to hold it, is measured when it is built, so speed
never stands alone. The children, `export_forms.py` and `ask_form.py`, run in an environment of their own: what
converts is not needed to serve, and disagrees with what serves.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.cache import locked
from bench.child import ended_text, last_lines, run_to_end
from bench.errors import ArtifactError
from bench.forms import form_asking
from bench.forms.engines import programs_folder
from bench.forms.form_asking import Held, Question, asked
from bench.forms.variants import FILES, VARIANTS, Variant, lacking, with_sources
from bench.model.files import ModelFiles
from bench.model.images import decoded_images
from bench.payload.photos import Photo, photos_digest
from bench.programs.environments import environment
from bench.scenario.budget import read_processor

Say = Callable[[str], None]

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_CHILD = Path(__file__).with_name("export_forms.py")
_CONVERTERS = Path(__file__).with_name("converters.py")


@dataclass(frozen=True, slots=True)
class FormFigures:
    """One variant of the model as it lies in the cache, for the record and the report.

    `build_seconds` were taken from the model in memory, or the form that it is made from, to the file; None where a
    person gave the file. `same_top` of `photos` have the first class of the model as it was given;
    `largest_difference` is that of two probabilities; None where `failure` says why there is none. `compressed_bytes`
    is the size in a zip archive, all that zeros among the weights make smaller. `memory_bytes`,
    `process_bytes` and `load_seconds` as in `Held`.
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
    memory_bytes: int | None = None
    process_bytes: int | None = None
    load_seconds: float | None = None

    @property
    def agreement(self) -> float | None:
        """Share of the photos whose first class is that of the model as it was given."""
        return None if self.same_top is None or not self.photos else self.same_top / self.photos


@dataclass(frozen=True, slots=True)
class Forms:
    """Where each form that could be built lies, and the figures of every variant that was wanted."""

    files: Mapping[str, Path]
    figures: tuple[FormFigures, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the forms of a model lie, and what they answer about these photos.

    Both depend on the programs that make them: another way of asking builds no form anew.
    """

    forms: Path
    answers: Path
    photos: str

    def built(self, form: str) -> Path:
        """The small file that comes last into a form's folder."""
        return self.forms / form / "built.json"

    def answered(self, variant: Variant) -> Path:
        """What was said of a variant; its answers, shape (photos, classes), lie beside it as .npy."""
        return self.answers / f"{variant.name}-{self.photos}.json"


def build_forms(
    model: ModelFiles, wanted: Collection[str], photos: Sequence[Photo], right: NDArray[np.float32], say: Say
) -> Forms:
    """The wanted forms, a frozen graph always among them, from the cache or built by child processes within minutes.

    A form whose converter fails is left out and its reason kept: the others can still be measured.
    Shape: right (photos, classes).
    Raises: ArtifactError if the converters' environment cannot be built or their process dies.
    """
    needed = with_sources(wanted, pruned_by_layer=model.keras is not None, from_onnx=model.onnx is not None)
    place = _place(model, photos)
    variants = variants_of(model, needed)
    if not _all_there(place, model, needed, variants):
        with locked(model.folder.with_name(f"{model.folder.name}.lock"), say, model.name):
            if not _all_there(place, model, needed, variants):
                _build(place, model, needed, photos, say)
                _ask(place, model, variants, photos, say)
    files = {form: file for form in needed if (file := place.forms / form / FILES[form]).is_file()}
    return Forms(files, tuple(_figures(place, model, needed, right)))


def variants_of(model: ModelFiles, needed: Collection[str]) -> tuple[Variant, ...]:
    """The ways of computing the forms that are needed and those that the model came in, all that this CPU has."""
    return tuple(it for it in VARIANTS if (it.form in needed or it.form in _given(model)) and lacking(it) == "")


def question(
    variant: Variant, model: ModelFiles, files: Mapping[str, Path], cores: Sequence[int], threads: int
) -> Question | None:
    """What a process is to hold for this variant; None if its form could not be made."""
    file = model.file(variant.form) or files.get(variant.form)
    if file is None:
        return None
    path = file / "1" if variant.form == "saved_model" else file
    return Question(variant.name, path, variant.engine or "graph", variant.precision, tuple(cores), threads)


def _place(model: ModelFiles, photos: Sequence[Photo]) -> _Place:
    forms = model.folder / "forms" / _digest(_CHILD, _CONVERTERS, REQUIREMENTS)
    engines = sorted((programs_folder() / "engines").glob("*.py"))
    return _Place(forms, forms / f"answers-{_digest(form_asking.PROGRAM, *engines)}", photos_digest(photos)[:16])


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _all_there(place: _Place, model: ModelFiles, needed: Sequence[str], variants: Sequence[Variant]) -> bool:
    built = all(place.built(form).is_file() for form in (*_given(model), *needed))
    return built and all(place.answered(it).is_file() for it in variants)


def _given(model: ModelFiles) -> tuple[str, ...]:
    """The forms that come with the model's build."""
    return tuple(form for form in model.size_bytes if form not in FILES and form not in model.replaced)


# ---- figures --------------------------------------------------------------------------------------------------


def _figures(
    place: _Place, model: ModelFiles, needed: Sequence[str], right: NDArray[np.float32]
) -> Iterator[FormFigures]:
    for variant in (it for it in VARIANTS if it.form in needed or it.form in model.size_bytes):
        form = variant.form
        if form in model.replaced:
            yield FormFigures(variant.name, form, None, failure=model.replaced[form])
            continue
        built = json.loads(place.built(form).read_text())
        given = form not in FILES
        failure = built.get("failure") or lacking(variant)
        size = model.size_bytes[form] if given else None if "failure" in built else _size(place.forms / form)
        seconds = model.build_seconds.get(form) if given else built.get("seconds")
        plain = FormFigures(variant.name, form, size, seconds, failure=failure)
        plain = replace(plain, compressed_bytes=built.get("compressed_bytes"))
        yield plain if failure else _answered(plain, place.answered(variant), right)


def _answered(plain: FormFigures, file: Path, right: NDArray[np.float32]) -> FormFigures:
    held = Held(**json.loads(file.read_text()))
    if held.failure:
        return replace(plain, failure=held.failure)
    outputs = np.load(file.with_suffix(".npy"))
    photos, same, largest = distance(outputs, right[: form_asking.ASKED_AT_MOST])
    return replace(plain, photos=photos, same_top=same, largest_difference=largest, **asdict(held))


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


# ---- the children ---------------------------------------------------------------------------------------------


def _build(place: _Place, model: ModelFiles, needed: Sequence[str], photos: Sequence[Photo], say: Say) -> None:
    """Build what is missing beside the final place and rename it; we hold the model's lock."""
    build = [form for form in needed if not place.built(form).is_file()]
    given = {form: str(model.file(form)) for form in _given(model) if not place.built(form).is_file()}
    if not (build or given):
        return
    python = environment("forms", REQUIREMENTS, say)
    building = place.forms.with_name(f".{place.forms.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    there = {
        form: {"file": str(file), "seconds": json.loads(place.built(form).read_text())["seconds"]}
        for form in needed
        if form not in build and (file := place.forms / form / FILES[form]).is_file()
    }
    job = {
        "parent": os.getpid(),
        "folder": str(building),
        "images": str(decoded_images(model, photos, say).file),
        "saved_model": None if model.onnx else str(model.saved_model / "1"),
        "onnx": None if model.onnx is None else str(model.onnx),
        "keras": None if model.keras is None else str(model.keras),
        "build": build,
        "given": given,
        "there": there,
    }
    (building / "job.json").write_text(json.dumps(job))
    _run_child(python, building, model.name, say)
    _keep(place, building, json.loads((building / "done.json").read_text())["built"])
    shutil.rmtree(building)


def _keep(place: _Place, building: Path, built: Mapping[str, Mapping[str, Any]]) -> None:
    """Move what was built to its place; the small file that says so comes last, inside each form."""
    place.forms.mkdir(parents=True, exist_ok=True)
    for form, said in built.items():
        shutil.rmtree(place.forms / form, ignore_errors=True)
        (building / form).mkdir(exist_ok=True)  # there is none yet for what came with the model's build
        (building / form / "built.json").write_text(json.dumps(said))
        (building / form).rename(place.forms / form)


def _run_child(python: Path, building: Path, name: str, say: Say) -> None:
    """To its end or to ours.   Raises: ArtifactError; its log then stays."""
    log = building / "build.log"
    code = run_to_end(python, _CHILD, building / "job.json", log, say)
    if code != 0:
        what = f"building the forms of {name} failed ({ended_text(code)})"
        raise ArtifactError(what, where=str(log), hint=last_lines(log))


def _ask(place: _Place, model: ModelFiles, variants: Sequence[Variant], photos: Sequence[Photo], say: Say) -> None:
    """One process for each variant that was not asked yet about these photos, one after the other."""
    python = environment("forms", REQUIREMENTS, say)
    images = decoded_images(model, photos, say).file
    files = {form: file for form, name in FILES.items() if (file := place.forms / form / name).is_file()}
    cores = read_processor().usable
    place.answers.mkdir(exist_ok=True)
    for variant in variants:
        file = place.answered(variant)
        holding = question(variant, model, files, cores, len(cores))
        if file.is_file() or holding is None:
            if not file.is_file():  # its form failed, which stays so until the key changes
                file.write_text(json.dumps(asdict(Held(failure="there is no such form"))))
            continue
        say(f"asking the model as {variant.name} about {min(len(photos), form_asking.ASKED_AT_MOST)} photos")
        with tempfile.TemporaryDirectory(prefix="asking-", dir=place.answers) as scratch:
            outputs, half = Path(scratch) / "outputs.npy", Path(scratch) / "held.json"
            with asked(python, holding, images, Path(scratch), outputs) as child:
                half.write_text(json.dumps(asdict(child.held)))
            if outputs.is_file():
                outputs.rename(file.with_suffix(".npy"))
            half.rename(file)  # last: it is what says that the outputs are there
