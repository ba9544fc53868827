"""When an environment is taken as built, and what happens to one that is not; no uv runs here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from bench.errors import ArtifactError, ServerFolderError
from bench.programs import environments
from bench.programs.environments import environment, environment_ready


def quiet(_: str) -> None:
    """Take progress and say nothing."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "environments"


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    file = tmp_path / "requirements.txt"
    file.write_text("flask==3.1.0\n")
    return file


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The uv commands that would have run; `uv venv` leaves an interpreter."""
    seen: list[list[str]] = []

    def step(command: list[str], *_: Any) -> None:
        seen.append(command)
        if command[1] == "venv":
            folder = Path(command[-1])
            (folder / "bin").mkdir(parents=True)
            (folder / "bin" / "python").symlink_to(sys.executable)

    monkeypatch.setattr(environments, "_uv_step", step)
    return seen


def test_an_environment_is_built_once_with_our_own_interpreter(steps: list[list[str]], requirements: Path) -> None:
    assert not environment_ready("toy", requirements)
    python = environment("toy", requirements, quiet)
    assert environment_ready("toy", requirements)
    assert environment("toy", requirements, quiet) == python
    assert [step[1] for step in steps] == ["venv", "pip"]
    assert sys.executable in steps[0]
    assert str(python) in steps[1]
    assert str(requirements) in steps[1]


def test_other_requirements_or_another_python_make_another_environment(
    steps: list[list[str]], requirements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [environment("toy", requirements, quiet)]
    monkeypatch.setattr("platform.python_version", lambda: "3.99.0")
    made.append(environment("toy", requirements, quiet))
    requirements.write_text("flask==3.1.1\n")
    made.append(environment("toy", requirements, quiet))
    made.append(environment("other", requirements, quiet))
    assert len(set(made)) == 4


def test_an_environment_without_its_marker_is_built_again(
    steps: list[list[str]], requirements: Path, cache: Path
) -> None:
    folder = environment("toy", requirements, quiet).parent.parent
    (folder / "complete").unlink()
    (folder / "left-over").touch()
    assert not environment_ready("toy", requirements)
    environment("toy", requirements, quiet)
    assert len(steps) == 4
    assert not (folder / "left-over").exists()


def test_an_environment_whose_interpreter_went_away_is_built_again(steps: list[list[str]], requirements: Path) -> None:
    python = environment("toy", requirements, quiet)
    python.unlink()
    python.symlink_to("/nowhere/python")
    assert not environment_ready("toy", requirements)
    environment("toy", requirements, quiet)
    assert len(steps) == 4


@pytest.mark.parametrize("failure", [ArtifactError("no network"), KeyboardInterrupt()])
def test_a_build_that_fails_or_is_interrupted_leaves_no_environment(
    failure: BaseException, requirements: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(command: list[str], *_: Any) -> None:
        if command[1] == "pip":
            raise failure
        Path(command[-1]).mkdir()

    monkeypatch.setattr(environments, "_uv_step", step)
    with pytest.raises(type(failure)):
        environment("toy", requirements, quiet)
    assert [entry for entry in cache.iterdir() if entry.is_dir()] == []


def test_requirements_that_are_not_there_are_the_server_folders_fault(tmp_path: Path) -> None:
    with pytest.raises(ServerFolderError, match="requirements of toy cannot be read"):
        environment_ready("toy", tmp_path / "absent.txt")


def test_without_uv_the_error_says_how_to_get_it(requirements: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ArtifactError, match="uv is not installed") as caught:
        environment("toy", requirements, quiet)
    assert caught.value.hint == "pip install uv"
