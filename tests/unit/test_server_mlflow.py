from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from bench.errors import AnswerError
from bench.model.files import ModelFiles
from bench.server import Place, known_kinds, load_kind

KIND: Any = load_kind(known_kinds()["mlflow"])
MODEL = ModelFiles("m", Path("/m"), Path("/m/m.h5"), Path("/m/m.keras"), Path("/m/saved_model"), 224, 240, 1000, {})


def place(folder: Path) -> Place:
    return Place("127.0.0.1", (20123,), MODEL, folder, Path("/venv/bin/python"), 4)


def test_a_request_is_a_table_of_one_photo(tmp_path: Path) -> None:
    request = KIND().wire(place(tmp_path)).request(b"\xff\xd8 photo")
    table = json.loads(request.body)["dataframe_split"]
    assert (request.target, table["columns"]) == ("/invocations", ["image"])
    assert b64decode(table["data"][0][0]) == b"\xff\xd8 photo"


def test_an_answer_is_the_one_row_of_predictions(tmp_path: Path) -> None:
    wire = KIND().wire(place(tmp_path))
    assert wire.answer(b'{"predictions": [[0.25, 0.75]]}').tolist() == [0.25, 0.75]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"predictions": []}', b'{"predictions": [[1], [2]]}', b'{"error": "x"}']
)
def test_what_is_no_row_of_predictions_is_refused(body: bytes, tmp_path: Path) -> None:
    with pytest.raises(AnswerError):
        KIND().wire(place(tmp_path)).answer(body)


def test_the_model_folder_names_the_loader_and_the_cores_are_shared_out(tmp_path: Path) -> None:
    command = KIND(processes=2).command(place(tmp_path))
    described = json.loads((Path(command.env["__pyfunc_model_path__"]) / "MLmodel").read_text())
    assert described["flavors"]["python_function"]["loader_module"] == "bench_loader"
    assert command.env["MODEL_THREADS"] == command.env["OMP_NUM_THREADS"] == "2"
    assert "--host=127.0.0.1" in command.argv
