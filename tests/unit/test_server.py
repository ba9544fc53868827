from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from bench.errors import ServerFolderError
from bench.server import find_kind, known_kinds, load_kind

GOOD = """
from dataclasses import dataclass
from typing import ClassVar
from bench import server

@dataclass(frozen=True, kw_only=True)
class Server(server.Server):
    title: ClassVar[str] = "mine"
    depth: int = 1
    def command(self, place): ...
    def wire(self, place): ...
"""


def _folder(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "server.py").write_text(text)
    return folder


def _asks(kind: str) -> bool:
    return any(
        field.default is MISSING and field.default_factory is MISSING
        for field in fields(load_kind(known_kinds()[kind]))
    )


@pytest.mark.parametrize("kind", sorted(known_kinds()))
def test_every_kind_that_comes_with_bench_has_a_title_and_takes_its_own_defaults(kind: str) -> None:
    server = load_kind(known_kinds()[kind])
    assert server.title
    assert server.start_timeout_s > 0
    if not _asks(kind):
        server()


def test_only_kinds_of_a_person_s_own_server_or_model_have_keys_without_a_default() -> None:
    ask = set(filter(_asks, known_kinds()))
    assert ask == {"command", "docker", "url", "deepdetect", "clipper"}, "any other kind is `{kind: NAME}`, no more"


def test_a_kind_may_be_a_path_beside_the_scenario(tmp_path: Path) -> None:
    folder = _folder(tmp_path, GOOD)
    assert find_kind("./mine", tmp_path) == folder
    assert load_kind(folder).title == "mine"


def test_a_kind_is_imported_once(tmp_path: Path) -> None:
    folder = _folder(tmp_path, GOOD)
    assert load_kind(folder) is load_kind(folder)


@pytest.mark.parametrize("kind", ["no-such-kind", "./nothing-here", "../.."])
def test_a_folder_that_is_no_kind_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ServerFolderError) as failure:
        find_kind(kind, tmp_path)
    assert failure.value.hint


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import no_such_module_here", "cannot be imported"),
        ("x = (", "cannot be imported"),
        ("Server = 1", "defines no"),
    ],
)
def test_a_server_py_that_is_no_server_is_refused_with_its_path(text: str, complaint: str, tmp_path: Path) -> None:
    folder = _folder(tmp_path, text)
    with pytest.raises(ServerFolderError, match=complaint) as failure:
        load_kind(folder)
    assert failure.value.where == str(folder / "server.py")


def test_a_server_py_may_import_modules_beside_it(tmp_path: Path) -> None:
    folder = _folder(tmp_path, GOOD.replace("depth: int = 1", "depth: int = DEPTH") + "\n")
    (folder / "depths.py").write_text("DEPTH = 7\n")
    server_py = folder / "server.py"
    server_py.write_text("from .depths import DEPTH\n" + server_py.read_text())
    assert load_kind(folder).depth == 7  # type: ignore[attr-defined]
