"""Where models lie, and what their key depends on; no TensorFlow here."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.errors import ArtifactError, ScenarioError
from bench.model import artifact
from bench.model import build_model as child_program
from bench.model.applications import KERAS_APPLICATIONS
from bench.model.artifact import build_model, build_reference
from bench.model.files import ModelFiles, ModelSpec, Reference
from bench.payload.photos import Photo

HDF5 = b"\x89HDF\r\n\x1a\n"
PHOTOS = (Photo("one.jpg", b"one"), Photo("two.jpg", b"two"))


def quiet(_: str) -> None:
    """Take progress and say nothing."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The jobs given to a stand-in for the child, which writes what the real one would, small."""
    jobs: list[dict[str, Any]] = []
    figures = {"photo_distance": 0.2, "closest": [0, 1], "largest": 0.9}

    def run(job: dict[str, Any], folder: Path, photos: object, name: str, say: object) -> None:
        jobs.append(job)
        reference = folder / job["reference"]
        reference.parent.mkdir()
        reference.write_bytes(b"npy")
        reference.with_suffix(".json").write_text(json.dumps(figures))
        if job["task"] == "build":
            (folder / "model.h5").write_bytes(b"123")
            (folder / "model.keras").write_bytes(b"12")
            (folder / "saved_model" / "1" / "variables").mkdir(parents=True)
            (folder / "saved_model" / "1" / "saved_model.pb").write_bytes(b"1234")
            (folder / "saved_model" / "1" / "variables" / "data").write_bytes(b"12345")
            known = {"height": 8, "width": 9, "classes": 10, "keras_forms": True, "missing": {}}
            known |= {"export_difference": 1e-6}
            (folder / "model.json").write_text(json.dumps(known))

    monkeypatch.setattr(artifact, "_run_child", run)
    return jobs


def key(spec: ModelSpec) -> str:
    return artifact._model_key(spec)


# ---- the cache


def test_a_model_is_built_once(child: list[dict[str, Any]], cache: Path) -> None:
    spec = ModelSpec("EfficientNetB0", None)
    first = build_model(spec, PHOTOS, quiet)
    assert build_model(spec, PHOTOS, quiet) == first
    assert [job["task"] for job in child] == ["build"]
    assert (first.height, first.width, first.classes) == (8, 9, 10)
    assert first.size_bytes == {"h5": 3, "keras": 2, "saved_model": 9}
    assert first.folder.parent == cache / "models"


def test_where_keras_cannot_read_its_h5_file_back_the_keras_file_stands_in_and_the_reason_is_told(
    child: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = artifact._run_child

    def run_without_h5(job: dict[str, Any], folder: Path, *rest: Any) -> None:
        run(job, folder, *rest)
        (folder / "model.h5").unlink()
        known = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps(known | {"missing": {"h5": "Keras says: no such layer"}}))

    monkeypatch.setattr(artifact, "_run_child", run_without_h5)
    said: list[str] = []
    model = build_model(ModelSpec("EfficientNetB0", None), PHOTOS, said.append)
    assert model.file("h5") == model.file("keras") == model.folder / "model.keras"
    assert (model.really("h5"), model.really("saved_model")) == ("keras", "saved_model")
    assert model.size_bytes == {"h5": 2, "keras": 2, "saved_model": 9}
    (sentence,) = said
    assert "loads the .keras file: Keras says: no such layer" in sentence


def test_the_reference_of_the_photos_it_was_built_with_is_already_there(child: list[dict[str, Any]]) -> None:
    model = build_model(ModelSpec("EfficientNetB0", None), PHOTOS, quiet)
    reference = build_reference(model, PHOTOS, quiet)
    assert len(child) == 1
    assert reference.outputs.is_file()
    assert reference.photo_distance == 0.2


def test_other_photos_get_a_reference_of_their_own_and_keep_it(child: list[dict[str, Any]]) -> None:
    model = build_model(ModelSpec("EfficientNetB0", None), PHOTOS, quiet)
    other = build_reference(model, PHOTOS[::-1], quiet)
    assert build_reference(model, PHOTOS[::-1], quiet) == other
    assert [job["task"] for job in child] == ["build", "reference"]
    assert other.outputs != build_reference(model, PHOTOS, quiet).outputs
    assert [path.name for path in model.folder.parent.iterdir() if path.name.endswith(".reference")] == []


