from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from bench.errors import ArtifactError
from bench.programs import docker
from bench.programs import install as fetching
from bench.programs.docker import Image
from bench.server import Command, Missing, Order, Place, known_kinds, load_kind

KIND: Any = load_kind(known_kinds()["tfserving"])
SOURCES: Any = importlib.import_module(f"{KIND.__module__}.sources")
Docker: Any = SOURCES.Docker
FAST, UNIVERSAL = "tensorflow-model-server", "tensorflow-model-server-universal"
PROGRAM = "tensorflow_model_server"


@pytest.fixture(autouse=True)
def nothing_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No program, no cache, no engine; a CPU with AVX, and a GPU."""
    monkeypatch.delenv("BENCH_TFSERVING_BINARY", raising=False)
    monkeypatch.delenv("BENCH_TFSERVING_REPOSITORY", raising=False)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(fetching, "CPUINFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text("flags : avx sse4_2\n")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(importlib.import_module(KIND.__module__), "DEVICES", tmp_path)
    (tmp_path / "nvidia0").touch()


def program(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PROGRAM).write_text("#!/bin/sh\n")
    (folder / PROGRAM).chmod(0o755)
    return folder / PROGRAM


def fetched(tmp_path: Path, package: str, version: str) -> Path:
    made = program(tmp_path / "cache" / "programs" / package / version)
    (made.parent / "package.json").touch()
    return made


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of the images that the engine has."""
    there: set[str] = set()

    def find_image(name: str) -> Image | Missing:
        return Image(name, "sha256:0") if name in there else Missing(f"{name} is not here", f"docker pull {name}")

    monkeypatch.setattr(docker, "find_image", find_image)
    return there


def origin(**keys: object) -> Any:
    found = KIND(**keys)._origin()
    return found.program if isinstance(found, SOURCES.Binary) else found


def test_sources_are_used_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: set[str]) -> None:
    assert isinstance(origin(), Missing)
    images.add("tensorflow/serving:2.20.0")
    assert origin().label == "image tensorflow/serving:2.20.0 sha256:0"
    in_cache = fetched(tmp_path, FAST, "2.20.0")
    assert origin() == str(in_cache)
    on_path = program(tmp_path / "path")
    assert origin() == str(on_path)
    variable = program(tmp_path / "variable")
    monkeypatch.setenv("BENCH_TFSERVING_BINARY", str(variable))
    assert origin() == str(variable)
    named = program(tmp_path / "named")
    assert origin(binary=str(named)) == str(named)


def test_of_what_was_fetched_the_newest_that_fits_the_cpu_is_used(tmp_path: Path) -> None:
    universal = fetched(tmp_path, UNIVERSAL, "2.99.0")
    assert origin() == str(universal)
    older, newer = fetched(tmp_path, FAST, "2.9.0"), fetched(tmp_path, FAST, "2.20.0")
    assert origin() == str(newer) != str(older)
    (tmp_path / "cpuinfo").write_text("flags : sse4_2\n")
    assert origin() == str(universal)


def test_a_gpu_server_never_takes_the_cpu_build_that_was_fetched(tmp_path: Path, images: set[str]) -> None:
    fetched(tmp_path, FAST, "2.20.0")
    missing = origin(device="gpu")
    assert "docker pull tensorflow/serving:2.20.0-gpu" in missing.fix
    assert "bench install" not in missing.fix
    images.add("tensorflow/serving:2.20.0-gpu")
    assert "2.20.0-gpu" in origin(device="gpu").label


def test_the_runtime_chooses_between_program_and_container(tmp_path: Path, images: set[str]) -> None:
    images.add("tensorflow/serving:2.20.0")
    assert origin(runtime="binary").reason == f"{PROGRAM} is not on PATH, and none was fetched"
    on_path = program(tmp_path / "path")
    assert origin(runtime="binary") == str(on_path)
    assert isinstance(origin(runtime="docker"), SOURCES.InImage)
    assert isinstance(origin(docker=Docker(cpuset="0")), SOURCES.InImage), "a program could not be held to it"
    images.clear()
    assert origin(runtime="docker") == Missing(
        "Docker: tensorflow/serving:2.20.0 is not here", "docker pull tensorflow/serving:2.20.0"
    )


def test_what_is_missing_names_everything_that_would_help(images: set[str]) -> None:
    missing = origin()
    assert missing.reason == (
        f"{PROGRAM} is not on PATH, and none was fetched; Docker: tensorflow/serving:2.20.0 is not here"
    )
    assert missing.fix.startswith("bench install tfserving, or name it with `binary: ")
    assert missing.fix.endswith(", or docker pull tensorflow/serving:2.20.0")


