from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bench.errors import LaunchError
from bench.model.files import ModelFiles
from bench.protocols.plain import PlainJson
from bench.server import Computing, Place, known_kinds, load_kind

KIND: Any = load_kind(known_kinds()["gunicorn"])
MODEL = ModelFiles("m", Path("/m"), Path("/m/m.h5"), Path("/m/m.keras"), Path("/m/saved_model"), 224, 240, 1000, {})
PLACE = Place("127.0.0.1", (20123,), MODEL, Path("/scratch"), Path("/venv/bin/python"), 4)


def flags(**keys: object) -> dict[str, str]:
    argv = KIND(**keys).command(PLACE).argv
    return {name: value for name, _, value in (flag.partition("=") for flag in argv if flag.startswith("--"))}


def test_it_serves_the_app_of_flask_and_not_a_copy() -> None:
    command = KIND().command(PLACE)
    assert command.argv[:3] == ("/venv/bin/python", "-m", "gunicorn")
    assert command.argv[-1] == "app:app"
    assert Path(flags()["--chdir"]) == known_kinds()["flask"]
    assert not (known_kinds()["gunicorn"] / "app.py").exists()


def test_it_never_preloads_nor_opens_a_control_socket_and_binds_to_the_place() -> None:
    given = flags()
    assert "--preload" not in given
    assert "--no-control-socket" in given
    assert given["--bind"] == "127.0.0.1:20123"
    assert KIND().command(PLACE).env["GUNICORN_CMD_ARGS"] == ""


@pytest.mark.parametrize(
    ("keys", "worker_class"),
    [
        ({}, "sync"),
        ({"threads": 4}, "gthread"),
        ({"worker_class": "gthread"}, "gthread"),
        ({"worker_class": "gevent"}, "gevent"),
    ],
)
def test_the_worker_class_that_really_runs_is_written_out(keys: dict[str, object], worker_class: str) -> None:
    assert flags(**keys)["--worker-class"] == worker_class
    assert f"({worker_class})" in KIND(**keys).version(PLACE)


def test_threads_with_gevent_are_refused_because_gunicorn_would_ignore_them() -> None:
    with pytest.raises(ValueError, match="gevent"):
        KIND(worker_class="gevent", threads=2)


@pytest.mark.parametrize(("workers", "threads"), [(1, "4"), (2, "2"), (3, "1"), (8, "1")])
def test_workers_times_tensorflow_threads_stay_within_the_cores(workers: int, threads: str) -> None:
    env = KIND(workers=workers).command(PLACE).env
    assert env["TF_NUM_INTRAOP_THREADS"] == env["TF_NUM_INTEROP_THREADS"] == env["OMP_NUM_THREADS"] == threads
    assert KIND(workers=workers).workers == workers


def test_there_is_a_worker_on_each_core_that_memory_is_there_for(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[KIND.__module__]
    monkeypatch.setattr(module, "memory_bytes", lambda: 64 << 30)
    assert KIND().workers_at(PLACE) == PLACE.cores == 4
    assert "--workers=4" in KIND().command(PLACE).argv
    monkeypatch.setattr(module, "memory_bytes", lambda: 7 << 30)
    assert KIND().computing(PLACE) == Computing(processes=3, threads=1)
    monkeypatch.setattr(module, "memory_bytes", lambda: None)
    assert KIND().workers_at(PLACE) == 1
    assert KIND(workers=9).workers_at(PLACE) == 9


def test_tensorflow_threads_can_be_chosen() -> None:
    assert KIND(tf_threads=3).command(PLACE).env["TF_NUM_INTRAOP_THREADS"] == "3"


@pytest.mark.parametrize("model", [None, replace(MODEL, h5=None)])
def test_without_a_training_artefact_it_says_so(model: ModelFiles | None) -> None:
    with pytest.raises(LaunchError, match="h5"):
        KIND().command(replace(PLACE, model=model))


def test_it_speaks_plain_json() -> None:
    assert KIND().wire(PLACE) == PlainJson()


def config() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gunicorn_conf", known_kinds()["gunicorn"] / "gunicorn_conf.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("status", ["200 OK", "500 INTERNAL SERVER ERROR"])
def test_every_reply_of_the_app_carries_the_worker_that_gave_it(status: str) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(status, [("Content-Type", "text/plain")])
        return [b"body"]

    started: list[tuple[str, list[tuple[str, str]]]] = []
    body = config().stamped(application, 4711)({}, lambda *given: started.append(given))
    assert list(body) == [b"body"]
    assert started == [(status, [("Content-Type", "text/plain"), ("X-Worker", "4711")])]
    assert "gunicorn_conf" not in sys.modules
