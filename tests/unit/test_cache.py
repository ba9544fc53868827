"""Where the cache lies, and what is told where it cannot be written."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from bench.cache import built_beside, cache_folder, locked
from bench.errors import ArtifactError


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
    with built_beside(folder) as building:
        (building / "weights").write_text("all")
        assert not folder.exists()
    assert (folder / "weights").read_text() == "all"
    with contextlib.suppress(ArtifactError), built_beside(folder) as building:
        (building / "weights").write_text("half")
        raise ArtifactError("it broke")
    assert (folder / "weights").read_text() == "all"
    with built_beside(folder) as building:
        assert not list(building.iterdir())  # of the build that broke
