"""What a server needs on disk: the model in every form, built once and kept in a cache keyed by content.

The model is built by a child process (`build_model.py`), so the harness itself never imports TensorFlow; this
module knows where things lie, what they depend on and when they are complete, and nothing of what is inside them.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench.applications import APPLICATIONS
from bench.errors import ArtifactError, ScenarioError
from bench.keras_config import obstacle
from bench.model_signature import keras_config
from bench.payload import Photo, photos_digest, sample_photos

if TYPE_CHECKING:
    from bench.images import Images
    from bench.signature import Signature

KERAS_APPLICATIONS: tuple[str, ...] = tuple(APPLICATIONS)
"""The models that a scenario can name without having a file."""

TIGHTEST_TOLERANCE, LOOSEST_TOLERANCE = 1e-3, 1e-2
"""Bounds of the absolute difference at which two answers agree, for outputs up to 1 (they grow with larger ones).

Within them it is a twentieth of the distance between photos. Measured on EfficientNetB0 and B5 with random weights:
Keras, both signatures of the SavedModel and batches of 1 and 3 differ by at most 2e-5; weights rounded to TF32, what
recent GPUs compute in by default, by a few 1e-3, which must pass; weights rounded to bfloat16 by 0.02 and more,
which is other work and must not.
"""

_CHILD = Path(__file__).with_name("build_model.py")
_HDF5 = b"\x89HDF\r\n\x1a\n"

Pixels = Literal["0-255", "0-1", "-1-1", "imagenet"]
"""What a photo's values become before an ONNX file gets them; a Keras model does it in its own layers."""

Say = Callable[[str], None]
"""Where progress goes, one sentence at a time."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which model is served: one of KERAS_APPLICATIONS, or a file or SavedModel folder at `path`.

    `weights` (`random`, `imagenet` or the path of a weights file) and `seed` count for keras_application alone; what a
    photo's values become, `pixels`, for an ONNX file.
    """

    keras_application: str | None
    path: Path | None
    weights: str = "random"
    seed: int = 1
    pixels: Pixels = "0-255"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """One model on disk, in the forms that servers take.

    `h5` is the training artefact (compiled, with optimizer state), `keras` the native file for inference;
    both are None for a model that was given as a SavedModel, which Keras cannot turn back. `saved_model` is a
    folder that holds the version folder `1/`. Its signature `serving_default` takes `jpeg` (string, shape (n,))
    and does decode, resize and preprocessing in the graph; its signature `tensor` takes `image` (float32, shape
    (n, height, width, 3), values 0-255, already resized). Both return `probabilities` (float32, shape (n, classes)).
    `size_bytes` maps `h5`, `keras`, `saved_model` to bytes, forms that do not exist left out. `images` are the
    photos as the signature `tensor` takes them; None unless a server asks for them (`Server.needs_images`). `forms` are
    the files for other runtimes that servers of this run take, by the name of the form. `build_seconds` is what it took
    to write each form from the model in memory.

    A model of any inputs has a `signature`, the only one that its SavedModel is asked with, and no height, width or
    classes; `missing` says why it could not be written in a form, `example` is one request's packed tensors. One that
    was given as an ONNX file has that file, made ready for photos, as `onnx`, and no SavedModel.
    """

    name: str
    folder: Path
    h5: Path | None
    keras: Path | None
    saved_model: Path
    height: int
    width: int
    classes: int
    size_bytes: Mapping[str, int]
    images: Images | None = None
    forms: Mapping[str, Path] = field(default_factory=dict)
    build_seconds: Mapping[str, float] = field(default_factory=dict)
    signature: Signature | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    example: bytes = b""
    onnx: Path | None = None

    @property
    def answered_by(self) -> str:
        """The runtime that computed what counts as right: that of the file which the model was given as."""
        if self.onnx is not None:
            return "ONNX Runtime"
        return "TensorFlow" if self.keras is None else "Keras"

    def file(self, form: str) -> Path | None:
        """The file or folder of one form; None if the model was not, or cannot be, turned into it."""
        if form in self.missing:
            return None
        own = {"h5": self.h5, "keras": self.keras, "saved_model": self.saved_model}
        return own[form] if form in own else self.forms.get(form)


