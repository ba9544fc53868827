"""Where the cache lies, and what is told where it cannot be written."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from bench.cache import built_beside, cache_folder, locked
from bench.errors import ArtifactError, ScenarioError


def quiet(_: str) -> None:
    """Take progress and say nothing."""


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"BENCH_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/serving-bench"),
        ({"HOME": "/home/someone"}, "/home/someone/.cache/serving-bench"),
        ({"HOME": "/home/someone", "BENCH_CACHE": ""}, "/home/someone/.cache/serving-bench"),
    ],
)
def test_the_cache_is_where_the_environment_says(
    variables: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)


def test_a_cache_that_cannot_be_made_names_the_variable_that_moves_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtifactError, match="cannot be written") as caught, locked(tmp_path / "file" / "l", quiet, "x"):
        pass
    assert "BENCH_CACHE" in caught.value.hint


def test_what_is_built_takes_its_place_only_once_it_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "m"
    with built_beside(folder, lambda: folder) as building:
        (building / "weights").write_text("all")
        assert not folder.exists()
    assert (folder / "weights").read_text() == "all"
    with contextlib.suppress(ArtifactError), built_beside(folder, lambda: folder) as building:
        (building / "weights").write_text("half")
        raise ArtifactError("it broke")
    assert (folder / "weights").read_text() == "all"
    with built_beside(folder, lambda: folder) as building:
        assert not list(building.iterdir())  # of the build that broke


@pytest.mark.parametrize("broke", [False, True])
def test_what_is_built_of_a_file_that_was_replaced_meanwhile_is_not_kept_under_the_name_of_the_old_one(
    tmp_path: Path, broke: bool
) -> None:
    model, folder = tmp_path / "m.keras", tmp_path / "models" / "m-old"
    model.write_text("old")

    def build() -> None:
        with built_beside(folder, lambda: folder.with_name(f"m-{model.read_text()}")) as building:
            (building / "weights").write_text("new")
            model.write_text("new")
            if broke:
                raise ArtifactError("half of a file cannot be loaded")

    with pytest.raises(ScenarioError, match="the file of model m changed while it was read") as caught:
        build()
    assert caught.value.hint.startswith("run again")
    assert list(folder.parent.iterdir()) == []


def test_a_file_that_was_taken_away_while_it_was_read_has_changed(tmp_path: Path) -> None:
    def gone() -> Path:
        raise ScenarioError("model m.keras does not exist")

    with pytest.raises(ScenarioError, match="changed while it was read"), built_beside(tmp_path / "m-1", gone):
        pass
