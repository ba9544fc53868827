"""Models built by the real child, and environments built by the real uv."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from bench.errors import ArtifactError
from bench.model import artifact
from bench.model.artifact import build_model, build_reference
from bench.model.files import ModelFiles, ModelSpec, Reference
from bench.payload.photos import Photo
from bench.programs.environments import environment, environment_ready

pytestmark = pytest.mark.integration

Built = tuple[ModelFiles, Reference, tuple[Photo, ...]]


def quiet(_: str) -> None:
    """Take progress and say nothing."""


def with_tensorflow(program: str, *arguments: object) -> Any:
    """What a program prints as JSON on its last line; TensorFlow stays out of the tests' own process."""
    env = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


# ---- EfficientNetB0, as every server gets it

COMPARE = """
import json, sys
import h5py, keras, numpy as np, tensorflow as tf
folder, outputs, *photos = sys.argv[1:]
want = np.load(outputs)
jpeg = tf.constant([open(photo, "rb").read() for photo in photos])
loaded = tf.saved_model.load(f"{folder}/saved_model/1")
by_jpeg, by_tensor = loaded.signatures["serving_default"], loaded.signatures["tensor"]
size = by_tensor.structured_input_signature[1]["image"].shape[1:3]
image = tf.stack([tf.image.resize(tf.io.decode_jpeg(one, channels=3), size) for one in jpeg])
def furthest(answer):
    return float(np.abs(np.asarray(answer) - want).max())
def one_by_one(run, batch):
    return np.concatenate([run(batch[i : i + 1]) for i in range(len(photos))])
def signature(function):
    return [{key: [value.dtype.name, list(value.shape)] for key, value in side.items()}
            for side in (function.structured_input_signature[1], function.structured_outputs)]
native = keras.saving.load_model(f"{folder}/model.keras", compile=False)
trained = keras.saving.load_model(f"{folder}/model.h5")
from_jpeg, from_image = (lambda b: by_jpeg(jpeg=b)["probabilities"]), (lambda b: by_tensor(image=b)["probabilities"])
with h5py.File(f"{folder}/model.h5") as file:
    moments = [0]
    file["optimizer_weights"].visititems(lambda _, item: moments.append(getattr(item, "nbytes", 0)))
print(json.dumps({
    "differences": {
        "jpeg, batch of 3": furthest(from_jpeg(jpeg)), "jpeg, one by one": furthest(one_by_one(from_jpeg, jpeg)),
        "tensor, batch of 3": furthest(from_image(image)),
        "tensor, one by one": furthest(one_by_one(from_image, image)),
        "keras": furthest(native.predict(image.numpy(), verbose=0)),
        "h5": furthest(trained.predict(image.numpy(), verbose=0)),
    },
    "signatures": {"serving_default": signature(by_jpeg), "tensor": signature(by_tensor)},
    "operations": sorted({node.op for f in (by_jpeg, by_tensor) for node in f.graph.as_graph_def().node}),
    "optimizer": [type(trained.optimizer).__name__, sum(moments)], "native_optimizer": bool(native.compiled),
    "trainable_bytes": 4 * sum(int(np.prod(weight.shape)) for weight in native.trainable_weights),
    "bytes": 4 * native.count_params(),
    "inputs": list(native.input_shape), "outputs": list(native.output_shape),
}))
"""