def test_where_docker_itself_is_missing_it_is_no_advice() -> None:
    missing = origin()
    assert "docker is not on PATH" in missing.reason
    assert "docs.docker.com" not in missing.fix


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"runtime": "binary", "docker": {}}, "no meaning with runtime: binary"),
        ({"binary": "/x", "runtime": "docker"}, "docker.image names what runs there"),
        ({"binary": "/x", "docker": {}}, "docker.image names what runs there"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(keys: dict[str, Any], said: str) -> None:
    made = {name: Docker() if name == "docker" else value for name, value in keys.items()}
    with pytest.raises(ValueError, match=said):
        KIND(**made)


@pytest.mark.parametrize("cpuset", ["", "0-", "a", "0 1", "--privileged"])
def test_a_cpuset_is_a_list_of_cores(cpuset: str) -> None:
    assert Docker(cpuset="0-3,7").cpuset == "0-3,7"
    with pytest.raises(ValueError, match="cpuset is a list of cores"):
        Docker(cpuset=cpuset)


def test_a_container_on_a_gpu_keeps_what_was_compiled_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Command, docker.Container]] = []

    def contained(command: Command, container: docker.Container) -> Command:
        made.append((command, container))
        return command

    monkeypatch.setattr(docker, "contained", contained)
    place = Place("127.0.0.1", (20001, 20002), None, tmp_path, Path("/python"), 2)
    image = SOURCES.InImage(Image("i:1", "sha256:0"), "gpu", Docker(memory=5, network="host"))
    image.command(Command((PROGRAM,), {"A": "b"}, tmp_path), place, {tmp_path: False})
    ((command, container),) = made
    cache = tmp_path / "cache" / "cuda"
    assert command.env == {"A": "b", "CUDA_CACHE_PATH": str(cache), "CUDA_CACHE_MAXSIZE": "4294967296"}
    assert container.folders == {tmp_path: False, cache: True}
    assert (container.gpus, container.memory_bytes, container.network) == ("all", 5, "host")
    assert container.ports == (20001, 20002)
    assert cache.is_dir()


@pytest.mark.parametrize(
    ("own", "given", "cpuset"), [(None, (0, 1, 2, 5), "0-2,5"), ("3", (0, 1), "3"), (None, (), None)]
)
def test_a_container_gets_the_cores_of_the_budget_unless_the_scenario_names_others(
    own: str | None, given: tuple[int, ...], cpuset: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[docker.Container] = []

    def contained(command: Command, container: docker.Container) -> Command:
        made.append(container)
        return command

    monkeypatch.setattr(docker, "contained", contained)
    place = Place("127.0.0.1", (20001, 20002), None, tmp_path, Path("/python"), len(given), cpuset=given)
    image = SOURCES.InImage(Image("i:1", "sha256:0"), "cpu", Docker(cpuset=own))
    image.command(Command((PROGRAM,), {}, tmp_path), place, {})
    assert made[0].cpuset == cpuset


# ---------------------------------------------------------------- what bench install does


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """What would have been fetched: (address, time-out, package, file, version)."""
    calls: list[Any] = []

    def install(repository: fetching.Repository, package: str, file: str, *, version: str | None, say: Any) -> Path:
        calls.append((repository.address, repository.timeout, package, file, version))
        return tmp_path

    monkeypatch.setattr(fetching, "install", install)
    return calls


def test_the_package_follows_the_cpu(asked: list[Any], tmp_path: Path) -> None:
    said: list[str] = []
    KIND.install(Order(timeout=3.0), said.append)
    (tmp_path / "cpuinfo").write_text("flags : avx\n")
    KIND.install(Order(version="2.19.1"), said.append)
    address = "https://storage.googleapis.com/tensorflow-serving-apt"
    assert asked == [
        (address, 3.0, FAST, "usr/bin/tensorflow_model_server", None),
        (address, 30.0, UNIVERSAL, "usr/bin/tensorflow_model_server", "2.19.1"),
    ]
    assert any("no AVX" in line for line in said)


def test_the_repository_is_that_of_the_order_then_of_the_variable(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_TFSERVING_REPOSITORY", "https://mirror")
    KIND.install(Order(), print)
    KIND.install(Order(repository="https://other"), print)
    assert [address for address, *_ in asked] == ["https://mirror", "https://other"]


def test_nothing_is_fetched_where_a_program_is_there_unless_one_is_asked_for(asked: list[Any], tmp_path: Path) -> None:
    on_path = program(tmp_path / "path")
    assert KIND.install(Order(), print) == on_path
    assert asked == []
    KIND.install(Order(version="2.20.0"), print)
    assert len(asked) == 1


def test_there_is_nothing_to_fetch_for_another_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(ArtifactError, match="x86_64 alone, and this machine is aarch64"):
        KIND.install(Order(), print)


# ---------------------------------------------------------------- what bench doctor shows


def test_every_source_is_reported_with_what_opens_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: set[str]
) -> None:
    closed = KIND().sources()
    assert [source.ok for source in closed] == [False, False, False]
    assert [source.fix.split()[0] for source in closed] == ["export", "bench", "docker"]
    on_path, in_cache = program(tmp_path / "path"), fetched(tmp_path, FAST, "2.20.0")
    images.add("tensorflow/serving:2.20.0")
    assert [(source.ok, source.text) for source in KIND().sources()] == [
        (True, str(on_path)),
        (True, str(in_cache)),
        (True, "tensorflow/serving:2.20.0 sha256:0"),
    ]
    monkeypatch.setenv("BENCH_TFSERVING_BINARY", "/nowhere")
    first = KIND().sources()[0]
    assert (first.ok, first.text) == (False, "/nowhere is not an executable file")
