"""Servers in containers of a real engine: ready, seen, limited, and gone afterwards whatever happened."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bench import server
from bench.errors import ArtifactError, LaunchError
from bench.model.files import ModelFiles
from bench.programs.docker import Container, Engine, Image, contained, find_engine, find_image, output_of
from bench.protocols.tfserving import TfServingRest
from bench.server import Command, Missing, Place, known_kinds, load_kind
from bench.serving.launch import Running, running
from tests.docker_engine import an_engine, an_image, containers, docker

pytestmark = pytest.mark.integration

PROGRAM = "tensorflow_model_server"


@dataclass(frozen=True, kw_only=True)
class Contained(server.Server):
    title: ClassVar[str] = "the container double"
    start_timeout_s: ClassVar[float] = 30.0
    container: Container
    flags: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)

    def command(self, place: Place) -> Command:
        argv = (PROGRAM, *self.flags, f"--rest_api_port={place.port}")
        folders = {**self.container.folders, place.folder: True}
        container = replace(self.container, folders=folders, ports=place.ports, host=place.host)
        return contained(Command(argv, self.env, cwd=place.folder), container)

    def wire(self, place: Place) -> TfServingRest:
        return TfServingRest("model")


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    with an_engine(), an_image() as name:
        yield name


@pytest.fixture(autouse=True)
def nothing_left(image: str) -> Iterator[None]:
    yield
    assert containers() == []


def start(tmp_path: Path, image: str, *flags: str, env: dict[str, str] | None = None, **limits: Any) -> Any:
    kind = Contained(container=Container(image=image, **limits), flags=flags, env=env or {})
    return running(kind, model=None, python=Path(sys.executable), cores=1, photos=[b"x"], log=tmp_path / "server.log")


def around(ready: Running) -> dict[str, Any]:
    with closing(http.client.HTTPConnection(ready.place.host, ready.port, timeout=30)) as connection:
        connection.request("GET", "/")
        seen: dict[str, Any] = json.loads(connection.getresponse().read())
        return seen


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_server_in_a_container_is_ready_like_any_other_and_removed_after_the_block(
    image: str, tmp_path: Path
) -> None:
    with start(tmp_path, image) as ready:
        assert containers() != []
        assert ready.process.alive()
        assert ready.startup_seconds > 0
    assert containers() == []
    assert "the container double is up" in (tmp_path / "server.log").read_text()


def test_what_is_watched_is_the_process_in_the_container(image: str, tmp_path: Path) -> None:
    with start(tmp_path, image) as ready:
        (pid,) = ready.process.tree()
        assert PROGRAM.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert str(pid) == docker("inspect", "--format", "{{.State.Pid}}", *containers())
        port = ready.port
        inside = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")[-1]
        assert inside == f"--rest_api_port={port}".encode()
    assert ready.process.tree() == []


def test_limits_folders_user_and_environment_hold_inside(image: str, tmp_path: Path) -> None:
    model = tmp_path / "a model, with a comma"
    (model / "1").mkdir(parents=True)
    flags = (f"--model_base_path={model}",)
    limits = {"cpuset": "0", "memory_bytes": 256 << 20, "folders": {model: False}}
    with start(tmp_path, image, *flags, env={"GREETING": "hello there"}, **limits) as ready:
        seen = around(ready)
        assert seen["cores"] == [0]
        assert seen["memory"] in {256 << 20, 0}, "0: this kernel does not let a container see its limit"
        assert docker("inspect", "--format", "{{.HostConfig.Memory}}", *containers()) == str(256 << 20)
        assert seen["user"] == os.getuid()
        assert seen["folder"] == str(ready.place.folder)
        assert seen["model"] == ["1"]
        assert seen["model_can_be_written"] is False
        assert seen["folder_can_be_written"] is True
        assert seen["environment"]["GREETING"] == "hello there"
        assert "PYTHONUNBUFFERED" not in seen["environment"], "only what the kind asked for reaches the container"


def test_its_ports_are_open_on_loopback_alone(image: str, tmp_path: Path) -> None:
    with start(tmp_path, image) as ready:
        bindings = json.loads(docker("inspect", "--format", "{{json .HostConfig.PortBindings}}", *containers()))
        assert bindings == {f"{ready.port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(ready.port)}]}


def test_on_the_network_of_the_host_no_port_is_mapped(image: str, tmp_path: Path) -> None:
    with start(tmp_path, image, "--host=127.0.0.1", network="host") as ready:
        assert docker("inspect", "--format", "{{json .HostConfig.PortBindings}}", *containers()) == "{}"
        assert around(ready)["cores"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_container_is_left_after_the_harness_dies_of_a_signal(
    image: str, tmp_path: Path, number: signal.Signals
) -> None:
    harness = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from tests.integration.test_docker import start
        with start(Path({str(tmp_path)!r}), {image!r}):
            print("ready", flush=True)
            time.sleep(1000)
    """)
    process = subprocess.Popen([sys.executable, "-c", harness], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert containers() != []
    process.send_signal(number)
    process.wait()
    process.stdout.close()
    assert wait_for(lambda: containers() == [])


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3])
def test_no_container_is_left_when_it_is_stopped_while_it_starts(image: str, tmp_path: Path, delay: float) -> None:
    from bench.serving.guarded import guarded

    command = contained(Command((PROGRAM, "--rest_api_port=1234")), Container(image=image))
    assert command.elsewhere is not None
    with guarded(command.argv, final=command.elsewhere.end):
        time.sleep(delay)
    assert containers() == []


