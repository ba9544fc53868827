from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.errors import LaunchError
from bench.model.files import ModelFiles
from bench.protocols.plain import PlainJson
from bench.server import Place, Server, known_kinds, load_kind

KIND = load_kind(known_kinds()["flask"])
MODEL = ModelFiles("m", Path("/m"), Path("/m/m.h5"), Path("/m/m.keras"), Path("/m/saved_model"), 224, 240, 1000, {})
PLACE = Place("127.0.0.1", (20123,), MODEL, Path("/scratch"), Path("/venv/bin/python"), 2)


def flask(**keys: object) -> Server:
    return KIND(**keys)


def test_it_runs_the_app_beside_it_with_the_interpreter_of_the_place() -> None:
    command = flask().command(PLACE)
    assert command.argv == ("/venv/bin/python", str(known_kinds()["flask"] / "app.py"))
    assert command.cwd == Path("/scratch")


def test_it_serves_the_training_artefact_on_the_port_it_was_given() -> None:
    env = flask().command(PLACE).env
    assert (env["HOST"], env["PORT"], env["MODEL_PATH"]) == ("127.0.0.1", "20123", "/m/m.h5")
    assert (env["IMAGE_HEIGHT"], env["IMAGE_WIDTH"]) == ("224", "240")
    assert KIND.model_form == "h5"


@pytest.mark.parametrize(
    ("keys", "threaded", "reload"),
    [({}, "true", "false"), ({"threaded": False}, "false", "false"), ({"load_per_request": True}, "true", "true")],
)
def test_its_keys_reach_the_app(keys: dict[str, bool], threaded: str, reload: str) -> None:
    env = flask(**keys).command(PLACE).env
    assert (env["THREADED"], env["LOAD_PER_REQUEST"]) == (threaded, reload)


def test_inherited_variables_cannot_turn_on_debug_mode_or_keep_it_from_listening() -> None:
    env = flask().command(PLACE).env
    assert env["FLASK_DEBUG"] == "0"
    assert env["FLASK_RUN_FROM_CLI"] == "false"


@pytest.mark.parametrize("model", [None, replace(MODEL, h5=None)])
def test_without_a_training_artefact_it_says_so(model: ModelFiles | None) -> None:
    with pytest.raises(LaunchError, match="h5"):
        flask().command(replace(PLACE, model=model))


def test_it_speaks_plain_json_and_names_the_versions_that_ran() -> None:
    assert flask().wire(PLACE) == PlainJson()
    version = flask().version(PLACE)
    assert all(name in version for name in ("flask 3", "werkzeug 3", "keras 3", "tensorflow 2"))
