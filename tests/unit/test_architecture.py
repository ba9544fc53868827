"""The rooms of `bench/` and their order, as ARCHITECTURE.md draws them, against what the code imports."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import bench

PACKAGE = Path(bench.__file__).parent
TEXT = (PACKAGE.parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
TABLE = TEXT.partition("| room |")[2].partition("\n\n")[0]
ROWS = [re.findall(r"`(\w+)/?`", line.split("|")[1]) for line in TABLE.splitlines()[2:]]
STOREY = {room: number for number, rooms in enumerate(ROWS) for room in rooms}
"""Where each room stands in the table; rooms of one row share a storey."""
ROOMS = sorted(
    path.stem
    for path in PACKAGE.iterdir()
    if path.suffix == ".py" or (path.is_dir() and (path / "__init__.py").is_file())
)
DOORS = {"__init__", "__main__"}


def imports(room: str) -> set[str]:
    """The rooms from which a room imports, types alone included."""
    place = PACKAGE / room
    files = place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]
    found: set[str] = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "bench":
                found |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bench."):
                found.add(str(node.module).split(".")[1])
            elif isinstance(node, ast.Import):
                found |= {name.name.split(".")[1] for name in node.names if name.name.startswith("bench.")}
    return (found & set(ROOMS)) - {room}


def test_every_room_has_its_row() -> None:
    assert set(ROOMS) - DOORS == set(STOREY)


@pytest.mark.parametrize("room", sorted(set(ROOMS) - DOORS))
def test_a_room_imports_only_from_those_above_it(room: str) -> None:
    assert {other for other in imports(room) if STOREY[other] > STOREY[room]} == set()
