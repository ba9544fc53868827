from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.errors import ArtifactError, LaunchError, ScenarioError
from bench.scenario.plan import make_plan
from bench.scenario.scenario import load_scenario
from bench.server import Inner, Place, Server, known_kinds, load_kind

HEAD = "load: [{profile: closed, users: 1, duration: 1s}]\nmodel: {keras_application: EfficientNetB0}\nservers:\n"


def kind(folder: Path, keys: str) -> Any:
    path = folder / "s.yaml"
    path.write_text(f"{HEAD}  more: {{kind: replicas{', ' * bool(keys)}{keys}}}\n")
    return load_scenario(path).server("more").server


def place(folder: Path, server: Server, cpuset: tuple[int, ...] = (), cores: int = 4) -> Place:
    ports = tuple(range(20100, 20100 + server.port_count))
    return Place("127.0.0.1", ports, None, folder, Path(sys.executable), cores, 9, cpuset)


def planned(folder: Path, server: Any, cpuset: tuple[int, ...] = (), cores: int = 4) -> tuple[dict[str, Any], str]:
    """The plan of every program and the configuration of nginx."""
    command = server.command(place(folder, server, cpuset, cores))
    return json.loads(Path(command.argv[-1]).read_text()), (folder / "nginx.conf").read_text()


def test_each_copy_has_ports_a_folder_and_its_share_of_the_threads(tmp_path: Path) -> None:
    plan, conf = planned(tmp_path, kind(tmp_path, "replicas: 3, of: {kind: echo}"))
    assert [copy["address"] for copy in plan["copies"]] == [f"127.0.0.1:{port}" for port in (20101, 20102, 20103)]
    assert {copy["env"]["OMP_NUM_THREADS"] for copy in plan["copies"]} == {"1"}
    assert {copy["cwd"] for copy in plan["copies"]} == {str(tmp_path / f"copy-{n}") for n in (1, 2, 3)}
    assert all(copy["cores"] == [] for copy in plan["copies"])
    assert "listen 127.0.0.1:20100 backlog" in conf
    assert conf.index("least_conn;") < conf.index("server 127.0.0.1:20101 max_fails=0;") < conf.index("keepalive 128;")
    assert "access_log off;" in conf


def test_copies_with_cores_of_their_own_are_pinned_to_different_ones(tmp_path: Path) -> None:
    server = kind(tmp_path, "replicas: 2, cores: each, of: {kind: echo}")
    wanted = server.cores_wanted((0, 1), (0, 1, 2, 3, 4))
    assert wanted == (0, 1, 2, 3)
    plan, _ = planned(tmp_path, server, wanted, cores=2)
    assert [copy["cores"] for copy in plan["copies"]] == [[0, 1], [2, 3]]
    assert {copy["env"]["OMP_NUM_THREADS"] for copy in plan["copies"]} == {"2"}
    with pytest.raises(ArtifactError, match="2 copies with 3 cores each need 6, and this machine has 5"):
        server.cores_wanted((0, 1, 2), (0, 1, 2, 3, 4))


def test_copies_on_the_same_cores_get_no_more_than_any_other_server(tmp_path: Path) -> None:
    assert kind(tmp_path, "replicas: 8").cores_wanted((0, 1), (0, 1, 2)) == (0, 1)


def test_gunicorn_with_one_worker_is_copied_where_nothing_is_said(tmp_path: Path) -> None:
    server = kind(tmp_path, "")
    assert (server.of.kind, server.of.server.workers, server.replicas) == ("gunicorn", 1, 2)
    assert server.model_form == server.of.server.model_form is not None
    assert server.port_count == 3
    assert server.workers_at(place(tmp_path, server)) == 2
    assert load_kind(known_kinds()["replicas"]).model_form is None, "the class itself copies nothing"


def test_what_is_copied_is_recorded_with_its_keys_and_without_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"{HEAD}  more: {{kind: replicas, of: {{kind: echo, delay: 5ms}}}}\n")
    options = load_scenario(path).server("more").options
    assert options["of"] == {"kind": "echo", "delay": 0.005, "parallel": 1, **options["of"]}
    assert str(known_kinds()["echo"]) not in json.dumps(options)


def test_copies_that_speak_grpc_are_passed_on_as_such(tmp_path: Path) -> None:
    run = "{kind: command, run: 'x {port}', protocol: tfserving-grpc}"
    server = kind(tmp_path, f"of: {run}")
    _, conf = planned(tmp_path, server)
    assert "listen 127.0.0.1:20100 http2 backlog" in conf
    assert "grpc_pass grpc://copies;" in conf
    assert server.workers_at(place(tmp_path, server)) == 1, "nothing tells who answered"


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("of: {kind: url, url: 'http://h'}", "there can be no copies of it"),
        ("of: {kind: replicas}", "copies of copies"),
        ("of: {kind: ekho}", "did you mean 'echo'"),
        ("of: {kind: echo, dellay: 1ms}", "did you mean 'delay'"),
        ("of: {kind: echo, price: {per_hour: 1}}", "belongs to the server"),
        ("of: {kind: docker, image: a, port: 80}", "containers cannot be copied"),
        ("of: echo", "must be a mapping"),
        ("replicas: 0", "must be at least 1"),
        ("cores: mine", "must be one of"),
    ],
)
def test_what_cannot_be_copied_is_refused_with_its_line(keys: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as raised:
        kind(tmp_path, keys)
    assert says in str(raised.value)
    assert "start_timeout" not in str(raised.value), "a key that nothing inside may have is not offered there"
    assert "the scenario names none" not in str(raised.value), "gunicorn was not what was meant"
    assert f"{tmp_path / 's.yaml'}:4: " in str(raised.value)


def test_without_nginx_it_is_skipped_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = kind(tmp_path, "of: {kind: echo}")
    monkeypatch.setattr(sys.modules[f"{type(server).__module__}.nginx"], "program", lambda: None)
    (skip,) = make_plan(load_scenario(tmp_path / "s.yaml")).skips
    assert (skip.server, skip.reason, skip.fix) == ("more", "nginx is not on PATH", "apt-get install nginx")


def test_containers_are_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.server import Command, Elsewhere

    server = kind(tmp_path, "of: {kind: echo}")
    inside = Command(("true",), elsewhere=Elsewhere((), ()))
    monkeypatch.setattr(type(server.of.server), "command", lambda *_: inside)
    with pytest.raises(LaunchError, match="containers cannot be copied"):
        planned(tmp_path, replace(server, of=Inner("echo", server.of.folder, server.of.server)))


def test_a_copy_that_ended_is_what_a_failure_is_explained_by(tmp_path: Path) -> None:
    server = kind(tmp_path, "of: {kind: echo}")
    assert server.explain("x\nreplicas: copy 1 of 2 (port 5) ended (exit code 3)\n", 1) == (
        "copy 1 of 2 (port 5) ended (exit code 3)"
    )
    assert server.explain("nothing", 1) is None
