from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.artifact import ModelFiles
from bench.errors import LaunchError
from bench.protocols.tfserving import TfServingGrpc, TfServingRest
from bench.server import Place, known_kinds, load_kind

KIND: Any = load_kind(known_kinds()["tfserving"])
MODULE: Any = sys.modules[KIND.__module__]
Batching: Any = MODULE.Batching

USAGE = """#!/bin/sh
case "$1" in
  --version) printf 'TensorFlow ModelServer: 2.20.0-rc1\\nTensorFlow Library: 2.20.0\\n' ;;
  --help) printf 'Flags:\\n\\t--num_load_threads=0\\tint32\\n\\t--mixed_precision=""\\tstring\\n'; exit 255 ;;
esac
"""


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BENCH_TFSERVING_BINARY", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(MODULE, "DEVICES", tmp_path / "dev")
    (tmp_path / "dev").mkdir()
    (tmp_path / "path").mkdir()


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return executable(tmp_path / "path" / "tensorflow_model_server")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    version = tmp_path / "saved_model" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").touch()
    (tmp_path / "scratch").mkdir()
    model = ModelFiles("m", tmp_path, None, None, tmp_path / "saved_model", 224, 224, 1000, {})
    return Place("127.0.0.1", (20001, 20002), model, tmp_path / "scratch", Path("/venv/bin/python"), 2)


def executable(file: Path) -> Path:
    file.write_text(USAGE)
    file.chmod(0o755)
    return file


def flags(place: Place, **keys: object) -> dict[str, str]:
    _, *given = KIND(**keys).command(place).argv
    assert all(flag.startswith("--") and "=" in flag for flag in given), "only --flag=value is read"
    return {name: value for name, _, value in (flag.removeprefix("--").partition("=") for flag in given)}


# ---------------------------------------------------------------- the program


def test_without_the_program_it_is_missing_and_the_fix_is_named() -> None:
    missing = KIND().missing()
    assert "not on PATH" in missing.reason
    assert "BENCH_TFSERVING_BINARY" in missing.fix
    with pytest.raises(LaunchError, match="tensorflow_model_server"):
        KIND().version(None)


def test_the_program_on_path_is_found(program: Path, place: Place) -> None:
    assert KIND().missing() is None
    assert KIND().command(place).argv[0] == str(program)