def test_a_build_that_was_killed_is_not_taken_for_a_model(child: list[dict[str, Any]], cache: Path) -> None:
    spec = ModelSpec("EfficientNetB0", None)
    half = cache / "models" / f".EfficientNetB0-{key(spec)}.building"
    half.mkdir(parents=True)
    (half / "model.json").write_text("{")
    build_model(spec, PHOTOS, quiet)
    assert len(child) == 1
    assert not half.exists()


def test_an_export_that_differs_from_keras_is_no_model(
    child: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = artifact._run_child

    def run_badly(job: dict[str, Any], folder: Path, *rest: Any) -> None:
        run(job, folder, *rest)
        known = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps(known | {"export_difference": 0.3}))

    monkeypatch.setattr(artifact, "_run_child", run_badly)
    with pytest.raises(ArtifactError, match=r"SavedModel differs from Keras by 0\.3"):
        build_model(ModelSpec("EfficientNetB0", None), PHOTOS, quiet)


def test_a_model_file_that_is_replaced_while_it_is_loaded_is_refused_and_not_kept(
    child: list[dict[str, Any]], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, run = _h5(tmp_path / "model.h5"), artifact._run_child
    again = ModelSpec(None, model)

    def run_meanwhile(*job: Any) -> None:
        run(*job)
        model.write_bytes(HDF5 + b"other weights")

    monkeypatch.setattr(artifact, "_run_child", run_meanwhile)
    with pytest.raises(ScenarioError, match="the file of model model changed while it was read"):
        build_model(again, PHOTOS, quiet)
    assert [entry.name for entry in (cache / "models").iterdir() if entry.suffix != ".lock"] == []
    monkeypatch.setattr(artifact, "_run_child", run)
    assert build_model(again, PHOTOS, quiet).folder.name == f"model-{key(again)}"
    assert len(child) == 2


# ---- the key


def _h5(path: Path) -> Path:
    path.write_bytes(HDF5 + b"...")
    return path


def _saved_model(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(b"graph")
    return path


def test_the_key_changes_with_everything_the_model_depends_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights, other = tmp_path / "a.weights.h5", tmp_path / "b.weights.h5"
    weights.write_bytes(HDF5 + b"a")
    other.write_bytes(HDF5 + b"b")
    keys = [
        key(ModelSpec("EfficientNetB0", None)),
        key(ModelSpec("EfficientNetB1", None)),
        key(ModelSpec("EfficientNetB0", None, seed=2)),
        key(ModelSpec("EfficientNetB0", None, weights="imagenet")),
        key(ModelSpec("EfficientNetB0", None, weights=str(weights))),
        key(ModelSpec("EfficientNetB0", None, weights=str(other))),
        key(ModelSpec(None, _h5(tmp_path / "model.h5"))),
        key(ModelSpec(None, _saved_model(tmp_path / "saved"))),
    ]
    monkeypatch.setattr(artifact, "version_of", lambda package: f"next {package}")
    keys.append(key(ModelSpec("EfficientNetB0", None)))
    program = tmp_path / "build_model.py"
    program.write_text("another")
    monkeypatch.setattr(artifact, "_CHILD", program)
    keys.append(key(ModelSpec("EfficientNetB0", None)))
    assert len(set(keys)) == len(keys)


def test_the_key_does_not_change_with_a_seed_that_decides_nothing(tmp_path: Path) -> None:
    model = _h5(tmp_path / "model.h5")
    assert key(ModelSpec(None, model, seed=1)) == key(ModelSpec(None, model, seed=2))
    imagenet = ModelSpec("EfficientNetB0", None, weights="imagenet")
    assert key(imagenet) == key(ModelSpec("EfficientNetB0", None, weights="imagenet", seed=9))


def test_the_key_of_a_folder_changes_with_the_bytes_of_any_file_in_it(tmp_path: Path) -> None:
    folder = _saved_model(tmp_path / "saved")
    before = key(ModelSpec(None, folder))
    (folder / "variables").mkdir()
    (folder / "variables" / "data").write_bytes(b"weights")
    between = key(ModelSpec(None, folder))
    (folder / "variables" / "data").write_bytes(b"weighty")
    assert len({before, between, key(ModelSpec(None, folder))}) == 3


def test_all_eight_sizes_of_efficientnet_come_first_and_other_families_are_offered_too() -> None:
    assert KERAS_APPLICATIONS[:8] == tuple(f"EfficientNetB{size}" for size in range(8))
    assert {"MobileNetV3Small", "ResNet50", "DenseNet121"} <= set(KERAS_APPLICATIONS)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (ModelSpec("EfficientNetB9", None), "unknown model 'EfficientNetB9'"),
        (ModelSpec(None, None), "neither named nor given"),
        (ModelSpec(None, Path("/nowhere/model.keras")), "/nowhere/model.keras does not exist"),
        (ModelSpec("EfficientNetB0", None, weights="imagnet"), "weights file imagnet does not exist"),
        (ModelSpec("EfficientNetB0", None, weights=__file__), "is a text file, not HDF5"),
    ],
)
def test_a_model_that_cannot_be_is_refused_before_anything_is_built(spec: ModelSpec, sentence: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        build_model(spec, PHOTOS, quiet)
    assert sentence in caught.value.what
    assert caught.value.hint


def test_without_tensorflow_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(ArtifactError, match="tensorflow is not installed") as caught:
        build_model(ModelSpec("EfficientNetB0", None), PHOTOS, quiet)
    assert "pip install tensorflow" in caught.value.hint


def test_building_imports_neither_tensorflow_nor_numpy_here() -> None:
    heavy = "[name for name in ('tensorflow', 'keras', 'numpy') if name in sys.modules]"
    program = f"import sys, bench.model.artifact; print({heavy})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- the tolerance


@pytest.mark.parametrize(
    ("distance", "largest", "tolerance"), [(0.9, 1.0, 1e-2), (0.1, 1.0, 5e-3), (0.012, 1.0, 1e-3), (4.0, 30.0, 0.2)]
)
def test_the_tolerance_stays_far_below_the_distance_between_photos(
    distance: float, largest: float, tolerance: float
) -> None:
    reference = _judged(distance, largest)
    assert reference.tolerance == pytest.approx(tolerance)
    assert reference.photo_distance >= 10 * reference.tolerance


@pytest.mark.parametrize(("distance", "largest"), [(0.0, 1.0), (0.009, 1.0), (0.2, 30.0)])
def test_photos_answered_too_much_alike_are_an_error_that_names_them(distance: float, largest: float) -> None:
    with pytest.raises(ArtifactError, match="the check of answers could not fail") as caught:
        _judged(distance, largest)
    assert "one.jpg and two.jpg" in caught.value.what


def _judged(distance: float, largest: float) -> Reference:
    folder = Path("/cache/model")
    model = ModelFiles("m", folder, None, None, folder / "saved_model", 8, 8, 10, {})
    figures = {"photo_distance": distance, "closest": [0, 1], "largest": largest}
    return artifact.reference_within(model, PHOTOS, folder / "outputs.npy", figures)


# ---- the shapes that a model must have


def test_one_image_in_and_one_row_of_classes_out_is_accepted() -> None:
    child_program._check_shapes("m", [(None, 24, 24, 3)], [(None, 5)])


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ([(None, None, None, 3)], [(None, 5)]),
        ([(None, 24, 24, 1)], [(None, 5)]),
        ([(1, 24, 24, 3)], [(None, 5)]),
        ([(None, 72)], [(None, 5)]),
        ([(None, 24, 24, 3), (None, 2)], [(None, 5)]),
        ([(None, 24, 24, 3)], [(None, 5), (None, 5)]),
        ([(None, 24, 24, 3)], [(None, 6, 6, 5)]),
        ([(None, 24, 24, 3)], [(None, None)]),
        ([], []),
    ],
)
def test_any_other_shape_is_refused_and_shown(
    inputs: list[tuple[int | None, ...]], outputs: list[tuple[int | None, ...]]
) -> None:
    with pytest.raises(child_program.RefusedError) as caught:
        child_program._check_shapes("m", inputs, outputs)
    for shape in inputs + outputs:
        assert str(shape) in caught.value.what
    assert "(None, height, width, 3)" in caught.value.hint
