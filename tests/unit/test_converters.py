"""What converters get wrong is refused or mended, told without them: no runtime is imported here."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.forms import converters
from bench.forms.engines import programs_folder


def test_an_openvino_model_with_inner_tensors_among_its_results_is_refused(tmp_path: Path) -> None:
    """Fifty, as Keras's own export of EfficientNetB0 has: it would be right, and several times slower."""
    with pytest.raises(converters.RefusedError, match="50 results instead of one"):
        converters._save_openvino(SimpleNamespace(outputs=[None] * 50), tmp_path / "model.xml")


def test_inputs_that_no_node_reads_are_removed_and_the_others_stay() -> None:
    """ONNX Runtime would ask for them in every request, and does not load the file without."""
    named = [SimpleNamespace(name=name) for name in ("image", "normalization/Sub/y:0", "normalization/Sqrt/x:0")]
    graph = SimpleNamespace(node=[SimpleNamespace(input=["image", "weights"])], input=list(named))
    converters._remove_unread(graph)
    assert graph.input == named[:1]


def test_pruning_keeps_the_larger_half_as_it_is_and_spares_biases() -> None:
    weights = np.random.default_rng(1).normal(size=(3, 3, 16, 16)).astype(np.float32)
    masked = converters._masked(weights)
    assert np.mean(masked == 0) == pytest.approx(0.5, abs=0.001)
    assert np.array_equal(masked[masked != 0], weights[masked != 0])
    assert np.abs(masked[masked != 0]).min() >= np.abs(weights[masked == 0]).max()
    assert [converters._is_kernel(shape) for shape in ((3, 3, 16, 16), (4096,), (8, 8))] == [True, False, False]


@pytest.fixture
def openvino(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The engine around a compiled model that computes in f32 whatever it is asked for, as on a CPU without bf16."""
    got = SimpleNamespace(asked=[])

    class Compiled:
        def get_property(self, name: str) -> Any:
            assert name == "INFERENCE_PRECISION_HINT"
            return SimpleNamespace(get_type_name=lambda: "f32")

        def create_infer_request(self) -> Any:
            return SimpleNamespace(infer=lambda images: [np.zeros((1, 3), np.float32)])

    def compile_model(path: str, device: str, hints: dict[str, object]) -> Compiled:
        got.asked.append(hints["INFERENCE_PRECISION_HINT"])
        return Compiled()

    fake: Any = ModuleType("openvino")
    fake.Core = lambda: SimpleNamespace(compile_model=compile_model)
    monkeypatch.setitem(sys.modules, "openvino", fake)
    monkeypatch.syspath_prepend(str(programs_folder()))
    for name in [it for it in sys.modules if it.split(".")[0] in ("engines", "photos", "tensors")]:
        monkeypatch.delitem(sys.modules, name)
    engine = importlib.import_module("engines.openvino")
    settings = importlib.import_module("engines.settings").Settings
    yield SimpleNamespace(load=lambda precision: engine.Engine(settings("m.xml", 1, 8, 8, precision)), asked=got.asked)
    for name in [it for it in sys.modules if it.split(".")[0] in ("engines", "photos", "tensors")]:
        del sys.modules[name]


def test_a_precision_that_the_cpu_does_not_compute_in_is_refused_though_openvino_says_nothing(openvino: Any) -> None:
    with pytest.raises(RuntimeError, match="OpenVINO computes in f32 here, not in bf16"):
        openvino.load("bf16")


def test_what_an_int8_file_leaves_in_floating_point_is_asked_for_in_f32(openvino: Any) -> None:
    openvino.load("int8")
    openvino.load("f32")
    assert openvino.asked == ["f32", "f32"]
