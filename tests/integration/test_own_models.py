"""A model of any inputs from its file to answers: built by the real child, served, compared with its own reference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import AnswerError, ArtifactError
from bench.measures.answers import difference
from bench.model.applications import APPLICATIONS
from bench.model.files import ModelFiles, ModelSpec
from bench.model.model_signature import file_signature
from bench.model.tensor_model import build_tensor_model, given_signature, judged_reference, tensor_reference
from bench.payload.examples import Example, generated
from bench.protocols import Answer
from bench.server import Server, known_kinds, load_kind
from bench.serving.asking import ask
from bench.serving.launch import load_host, log_text, running

pytestmark = [pytest.mark.integration, pytest.mark.tensorflow]

ROOT = Path(__file__).parents[2]
DOUBLE = ROOT / "tests" / "doubles" / "tensorflow_model_server"
TFSERVING: Any = load_kind(known_kinds()["tfserving"])
FLASK: Any = load_kind(known_kinds()["flask"])
Batching: Any = sys.modules[TFSERVING.__module__].Batching

MAKE = """
import sys
import keras
from keras import layers
keras.utils.set_random_seed(1)
measures = keras.Input((3,), name="measures")
town = keras.Input((1,), name="home town", dtype="string")
tokens = keras.Input((None,), name="tokens", dtype="int64")
sold = keras.Input((1,), name="sold", dtype="bool")
code = keras.Input((2,), name="code", dtype="uint8")
words = layers.Embedding(10, 4)(tokens)
table = layers.StringLookup(vocabulary=["the cat", "Rome"], output_mode="one_hot")(town)
hashed = layers.Hashing(50, output_mode="one_hot")(town)
flat = [measures, keras.ops.cast(sold, "float32"), keras.ops.cast(code, "float32") / 255.0, table, hashed]
joined = layers.Concatenate()([*flat, layers.GlobalAveragePooling1D()(words)])
inputs = {"measures": measures, "home town": town, "tokens": tokens, "sold": sold, "code": code}
outputs = {"price": layers.Dense(2)(joined), "each": layers.Dense(1)(words)}
keras.Model(inputs, outputs).save(sys.argv[1] + "/house.keras")
"""

PREPARED = """
import importlib.util, inspect, json, sys
import keras, numpy as np
spec = importlib.util.spec_from_file_location("build_model", sys.argv[1])
child = importlib.util.module_from_spec(spec)
sys.modules["build_model"] = child
spec.loader.exec_module(child)
pixels = np.random.default_rng(1).uniform(0, 255, (1, 8, 8, 3)).astype("float32")
far = {}
for way, family in (("tf", "mobilenet"), ("torch", "densenet"), ("caffe", "resnet")):
    made = child._prepared(8, way)
    image = keras.Model(keras.utils.get_source_inputs(made), made)
    right = getattr(keras.applications, family).preprocess_input(pixels.copy())
    far[way] = float(np.abs(image(pixels).numpy() - right).max())