def test_a_named_program_comes_before_the_variable_and_the_variable_before_path(
    program: Path, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_variable, by_key = executable(tmp_path / "variable"), executable(tmp_path / "key")
    monkeypatch.setenv("BENCH_TFSERVING_BINARY", str(by_variable))
    assert KIND().command(place).argv[0] == str(by_variable)
    assert KIND(binary=str(by_key)).command(place).argv[0] == str(by_key)


def test_a_named_program_that_is_not_executable_is_missing_even_with_another_on_path(
    program: Path, tmp_path: Path
) -> None:
    (tmp_path / "plain").touch()
    for name in ("plain", "absent"):
        missing = KIND(binary=str(tmp_path / name)).missing()
        assert name in missing.reason
        assert "binary" in missing.fix


def test_a_gpu_is_missing_where_no_device_node_is(program: Path, tmp_path: Path) -> None:
    assert "GPU" in KIND(device="gpu").missing().reason
    (tmp_path / "dev" / "nvidiactl").touch()
    assert "GPU" in KIND(device="gpu").missing().reason
    (tmp_path / "dev" / "nvidia0").touch()
    assert KIND(device="gpu").missing() is None


def test_the_version_is_what_the_program_says(program: Path, place: Place) -> None:
    assert KIND().version(place) == "ModelServer 2.20.0-rc1, Library 2.20.0"


def test_a_program_that_says_nothing_has_no_version(program: Path, place: Place) -> None:
    program.write_text("#!/nowhere\n")
    assert KIND().version(place) == ""


# ---------------------------------------------------------------- its flags


def test_both_ports_are_given_and_the_load_goes_to_the_one_of_the_protocol(program: Path, place: Place) -> None:
    assert KIND.port_count == 2
    for protocol, port in (("grpc", "port"), ("rest", "rest_api_port")):
        server = KIND(protocol=protocol)
        assert flags(place, protocol=protocol)[port] == str(place.ports[server.load_port])


def test_what_would_hide_a_fault_is_always_turned_off(program: Path, place: Place) -> None:
    given = flags(place)
    assert given["grpc_channel_arguments"] == "grpc.so_reuseport=0"
    assert given["max_num_load_retries"] == "0"
    assert given["file_system_poll_wait_seconds"] == "0"
    assert KIND().command(place).env["TF_CPP_MIN_LOG_LEVEL"] == "0"


def test_the_model_is_given_by_an_absolute_path(
    program: Path, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert place.model is not None
    relative = replace(place, model=replace(place.model, saved_model=Path("saved_model")))
    assert flags(relative)["model_base_path"] == str(tmp_path / "saved_model")


def test_a_folder_without_a_version_is_refused_because_the_program_would_wait_for_ever(
    program: Path, place: Place
) -> None:
    assert place.model is not None
    (place.model.saved_model / "1" / "saved_model.pb").unlink()
    with pytest.raises(LaunchError, match="version folder"):
        KIND().command(place)


def test_threads_are_enough_not_to_refuse_requests_and_follow_the_batch_size(program: Path, place: Place) -> None:
    assert (flags(place)["grpc_max_threads"], flags(place)["rest_api_num_threads"]) == ("64", "64")
    batched = flags(place, batching=Batching(max_batch_size=128))
    assert (batched["grpc_max_threads"], batched["rest_api_num_threads"]) == ("256", "256")
    chosen = flags(place, grpc_max_threads=8, rest_api_num_threads=9)
    assert (chosen["grpc_max_threads"], chosen["rest_api_num_threads"]) == ("8", "9")


def test_tensorflow_gets_the_core_budget_unless_told_otherwise(program: Path, place: Place) -> None:
    given = flags(place, intra_op_threads=1)
    assert (given["tensorflow_intra_op_parallelism"], given["tensorflow_inter_op_parallelism"]) == ("1", "2")


def test_a_cpu_server_hides_the_gpu_and_a_gpu_server_does_not(program: Path, place: Place) -> None:
    assert KIND(device="cpu").command(place).env["CUDA_VISIBLE_DEVICES"] == "-1"
    assert "CUDA_VISIBLE_DEVICES" not in KIND(device="gpu").command(place).env


def test_batching_is_written_as_a_text_proto_in_the_names_of_the_program(program: Path, place: Place) -> None:
    batching = Batching(
        max_batch_size=16,
        batch_timeout=0.0055,
        max_enqueued_batches=100,
        num_batch_threads=2,
        allowed_batch_sizes=(4, 16),
    )
    given = flags(place, batching=batching)
    assert given["enable_batching"] == "true"
    assert Path(given["batching_parameters_file"]).parent == place.folder
    assert Path(given["batching_parameters_file"]).read_text().splitlines() == [
        "max_batch_size { value: 16 }",
        "batch_timeout_micros { value: 5500 }",
        "max_enqueued_batches { value: 100 }",
        "num_batch_threads { value: 2 }",
        "allowed_batch_sizes: 4",
        "allowed_batch_sizes: 16",
    ]


def test_without_batching_no_batching_flag_is_given(program: Path, place: Place) -> None:
    assert not [name for name in flags(place) if "batching" in name]


def test_a_timeout_of_zero_is_written_and_not_taken_for_left_out() -> None:
    assert Batching(batch_timeout=0.0).text() == "batch_timeout_micros { value: 0 }\n"


@pytest.mark.parametrize("sizes", [(16, 4), (4, 4, 16), (4, 8)])
def test_batch_sizes_that_would_fail_the_load_are_refused_at_once(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="allowed_batch_sizes"):
        Batching(max_batch_size=16, allowed_batch_sizes=sizes)


def test_other_flags_are_passed_on_in_the_form_it_reads(program: Path, place: Place) -> None:
    given = flags(place, flags={"num_load_threads": 2, "mixed_precision": "bfloat16"})
    assert (given["num_load_threads"], given["mixed_precision"]) == ("2", "bfloat16")
    program.write_text(USAGE.replace("num_load_threads=0", "enable_model_warmup=true"))
    assert flags(place, flags={"enable_model_warmup": False})["enable_model_warmup"] == "false"


def test_a_flag_that_the_program_lacks_is_refused_because_it_would_be_ignored(program: Path, place: Place) -> None:
    with pytest.raises(LaunchError, match="no flag num_load_thread") as caught:
        flags(place, flags={"num_load_thread": 2})
    assert "num_load_threads" in caught.value.hint


@pytest.mark.parametrize("name", ["port", "model_base_path", "--mixed_precision", "no such"])
def test_flags_of_the_harness_and_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="flag"):
        KIND(flags={name: 1})


def test_the_wire_asks_for_the_model_by_the_name_it_is_served_under(program: Path, place: Place) -> None:
    name = flags(place)["model_name"]
    assert KIND(protocol="rest").wire(place) == TfServingRest(name)
    assert KIND(protocol="grpc").wire(place) == TfServingGrpc(name)
