"""MLServer's kind: what is written for it, and which wire is spoken."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.protocols.kserve import KServeGrpc, KServeJson
from bench.server import Place, known_kinds, load_kind

Server: Any = load_kind(known_kinds()["mlserver"])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    model: Any = SimpleNamespace(saved_model=tmp_path / "saved", classes=10)
    return Place("127.0.0.1", (20123, 20124, 20125), model, tmp_path, Path(sys.executable), 2)


def settings(server: Any, place: Place) -> tuple[dict[str, Any], dict[str, Any]]:
    folder = Path(server.command(place).argv[-1])
    model = json.loads((folder / "classifier" / "model-settings.json").read_text())
    return json.loads((folder / "settings.json").read_text()), model


def test_every_port_is_ours_and_on_loopback(place: Place) -> None:
    own, _ = settings(Server(), place)
    assert (own["host"], own["http_port"], own["grpc_port"], own["metrics_port"]) == ("127.0.0.1", *place.ports)
    assert (own["debug"], own["gzip_enabled"]) == (False, False), "both are on by default"


@pytest.mark.parametrize(
    ("keys", "sizes"),
    [({}, (0, 0.0)), ({"batching": sys.modules[Server.__module__].Batching(16, 0.005)}, (16, 0.005))],
)
def test_batching_is_off_unless_asked_for(keys: dict[str, Any], sizes: tuple[int, float], place: Place) -> None:
    _, model = settings(Server(**keys), place)
    assert (model["max_batch_size"], model["max_batch_time"]) == sizes


@pytest.mark.parametrize(("workers", "threads"), [(0, "2"), (1, "2"), (2, "1")])
def test_the_cores_are_shared_out_among_its_processes(workers: int, threads: str, place: Place) -> None:
    assert Server(parallel_workers=workers).command(place).env["TF_NUM_INTRAOP_THREADS"] == threads


def test_each_protocol_has_its_port_and_its_wire(place: Place) -> None:
    rest, grpc = Server(protocol="rest"), Server()
    assert (rest.load_port, grpc.load_port) == (0, 1)
    assert isinstance(rest.wire(place), KServeJson)
    assert isinstance(grpc.wire(place), KServeGrpc)


def test_a_model_that_it_goes_on_without_is_told() -> None:
    assert "could not load the model" in Server().explain("... Couldn't load model 'classifier'. ...", None)
    assert Server().explain("Loaded model 'classifier' successfully.", None) is None


def test_a_python_that_it_refuses_keeps_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 13, 0, "final", 0))
    assert "needs Python 3.12 or older" in Server().missing().reason