@pytest.fixture(scope="module")
def compared(b0_model: Built, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    model, reference, photos = b0_model
    folder = tmp_path_factory.mktemp("photos")
    files = [folder / photo.name for photo in photos]
    for file, photo in zip(files, photos, strict=True):
        file.write_bytes(photo.jpeg)
    answer: dict[str, Any] = with_tensorflow(COMPARE, model.folder, reference.outputs, *files)
    return answer


@pytest.mark.tensorflow
def test_every_form_and_batch_size_answers_alike_far_within_the_tolerance(
    b0_model: Built, compared: dict[str, Any]
) -> None:
    _, reference, _ = b0_model
    assert max(compared["differences"].values()) < min(1e-4, reference.tolerance / 10), compared["differences"]


@pytest.mark.tensorflow
def test_different_photos_get_clearly_different_answers(b0_model: Built) -> None:
    _, reference, photos = b0_model
    outputs = np.load(reference.outputs)
    assert outputs.shape == (len(photos), 1000)
    assert outputs.dtype == np.float32
    assert np.allclose(outputs.sum(axis=1), 1, atol=1e-4)
    apart = [np.abs(outputs[i] - outputs[j]).max() for i in range(len(photos)) for j in range(i)]
    assert min(apart) >= 0.05
    assert reference.photo_distance == pytest.approx(min(apart))
    assert reference.photo_distance >= 10 * reference.tolerance


@pytest.mark.tensorflow
def test_the_signatures_are_as_documented_and_need_no_custom_operation(
    b0_model: Built, compared: dict[str, Any]
) -> None:
    model, _, _ = b0_model
    probabilities = {"probabilities": ["float32", [None, model.classes]]}
    assert compared["signatures"] == {
        "serving_default": [{"jpeg": ["string", [None]]}, probabilities],
        "tensor": [{"image": ["float32", [None, model.height, model.width, 3]]}, probabilities],
    }
    assert not [name for name in compared["operations"] if "PyFunc" in name or "Custom" in name]


@pytest.mark.tensorflow
def test_the_h5_file_carries_both_moments_of_adam_and_the_keras_file_none(
    b0_model: Built, compared: dict[str, Any]
) -> None:
    model, _, _ = b0_model
    name, moments = compared["optimizer"]
    assert name == "Adam"
    assert moments >= 2 * compared["trainable_bytes"]
    assert not compared["native_optimizer"]
    assert model.size_bytes["h5"] > 2.5 * model.size_bytes["keras"]
    assert compared["inputs"] == [None, model.height, model.width, 3]
    assert compared["outputs"] == [None, model.classes]


@pytest.mark.tensorflow
def test_the_saved_model_stores_its_weights_once(b0_model: Built, compared: dict[str, Any]) -> None:
    model, _, _ = b0_model
    assert model.size_bytes["saved_model"] < 1.3 * compared["bytes"]


@pytest.mark.tensorflow
def test_other_photos_are_answered_by_the_same_model(b0_model: Built) -> None:
    model, reference, photos = b0_model
    turned = build_reference(model, photos[::-1], quiet)
    assert np.allclose(np.load(turned.outputs), np.load(reference.outputs)[::-1], atol=1e-5)
    assert turned.photo_distance == pytest.approx(reference.photo_distance, abs=1e-4)


# ---- models that a person gives

GIVE = """
import sys, keras
folder = sys.argv[1]
def classifier(outputs=1):
    keras.utils.set_random_seed(1)
    image = keras.Input((24, 24, 3))
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 64)(image))
    return keras.Model(image, [keras.layers.Dense(5, activation="softmax")(mean) for _ in range(outputs)])
classifier().save(f"{folder}/whole.keras")
classifier().save_weights(f"{folder}/only.weights.h5")
classifier(2).save(f"{folder}/two outputs.h5")
image = keras.Input((24, 24, 3))
mean = keras.layers.GlobalAveragePooling2D()(keras.ops.flip(image / 64, axis=-1))
keras.Model(image, keras.layers.Dense(5, activation="softmax")(mean)).save(f"{folder}/sums.keras")
classifier().export(f"{folder}/exported", verbose=False)
print("null")
"""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory, bench_cache: Path) -> Path:
    folder = tmp_path_factory.mktemp("given")
    with_tensorflow(GIVE, folder)
    return folder


@pytest.mark.tensorflow
def test_a_keras_file_and_its_export_become_the_same_server_ready_model(given: Path, b0_model: Built) -> None:
    photos = b0_model[2]
    from_file = build_model(ModelSpec(None, given / "whole.keras"), photos, quiet)
    from_export = build_model(ModelSpec(None, given / "exported"), photos, quiet)
    assert (from_file.height, from_file.width, from_file.classes) == (24, 24, 5)
    assert (from_export.height, from_export.width, from_export.classes) == (24, 24, 5)
    assert from_file.keras is not None
    assert from_file.keras.is_file()
    assert from_export.h5 is from_export.keras is None
    assert set(from_export.size_bytes) == {"saved_model"}
    one, other = (build_reference(model, photos, quiet) for model in (from_file, from_export))
    assert np.allclose(np.load(one.outputs), np.load(other.outputs), atol=1e-5)


@pytest.mark.tensorflow
def test_a_model_that_keras_writes_as_h5_and_cannot_read_back_is_served_from_the_keras_file(
    given: Path, b0_model: Built
) -> None:
    model = build_model(ModelSpec(None, given / "sums.keras"), b0_model[2], quiet)
    assert "read back, Keras says: " in model.replaced["h5"]
    assert model.h5 == model.keras == model.folder / "model.keras"
    assert not (model.folder / "model.h5").exists()
    assert set(model.build_seconds) == {"keras", "saved_model"}


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("two outputs.h5", "inputs (None, 24, 24, 3), outputs (None, 5), (None, 5)"),
        ("only.weights.h5", "cannot be loaded as a Keras model"),
    ],
)
def test_a_file_that_is_no_image_classifier_is_refused_with_what_was_found(
    given: Path, b0_model: Built, name: str, sentence: str
) -> None:
    with pytest.raises(ArtifactError) as caught:
        build_model(ModelSpec(None, given / name), b0_model[2], quiet)
    assert name in caught.value.what
    assert sentence in caught.value.what
    assert caught.value.hint


# ---- the child's life and death

