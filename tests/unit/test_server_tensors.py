"""What servers make of a model of any inputs: Triton's configuration, and requests read by the Python programs."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.payload.signature import Signature, TensorSpec
from bench.server import known_kinds, load_kind

ROOT = Path(__file__).parents[2]
AGE, TOWN = TensorSpec("age", "float32", (None, 3)), TensorSpec("town", "string", (None, 1))
TABLE = Signature((AGE, TOWN), (TensorSpec("price", "float64", (None, None)),))


def kind(name: str) -> Any:
    return load_kind(known_kinds()[name])


def program(name: str) -> Any:
    """A module of `servers/shared`, which runs in environments of its own."""
    spec = importlib.util.spec_from_file_location(f"shared_{name}", ROOT / "servers" / "shared" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def triton(function: str) -> Any:
    return getattr(sys.modules[kind("triton").__module__], function)


def test_triton_is_told_every_axis_and_with_batching_all_but_the_first() -> None:
    assert triton("tensor_lines")(TABLE, batched=False) == [
        'input [ { name: "age" data_type: TYPE_FP32 dims: [ -1, 3 ] } ]',
        'input [ { name: "town" data_type: TYPE_STRING dims: [ -1, 1 ] } ]',
        'output [ { name: "price" data_type: TYPE_FP64 dims: [ -1, -1 ] } ]',
    ]
    assert triton("tensor_lines")(TABLE, batched=True)[0].endswith("dims: [ 3 ] } ]")


@pytest.mark.parametrize(
    ("spec", "batched", "said"),
    [
        (TensorSpec("x", "bfloat16", (None, 1)), False, "has no bfloat16"),
        (TensorSpec("x", "float32", None), False, "has to be told the axes of x"),
        (TensorSpec("x", "string", (None,)), True, "needs a first axis of examples and one more"),
        (TensorSpec("x", "float32", (1, 3)), True, "needs a first axis of examples and one more"),
        (TensorSpec("x", "string", (None,)), False, ""),
    ],
)
def test_triton_says_what_it_cannot_be_told(spec: TensorSpec, batched: bool, said: str) -> None:
    unable = triton("unable")(Signature((spec,), (AGE,)), batched=batched, in_json=False)
    assert (said in unable) if said else (unable == "")


def test_what_the_rest_api_of_tensorflow_serving_lacks_is_a_reason_to_skip_it() -> None:
    half = Signature((TensorSpec("x", "float16", (None, 1)),), ())
    assert "has no float16" in kind("tfserving")(protocol="rest").cannot_take(half)
    assert kind("tfserving")(protocol="grpc").cannot_take(half) == ""


@pytest.mark.parametrize("name", ["echo", "mlflow", "bentoml", "litserve"])
def test_kinds_that_know_photos_only_say_so(name: str) -> None:
    assert "photos only" in kind(name)().cannot_take(TABLE)


def test_a_python_program_reads_the_request_that_the_harness_writes() -> None:
    tensors = program("tensors")
    settings = tensors.Settings.of("model", None, json.dumps(TABLE.as_mapping()))
    arrays = tensors.read_inputs({"inputs": {"age": [[1, 2, 3]], "town": [[{"b64": "/w=="}]]}}, settings.inputs)
    assert arrays["age"].dtype == "float32"
    assert arrays["town"].tolist() == [[b"\xff"]]


@pytest.mark.parametrize(
    "body",
    [
        None,
        {"inputs": 3},
        {"inputs": {"age": [[1, 2, 3]]}},
        {"inputs": {"age": [1, 2, 3], "town": [["Bern"]]}},
        {"inputs": {"age": [["x", 2, 3]], "town": [["Bern"]]}},
        {"inputs": {"age": [[1, 2, 3]], "town": [[3]]}},
        {"inputs": {"age": [[1, 2, 3]], "town": [["Bern"], []]}},
    ],
)
def test_a_request_that_the_model_does_not_take_is_refused(body: Any) -> None:
    tensors = program("tensors")
    settings = tensors.Settings.of("model", None, json.dumps(TABLE.as_mapping()))
    with pytest.raises(tensors.NoTensorError):
        tensors.read_inputs(body, settings.inputs)