def test_a_server_that_ends_is_an_error_with_its_exit_code_and_words(image: str, tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="exit code 7") as raised, start(tmp_path, image, "--exit=7"):
        pass
    assert "the container double is up" in raised.value.hint


def test_a_container_that_ran_out_of_memory_says_so(image: str, tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="exit code 137"), start(tmp_path, image, "--eat=all", memory_bytes=64 << 20):
        pass
    assert "the container was killed: its memory ran out" in (tmp_path / "server.log").read_text()


def test_an_image_that_is_not_there_is_neither_pulled_nor_run(image: str, tmp_path: Path) -> None:
    missing = find_image("tensorflow/serving:0.0.0-absent")
    assert missing == Missing(
        "the image tensorflow/serving:0.0.0-absent is not on this machine",
        "docker pull tensorflow/serving:0.0.0-absent",
    )
    with pytest.raises(LaunchError, match="not on this machine"), start(tmp_path, "tensorflow/serving:0.0.0-absent"):
        pass


def test_an_image_is_known_by_its_digest(image: str) -> None:
    found = find_image(image)
    assert isinstance(found, Image)
    assert found == Image(image, docker("image", "inspect", "--format", "{{.Id}}", image))


def test_what_a_program_of_an_image_prints_is_read(image: str) -> None:
    assert "0.0.0-container-double" in output_of(image, (PROGRAM, "--version"))
    assert output_of("tensorflow/serving:0.0.0-absent", (PROGRAM, "--version")) == ""


def test_the_engine_tells_its_version(image: str) -> None:
    engine = find_engine()
    assert isinstance(engine, Engine)
    assert engine.version == docker("version", "--format", "{{.Server.Version}}")


def test_tfserving_runs_in_a_container_with_the_flags_of_the_program(image: str, tmp_path: Path) -> None:
    tfserving: Any = load_kind(known_kinds()["tfserving"])
    limits = sys.modules[tfserving.__module__].Docker(image=image, cpuset="0", memory=256 << 20)
    kind = tfserving(docker=limits, flags={"num_load_threads": 1})
    (tmp_path / "saved_model" / "1").mkdir(parents=True)
    (tmp_path / "saved_model" / "1" / "saved_model.pb").touch()
    model = ModelFiles("m", tmp_path, None, None, tmp_path / "saved_model", 8, 8, 2, {})
    log = tmp_path / "server.log"
    assert kind.missing() is None
    with running(kind, model=model, python=Path(sys.executable), cores=1, photos=[b"x"], log=log) as ready:
        seen = around(ready)
        digest = docker("image", "inspect", "--format", "{{.Id}}", image)
        assert kind.version(ready.place) == (
            f"ModelServer 0.0.0-container-double, Library none, image {image} {digest}"
        )
    assert seen["cores"] == [0]
    assert seen["model"] == ["1"]
    assert seen["model_can_be_written"] is False
    assert seen["folder_can_be_written"] is False, "it is written to only where a socket lies in it"
    assert seen["environment"]["CUDA_VISIBLE_DEVICES"] == "-1"


