"""Several models and versions in one tensorflow_model_server: what is written for it, who is asked, what is refused."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.errors import LaunchError, ScenarioError
from bench.model.files import ModelFiles
from bench.protocols.protobuf import field_bytes, field_varint
from bench.protocols.tfserving import TfServingGrpc, TfServingRest
from bench.scenario.scenario import load_scenario
from bench.server import Place, known_kinds, load_kind

KIND: Any = load_kind(known_kinds()["tfserving"])
MODULE: Any = sys.modules[KIND.__module__]
Ask, Batching, Model = MODULE.Ask, MODULE.Batching, MODULE.Model


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    program = tmp_path / "tensorflow_model_server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("BENCH_TFSERVING_BINARY", str(program))
    version = tmp_path / "saved_model" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_text("the model")
    (tmp_path / "scratch").mkdir()
    model = ModelFiles("m", tmp_path, None, None, tmp_path / "saved_model", 224, 224, 1000, {})
    return Place("127.0.0.1", (20001, 20002), model, tmp_path / "scratch", Path("/venv/bin/python"), 2)


def flags(place: Place, **keys: object) -> dict[str, str]:
    _, *given = KIND(**keys).command(place).argv
    return {name: value for name, _, value in (flag.removeprefix("--").partition("=") for flag in given)}


def config(place: Place, **keys: object) -> list[str]:
    """The lines of the ModelServerConfig, without indents."""
    given = flags(place, **keys)
    assert "model_name" not in given, "it would be ignored"
    assert "model_base_path" not in given
    return [line.strip() for line in Path(given["model_config_file"]).read_text().splitlines()]


def other_model(tmp_path: Path, *versions: int) -> Path:
    for version in versions:
        (tmp_path / "other" / str(version)).mkdir(parents=True)
        (tmp_path / "other" / str(version) / "saved_model.pb").touch()
    return tmp_path / "other"


# ---------------------------------------------------------------- what is written


def test_one_model_needs_no_configuration(place: Place) -> None:
    assert "model_config_file" not in flags(place)


def test_several_models_become_a_configuration_in_the_program_s_own_words(place: Place, tmp_path: Path) -> None:
    other = other_model(tmp_path, 3, 4)
    assert place.model is not None
    assert config(place, models={"a": Model(), "b": Model(path=str(other), serve="all")}) == [
        "model_config_list {",
        "config {",
        'name: "a"',
        f'base_path: "{place.model.saved_model}"',
        'model_platform: "tensorflow"',
        "model_version_policy { latest { num_versions: 1 } }",
        "}",
        "config {",
        'name: "b"',
        f'base_path: "{other}"',
        'model_platform: "tensorflow"',
        "model_version_policy { all { } }",
        "}",
        "}",
    ]


def test_versions_are_copies_of_the_scenario_s_model_under_their_numbers(place: Place) -> None:
    lines = config(place, models={"a": Model(versions=(1, 2, 7), serve=(2, 7), labels={"stable": 2, "canary": 7})})
    (base,) = [Path(line.split('"')[1]) for line in lines if line.startswith("base_path")]
    assert base.is_relative_to(place.folder), "the model in the cache is left as it was"
    assert sorted(folder.name for folder in base.iterdir()) == ["1", "2", "7"]
    assert {(base / name / "saved_model.pb").read_text() for name in "127"} == {"the model"}
    assert "model_version_policy { specific { versions: 2 versions: 7 } }" in lines
    assert 'version_labels { key: "canary" value: 7 }' in lines


def test_labels_are_looked_at_before_anything_is_loaded_so_they_have_to_be_allowed(place: Place) -> None:
    models = {"a": Model(versions=(1, 2), latest=2, labels={"old": 1})}
    assert flags(place, models=models)["allow_version_labels_for_unavailable_models"] == "true"
    assert "allow_version_labels_for_unavailable_models" not in flags(place, models={"b": Model()})


def test_each_model_may_have_its_own_batching_and_the_others_get_that_of_all(place: Place) -> None:
    own = Batching(max_batch_size=4)
    all_of_them = Batching(max_batch_size=16, num_batch_threads=2, per_model=True)
    given = flags(place, models={"a": Model(batching=own), "b": Model()}, batching=all_of_them)
    assert given["enable_batching"] == given["enable_per_model_batching_parameters"] == "true"
    assert Path(given["batching_parameters_file"]).read_text() == "num_batch_threads { value: 2 }\n"
    written = {file.parts[-3]: file.read_text() for file in place.folder.rglob("batching_params.pbtxt")}
    assert written["a"] == "max_batch_size { value: 4 }\n"
    assert written["b"].startswith("max_batch_size { value: 16 }")


def test_the_batching_of_one_model_turns_batching_on_for_that_one_alone(place: Place) -> None:
    given = flags(place, models={"a": Model(batching=Batching(max_batch_size=256)), "b": Model()})
    assert Path(given["batching_parameters_file"]).read_text() == ""
    assert [file.parts[-3] for file in place.folder.rglob("batching_params.pbtxt")] == ["a"]
    assert given["grpc_max_threads"] == "512", "as many as its batches need"


def test_a_folder_of_one_s_own_is_looked_at_before_the_start(place: Place, tmp_path: Path) -> None:
    models = {"a": Model(), "b": Model(path=str(tmp_path / "other"))}
    (tmp_path / "other" / "1").mkdir(parents=True)
    with pytest.raises(LaunchError, match=r"without a saved_model\.pb"):
        flags(place, models=models)  # one bad folder would keep every model from being loaded
    (tmp_path / "other" / "1" / "saved_model.pb").touch()
    with pytest.raises(LaunchError, match=r"models\.b: serve names version 3, and there is version 1"):
        flags(place, models={"a": Model(), "b": Model(path=str(tmp_path / "other"), serve=(3,))})


# ---------------------------------------------------------------- who is asked


@pytest.mark.parametrize(
    ("ask", "path"),
    [
        (Ask(), "/v1/models/a:predict"),
        (Ask(model="b"), "/v1/models/b:predict"),
        (Ask(version=2), "/v1/models/a/versions/2:predict"),
        (Ask(label="canary"), "/v1/models/a/labels/canary:predict"),
    ],
)
def test_the_load_goes_to_the_model_and_version_that_is_asked_for(place: Place, ask: Any, path: str) -> None:
    models = {"a": Model(versions=(1, 2), latest=2, labels={"canary": 1}), "b": Model()}
    assert KIND(models=models, ask=ask).wire(place).request(b"x").target == path


def test_grpc_names_version_and_label_in_the_model_spec() -> None:
    def spec(body: bytes) -> bytes:
        return body[2 : 2 + body[1]]  # the first field, of a length below 128

    name = field_bytes(1, b"a")
    assert spec(TfServingGrpc("a", version=300).request(b"x").body) == name + field_bytes(2, field_varint(1, 300))
    assert spec(TfServingGrpc("a", label="canary").request(b"x").body) == name + field_bytes(4, b"canary")
    assert TfServingRest("a", label="a/b").request(b"x").target == "/v1/models/a/labels/a%2Fb:predict"


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"models": {"a/b": Model()}}, "not the name of a model: 'a/b'"),
        ({"models": {"a": Model(path="/x")}}, "nothing to ask"),
        ({"models": {"a": Model()}, "ask": Ask(model="b")}, "ask.model is 'b', and models are a"),
        (
            {"models": {"a": Model(), "b": Model(path="/x")}, "ask": Ask(model="b")},
            "right answers of that model are not",
        ),
        ({"ask": Ask(version=2)}, "ask.version is 2, and of model is served version 1"),
        ({"models": {"a": Model(versions=(1, 2))}, "ask": Ask(version=1)}, "is served version 2"),
        ({"models": {"a": Model(labels={"x": 1})}, "ask": Ask(label="y")}, "ask.label is 'y', and labels of a are: x"),
        ({"flags": {"model_config_file": "x"}}, "key of its own: models"),
    ],
)
def test_who_cannot_be_asked_is_told_with_who_can(keys: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        KIND(**keys)


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"serve": (3,)}, "serve names version 3, and there is version 1"),
        ({"versions": (1, 2), "labels": {"old": 1}}, "label old stands for version 1; served is version 2"),
        ({"serve": "all", "latest": 2}, "latest says how many"),
        ({"path": "/x", "versions": (1, 2)}, "the folder has its own"),
    ],
)
def test_versions_that_are_not_there_are_refused(keys: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Model(**keys)


def test_a_version_and_a_label_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="not for both"):
        Ask(version=1, label="x")


SCENARIO = """
model: {keras_application: EfficientNetB0}
servers:
  a:
    kind: tfserving
    models:
      mine: {versions: [1, 2], serve: all, batching: {max_batch_size: 4, batch_timeout: 5ms}}
      theirs: {path: other}
    ask: {version: 2}