PHOTOS = (Photo("one.jpg", b"one"), Photo("two.jpg", b"two"))
SPEC = ModelSpec("EfficientNetB0", None)


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put a program in the place of the child, in a cache of its own; gives the folder of models."""

    def put(program: str) -> Path:
        file = tmp_path / "child.py"
        file.write_text(program)
        monkeypatch.setattr(artifact, "_CHILD", file)
        monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
        return tmp_path / "cache" / "models"

    return put


def test_a_failed_build_keeps_its_log_alone_and_shows_its_last_lines(child: Callable[[str], Path]) -> None:
    models = child(
        "import json, pathlib, sys; job = json.load(open(sys.argv[1]))\n"
        "(pathlib.Path(job['folder']) / 'model.h5').write_bytes(b'half'); sys.exit('no memory left')"
    )
    with pytest.raises(ArtifactError, match=r"building EfficientNetB0 failed \(exit code 1\)") as caught:
        build_model(SPEC, PHOTOS, quiet)
    assert caught.value.hint == "no memory left"
    assert "no memory left" in Path(caught.value.where).read_text()
    assert [file.name for file in models.rglob("*") if file.is_file() and file.suffix != ".lock"] == ["build.log"]


def test_a_child_killed_by_the_kernel_is_told_from_one_that_failed(child: Callable[[str], Path]) -> None:
    child("import os; os.kill(os.getpid(), 9)")
    with pytest.raises(ArtifactError, match="killed by SIGKILL") as caught:
        build_model(SPEC, PHOTOS, quiet)
    assert "out of memory" in caught.value.what


def test_an_interrupted_build_kills_the_child_and_leaves_nothing(child: Callable[[str], Path]) -> None:
    models = child("import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    pids: list[int] = []

    def interrupt(sentence: str) -> None:
        pids.append(int(sentence))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_model(SPEC, PHOTOS, interrupt)
    assert not psutil.pid_exists(pids[0])
    assert [entry.suffix for entry in models.iterdir()] == [".lock"]


def test_temporary_files_of_an_interrupted_child_go_with_its_job(child: Callable[[str], Path]) -> None:
    models = child("import tempfile, time; print(tempfile.mkstemp()[1], flush=True); time.sleep(60)")
    files: list[Path] = []

    def interrupt(sentence: str) -> None:
        files.append(Path(sentence))
        assert files[0].is_relative_to(models)
        assert files[0].exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_model(SPEC, PHOTOS, interrupt)
    assert not files[0].exists()


BUILD = """
import os, pathlib, shutil, sys, json
job = json.load(open(sys.argv[1])); folder = pathlib.Path(job["folder"])
print("building", flush=True)
for form in ("model.h5", "model.keras"):
    (folder / form).write_bytes(b"x")
(folder / "saved_model" / "1").mkdir(parents=True)
reference = pathlib.Path(job["reference"]); reference.parent.mkdir(); reference.touch()
reference.with_suffix(".json").write_text('{"photo_distance": 0.2, "closest": [0, 1], "largest": 1}')
facts = {"height": 8, "width": 8, "classes": 2, "keras_forms": True, "missing": {}, "export_difference": 0}
(folder / "model.json").write_text(json.dumps(facts))
"""


def test_two_runs_at_once_build_one_model(child: Callable[[str], Path]) -> None:
    child(BUILD)
    said: list[str] = []
    threads = [threading.Thread(target=build_model, args=(SPEC, PHOTOS, said.append)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.count("building") == 1
    assert build_model(SPEC, PHOTOS, quiet).classes == 2


@pytest.mark.tensorflow
def test_the_child_dies_with_a_harness_that_is_killed(tmp_path: Path) -> None:
    program = (
        "from bench.model.artifact import build_model; from bench.model.files import ModelSpec\n"
        "from bench.payload.photos import sample_photos\n"
        "build_model(ModelSpec('EfficientNetB0', None), sample_photos(), lambda sentence: print(sentence, flush=True))"
    )
    env = os.environ | {"BENCH_CACHE": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=env) as harness:
        assert harness.stdout is not None
        assert "EfficientNetB0" in harness.stdout.readline()
        (child,) = psutil.Process(harness.pid).children()
        harness.send_signal(signal.SIGKILL)
    gone, _ = psutil.wait_procs([child], timeout=10)
    assert gone == [child]
    assert list((tmp_path / "models").glob("EfficientNetB0-*/model.json")) == []


# ---- environments


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that needs no index, and a cache of this test's own."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    file = tmp_path / "toy-1.0-py3-none-any.whl"
    about = "toy-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("toy.py", "answer = 42\n")
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", f"toy.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n")
    return file


def test_an_environment_holds_the_pinned_package_and_our_version_of_python(wheel: Path) -> None:
    requirements = wheel.with_name("requirements.txt")
    requirements.write_text(f"toy @ {wheel.as_uri()}\n")
    said: list[str] = []
    python = environment("toy", requirements, said.append)
    program = "import sys, toy; print(toy.answer, sys.version)"
    done = subprocess.run([str(python), "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"42 {sys.version}"
    assert environment("toy", requirements, said.append) == python
    assert said == ["building the environment of toy"]


def test_without_a_network_the_error_has_uvs_words_and_nothing_is_left(wheel: Path) -> None:
    requirements = wheel.with_name("requirements.txt")
    requirements.write_text("toy-that-is-nowhere==1.0\n")
    with pytest.raises(ArtifactError, match="environment of toy could not be built") as caught:
        environment("toy", requirements, quiet)
    assert "toy-that-is-nowhere" in caught.value.hint
    assert "internet" in caught.value.hint
    assert Path(caught.value.where).is_file()
    assert not environment_ready("toy", requirements)
