from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from bench.errors import LaunchError
from bench.programs.docker import Container, Engine, Image, contained, find_engine, find_image, one_round
from bench.server import Command, Missing, Place, known_kinds, load_kind


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program named docker, the only one on PATH, which says what the test writes into it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "docker").touch(0o755)
    return tmp_path / "docker"


def says(docker: Path, script: str) -> None:
    docker.write_text(f"#!/bin/sh\n{script}\n")


def test_without_docker_there_is_neither_engine_nor_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = Missing("docker is not on PATH", "https://docs.docker.com/engine/install")
    assert find_engine() == find_image("i") == missing
    with pytest.raises(LaunchError, match="docker is not on PATH"):
        contained(Command(("program",)), Container(image="i"))


@pytest.mark.parametrize(
    ("said", "reason", "fix"),
    [
        ("Cannot connect to the Docker daemon at X. Is the docker daemon running?", "connect to the Docker d", "start"),
        ("ERROR: permission denied while trying to connect", "answer: permission denied", "usermod"),
        ("", "no reason given", "start"),
    ],
)
def test_an_engine_that_does_not_answer_is_told_with_what_helps(docker: Path, said: str, reason: str, fix: str) -> None:
    says(docker, f"echo '{said}' >&2; exit 1")
    for missing in (find_engine(), find_image("i")):
        assert isinstance(missing, Missing)
        assert reason in missing.reason
        assert "daemon running" not in missing.reason
        assert fix in missing.fix


def test_a_rootless_engine_is_recognised(docker: Path) -> None:
    says(docker, "echo '28.1 [name=seccomp,profile=builtin name=rootless]'")
    assert find_engine() == Engine("28.1", rootless=True)
    says(docker, "echo '28.1 [name=seccomp,profile=builtin]'")
    assert find_engine() == Engine("28.1", rootless=False)


def test_an_image_has_the_digest_of_its_registry_or_else_its_own_id(docker: Path) -> None:
    says(docker, """echo 'sha256:own ["a/b@sha256:there","c/d@sha256:other"]'""")
    assert find_image("a/b:1") == Image("a/b:1", "sha256:there")
    says(docker, "echo 'sha256:own null'")
    assert find_image("a/b:1") == Image("a/b:1", "sha256:own")


@pytest.mark.parametrize(("options", "has_user"), [("name=rootless", False), ("name=seccomp", True)])
def test_a_container_runs_under_our_user_unless_its_root_is_that_already(
    docker: Path, options: str, has_user: bool
) -> None:
    says(docker, f"""test "$1" = info && echo '28.1 [{options}]' || echo 'sha256:own []'""")
    assert ("--user" in contained(Command(("program",)), Container(image="i")).argv) is has_user


def test_what_a_container_is_given_is_on_the_command_line(docker: Path) -> None:
    says(docker, """test "$1" = info && echo '28.1 []' || echo 'sha256:own []'""")
    folders = {Path("/model"): False, Path('/odd, "folder"'): True}
    container = Container(image="i:1", folders=folders, ports=(8500,), cpuset="0-1", memory_bytes=7, gpus="all")
    made = contained(Command(("program", "--port=8500"), {"A": "b c"}, Path("/odd")), container)
    line = "\n".join(made.argv)
    for part in (
        "run\n--name\nserving-bench-",
        "--pull\nnever",
        "--publish\n127.0.0.1:8500:8500",
        "--mount\ntype=bind,source=/model,target=/model,readonly",
        '--mount\ntype=bind,"source=/odd, ""folder""","target=/odd, ""folder"""',
        "--workdir\n/odd",
        "--cpuset-cpus\n0-1",
        "--memory\n7\n--memory-swap\n7",
        "--gpus\nall",
        "--env\nA=b c",
    ):
        assert part in line
    assert line.endswith("--entrypoint\nprogram\ni:1\n--port=8500")
    assert made.env == {}


def test_a_secret_reaches_a_container_past_the_command_line(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says(docker, """test "$1" = info && echo '28.1 []' || echo 'sha256:own []'""")
    monkeypatch.setenv("API_KEY", "s3cr3t-value")
    kind: Any = load_kind(known_kinds()["docker"])
    server = kind(image="i:1", port=80, env={"KEY": "Bearer ${API_KEY}", "PLAIN": "on {port}"})
    made = server.command(Place("127.0.0.1", (20123,), None, Path("/scratch"), Path(sys.executable), 2))
    line = "\n".join(made.argv)
    assert "--env\nPLAIN=on 80" in line
    assert "--env\nKEY\n" in line
    assert "s3cr3t-value" not in line
    assert made.env == {"KEY": "Bearer s3cr3t-value"}


def test_what_answers_without_a_version_is_no_engine(docker: Path) -> None:
    says(docker, "echo ' []'")
    assert isinstance(find_engine(), Missing)


def test_in_one_round_nothing_is_asked_twice(docker: Path) -> None:
    says(docker, f"echo asked >> {docker}.log; echo '28.1 []'")
    with one_round(5.0):
        assert find_engine() == find_engine() == Engine("28.1", rootless=False)
    assert Path(f"{docker}.log").read_text() == "asked\n"
    find_engine()
    assert Path(f"{docker}.log").read_text() == "asked\nasked\n"


def test_an_engine_that_hangs_costs_a_round_its_time_once(docker: Path) -> None:
    says(docker, f"echo asked >> {docker}.log; exec /bin/sleep 5")
    with one_round(0.2):
        first, second = find_engine(), find_image("i")
    assert first == second == Missing("its engine does not answer within 0.2 s", "docker info")
    assert Path(f"{docker}.log").read_text().count("asked") == 1
