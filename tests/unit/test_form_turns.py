"""The forms of a model asked in turn: who is asked when, what becomes of a process that ends, and what is printed."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.cli import main
from bench.errors import ScenarioError
from bench.forms.building import FormFigures
from bench.forms.form_asking import Asked, Held, in_turn
from bench.measures.stats import Interval
from bench.running.form_turns import FormsInTurn, FormSpeed, forms_in_turn
from bench.scenario.scenario import load_scenario

GOOD = "question: q?\nmodel: {keras_application: EfficientNetB0}\nservers: {a: {kind: flask}}\n"


class Process:
    """A child that has said these lines and, where it did not live to say one, ended with a code."""

    def __init__(self, *said: object, code: int = 0) -> None:
        self.stdin = io.StringIO()
        self.stdout = io.StringIO("".join(f"{json.dumps(line)}\n" for line in said))
        self._code = code

    def wait(self) -> int:
        return self._code


def _asked(process: Process, log: Path = Path("/nowhere")) -> Asked:
    return Asked(process, log)  # type: ignore[arg-type]  # all that is used of one


def test_each_form_is_asked_once_a_round_in_an_order_that_changes_and_repeats() -> None:
    def orders(seed: int) -> list[str]:
        order: list[str] = []
        said: list[str] = []

        class Remembering:
            def __init__(self, name: str) -> None:
                self.name = name

            def turn(self) -> tuple[float, ...]:
                order.append(self.name)
                return (0.1, 0.2)

        held: Any = {name: Remembering(name) for name in "abcd"}
        assert in_turn(held, 6, seed, said.append) == {name: [0.1, 0.2] * 6 for name in "abcd"}
        assert len(said) == 2
        return order

    rounds = [tuple(orders(1)[at : at + 4]) for at in range(0, 24, 4)]
    assert {tuple(sorted(one)) for one in rounds} == {("a", "b", "c", "d")}
    assert len(set(rounds)) > 1
    assert orders(1) == orders(1) != orders(2)


def test_a_process_says_what_it_took_to_hold_the_form_and_then_its_times() -> None:
    asked = _asked(Process({"memory_bytes": 5, "process_bytes": 9, "load_seconds": 0.5}, {"seconds": [0.25, 0.5]}))
    assert asked.held == Held(5, 9, 0.5)
    assert asked.turn(2) == (0.25, 0.5)
    assert asked.turn(2) == ()  # it has ended


def test_a_process_that_was_killed_or_refuses_is_no_form_and_says_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("Traceback\nMemoryError: 5 GB\n")
    assert "killed by SIGKILL, the machine may have run out of memory" in _asked(Process(code=-9)).held.failure
    assert _asked(Process(code=1), log).held.failure == "its process ended with exit code 1: MemoryError: 5 GB"
    assert _asked(Process({"failure": "no such operator"})).held == Held(failure="no such operator")


FAST = FormFigures("litert", "litert", 21_000_000, 8.0, 3, 2, 0.4, "", 19_000_000, 63_000_000, 150_000_000, 0.04)
BROKEN = FormFigures("onnx", "onnx", None, failure="no such operator: \x1b[31mFrobnicate")


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    asked: list[int] = []

    def found(_: object, *, rounds: int, say: object) -> FormsInTurn:
        asked.append(rounds)
        speeds = (FormSpeed(FAST, Interval(0.01, 0.009, 0.012), 60), FormSpeed(BROKEN, None, 0))
        return FormsInTurn("B0", "ONNX Runtime", 3, 2, rounds, 1, 0.5, speeds)

    monkeypatch.setattr("bench.running.form_turns.forms_in_turn", found)
    file = tmp_path / "s.yaml"
    file.write_text(GOOD)
    return file


def test_the_table_has_size_memory_and_accuracy_beside_speed(
    scenario: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["forms", str(scenario), "--rounds", "7"]) == 0
    head, fast, broken, *notes = capsys.readouterr().out.splitlines()
    for column in ("p50", "same class", "differs by", "on disk", "zipped", "memory", "built in"):
        assert column in head
    for cell in ("litert", "10.0 ms", "2 of 3", "0.4", "21.0 MB", "63.0 MB", "8.00 s"):
        assert cell in fast
    assert broken.split() == ["onnx", *["-"] * 9]
    assert any(line.startswith("onnx is not there") and "Frobnicate" in line for line in notes)
    assert "\x1b" not in "".join(notes)
    assert "7 rounds" in " ".join(notes)
    assert any("beside what ONNX Runtime answers with the model as it was given" in line for line in notes)


def test_the_same_as_json(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forms", str(scenario), "--format", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["forms"][0]["figures"]["memory_bytes"] == 63_000_000
    assert said["forms"][0]["p50"]["low"] == 0.009
    assert said["forms"][1]["p50"] is None


def test_a_scenario_without_a_model_has_no_forms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("question: q?\nservers: {a: {kind: echo}}\n")
    assert main(["forms", str(file)]) == 2
    assert f"{file}" in capsys.readouterr().err
    assert main(["forms", str(file), "--rounds", "0"]) == 2


def test_forms_of_a_model_that_takes_no_photos_are_refused_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_bytes(b"PK")
    file = tmp_path / "s.yaml"
    file.write_text("question: q?\nmodel: {path: m.keras}\npayload: {generate: {}}\nservers: {a: {kind: tfserving}}\n")
    with pytest.raises(ScenarioError, match="models of photos only, and this one is asked with tensors") as refused:
        forms_in_turn(load_scenario(file), rounds=1, say=lambda _: None)
    assert str(refused.value.where).endswith("s.yaml:3")
    assert "images" not in refused.value.hint  # which it cannot take


def test_the_fastest_comes_first_and_what_failed_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.running import form_turns

    def timed(*_: object) -> dict[str, Sequence[float]]:
        return {"slow": (0.3, 0.3), "litert": (0.1, 0.1)}

    slow = FormFigures("slow", "h5", 1)
    file = tmp_path / "s.yaml"
    file.write_text(GOOD)
    model = SimpleNamespace(name="B0", missing={}, answered_by="Keras")
    outputs = tmp_path / "right.npy"
    np.save(outputs, np.zeros((3, 2), np.float32))
    monkeypatch.setattr(form_turns, "photo_model", lambda *_: (model, SimpleNamespace(outputs=outputs)))
    monkeypatch.setattr(form_turns, "build_forms", lambda *_: SimpleNamespace(figures=(BROKEN, slow, FAST), files={}))
    monkeypatch.setattr(form_turns, "decoded_images", lambda *_: SimpleNamespace(file=Path()))
    monkeypatch.setattr(form_turns, "_timed", timed)
    found = forms_in_turn(load_scenario(file), rounds=2, say=lambda _: None)
    assert [it.figures.name for it in found.forms] == ["litert", "slow", "onnx"]
    assert [it.n for it in found.forms] == [2, 2, 0]
