from __future__ import annotations

import importlib
import struct
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.errors import LaunchError
from bench.model.files import ModelFiles
from bench.protocols.tfserving import TfServingGrpc, TfServingRest
from bench.server import Place, known_kinds, load_kind

KIND: Any = load_kind(known_kinds()["tfserving"])
MODULE: Any = sys.modules[KIND.__module__]
Batching: Any = MODULE.Batching
WARMUP: Any = importlib.import_module(f"{MODULE.__name__}.warmup")

USAGE = """#!/bin/sh
case "$1" in
  --version) printf 'TensorFlow ModelServer: 2.20.0-rc1\\nTensorFlow Library: 2.20.0\\n' ;;
  --help) printf 'Flags:\\n\\t--num_load_threads=0\\tint32\\n\\t--mixed_precision=""\\tstring\\n'; exit 255 ;;
esac
"""


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BENCH_TFSERVING_BINARY", raising=False)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
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


def test_a_gpu_gets_longer_to_start_since_its_code_may_have_to_be_compiled() -> None:
    assert KIND(device="gpu").start_timeout >= 10 * KIND(device="cpu").start_timeout


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
    given = flags(place, mixed_precision="bfloat16", flags={"num_load_threads": 2})
    assert (given["num_load_threads"], given["mixed_precision"]) == ("2", "bfloat16")
    program.write_text(USAGE.replace("num_load_threads=0", "flush_filesystem_caches=true"))
    assert flags(place, flags={"flush_filesystem_caches": False})["flush_filesystem_caches"] == "false"


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