"""


def test_a_scenario_says_it_all_and_a_path_is_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "q.yaml").write_text(SCENARIO)
    with pytest.raises(ScenarioError, match=r"q\.yaml:8: servers\.a\.models\.theirs\.path: no such file"):
        load_scenario(tmp_path / "q.yaml")
    other = other_model(tmp_path, 1)
    scenario = load_scenario(tmp_path / "q.yaml")
    server: Any = scenario.server("a").server
    assert server.models["theirs"].path == str(other)
    assert server.models["mine"].batching.batch_timeout == 0.005
    assert scenario.resolved()["servers"]["a"]["models"]["mine"]["versions"] == [1, 2]
    (tmp_path / "q.yaml").write_text(SCENARIO.replace("serve:", "serv:"))
    with pytest.raises(ScenarioError, match=r"models\.mine\.serv: unknown key\n.*did you mean 'serve'"):
        load_scenario(tmp_path / "q.yaml")


# ---------------------------------------------------------------- a new version while it serves


def test_versions_are_looked_for_only_where_a_new_one_is_measured(place: Place) -> None:
    assert flags(place)["file_system_poll_wait_seconds"] == "0"
    assert flags(replace(place, swaps=True))["file_system_poll_wait_seconds"] == "1"


def test_the_next_version_is_copied_under_a_name_that_is_no_number_and_renamed(place: Place) -> None:
    here = replace(place, swaps=True)
    server = KIND()
    base = Path(flags(here)["model_base_path"])
    swap = server.swap(here)
    assert (swap.old, swap.new) == ("1", "2")
    swap.bring()
    (hidden,) = [folder.name for folder in base.iterdir() if folder.name != "1"]
    assert not hidden.isdigit()
    swap.release()
    assert sorted(folder.name for folder in base.iterdir()) == ["1", "2"]
    assert (base / "2" / "saved_model.pb").read_text() == "the model"
    assert (base / "2" / "saved_model.pb").stat().st_nlink == 1, "a copy, as a deployment makes it, and no link"
    assert place.model is not None
    assert [folder.name for folder in place.model.saved_model.iterdir()] == ["1"]


def test_the_states_of_versions_are_read_from_the_program_s_answer() -> None:
    swap_module: Any = __import__(f"{MODULE.__name__}.swap", fromlist=["version_states"])

    def version(number: int, state: int) -> bytes:
        return field_bytes(1, field_varint(1, number) + field_varint(2, state) + field_bytes(3, b""))

    reply = version(4, 10) + version(3, 20) + version(2, 30) + version(1, 40) + version(0, 50)
    assert swap_module.version_states(reply) == {"4": "loading", "3": "loading", "2": "ready", "1": "unloading"}


def test_the_version_that_gave_an_answer_is_read_from_its_model_spec(place: Place) -> None:
    swap = KIND().swap(replace(place, swaps=True))
    spec = field_bytes(1, b"model") + field_bytes(2, field_varint(1, 12))
    assert swap.version_of(field_bytes(1, b"outputs") + field_bytes(2, spec)) == "12"
    assert swap.version_of(b'{"predictions": [[0.5]]}') is None


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"ask": Ask(version=1)}, "asks for one version"),
        ({"models": {"a": Model(serve="all")}}, "models.a keeps the old version"),
        ({"models": {"a": Model(versions=(1, 2), latest=2)}}, "models.a keeps the old version"),
    ],
)
def test_where_no_version_can_take_the_place_of_another_the_reason_is_said(keys: dict[str, Any], reason: str) -> None:
    assert KIND().cannot_swap() == ""
    assert reason in KIND(**keys).cannot_swap()


# ---------------------------------------------------------------- what a failed request counts as


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("gRPC RESOURCE_EXHAUSTED: Server Threadpool Exhausted", "gRPC RESOURCE_EXHAUSTED: no handler thread was free"),
        ("gRPC RESOURCE_EXHAUSTED", "gRPC RESOURCE_EXHAUSTED: no handler thread was free"),
        (
            "gRPC RESOURCE_EXHAUSTED: Received message larger than max (8 vs. 4)",
            "gRPC RESOURCE_EXHAUSTED: the message is larger than allowed",
        ),
        (
            "HTTP 429: Run() timeout exceeded while waiting in batching queue",
            "HTTP 429 RESOURCE_EXHAUSTED: timed out in the batching queue",
        ),
        ("HTTP 429: OOM when allocating tensor with shape", "HTTP 429 RESOURCE_EXHAUSTED: the model ran out of memory"),
        ("HTTP 429", "HTTP 429 RESOURCE_EXHAUSTED"),
        ("HTTP 503: The batch scheduling queue to which", "HTTP 503 UNAVAILABLE: the batching queue was full"),
        ("gRPC UNAVAILABLE: The batch scheduling queue to", "gRPC UNAVAILABLE: the batching queue was full"),
        ("gRPC UNAVAILABLE: connection refused", "gRPC UNAVAILABLE: connection refused"),
        ("HTTP 504: Timed out waiting", "HTTP 504 DEADLINE_EXCEEDED: the run took longer than it may"),
        ("gRPC DEADLINE_EXCEEDED: Timed out", "gRPC DEADLINE_EXCEEDED: the run took longer than it may"),
        ("HTTP 400: Missing 'inputs'", "HTTP 400: Missing 'inputs'"),
        ("timed out", "timed out"),
        ("wrong answer", "wrong answer"),
    ],
)
def test_refusals_are_told_apart_by_what_they_mean_over_grpc_and_rest(error: str, kind: str) -> None:
    assert KIND().error_kind(error).startswith(kind)


# ---------------------------------------------------------------- flags that would spoil a measurement


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"flags": {"max_num_load_retries": 3}}, "set by the harness"),
        ({"flags": {"file_system_poll_wait_seconds": 1}}, "set by the harness"),
        ({"flags": {"tensorflow_session_parallelism": 2}}, "key of its own: intra_op_threads"),
        ({"flags": {"ssl_config_file": "x"}}, "without TLS"),
        ({"flags": {"platform_config_file": "x"}}, "ignore its flags"),
        ({"flags": {"grpc_channel_arguments": "grpc.so_reuseport=1"}}, "never share a port"),
        ({"flags": {"grpc_channel_arguments": "grpc.so"}}, "list of name=value"),
        ({"flags": {"enable_serialization_as_tensor_content": True}}, "use protocol: grpc"),
    ],
)
def test_flags_that_would_spoil_the_measurement_are_refused(keys: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        KIND(**keys)


def test_more_arguments_of_the_channel_are_added_to_ours(place: Place) -> None:
    given = flags(place, flags={"grpc_channel_arguments": "grpc.max_concurrent_streams=100"})
    assert given["grpc_channel_arguments"] == "grpc.max_concurrent_streams=100,grpc.so_reuseport=0"
