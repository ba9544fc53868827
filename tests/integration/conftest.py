"""What the integration tests share: one small model, built once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.model.artifact import build_model, build_reference
from bench.model.files import ModelFiles, ModelSpec, Reference
from bench.payload.photos import Photo, load_photos


@pytest.fixture(scope="session", autouse=True)
def bench_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache of this test session: BENCH_CACHE if it is set, else a temporary folder put in its place.

    Processes that share the tests share the folder, too: a model or an environment is built once for both.
    """
    given = os.environ.get("BENCH_CACHE")
    if given:
        yield Path(given)
        return
    with pytest.MonkeyPatch.context() as patch:
        base = tmp_path_factory.getbasetemp()
        folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
        folder.mkdir(exist_ok=True)
        patch.setenv("BENCH_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def b0_model(bench_cache: Path) -> tuple[ModelFiles, Reference, tuple[Photo, ...]]:
    """EfficientNetB0 with random weights, its reference outputs, and the sample photos that they belong to."""
    photos = load_photos("sample", Path())
    model = build_model(ModelSpec("EfficientNetB0", None), photos, lambda _: None)
    return model, build_reference(model, photos, lambda _: None), photos
