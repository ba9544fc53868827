"""FastAPI, LitServe, BentoML, MLflow and MLServer for real, in environments of their own, by the conformance test."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.programs.environments import environment_ready
from bench.running.conformance import examine
from bench.server import known_kinds

pytestmark = [pytest.mark.integration, pytest.mark.tensorflow]


@pytest.mark.parametrize("kind", ["fastapi", "litserve", "bentoml", "mlflow", "mlserver"])
def test_it_starts_answers_as_the_model_does_refuses_nonsense_and_leaves_nothing(kind: str, bench_cache: Path) -> None:
    folder = known_kinds()[kind]
    if kind != "fastapi" and not environment_ready(kind, folder / "requirements.txt"):
        pytest.skip(f"its environment would take a minute to build; `bench install {kind}` builds it")
    steps = list(examine(folder, say=lambda _: None, watch=()))
    assert [step.name for step in steps if not step.ok] == []
