"""Engines behind the kinds that have the key, each in its own environment, by the conformance test.

Every kind and every engine without TensorFlow comes up at least once; that each pair is told the same is a unit test.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.forms.building import REQUIREMENTS
from bench.forms.engines import EngineName
from bench.programs.environments import environment_ready
from bench.running.conformance import examine
from bench.server import known_kinds, load_kind

pytestmark = [pytest.mark.integration, pytest.mark.tensorflow]


@pytest.mark.parametrize(
    ("kind", "engine"),
    [
        ("fastapi", "onnxruntime"),
        ("fastapi", "openvino"),
        ("fastapi", "litert"),
        ("flask", "litert"),
        ("gunicorn", "openvino"),
        pytest.param("triton", "onnxruntime", marks=pytest.mark.triton),
    ],
)
def test_an_engine_answers_as_keras_does_without_tensorflow(kind: str, engine: EngineName, bench_cache: Path) -> None:
    """Decoding included: its photos are read by another library, and its answers have to be the reference's."""
    folder = known_kinds()[kind]
    server = load_kind(folder)(engine=engine)  # type: ignore[call-arg]  # a key of these kinds
    if missing := server.missing():
        pytest.skip(missing.reason)
    pinned = folder / str(server.requirements)
    if not (environment_ready("forms", REQUIREMENTS) and environment_ready(pinned.parent.name, pinned)):
        pytest.skip("its environments would take minutes to build; `bench run scenarios/optimise-the-model.yaml` does")
    steps = list(examine(folder, say=lambda _: None, watch=(), set=[f"engine={engine}"]))
    assert [step.name for step in steps if not step.ok] == []
    assert "answers right" in [step.name for step in steps]
