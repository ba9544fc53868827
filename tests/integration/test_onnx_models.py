"""ONNX files of a person's own, really adapted, converted, computed and served."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.errors import ScenarioError
from bench.forms.building import REQUIREMENTS, build_forms
from bench.forms.engines import Computation, EngineName
from bench.forms.onnx_model import build_onnx_model, build_onnx_tensor_model, onnx_tensor_reference, photo_model
from bench.measures.answers import Expectation, judge
from bench.model.files import ModelSpec
from bench.model.images import decoded_images
from bench.payload.examples import generated
from bench.payload.photos import sample_photos
from bench.programs.environments import environment, environment_ready
from bench.server import known_kinds, load_kind
from bench.serving.launch import ask, running
from tests.onnx_files import CLASSES, mean_colour, node, two_inputs, value_info, written

pytestmark = [pytest.mark.integration, pytest.mark.tensorflow]
PHOTOS = sample_photos()


def quiet(_: str) -> None:
    pass


@pytest.fixture(autouse=True)
def _built(bench_cache: Path) -> None:
    if not environment_ready("forms", REQUIREMENTS):
        pytest.skip("its environment would take minutes to build; `bench forms` does")


def in_numpy(colour: NDArray[np.float32], factor: float) -> NDArray[np.float64]:
    """What the files of `onnx_files` compute of a mean colour, shape (photos, 3)."""
    row, column = np.mgrid[:3, :CLASSES]
    scores = colour @ (factor * ((3 * row + 7 * column) % 11 - 5) / 5)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("layout", "pixels", "scale", "offset"),
    [
        ("NCHW", "0-255", 1.0, 0.0),
        ("NHWC", "0-1", 1 / 255, 0.0),
        ("NCHW", "imagenet", 1 / 255 / np.array([0.229, 0.224, 0.225]), -np.array([2.1179, 2.0357, 1.8044])),
    ],
)
def test_every_layout_and_range_is_computed_as_numpy_does(
    layout: str, pixels: str, scale: float, offset: float, tmp_path: Path
) -> None:
    factor = 0.08 if pixels == "0-255" else 5.0
    file = written(tmp_path / "mine.onnx", mean_colour(layout, factor=factor))
    model, reference = photo_model(ModelSpec(None, file, pixels=pixels), PHOTOS, quiet)  # type: ignore[arg-type]
    colours = np.load(decoded_images(model, PHOTOS, quiet).file).mean(axis=(1, 2)) * scale + offset
    assert np.abs(np.load(reference.outputs) - in_numpy(colours, factor)).max() < 1e-4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            mean_colour(extra_nodes=[node("Frobnicate", ["scores"], "y", domain="com.acme")], domains=["com.acme"]),
            r"uses the operator com\.acme:Frobnicate, which neither ONNX 17 nor ONNX Runtime has",
        ),
        (mean_colour(extra_nodes=[node("Frobnicate", ["scores"], "y")]), "the operator ai.onnx:Frobnicate"),
        (mean_colour(opset=99), "uses version 99 of ONNX's operators"),
        (
            mean_colour(extra_nodes=[node("Sgn", ["scores"], "y", domain="com.microsoft")], domains=["com.microsoft"]),
            "cannot be computed by ONNX Runtime .*Sgn",
        ),
    ],
)
def test_what_no_runtime_can_compute_is_refused_by_name(content: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=said) as told:
        build_onnx_model(ModelSpec(None, written(tmp_path / "mine.onnx", content)), quiet)
    assert "standard operators" in told.value.hint or "opset_version" in told.value.hint


def test_forms_made_of_an_onnx_file_answer_as_it_does(tmp_path: Path) -> None:
    unread = value_info("unread", (1,))
    file = written(tmp_path / "mine.onnx", mean_colour(factor=0.08, extra_inputs=[unread]))
    model, reference = photo_model(ModelSpec(None, file), PHOTOS, quiet)
    forms = build_forms(model, {"onnx", "openvino"}, PHOTOS, np.load(reference.outputs), quiet)
    assert set(forms.files) == {"onnx", "openvino"}
    found = {it.name: it for it in forms.figures}
    assert not [it for it in forms.figures if it.failure and it.name != "openvino-bf16"]
    assert all((found[name].largest_difference or 0.0) < 1e-5 for name in ("onnx", "openvino-f32"))


def test_an_onnx_file_is_served_and_its_answers_are_right(tmp_path: Path) -> None:
    engine: EngineName = "onnxruntime"
    pinned = Path(Computation(engine).requirements)
    if not environment_ready("engines", pinned):
        pytest.skip("its environment would take a minute to build; a run builds it")
    file = written(tmp_path / "mine.onnx", mean_colour("NHWC", factor=0.08))
    model, reference = photo_model(ModelSpec(None, file), PHOTOS, quiet)
    outputs = np.load(reference.outputs)
    forms = build_forms(model, {Computation(engine).form}, PHOTOS, outputs, quiet)
    server = load_kind(known_kinds()["gunicorn"])(engine=engine)  # type: ignore[call-arg]  # a key of its own
    with running(
        server,
        model=replace(model, forms=forms.files),
        python=environment("engines", pinned, quiet),
        cores=1,
        photos=[photo.jpeg for photo in PHOTOS],
        log=tmp_path / "server.log",
    ) as it:
        replies = [ask(it.wire, it.place.host, it.port, it.wire.request(photo.jpeg))[0] for photo in PHOTOS]
    right = Expectation(outputs, reference.tolerance, reference.photo_distance)
    assert not judge(it.wire.answer, list(enumerate(replies)), right).wrong.any()


@pytest.mark.parametrize(("kind", "engine"), [("fastapi", "onnxruntime"), ("flask", "openvino")])
def test_a_model_of_two_inputs_is_served_by_the_names_that_its_file_has(
    kind: str, engine: EngineName, tmp_path: Path
) -> None:
    pinned = Path(Computation(engine).requirements)
    if not environment_ready("engines", pinned):
        pytest.skip("its environment would take a minute to build; a run builds it")
    model = build_onnx_tensor_model(ModelSpec(None, written(tmp_path / "two.onnx", two_inputs())), quiet)
    assert model.signature is not None
    examples = generated(model.signature, 4, seed=1)
    reference, outputs = onnx_tensor_reference(model, examples, quiet)
    row, column = np.mgrid[:3, :CLASSES]
    for example, output in zip(examples, outputs, strict=True):
        scores = example.arrays["size_area"] @ (((3 * row + 7 * column) % 11 - 5) / 5)
        right = [-scores, np.sin(scores + example.arrays["room_count"])]  # by the outputs' names: a_second, out_y
        assert np.abs(output - np.concatenate(right, axis=None)).max() < 1e-5
    payloads = [example.packed for example in examples]
    with running(
        load_kind(known_kinds()[kind])(engine=engine),  # type: ignore[call-arg]  # a key of these kinds
        model=replace(model, example=payloads[0]),
        python=environment("engines", pinned, quiet),
        cores=1,
        photos=payloads,
        log=tmp_path / "server.log",
    ) as it:
        replies = [ask(it.wire, it.place.host, it.port, it.wire.request(each))[0] for each in payloads]
    expected = Expectation(outputs, reference.tolerance, reference.photo_distance)
    assert not judge(it.wire.answer, list(enumerate(replies)), expected).wrong.any()
