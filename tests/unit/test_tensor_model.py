"""A model of any inputs in the cache; no TensorFlow here."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import ScenarioError
from bench.model import tensor_model
from bench.model.files import ModelSpec
from bench.model.tensor_model import MOST_COMPARED, build_tensor_model, judged_reference
from bench.payload.examples import Example
from bench.payload.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "float32", (None, 3)),), (TensorSpec("y", "float32", (None, 1)),))


def quiet(_: str) -> None:
    """Take progress and say nothing."""


def _keras(file: Path, weights: str) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", json.dumps({"weights": weights}))
    return file


def _run(_program: Path, job: dict[str, Any], folder: Path, *_rest: Any) -> None:
    """What the child writes, small."""
    (folder / "model.keras").write_bytes(Path(job["model"]).read_bytes())
    (folder / "saved_model" / "1").mkdir(parents=True)
    facts = {"signature": SIGNATURE.as_mapping(), "missing": {"h5": "a table of words is not in it"}}
    (folder / "model.json").write_text(json.dumps(facts))


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tensor_model, "run_child", _run)
    return tmp_path / "cache" / "models"


def test_a_model_file_that_is_replaced_while_it_is_loaded_is_refused_and_not_kept(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModelSpec(None, _keras(tmp_path / "m.keras", "old"))

    def run_meanwhile(*job: Any) -> None:
        _keras(tmp_path / "m.keras", "new")
        _run(*job)

    monkeypatch.setattr(tensor_model, "run_child", run_meanwhile)
    with pytest.raises(ScenarioError, match="the file of model m changed while it was read"):
        build_tensor_model(spec, (), quiet)
    assert [entry.name for entry in models.iterdir() if entry.suffix != ".lock"] == []


def test_the_keras_file_stands_in_for_an_h5_file_that_cannot_hold_the_model(tmp_path: Path) -> None:
    said: list[str] = []
    model = build_tensor_model(ModelSpec(None, _keras(tmp_path / "m.keras", "any")), (), said.append)
    assert model.file("h5") == model.file("keras") == model.folder / "model.keras"
    assert model.size_bytes["h5"] == model.size_bytes["keras"]
    assert model.really("h5") == "keras"
    (sentence,) = said
    assert sentence.endswith("a table of words is not in it")


def test_of_many_examples_some_hundred_are_held_to_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[None] = []
    apart = tensor_model._apart

    def counted(*answers: Any) -> float:
        compared.append(None)
        return apart(*answers)

    monkeypatch.setattr(tensor_model, "_apart", counted)
    numbers = tuple(np.array([number], np.float32) for number in range(10_000))
    examples = [Example(str(number), {"x": each}) for number, each in enumerate(numbers)]
    reference = judged_reference(Path("outputs.npz"), "m", examples, numbers)
    assert 0.8 * MOST_COMPARED**2 < len(compared) < MOST_COMPARED**2
    assert reference.photo_distance == pytest.approx(2_500, rel=0.02)  # to half of the others, from the middle of all