@dataclass(frozen=True, slots=True)
class Reference:
    """What the model answers for each photo, computed once by Keras itself.

    `outputs` is a file of float32, shape (photos, classes). An answer agrees when its largest absolute
    difference is at most `tolerance`; `photo_distance` is the smallest such difference between two
    different photos, so a check whose tolerance is not far below it could not fail.
    """

    outputs: Path
    tolerance: float
    photo_distance: float


# ---- the cache ------------------------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Where built models and environments live: BENCH_CACHE, else serving-bench in XDG_CACHE_HOME or ~/.cache."""
    own = os.environ.get("BENCH_CACHE")
    if own:
        return Path(own).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "serving-bench"


@contextmanager
def locked(file: Path, say: Say, waiting_for: str) -> Iterator[None]:
    """Hold an exclusive lock on a file, made if it is not there; says so once if another process holds it.

    The kernel lets go of it when this process dies. Raises: ArtifactError if the file cannot be made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = file.open("a")
    except OSError as failure:
        raise ArtifactError(
            f"the cache cannot be written: {failure.strerror}",
            where=str(file.parent),
            hint="BENCH_CACHE names another folder for it",
        ) from failure
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that builds {waiting_for}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def last_lines(log: Path, count: int = 8) -> str:
    """The last lines of a log that say something, for the hint of an error; empty if it cannot be read."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join([line.rstrip() for line in lines if line.strip()][-count:])


# ---- the model ------------------------------------------------------------------------------------------------


def build_model(spec: ModelSpec, photos: Sequence[Photo], say: Say) -> ModelFiles:
    """The model in every form, from the cache or, the first time, built by a child process within minutes.

    The reference outputs of `photos` are computed while TensorFlow is loaded anyway; `build_reference` reads them.
    Raises: ArtifactError if TensorFlow is missing or the model cannot be built, ScenarioError if its file is unfit.
    """
    name = model_name(spec)
    models = cache_folder() / "models"
    folder = models / f"{name}-{_model_key(spec)}"
    if not (folder / "model.json").is_file():
        with locked(models / f"{folder.name}.lock", say, name):
            if not (folder / "model.json").is_file():
                _build_into(folder, spec, photos, say)
    return _model_files(name, folder)


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


def model_name(spec: ModelSpec) -> str:
    """The name servers know the model by: letters, digits, `-` and `_`, fit for a URL and a folder."""
    if spec.keras_application is not None:
        return spec.keras_application
    if spec.path is None:
        raise ScenarioError(
            "the model is neither named nor given",
            hint=f"write keras_application: {KERAS_APPLICATIONS[0]}, or path: my_model.keras",
        )
    return re.sub(r"[^A-Za-z0-9_-]+", "-", spec.path.absolute().stem).strip("-") or "model"


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
            parts["model"] = [spec.keras_application, content_digest(_weights_file(spec.weights))]
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


def content_digest(path: Path) -> str:
    """Digest of a file, or of every file in a folder with its relative name."""
    try:
        if path.is_file():
            with path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        digest = hashlib.sha256()
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            digest.update(f"{file.relative_to(path)}\0{content_digest(file)}\n".encode())
        return digest.hexdigest()
    except OSError as failure:
        raise ScenarioError(f"{path} cannot be read: {failure.strerror}", hint="check its permissions") from failure


def _weights_file(weights: str) -> Path:
    path = Path(weights).expanduser().absolute()
    if not path.is_file():
        raise ScenarioError(
            f"weights file {weights} does not exist", hint="weights are random, imagenet, or the path of a .h5 file"
        )
    if not _begins_with(path, _HDF5):
        raise ScenarioError(
            f"weights file {weights} is {_looks_like(path)}, not HDF5",
            hint="save it with model.save_weights('my.weights.h5')",
        )
    return path