def test_every_field_of_batching_parameters_is_written_by_its_own_name_and_in_its_own_form() -> None:
    batching = Batching(
        max_batch_size=32,
        batch_timeout_micros=0,
        max_enqueued_batches=100,
        num_batch_threads=2,
        thread_pool_name="pool",
        enable_large_batch_splitting=True,
        max_execution_batch_size=16,
        allowed_batch_sizes=(8, 32),
        pad_variable_length_inputs=True,
    )
    assert batching.text().splitlines() == [
        "max_batch_size { value: 32 }",
        "batch_timeout_micros { value: 0 }",
        "max_enqueued_batches { value: 100 }",
        "num_batch_threads { value: 2 }",
        'thread_pool_name { value: "pool" }',
        "enable_large_batch_splitting { value: true }",
        "max_execution_batch_size { value: 16 }",
        "allowed_batch_sizes: 8",
        "allowed_batch_sizes: 32",
        "pad_variable_length_inputs: true",
    ]


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"batch_timeout": 0.005, "batch_timeout_micros": 5000}, "the same thing"),
        ({"enable_large_batch_splitting": True, "max_batch_size": 32}, "both"),
        ({"enable_large_batch_splitting": True, "max_execution_batch_size": 32}, "both"),
        ({"max_batch_size": 32, "max_execution_batch_size": 16}, "counts only with"),
        ({"enable_large_batch_splitting": True, "max_batch_size": 8, "max_execution_batch_size": 16}, "at most"),
    ],
)
def test_batching_that_contradicts_itself_is_refused(keys: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Batching(**keys)


def test_batching_of_one_model_lies_in_its_version_folder_and_only_the_pool_is_left_for_all(
    program: Path, place: Place
) -> None:
    given = flags(place, batching=Batching(max_batch_size=16, num_batch_threads=2, per_model=True))
    assert given["enable_per_model_batching_parameters"] == "true"
    assert Path(given["batching_parameters_file"]).read_text() == "num_batch_threads { value: 2 }\n"
    version = Path(given["model_base_path"]) / "1"
    assert place.folder in version.parents
    assert (version / "saved_model.pb").is_file()
    assert (version / "batching_params.pbtxt").read_text().splitlines()[0] == "max_batch_size { value: 16 }"
    assert place.model is not None
    assert not list(place.model.saved_model.rglob("*.pbtxt")), "the model in the cache is left as it was"


# ---------------------------------------------------------------- more keys


def test_the_session_and_the_gpu_are_set_by_keys(program: Path, place: Place, tmp_path: Path) -> None:
    names = ["xla_cpu_compilation_enabled", "xla_gpu_compilation_enabled", "tensorflow_session_config_file"]
    more = [*names, "per_process_gpu_memory_fraction", "mixed_precision"]
    program.write_text("#!/bin/sh\nprintf -- '" + "".join(f"--{name}=0\\n" for name in more) + "'\n")
    config = tmp_path / "session.txt"
    config.write_text("gpu_options { allow_growth: true }\n")
    given = flags(place, session_config_file=str(config), mixed_precision="bfloat16", xla=True)
    assert given["tensorflow_session_config_file"] == str(config)
    assert (given["mixed_precision"], given[names[0]]) == ("bfloat16", "true")
    given = flags(place, device="gpu", gpu_memory_fraction=0.5, xla=True)
    assert (given["per_process_gpu_memory_fraction"], given[names[1]]) == ("0.5", "true")


@pytest.mark.parametrize(
    "text", ["intra_op_parallelism_threads: 2", "gpu_options{per_process_gpu_memory_fraction:0.5}"]
)
def test_a_session_configuration_that_would_be_overwritten_is_refused(
    program: Path, place: Place, tmp_path: Path, text: str
) -> None:
    (tmp_path / "session.txt").write_text(text)
    with pytest.raises(LaunchError, match="overwritten"):
        flags(place, session_config_file=str(tmp_path / "session.txt"))


def test_a_key_whose_flag_the_program_lacks_is_refused(program: Path, place: Place) -> None:
    with pytest.raises(LaunchError, match="no flag xla_cpu_compilation_enabled") as caught:
        flags(place, xla=True)
    assert "newer version" in caught.value.hint


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"flags": {"grpc_max_threads": 8}}, "key of its own: grpc_max_threads"),
        ({"flags": {"xla_gpu_compilation_enabled": True}}, "key of its own: xla"),
        ({"gpu_memory_fraction": 0.5}, "device: gpu"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(keys: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        KIND(**keys)


def test_threads_follow_the_load_up_to_what_its_grpc_can_bear(program: Path, place: Place) -> None:
    for in_flight, threads in ((100, "200"), (100_000, "1024")):
        assert flags(replace(place, in_flight=in_flight))["grpc_max_threads"] == threads


def test_grpc_over_a_unix_socket_sends_the_load_there(program: Path, place: Place) -> None:
    server = KIND(protocol="grpc-unix")
    assert flags(place, protocol="grpc-unix")["grpc_socket_path"] == str(server.socket(place))
    assert server.wire(place).transport == "grpc"
    assert KIND(protocol="grpc").socket(place) is None


def test_a_path_too_long_for_a_socket_is_refused_before_the_start(program: Path, place: Place, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    with pytest.raises(LaunchError, match="too long"):
        flags(replace(place, folder=deep), protocol="grpc-unix")


def test_tensor_requests_ask_for_decoded_photos_and_cannot_be_made_without(program: Path, place: Place) -> None:
    assert KIND(request="tensor").needs_images
    assert not KIND().needs_images
    with pytest.raises(LaunchError, match="decoded"):
        KIND(request="tensor").wire(place)


# ---------------------------------------------------------------- warm-up records


@pytest.mark.parametrize(
    ("data", "crc"),
    [(b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)],
)
def test_the_checksum_is_the_published_crc_32c(data: bytes, crc: int) -> None:
    assert WARMUP.crc32c(data) == crc  # RFC 3720, B.4


def test_warmup_records_lie_beside_a_copy_of_the_model_one_for_each_batch_size(program: Path, place: Place) -> None:
    batching = Batching(max_batch_size=8, allowed_batch_sizes=(1, 4, 8))
    given = flags(place, model_warmup=True, batching=batching)
    file = Path(given["model_base_path"]) / "1" / "assets.extra" / "tf_serving_warmup_requests"
    assert len(tf_records(file.read_bytes())) == 3
    assert place.model is not None
    assert not list(place.model.saved_model.rglob("assets.extra")), "the model in the cache is left as it was"
    assert "num_request_iterations_for_warmup" not in given


def test_a_tensor_record_is_small_whatever_the_batch(program: Path, place: Place) -> None:
    given = flags(place, model_warmup=True, request="tensor", batching=Batching(max_batch_size=512))
    file = Path(given["model_base_path"]) / "1" / "assets.extra" / "tf_serving_warmup_requests"
    assert [len(record) < 200 for record in tf_records(file.read_bytes())] == [True, True]


def test_warmup_may_be_repeated(program: Path, place: Place) -> None:
    program.write_text("#!/bin/sh\nprintf -- '--num_request_iterations_for_warmup=0\\n'\n")
    given = flags(place, model_warmup=5)
    assert given["num_request_iterations_for_warmup"] == "5"
    assert len(tf_records(next(place.folder.rglob("tf_serving_warmup_requests")).read_bytes())) == 1


def tf_records(data: bytes) -> list[bytes]:
    found = []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        found.append(data[12 : 12 + length])
        data = data[12 + length + 4 :]
    return found


@pytest.mark.tensorflow
def test_tensorflow_reads_the_records_and_the_published_class_the_requests_in_them(
    program: Path, place: Place, tmp_path: Path
) -> None:
    prediction_log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    import tensorflow as tf

    for request, name, dims in (
        ("jpeg", "jpeg", [[1], [4]]),
        ("tensor", "image", [[1, 224, 224, 3], [4, 224, 224, 3]]),
    ):
        folder = tmp_path / request
        folder.mkdir()
        here = replace(place, folder=folder)
        flags(here, model_warmup=True, request=request, batching=Batching(max_batch_size=4))
        file = next(folder.rglob("tf_serving_warmup_requests"))
        logs = [
            prediction_log.PredictionLog.FromString(data)
            for data in tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
        ]
        tensors = [log.predict_log.request.inputs[name] for log in logs]
        assert [[dim.size for dim in tensor.tensor_shape.dim] for tensor in tensors] == dims
        assert [list(tf.make_ndarray(tensor).shape) for tensor in tensors] == dims


# ---------------------------------------------------------------- the version folder


def test_a_version_that_was_copied_half_is_refused_before_the_start(program: Path, place: Place) -> None:
    assert place.model is not None
    variables = place.model.saved_model / "1" / "variables"
    variables.mkdir()
    (variables / "variables.data-00000-of-00002").touch()
    with pytest.raises(LaunchError, match=r"variables.index is missing"):
        KIND().command(place)
    (variables / "variables.index").touch()
    with pytest.raises(LaunchError, match="1 of 2"):
        KIND().command(place)
    (variables / "variables.data-00001-of-00002").touch()
    KIND().command(place)
    for shard in variables.glob("variables.data*"):
        shard.unlink()
    with pytest.raises(LaunchError, match="none is there"):
        KIND().command(place)


def test_a_base_path_without_any_version_is_refused(program: Path, place: Place, tmp_path: Path) -> None:
    assert place.model is not None
    (tmp_path / "bare").mkdir()
    with pytest.raises(LaunchError, match="no version folder"):
        KIND().command(replace(place, model=replace(place.model, saved_model=tmp_path / "bare")))


# ---------------------------------------------------------------- its words


@pytest.mark.parametrize(
    ("log", "exit_code", "sentence"),
    [
        ("unknown argument: --no_such=1\nusage: tensorflow_model_server", None, "no flag --no_such=1"),
        ("E Could not find base path /m/x for servable model with error NOT_FOUND", None, "no model folder /m/x"),
        (
            "W No versions of servable m found under base path /m/x. Did you forget",
            None,
            "/m/x holds no version folder",
        ),
        ("failed: NOT_FOUND: Op type not registered 'NobodysOp' in binary", None, "operation NobodysOp"),
        ("Specified file path does not appear to contain a SavedModel bundle", None, "holds no SavedModel"),
        ("Loading servable: {name: m version: 1} failed: DATA_LOSS: too short", None, "damaged or were copied half"),
        ("Loading servable: {name: m version: 1} failed: INTERNAL: odd", 255, "could not be loaded: INTERNAL: odd"),
        ("NET_LOG: Couldn't bind to port 8501", None, "REST port was taken"),
        ("Failed to start server. Error: INVALID_ARGUMENT: Failed to BuildAndStart gRPC server", 255, "gRPC port was"),
        (
            "Failed to start server. Error: INVALID_ARGUMENT: bad file",
            255,
            "refuses what it was given: INVALID_ARGUMENT",
        ),
        ("terminate called after throwing an instance of 'std::bad_alloc'", -6, "ran out of memory"),
        ("", -4, "universal"),
        ("", 132, "universal"),
        ("", -9, "memory ran out"),
        ("", 137, "memory ran out"),
    ],
)
def test_a_failure_is_told_in_the_sentence_that_a_user_needs(log: str, exit_code: int | None, sentence: str) -> None:
    assert sentence in KIND().explain(log, exit_code)


@pytest.mark.parametrize(
    ("log", "exit_code"),
    [
        ("", None),
        ("", 1),
        ("", -15),
        ("I Loading servable version {name: m version: 1}", None),
        ("CUDA_ERROR_OUT_OF_MEMORY", None),
    ],
)
def test_what_is_not_known_is_not_explained(log: str, exit_code: int | None) -> None:
    assert KIND().explain(log, exit_code) is None


def test_the_stage_is_the_last_one_that_its_log_tells_of() -> None:
    began = "Building single TensorFlow model file config:  model_name: m\n"
    loading = began + "Loading servable version {name: m version: 1}\n"
    assert KIND().stage("") == ""
    assert KIND().stage(began) == "it was looking for the model"
    assert KIND().stage(loading) == "it was still loading the model"
    assert KIND().stage(loading + "Starting to read warmup data") == "it was replaying the model's warm-up records"


def test_the_log_tells_how_long_loading_and_warming_up_took() -> None:
    log = (
        "I loader.cc:466] SavedModel load for tags { serve }; Status: success: OK. Took 1250000 microseconds.\n"
        "I util.cc:129] Finished reading warmup data for model at /m/1/assets.extra/tf_serving_warmup_requests. "
        "Number of warmup records read: 2. Elapsed time (microseconds): 500000.\n"
    )
    assert KIND().startup_parts(log) == {"load": 1.25, "warmup": 0.5}
    assert KIND().startup_parts("") == {}
    later = log + "I Running gRPC ModelServer at 0.0.0.0:8500 ...\n" + log
    assert KIND().startup_parts(log + later) == {"load": 2.5, "warmup": 1.0}, "several models, and none that came later"


# ---------------------------------------------------------------- what it counts


def test_the_page_of_counters_is_summed_over_predictions_alone_in_seconds_and_rows() -> None:
    page = """# TYPE :tensorflow:serving:request_latency histogram
:tensorflow:serving:request_latency_bucket{model_name="m",API="predict",entrypoint="REST",le="10"} 0
:tensorflow:serving:request_latency_sum{model_name="m",API="predict",entrypoint="REST"} 3e+06
:tensorflow:serving:request_latency_count{model_name="m",API="predict",entrypoint="REST"} 2
:tensorflow:serving:request_latency_sum{model_name="m",API="Predict",entrypoint="GRPC"} 1000000
:tensorflow:serving:request_latency_count{model_name="m",API="Predict",entrypoint="GRPC"} 1
:tensorflow:serving:request_latency_sum{model_name="m",API="",entrypoint="REST"} 7
:tensorflow:serving:request_latency_count{model_name="m",API="",entrypoint="REST"} 7
:tensorflow:serving:runtime_latency_sum{model_name="m",API="Predict",runtime="TF1"} 500000
:tensorflow:serving:runtime_latency_count{model_name="m",API="Predict",runtime="TF1"} 3
:tensorflow:serving:batching_session:queuing_latency_sum{thread_pool_name=""} 250000
:tensorflow:serving:batching_session:queuing_latency_count{thread_pool_name=""} 3
:tensorflow:serving:batching_session:processed_batch_size_sum{} 8
:tensorflow:serving:batching_session:processed_batch_size_count 2
:tensorflow:serving:batching_session:padding_size_sum{execution_batch_size="4"} 3
:tensorflow:serving:batching_session:padding_size_sum{execution_batch_size="8"} 2
"""
    assert MODULE.totals(page) == {
        "request_seconds": 4.0,
        "request_count": 3.0,
        "run_seconds": 0.5,
        "run_count": 3.0,
        "queue_seconds": 0.25,
        "queue_count": 3.0,
        "batch_rows": 8.0,
        "batch_count": 2.0,
        "padding_rows": 5.0,
    }


def test_a_server_that_does_not_answer_has_no_counters(place: Place) -> None:
    assert KIND().counters(replace(place, ports=(1, 1))) == {}
