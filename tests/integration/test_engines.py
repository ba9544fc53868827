"""FastAPI around runtimes without TensorFlow, each in its own environment, by the conformance test."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.conformance import examine
from bench.engines import Computation, EngineName
from bench.environments import environment_ready
from bench.forms import REQUIREMENTS
from bench.server import known_kinds

pytestmark = [pytest.mark.integration, pytest.mark.tensorflow]


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "litert"])
def test_an_engine_answers_as_keras_does_without_tensorflow(engine: EngineName, bench_cache: Path) -> None:
    """Decoding included: its photos are read by another library, and its answers have to be the reference's."""
    folder = known_kinds()["fastapi"]
    ready = environment_ready("forms", REQUIREMENTS)
    if not (ready and environment_ready("engines", Path(Computation(engine).requirements))):
        pytest.skip("its environments would take minutes to build; `bench run scenarios/optimise-the-model.yaml` does")
    steps = list(examine(folder, say=lambda _: None, watch=(), set=[f"engine={engine}"]))
    assert [step.name for step in steps if not step.ok] == []
    assert "answers right" in [step.name for step in steps]
