"""Forms made by the real converters of a model of some kilobytes, and the traps that each converter has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench.forms import building as forms_module
from bench.forms.building import REQUIREMENTS, FormFigures, Forms, build_forms
from bench.forms.form_asking import Question, asked
from bench.model.files import ModelFiles
from bench.payload.photos import Photo
from bench.programs.environments import environment, environment_ready
from bench.programs.install import cpu_has

pytestmark = [pytest.mark.integration, pytest.mark.tensorflow]

MAKE = """
import sys
from pathlib import Path
folder = Path(sys.argv[1])
import keras, numpy as np
from bench.model import build_model
keras.utils.set_random_seed(3)
image = keras.Input((32, 32, 3))
x = keras.layers.Rescaling(1 / 128, -1)(image)
for width in (16, 32):
    x = keras.layers.Conv2D(width, 3, strides=2, activation="swish")(x)
    x = keras.layers.BatchNormalization()(x)
x = keras.layers.Flatten()(x)
out = keras.layers.Dense(4, activation="softmax", kernel_initializer="he_normal")(x)
model = keras.Model(image, out)
build_model._export(build_model._of_keras(model, "tiny"), folder / "saved_model" / "1")
build_model._save_keras_forms(model, folder)
images = np.random.default_rng(1).integers(0, 255, (3, 32, 32, 3)).astype(np.float32)
np.save(folder / "images.npy", images)
np.save(folder / "right.npy", np.concatenate([model.predict_on_batch(one[None]) for one in images]))
"""
"""Swish, whose gradient is what Keras's own OpenVINO export leaves behind as results; kernels large enough to prune."""

MADE = ("onnx_int8", "onnx_pruned", "openvino_int8")
READ_ONNX = """
import json, sys
import onnx
found = []
for file in sys.argv[1:]:
    model = onnx.load(file)
    read = {name for node in model.graph.node for name in node.input}
    kinds = {node.op_type for node in model.graph.node}
    found.append({"unread": [it.name for it in model.graph.input if it.name not in read], "kinds": sorted(kinds)})
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def python(bench_cache: Path) -> Path:
    if not environment_ready("forms", REQUIREMENTS):
        pytest.skip("its environment would take minutes to build; `bench forms scenarios/optimise-the-model.yaml` does")
    return environment("forms", REQUIREMENTS, lambda _: None)


@pytest.fixture(scope="module")
def built(python: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelFiles, Forms, Path]:
    """A tiny model, exported as every model is, in the forms that are made of other forms, which brings most others."""
    folder = tmp_path_factory.mktemp("tiny")
    env = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
    subprocess.run([sys.executable, "-c", MAKE, str(folder)], check=True, capture_output=True, env=env)
    keras, images = folder / "model.keras", folder / "images.npy"
    model = ModelFiles("tiny", folder, None, keras, folder / "saved_model", 32, 32, 4, {})
    photos = [Photo(f"{number}.jpg", bytes([number])) for number in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forms_module, "decoded_images", lambda *_: SimpleNamespace(file=images))
        forms = build_forms(model, MADE, photos, np.load(folder / "right.npy"), lambda _: None)
    return model, forms, images


def figures(forms: Forms) -> Mapping[str, FormFigures]:
    return {it.name: it for it in forms.figures}


def test_every_form_is_made_and_has_its_size_time_memory_and_accuracy(built: tuple[ModelFiles, Forms, Path]) -> None:
    _, forms, _ = built
    found = figures(forms)
    half = {"openvino-bf16"} if cpu_has("avx512_bf16") or cpu_has("amx_bf16") else set()
    assert {name for name, it in found.items() if not it.failure} >= half | {
        "keras-pruned", "frozen", "onnx", "onnx-int8", "onnx-pruned", "openvino-f32", "openvino-int8"
    }  # fmt: skip
    for it in (it for it in found.values() if not it.failure):
        assert all((it.size_bytes, it.compressed_bytes, it.build_seconds, it.load_seconds, it.process_bytes)), it
        assert it.memory_bytes is not None
        assert it.photos == 3


def test_what_computes_in_float32_answers_as_keras_does_and_what_rounds_does_not_quite(
    built: tuple[ModelFiles, Forms, Path],
) -> None:
    found = figures(built[1])
    for name in ("frozen", "onnx", "openvino-f32"):
        assert found[name].agreement == 1.0
        assert found[name].largest_difference == pytest.approx(0, abs=1e-5)
    for name in ("onnx-int8", "openvino-int8", "onnx-pruned"):
        assert (found[name].largest_difference or 0) > 1e-4


def test_pruned_is_as_large_a_file_a_smaller_archive_and_the_same_answers_in_both_runtimes(
    built: tuple[ModelFiles, Forms, Path],
) -> None:
    found = figures(built[1])
    assert built[0].keras is not None
    whole = found["onnx"].size_bytes
    assert found["onnx-pruned"].size_bytes == pytest.approx(whole, rel=0.05)
    assert found["keras-pruned"].size_bytes == pytest.approx(built[0].keras.stat().st_size, rel=0.05)
    for name in ("keras-pruned", "onnx-pruned"):
        assert (found[name].compressed_bytes or 0) < 0.75 * (found["onnx"].compressed_bytes or 0)
    one, other = found["keras-pruned"].largest_difference, found["onnx-pruned"].largest_difference
    assert one == pytest.approx(other, abs=1e-5)


def test_an_openvino_model_has_the_one_result_that_was_asked_for(built: tuple[ModelFiles, Forms, Path]) -> None:
    for form in ("openvino", "openvino_int8"):
        layers = ET.parse(built[1].files[form]).getroot().iter("layer")
        assert [it.get("type") for it in layers].count("Result") == 1


def test_no_input_of_an_onnx_graph_is_left_that_no_node_reads(
    built: tuple[ModelFiles, Forms, Path], python: Path
) -> None:
    files = [str(built[1].files[form]) for form in ("onnx", "onnx_int8", "onnx_pruned")]
    said = subprocess.run([str(python), "-c", READ_ONNX, *files], check=True, capture_output=True, text=True).stdout
    whole, rounded, pruned = json.loads(said)
    assert whole["unread"] == rounded["unread"] == pruned["unread"] == []
    assert "QuantizeLinear" in rounded["kinds"]


def test_no_form_stores_its_weights_twice(built: tuple[ModelFiles, Forms, Path]) -> None:
    model, forms, _ = built
    weights = figures(forms)["frozen"].size_bytes
    assert weights is not None
    variables = sum(file.stat().st_size for file in (model.saved_model / "1" / "variables").iterdir())
    assert variables < 1.5 * weights
    assert (figures(forms)["onnx"].size_bytes or 0) < 1.5 * weights


def test_openvino_is_refused_where_it_would_compute_in_another_precision_and_say_nothing(
    built: tuple[ModelFiles, Forms, Path], python: Path, tmp_path: Path
) -> None:
    """Of f16, which CPUs without instructions for it silently compute otherwise; the engine reads back what it got."""
    _, forms, images = built
    for precision in ("bf16", "f16"):
        question = Question("half", forms.files["openvino"], "openvino", precision, (0,), 1)
        with asked(python, question, images, tmp_path, None) as child:
            told = child.held.failure
        has = cpu_has("avx512_bf16") or cpu_has("amx_bf16") if precision == "bf16" else cpu_has("avx512_fp16")
        assert (told == "") == has or "OpenVINO computes in" in told
