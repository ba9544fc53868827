"""One seam for every engine: each kind in Python gives it its form of the model, its environment and its settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from bench.errors import LaunchError
from bench.forms.engines import ENGINES, Computation, EngineName, Precision, programs_folder
from bench.forms.variants import FILES, VARIANTS
from bench.model.files import ModelFiles
from bench.server import ModelForm, Place, known_kinds, load_kind
from bench.units import UnitError

KINDS = ("fastapi", "flask", "gunicorn", "triton")
COMPUTATIONS = [(engine.name, precision) for engine in ENGINES.values() for precision in engine.forms]
FORMS = {form: Path("/m/forms") / form / file for form, file in FILES.items()}
MODEL = ModelFiles(
    "m", Path("/m"), Path("/m/m.h5"), Path("/m/m.keras"), Path("/m/saved_model"), 224, 240, 1000, {}, None, FORMS
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place whose environment has what a start of Triton looks for, and nothing in it."""
    packages = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    triton = packages / "pytriton" / "tritonserver"
    for file in (
        triton / "backends" / "python" / "libtriton_python.so",
        triton / "backends" / "python" / "triton_python_backend_utils.py",
        triton / "python_backend_stubs" / "3.11" / "triton_python_backend_stub",
        tmp_path / "venv" / "pyvenv.cfg",
        tmp_path / "scratch" / "nothing",
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    python = tmp_path / "venv" / "bin" / "python"
    return Place("127.0.0.1", (20123, 20124, 20125), MODEL, tmp_path / "scratch", python, 2)


def server_of(kind: str, **keys: object) -> Any:
    return load_kind(known_kinds()[kind])(**keys)


def told(kind: str, place: Place, **keys: object) -> str:
    """All that the program of a kind is told: its environment, or Triton's configuration."""
    command = server_of(kind, **keys).command(place)
    if kind == "triton":
        return (place.folder / "models" / "classifier" / "config.pbtxt").read_text()
    return "\n".join(f"{name}={value}" for name, value in command.env.items())


def test_an_engine_is_one_row_one_module_and_what_it_is_installed_from() -> None:
    assert tuple(ENGINES) == get_args(EngineName)
    assert {precision for _, precision in COMPUTATIONS} == set(get_args(Precision))
    assert {Computation(*each).form for each in COMPUTATIONS} <= set(get_args(ModelForm))
    for engine in ENGINES.values():
        assert (programs_folder() / "engines" / f"{engine.name}.py").is_file()
        assert engine.with_tensorflow or Path(Computation(engine.name).requirements).is_file()


def test_every_way_of_computing_a_form_that_is_made_here_is_measured_for_its_accuracy() -> None:
    made = {(engine, precision) for engine, precision in COMPUTATIONS if Computation(engine, precision).form in FILES}
    assert {(it.engine, it.precision) for it in VARIANTS} >= made
    assert len({it.name for it in VARIANTS}) == len(VARIANTS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("engine", "precision"), COMPUTATIONS)
def test_every_kind_gives_every_engine_its_form(
    kind: str, engine: EngineName, precision: Precision, place: Place
) -> None:
    tutorial = (engine, precision) == ("keras", "f32") and kind in ("flask", "gunicorn")
    form = "h5" if tutorial else Computation(engine, precision).form
    file = MODEL.file(form)
    assert file is not None
    server = server_of(kind, engine=engine, precision=precision)
    assert server.model_form == form
    assert str(file / "1" if form == "saved_model" else file) in told(kind, place, engine=engine, precision=precision)
    if server.requirements is not None:
        assert (known_kinds()[kind] / server.requirements).is_file()


@pytest.mark.parametrize("kind", ["fastapi", "flask", "gunicorn"])
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "litert"])
def test_kinds_in_python_share_the_environment_of_an_engine(kind: str, engine: EngineName) -> None:
    server = server_of(kind, engine=engine)
    assert known_kinds()[kind] / server.requirements == Path(Computation(engine).requirements)


@pytest.mark.parametrize(
    ("kind", "engine"), [("fastapi", "tensorflow"), ("flask", "keras"), ("gunicorn", "keras"), ("triton", "tensorflow")]
)
def test_a_kind_whose_engine_nobody_names_stays_what_it_is(kind: str, engine: EngineName, place: Place) -> None:
    usual, named = server_of(kind), server_of(kind, engine=engine)
    assert usual == named
    assert (usual.model_form, usual.requirements) == (type(usual).model_form, type(usual).requirements)
    if kind in ("flask", "gunicorn"):
        assert not any("engine_app" in part for part in usual.command(place).argv)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_refuses_a_precision_that_the_engine_has_not(kind: str) -> None:
    with pytest.raises(UnitError, match="engine litert does not compute in bf16"):
        server_of(kind, engine="litert", precision="bf16")


@pytest.mark.parametrize("kind", [*KINDS, "replicas"])
def test_every_kind_says_that_it_rounds_where_it_does(kind: str) -> None:
    keys = {"engine": "litert", "precision": "int8"}
    if kind == "replicas":
        inner = server_of("gunicorn", **keys)
        replicas = server_of(kind)
        server = server_of(kind, of=replace(replicas.of, server=inner))
    else:
        server = server_of(kind, **keys)
    assert server.other_work == "int8 weights and activations"


@pytest.mark.parametrize("kind", KINDS)
def test_a_form_that_was_not_made_is_told_before_anything_starts(kind: str, place: Place) -> None:
    with pytest.raises(LaunchError, match="there is no model as onnx to serve"):
        server_of(kind, engine="onnxruntime").command(replace(place, model=replace(MODEL, forms={})))


def test_what_only_the_tutorials_app_does_goes_with_no_other_engine() -> None:
    with pytest.raises(UnitError, match="load_per_request"):
        server_of("flask", engine="onnxruntime", load_per_request=True)


def test_gevent_is_refused_for_engines_that_keep_something_for_each_thread() -> None:
    with pytest.raises(UnitError, match="engine openvino does not go with worker_class gevent"):
        server_of("gunicorn", engine="openvino", worker_class="gevent")


def test_a_worker_without_tensorflow_takes_less_memory_for_granted(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{type(server_of('gunicorn')).__module__}.memory_bytes", lambda: 3 << 30)
    assert server_of("gunicorn").workers_at(place) == 1
    assert server_of("gunicorn", engine="litert").workers_at(place) == 2
