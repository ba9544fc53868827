"""Files arrive byte for byte, whatever their size, and nobody can ask for another file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load import transfer
from bench.load.transfer import LinkError, fetch, read_chunk


@given(contents=st.lists(st.binary(max_size=50), min_size=1, max_size=3), chunk=st.integers(1, 20))
def test_files_arrive_as_they_are(contents: list[bytes], chunk: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    here, there = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there")
    names = [f"file-{number}" for number in range(len(contents))]
    for name, data in zip(names, contents, strict=True):
        (there / name).write_bytes(data)

    def ask(name: str, offset: int) -> Mapping[str, Any]:
        return read_chunk(there, names, {"job": 1, "file": name, "offset": offset})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer, "CHUNK_BYTES", chunk)
        assert fetch(here, names, ask) == sum(map(len, contents))
    assert [(here / name).read_bytes() for name in names] == contents


def test_a_file_that_is_not_there_arrives_empty(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    fetch(
        tmp_path / "here", ["a"], lambda name, at: read_chunk(tmp_path, ["a"], {"job": 1, "file": name, "offset": at})
    )
    assert (tmp_path / "here" / "a").read_bytes() == b""


def test_only_files_of_the_trial_are_given(tmp_path: Path) -> None:
    for name in ("../secret", "/etc/passwd", "other"):
        with pytest.raises(LinkError, match="no such file"):
            read_chunk(tmp_path, ["a"], {"job": 1, "file": name, "offset": 0})


@pytest.mark.parametrize(
    "chunk",
    [
        {"file": "b", "offset": 0, "size": 1, "data": b"x"},
        {"file": "a", "offset": 7, "size": 8, "data": b"x"},
        {"file": "a", "offset": 0, "size": 8, "data": b""},
    ],
)
def test_a_chunk_that_was_not_asked_for_is_refused(chunk: Mapping[str, Any], tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="another part"):
        fetch(tmp_path, ["a"], lambda *_: chunk)
