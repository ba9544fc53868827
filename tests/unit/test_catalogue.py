from __future__ import annotations

from pathlib import Path

import pytest

from bench import catalogue, server
from bench.cli import main
from bench.programs import docker, environments
from bench.server import Missing

KIND = """
from dataclasses import dataclass
from typing import ClassVar
from bench import server

@dataclass(frozen=True, kw_only=True)
class Server(server.Server):
    title: ClassVar[str] = "mine"
    requirements: ClassVar[str | None] = "requirements.txt"
    depth: int {default}
    def missing(self):
        {missing}
    def command(self, place): ...
    def wire(self, place): ...
"""


@pytest.mark.parametrize(
    ("default", "missing", "here", "reason"),
    [
        ("= 1", "return None", True, ""),
        ("= 1", "return server.Missing('no oven', 'buy one')", False, "no oven"),
        ("= 1", "raise OSError('odd')", False, "its check for what is missing failed: OSError('odd')"),
        ("", "raise OSError('never asked')", True, ""),
    ],
)
def test_a_kind_is_listed_with_what_it_needs_and_whether_that_is_here(
    default: str, missing: str, here: bool, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "server.py").write_text(KIND.format(default=default, missing=missing))
    (tmp_path / "mine" / "requirements.txt").write_text("nothing==1\n")
    monkeypatch.setattr(server, "kind_folders", lambda: (tmp_path,))
    (kind,) = catalogue.servers()
    assert (kind.name, kind.text, kind.here, kind.reason) == ("mine", "mine", here, reason)
    assert kind.needs == "an environment of its own: bench install mine"


def test_a_kind_whose_environment_is_not_built_yet_is_listed_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "server.py").write_text(KIND.format(default="= 1", missing="return None"))
    (tmp_path / "mine" / "requirements.txt").write_text("nothing==1\n")
    monkeypatch.setattr(server, "kind_folders", lambda: (tmp_path,))
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    (kind,) = catalogue.servers()
    assert (kind.here, kind.built) == (True, False)
    assert main(["list", "servers"]) == 0
    assert capsys.readouterr().out == "mine  not built  needs an environment of its own: bench install mine  mine\n"
    monkeypatch.setattr(environments, "_is_complete", lambda _: True)
    (kind,) = catalogue.servers()
    assert kind.built


def test_a_kind_that_cannot_be_imported_is_listed_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "server.py").write_text("import no_such_module")
    monkeypatch.setattr(server, "kind_folders", lambda: (tmp_path,))
    (kind,) = catalogue.servers()
    assert not kind.here
    assert "no_such_module" in kind.reason


def test_images_of_ones_own_need_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "find_engine", lambda: Missing("its engine does not answer", "docker info"))
    found = {kind.name: kind for kind in catalogue.servers()}
    assert (found["docker"].here, found["docker"].fix) == (False, "docker info")
    assert found["command"].here
    assert found["url"].here


def test_a_scenario_that_comes_with_bench_is_named_and_any_other_is_as_short_as_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert catalogue.scenario_argument(catalogue.find_scenario("smoke")) == "smoke"
    assert catalogue.scenario_argument(tmp_path / "mine" / "q.yaml") == "mine/q.yaml"
    assert catalogue.scenario_argument(tmp_path.parent / "q.yaml") == str(tmp_path.parent / "q.yaml")


def test_a_folder_of_the_same_name_is_not_what_is_meant_by_a_scenario_that_comes_with_bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "field").mkdir()
    (tmp_path / "mine").mkdir()
    assert catalogue.find_scenario("field").read_text()
    assert catalogue.find_scenario("mine") == Path("mine")
    (tmp_path / "smoke").write_text("name: mine")
    assert catalogue.find_scenario("smoke") == Path("smoke")