def _model_files(name: str, folder: Path) -> ModelFiles:
    known = json.loads((folder / "model.json").read_text())
    h5, keras, saved_model = folder / "model.h5", folder / "model.keras", folder / "saved_model"
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
    )


def size_of(path: Path) -> int:
    """Bytes of a file, or of every file in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


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


# ---- the child ------------------------------------------------------------------------------------------------


def _build_into(folder: Path, spec: ModelSpec, photos: Sequence[Photo], say: Say) -> None:
    """Build beside the final place and rename: a killed build leaves nothing that looks finished."""
    building = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)  # of a build that was killed; we hold the lock
    building.mkdir(parents=True)
    path = str(spec.path.absolute()) if spec.path is not None else None
    weights = spec.weights if spec.weights in {"random", "imagenet"} else str(_weights_file(spec.weights))
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
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)


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


def run_child(
    program: Path,
    job: dict[str, Any],
    folder: Path,
    files: Mapping[str, Sequence[bytes]],
    name: str,
    say: Say,
    python: Path | None = None,
) -> None:
    """Run a program on a job whose results go into `folder`, to its end or to ours.

    `files` lie where the job says under the same key, in their order. Without `python` it runs where the harness does.
    Raises: ArtifactError; the folder then keeps its log and nothing else.
    """
    log = folder / "build.log"
    try:
        with tempfile.TemporaryDirectory(prefix="job-", dir=folder) as job_folder:
            for key, group in files.items():
                job[key] = _write_files(group, Path(job_folder) / key)
            job_file = Path(job_folder) / "job.json"
            job_file.write_text(json.dumps(job | {"folder": str(folder), "parent": os.getpid()}))
            code = _wait_for_child(python, program, job_file, log, say)
        if code != 0:
            raise _child_error(code, folder, log, name)
    except OSError as failure:
        raise ArtifactError(f"building {name} failed: {failure}", where=str(folder)) from failure
    except ArtifactError:
        _keep_only(log)
        raise
    except BaseException:  # interrupted: nobody will read the log
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write_files(contents: Sequence[bytes], folder: Path) -> list[str]:
    folder.mkdir()
    files = [folder / f"{number:05d}" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    return [str(file) for file in files]


def _wait_for_child(python: Path | None, program: Path, job_file: Path, log: Path, say: Say) -> int:
    # -P: without it bench/ itself would come first on the child's path and its modules could stand for others.
    command = [str(python or sys.executable), "-P", str(program), str(job_file)]
    # No GPU: the reference must be float32 throughout and the same on every machine.
    env = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}
    if python is not None:
        env["PYTHONPATH"] = ""  # what is on it fits the harness's interpreter
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
            return child.wait()
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)


def _child_error(code: int, folder: Path, log: Path, name: str) -> ArtifactError:
    refused = folder / "failure.json"
    if code == 3 and refused.is_file():
        why = json.loads(refused.read_text())
        return ArtifactError(why["what"], hint=why["hint"])
    ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    more = "the machine may have run out of memory\n" if code == -signal.SIGKILL else ""
    return ArtifactError(f"building {name} failed ({ended})", where=str(log), hint=more + last_lines(log))


def _keep_only(log: Path) -> None:
    for entry in log.parent.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry != log:
            entry.unlink(missing_ok=True)


# ---- a look at a model file without TensorFlow --------------------------------------------------------------------


def check_model_file(path: Path) -> None:
    """Return quietly if this looks like a model: a .keras archive, a Keras .h5 file, a SavedModel folder, an ONNX file.

    It reads what the file says of itself and imports no runtime; only loading proves that it is one.
    Raises: ScenarioError that says what it is instead.
    """
    if not path.exists():
        raise ScenarioError(f"model {path} does not exist", hint="a path is relative to the scenario's folder")
    if path.is_dir():
        _check_saved_model(path)
    elif path.suffix == ".keras":
        _check_keras_archive(path)
    elif path.suffix in {".h5", ".hdf5"}:
        if not _begins_with(path, _HDF5):
            raise ScenarioError(f"{path} is not a Keras .h5 model but {_looks_like(path)}", hint=_MODEL_HINT)
        _check_h5_config(path)
    elif path.suffix == ".onnx":
        from bench.onnx_file import read_onnx  # here: it knows the wire format, which nothing else here needs

        read_onnx(path)
    else:
        raise ScenarioError(f"{path} is not a model but {_looks_like(path)}", hint=_MODEL_HINT)


_MODEL_HINT = (
    "a model is a .keras file, a .h5 file or a SavedModel folder, as model.save and model.export write them, "
    "or an .onnx file"
)


def _check_saved_model(path: Path) -> None:
    if (path / "saved_model.pb").is_file():
        return
    versions = sorted(entry.name for entry in path.iterdir() if (entry / "saved_model.pb").is_file())
    hint = f"name the version: {path / versions[-1]}" if versions else _MODEL_HINT
    raise ScenarioError(f"folder {path} is not a SavedModel: it holds no saved_model.pb", hint=hint)


def _check_keras_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            if "config.json" in archive.namelist():
                _check_keras_config(path, archive)
                return
    except zipfile.BadZipFile:
        raise ScenarioError(f"{path} is not a .keras model but {_looks_like(path)}", hint=_MODEL_HINT) from None
    except OSError as failure:
        raise ScenarioError(f"{path} cannot be read: {failure.strerror}", hint="check its permissions") from None
    raise ScenarioError(f"{path} is not a .keras model: a zip archive without config.json", hint=_MODEL_HINT)


def _check_h5_config(path: Path) -> None:
    """The same of a .h5 file; one whose description cannot be read is left to Keras."""
    try:
        what, hint = obstacle(keras_config(path))
    except (OSError, ValueError):
        return
    if what:
        raise ScenarioError(f"{path} cannot be loaded as a Keras model: {what}", hint=hint)


def _check_keras_config(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse here what Keras would refuse after it has been loaded; what cannot be read is left to it."""
    if archive.getinfo("config.json").file_size > _LARGEST_CONFIG:
        return
    try:
        what, hint = obstacle(json.loads(archive.read("config.json")))
    except ValueError:
        raise ScenarioError(f"{path} is not a .keras model: its config.json is not JSON", hint=_MODEL_HINT) from None
    if what:
        raise ScenarioError(f"{path} cannot be loaded as a Keras model: {what}", hint=hint)


_LARGEST_CONFIG = 50_000_000
"""Bytes; the description of a model, not its weights. What unpacks to more is not looked at."""
_BEGINNINGS = (
    (_HDF5, "an HDF5 file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\xff\xd8\xff", "a JPEG photo"),
    (b"\x89PNG", "a PNG picture"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"%PDF", "a PDF document"),
    (b"version https://git-lfs", "a Git LFS pointer (run: git lfs pull)"),
)


def _begins_with(path: Path, beginning: bytes) -> bool:
    return _first_bytes(path).startswith(beginning)


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(512)
    except OSError as failure:
        raise ScenarioError(f"{path} cannot be read: {failure.strerror}", hint="check its permissions") from None


def _looks_like(path: Path) -> str:
    first = _first_bytes(path)
    if not first:
        return "an empty file"
    if first[4:8] == b"TFL3":
        return "a LiteRT (.tflite) model"
    for beginning, words in _BEGINNINGS:
        if first.startswith(beginning):
            return words
    try:
        first.decode()
    except UnicodeDecodeError:
        return "some other binary file"
    return "a text file"
