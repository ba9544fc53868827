from __future__ import annotations

import importlib.util
import platform
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import LaunchError
from bench.model.files import ModelFiles
from bench.server import Place, find_kind, load_kind

FOLDER = find_kind("triton", Path())
Server: Any = load_kind(FOLDER)
server_module: Any = sys.modules[Server.__module__]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place whose environment has the files that a start needs, and nothing in them."""
    home = tmp_path / "home"
    (home / "lib").mkdir(parents=True)
    venv = tmp_path / "venv"
    packages = venv / "lib" / "python3.11" / "site-packages"
    triton = packages / "pytriton" / "tritonserver"
    for file in (
        venv / "bin" / "python",
        triton / "bin" / "tritonserver",
        triton / "backends" / "python" / "libtriton_python.so",
        triton / "backends" / "python" / "triton_python_backend_utils.py",
        triton / "python_backend_stubs" / "3.11" / "triton_python_backend_stub",
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (venv / "pyvenv.cfg").write_text(f"home = {home / 'bin'}\n")
    for name in ("nvidia_pytriton-0.7.0", "tensorflow-2.21.0", "numpy-1.26.4"):
        (packages / f"{name}.dist-info").mkdir()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    model = make_model(tmp_path / "model")
    return Place("127.0.0.1", (8000, 8001, 8002), model, scratch, venv / "bin" / "python", cores=4)


def make_model(folder: Path) -> ModelFiles:
    known: dict[str, Any] = {
        "name": "m",
        "h5": folder / "m.h5",
        "keras": folder / "m.keras",
        "saved_model": folder / "saved_model",
        "height": 224,
        "width": 224,
        "classes": 1000,
    }
    return ModelFiles(**{"folder": folder, "size_bytes": {}, **known})


def config_of(place: Place, **keys: Any) -> str:
    Server(**keys).command(place)
    return (place.folder / "models" / "classifier" / "config.pbtxt").read_text()


def test_without_batching_the_shapes_name_the_batch_axis_themselves(place: Place) -> None:
    config = config_of(place)
    assert "max_batch_size: 0\n" in config
    assert "dims: [ -1, 1 ]" in config
    assert "dims: [ -1, 1000 ]" in config
    assert "dynamic_batching" not in config


def test_with_batching_there_is_a_batcher_and_the_batch_axis_is_understood(place: Place) -> None:
    config = config_of(place, batching=server_module.Batching(max_batch_size=8, queue_delay=0.005))
    assert "max_batch_size: 8\n" in config
    assert "dims: [ 1 ]" in config
    assert "dims: [ 1000 ]" in config
    assert "dynamic_batching { max_queue_delay_microseconds: 5000 }" in config


@pytest.mark.parametrize(
    ("keys", "threads"),
    [({}, 4), ({"instances": 2}, 2), ({"instances": 3}, 1), ({"instances": 9}, 1), ({"instances": 2, "threads": 4}, 4)],
)
def test_the_cores_are_shared_out_unless_threads_are_given(place: Place, keys: dict[str, int], threads: int) -> None:
    config = config_of(place, **keys)
    assert f'key: "threads" value {{ string_value: "{threads}" }}' in config
    assert f"count: {keys.get('instances', 1)} " in config


def test_it_listens_on_loopback_and_on_the_ports_it_was_given(place: Place) -> None:
    argv = Server().command(place).argv
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in argv[1:] if "=" in flag)
    assert {flags[f"{name}-address"] for name in ("http", "grpc", "metrics")} == {"127.0.0.1"}
    assert [flags[f"{name}-port"] for name in ("http", "grpc", "metrics")] == ["8000", "8001", "8002"]


@pytest.mark.parametrize(
    ("protocol", "port", "transport"), [("rest", 8000, "http"), ("rest-binary", 8000, "http"), ("grpc", 8001, "grpc")]
)
def test_the_load_goes_to_the_port_of_the_protocol(place: Place, protocol: str, port: int, transport: str) -> None:
    server = Server(protocol=protocol)
    assert place.ports[server.load_port] == port
    assert server.wire(place).transport == transport


def test_what_it_may_leave_behind_bears_a_name_that_only_we_give(place: Place) -> None:
    server = Server()
    prefixes = [flag for flag in server.command(place).argv if "shm-region-prefix-name" in flag]
    (pattern,) = server.litter(place)
    assert prefixes == [f"--backend-config=python,shm-region-prefix-name={Path(pattern).name.rstrip('*')}"]


def test_the_environment_of_the_server_comes_first_on_path_and_no_gpu_is_seen(place: Place) -> None:
    env = Server().command(place).env
    assert env["PATH"].startswith(f"{place.python.parent}:")
    assert env["CUDA_VISIBLE_DEVICES"] == "-1"
    assert "LD_LIBRARY_PATH" not in env


def test_a_libpython_beside_the_interpreter_is_put_on_the_loader_s_path_alone(place: Place, tmp_path: Path) -> None:
    libpython = tmp_path / "home" / "lib" / "libpython3.11.so.1.0"
    libpython.touch()
    (tmp_path / "home" / "lib" / "libstdc++.so.6").touch()
    folder = Path(Server().command(place).env["LD_LIBRARY_PATH"])
    assert [file.resolve() for file in folder.iterdir()] == [libpython]


def test_the_backend_is_linked_and_not_copied(place: Place) -> None:
    Server().command(place)
    names = {link.name for link in (place.folder / "backends" / "python").iterdir() if link.is_symlink()}
    assert names == {"libtriton_python.so", "triton_python_backend_utils.py", "triton_python_backend_stub"}
    assert (place.folder / "models" / "classifier" / "1" / "model.py").read_text() == (FOLDER / "model.py").read_text()


def test_an_environment_without_the_stub_of_its_python_is_told_by_the_file_it_lacks(place: Place) -> None:
    stub = next(place.python.parent.parent.rglob("triton_python_backend_stub"))
    stub.unlink()
    with pytest.raises(LaunchError, match="triton_python_backend_stub: not in the environment"):
        Server().command(place)


def test_the_record_names_the_versions_that_ran(place: Place) -> None:
    assert Server().version(place) == "Triton 2.51.0 (nvidia-pytriton 0.7.0), tensorflow 2.21.0, numpy 1.26.4"


def test_numpy_is_pinned_below_2_and_every_pin_carries_a_hash() -> None:
    pins = [pin for pin in (FOLDER / "requirements.txt").read_text().split("\n") if "==" in pin and pin[0] != "#"]
    assert "numpy==1.26.4 \\" in pins
    assert all(pin.endswith(" \\") for pin in pins)


# ---------------------------------------------------------------- missing


@pytest.fixture
def capable(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine where nothing is missing; a test then takes one thing away."""
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(sys, "version_info", (3, 11, 7, "final", 0))
    monkeypatch.setattr(server_module.sysconfig, "get_python_version", lambda: "3.11")
    monkeypatch.setattr(server_module.ctypes.util, "find_library", lambda name: f"lib{name}.so.1.0")
    return monkeypatch