def test_a_flag_that_the_program_in_the_image_lacks_is_refused_before_the_start(image: str, tmp_path: Path) -> None:
    tfserving: Any = load_kind(known_kinds()["tfserving"])
    kind = tfserving(docker=sys.modules[tfserving.__module__].Docker(image=image), flags={"num_load_thread": 1})
    (tmp_path / "1").mkdir(parents=True)
    (tmp_path / "1" / "saved_model.pb").touch()
    model = ModelFiles("m", tmp_path, None, None, tmp_path, 8, 8, 2, {})
    with pytest.raises(LaunchError, match="no flag num_load_thread") as raised:
        kind.command(Place("127.0.0.1", (20001, 20002), model, tmp_path, Path(sys.executable), 1))
    assert "num_load_threads" in raised.value.hint


# ---------------------------------------------------------------- the kind `docker`, for an image of one's own


def own(tmp_path: Path, **keys: Any) -> Any:
    kind: Any = load_kind(known_kinds()["docker"])
    server = kind(protocol="tfserving-rest", **keys)
    log = tmp_path / "server.log"
    return running(server, model=None, python=Path(sys.executable), cores=1, photos=[b"x"], log=log, cpuset=(0,))


@pytest.fixture(scope="module")
def own_image(image: str) -> Iterator[str]:
    """An image with a program of its own, which listens on a port of its own."""
    container, name = docker("create", image, "true"), "bench-test-own:1"
    try:
        start = 'ENTRYPOINT ["tensorflow_model_server", "--rest_api_port=8501"]'
        docker("commit", "--change", start, container, name)
        yield name
    finally:
        docker("rm", container)
        docker("image", "rm", "--force", name)


def command_lines() -> list[str]:
    """Those of everything that runs on this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found.append(path.read_text(errors="replace"))
    return found


def test_an_image_of_ones_own_runs_its_own_program_within_the_same_limits(
    own_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_TEST_KEY", "s3cr3t-value\nof two lines")
    env = {"GREETING": "on {port}", "KEY": "${BENCH_TEST_KEY}"}
    with own(tmp_path, image=own_image, port=8501, env=env, memory=256 << 20) as ready:
        seen = around(ready)
        (pid,) = ready.process.tree()
        assert b"--rest_api_port=8501" in Path(f"/proc/{pid}/cmdline").read_bytes()
        bindings = json.loads(docker("inspect", "--format", "{{json .HostConfig.PortBindings}}", *containers()))
        assert bindings == {"8501/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(ready.port)}]}
        assert seen["cores"] == [0], "those of the run's budget"
        assert seen["user"] == os.getuid()
        assert seen["environment"]["GREETING"] == "on 8501"
        assert seen["environment"]["KEY"] == "s3cr3t-value\nof two lines"
        lines = command_lines()
        assert any("GREETING=" in line for line in lines)
        assert not any("s3cr3t-value" in line for line in lines), "everybody can read them"
        assert "PYTHONUNBUFFERED" not in seen["environment"]
        assert own_image in ready.server.version(ready.place)
    assert containers() == []


def test_another_program_of_an_image_is_told_the_port(image: str, tmp_path: Path) -> None:
    run = "--rest_api_port={port}"
    with own(tmp_path, image=image, entrypoint=PROGRAM, run=run, user="image") as ready:
        assert around(ready)["user"] == 0


def test_an_image_of_ones_own_that_is_not_here_keeps_the_server_out(image: str) -> None:
    kind: Any = load_kind(known_kinds()["docker"])
    lack = kind(image="mine:0.0.0-absent", port=80).missing()
    assert lack == Missing(
        "the image mine:0.0.0-absent is not on this machine",
        "docker pull mine:0.0.0-absent, or docker build -t mine:0.0.0-absent FOLDER",
    )


def test_an_image_that_cannot_be_pulled_is_said_in_dockers_words(image: str) -> None:
    kind: Any = load_kind(known_kinds()["docker"])
    server = kind(image="localhost:1/mine:1", port=80, pull=True)
    assert server.missing() is None
    with pytest.raises(ArtifactError, match=r"localhost:1/mine:1 cannot be pulled: .*refused") as raised:
        server.prepare(lambda _: None)
    assert "docker login" in raised.value.hint