print(json.dumps({"far": far, "missing": [it for it in sys.argv[2:] if not hasattr(keras.applications, it)]}))
"""


class Work:
    """A model of five inputs, what it is asked, what it answers."""

    def __init__(self, folder: Path) -> None:
        env = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
        subprocess.run([sys.executable, "-c", MAKE, str(folder)], check=True, env=env, capture_output=True)
        self.path = folder / "house.keras"
        spec = ModelSpec(None, self.path)
        known = given_signature(spec)
        assert known is not None
        self.examples = generated(known, 6, 1)
        built = build_tensor_model(spec, self.examples, lambda _: None)
        self.reference, self.right = tensor_reference(built, self.examples, lambda _: None)
        self.model: ModelFiles = replace(built, example=self.examples[0].packed)

    def answers(self, server: Server, log: Path, others: Sequence[Server] = ()) -> list[list[Answer]]:
        """What it answers to every example, asked as each of these servers would ask."""
        payloads = [example.packed for example in self.examples]
        with running(
            server, model=self.model, python=Path(sys.executable), cores=2, photos=payloads, log=log
        ) as started:
            found = []
            for each in (server, *others):
                wire, place = each.wire(started.place), started.place
                host, port = load_host(each, place), place.ports[each.load_port]
                found.append([wire.answer(ask(wire, host, port, wire.request(payload))[0]) for payload in payloads])
            return found

    def assert_right(self, answers: Sequence[Answer]) -> None:
        for answer, right in zip(answers, self.right, strict=True):
            assert difference(answer, right) <= self.reference.tolerance


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return Work(tmp_path_factory.mktemp("own"))


def test_the_signature_of_each_form_is_that_of_the_model(work: Work) -> None:
    signature = work.model.signature
    assert signature is not None
    types = {spec.name: spec.dtype for spec in signature.inputs}
    assert types == {"code": "uint8", "home_town": "string", "measures": "float32", "sold": "bool", "tokens": "int64"}
    given = file_signature(work.path)
    assert given is not None
    assert given.inputs == signature.inputs
    exported = file_signature(work.model.saved_model / "1")
    assert exported is not None
    assert {(it.name, it.dtype, it.shape) for it in exported.inputs} == {
        (it.name, it.dtype, it.shape) for it in signature.inputs
    }
    assert [spec.name for spec in exported.outputs] == ["each", "price"]


def test_answers_of_different_lengths_are_kept_apart(work: Work) -> None:
    lengths = [example.arrays["tokens"].shape[1] for example in work.examples]
    assert [len(row) for row in work.right] == [length + 2 for length in lengths]
    assert len(set(lengths)) > 1


def test_tensorflow_serving_answers_every_type_over_rest_and_grpc(work: Work, tmp_path: Path) -> None:
    program = tmp_path / "tensorflow_model_server"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{DOUBLE}" "$@"\n')
    program.chmod(0o755)
    batching = Batching(max_batch_size=4, allowed_batch_sizes=(1, 4))
    server = TFSERVING(binary=str(program), protocol="grpc", batching=batching, model_warmup=True)
    log = tmp_path / "server.log"
    for answers in work.answers(server, log, [TFSERVING(protocol="rest")]):
        work.assert_right(answers)
    assert "Number of warmup records read: 2." in log_text(log, 0)


def test_what_the_h5_format_cannot_hold_is_loaded_from_the_keras_file(work: Work) -> None:
    assert work.model.h5 is not None
    assert work.model.file("h5") == work.model.h5
    assert work.model.size_bytes["h5"] == work.model.h5.stat().st_size


def test_the_naive_server_answers_with_predict(work: Work, tmp_path: Path) -> None:
    (answers,) = work.answers(FLASK(), tmp_path / "server.log")
    work.assert_right(answers)


def test_a_server_that_answers_one_example_for_all_is_found(work: Work) -> None:
    wrong = 0
    for right in work.right:
        try:
            wrong += difference(work.right[0], right) > work.reference.tolerance
        except AnswerError:  # of another length
            wrong += 1
    assert wrong >= len(work.right) / 2


def test_layers_prepare_pixels_as_the_functions_of_keras_do() -> None:
    env = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    argv = [sys.executable, "-c", PREPARED, str(ROOT / "bench" / "model" / "build_model.py"), *APPLICATIONS]
    done = subprocess.run(argv, check=True, env=env, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["missing"] == []
    assert {way: far < 1e-4 for way, far in found["far"].items()} == {"tf": True, "torch": True, "caffe": True}


def test_examples_that_a_model_answers_alike_are_refused() -> None:
    examples = [Example(f"line {number}", {"x": np.array([number])}) for number in range(3)]
    alike = tuple(np.array([0.5, 0.5 + 1e-9], "float32") for _ in examples)
    with pytest.raises(ArtifactError, match="the check of answers could not fail: model answers line 0"):
        judged_reference(Path("outputs.npz"), "model", examples, alike)


@pytest.mark.parametrize("outputs", [[0.0, 1.0, 5.0], [100.0, 100.5, 103.0]])
def test_the_tolerance_lies_far_below_the_distance_of_examples(outputs: list[float]) -> None:
    examples = [Example(f"line {number}", {"x": np.array([number])}) for number in range(3)]
    rows = tuple(np.array([output], "float32") for output in outputs)
    reference = judged_reference(Path("outputs.npz"), "model", examples, rows)
    assert 10 * reference.tolerance <= reference.photo_distance