def test_nothing_is_missing_where_everything_is_there(capable: pytest.MonkeyPatch) -> None:
    assert Server().missing() is None


@pytest.mark.parametrize(
    ("module", "name", "value", "reason"),
    [
        (platform, "system", lambda: "Darwin", "Linux x86_64 only, this is Darwin x86_64"),
        (platform, "machine", lambda: "aarch64", "this is Linux aarch64"),
        (platform, "libc_ver", lambda: ("glibc", "2.31"), "needs glibc 2.35 or newer, this is glibc 2.31"),
        (platform, "libc_ver", lambda: ("", ""), "needs glibc 2.35 or newer, this is no glibc"),
        (sys, "version_info", (3, 13, 0, "final", 0), "need Python 3.11 or 3.12"),
    ],
)
def test_what_is_missing_is_said(
    capable: pytest.MonkeyPatch, module: types.ModuleType, name: str, value: object, reason: str
) -> None:
    capable.setattr(module, name, value)
    assert reason in Server().missing().reason


def test_a_missing_libpython_comes_with_the_command_that_installs_it(
    capable: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    capable.setattr(server_module.ctypes.util, "find_library", lambda name: None)
    capable.setattr(sys, "base_prefix", str(tmp_path))
    missing = Server().missing()
    assert "libpython3.11.so.1.0" in missing.reason
    assert missing.fix == "apt-get install libpython3.11"


# ---------------------------------------------------------------- model.py, with Triton's module played by a few lines


class PlayedTensor:
    def __init__(self, name: str, array: Any) -> None:
        self.name, self.array = name, array

    def as_numpy(self) -> Any:
        return self.array


class NoPhotoError(Exception):
    pass


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Any:
    """model.py with a model that answers the length of each photo, and refuses a batch that holds a damaged one."""
    played = types.ModuleType("triton_python_backend_utils")
    played.__dict__.update(
        Tensor=PlayedTensor,
        TritonError=str,
        InferenceResponse=lambda tensors=None, error=None: error or tensors[0].array.tolist(),
        get_input_tensor_by_name=lambda request, name: PlayedTensor(name, request),
    )
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", played)
    spec = importlib.util.spec_from_file_location("triton_model", FOLDER / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def answer(photos: list[bytes]) -> Any:
        if any(photo.endswith(b"damaged") for photo in photos):
            raise NoPhotoError("some photo is damaged")
        return np.array([[len(photo)] for photo in photos], np.float32)

    model = module.TritonPythonModel()
    model.no_photo = NoPhotoError
    model.probabilities = answer
    return model


def request(*photos: bytes) -> Any:
    return np.array([[photo] for photo in photos], object)


def test_requests_of_several_photos_get_their_own_rows_back(program: Any) -> None:
    replies = program.execute([request(b"\xff\xd8"), request(b"\xff\xd81", b"\xff\xd822"), request(b"\xff\xd8333")])
    assert replies == [[[2]], [[3], [4]], [[5]]]


def test_bytes_and_base64_text_are_the_same_photo(program: Any) -> None:
    assert program.execute([request(b"\xff\xd8123"), request(b"/9gxMjM=")]) == [[[5]], [[5]]]


def test_a_damaged_photo_fails_its_own_request_only(program: Any) -> None:
    replies = program.execute([request(b"\xff\xd8"), request(b"\xff\xd8damaged"), request(b"GIF89a"), request(b"")])
    refused = "jpeg: neither the bytes of a JPEG nor their base64 text"
    assert replies == [[[2]], "some photo is damaged", refused, refused]


def test_a_batch_without_one_photo_is_refused_without_asking_the_model(program: Any) -> None:
    program.probabilities = pytest.fail
    assert len(program.execute([request(b"GIF89a"), request(b"R0lGODlh")])) == 2
