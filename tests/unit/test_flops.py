from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.errors import ArtifactError
from bench.model.count_flops import ELEMENTWISE, MOVEMENT, REDUCTIONS, operations
from bench.model.files import ModelFiles
from bench.model.flops import ModelFlops, model_flops


def counted(kind: str, inputs: list[list[int]], output: list[int], **attributes: Any) -> int | None:
    return operations(kind, inputs, output, attributes.__getitem__)


def test_a_dense_layer_is_a_multiplication_and_an_addition_per_weight() -> None:
    assert counted("MatMul", [[1, 1280], [1280, 1000]], [1, 1000], transpose_a=False) == 2 * 1280 * 1000
    assert counted("MatMul", [[1280, 1], [1280, 1000]], [1, 1000], transpose_a=True) == 2 * 1280 * 1000
    assert counted("BiasAdd", [[1, 1000], [1000]], [1, 1000]) == 1000


def test_a_convolution_counts_by_what_comes_out_so_stride_and_padding_need_no_care() -> None:
    same = counted("Conv2D", [[1, 32, 32, 3], [3, 3, 3, 8]], [1, 32, 32, 8])
    valid = counted("Conv2D", [[1, 32, 32, 3], [3, 3, 3, 8]], [1, 30, 30, 8])
    strided = counted("Conv2D", [[1, 32, 32, 3], [3, 3, 3, 8]], [1, 16, 16, 8])
    assert same == 2 * 32 * 32 * 8 * 27
    assert valid == 2 * 30 * 30 * 8 * 27
    assert strided == 2 * 16 * 16 * 8 * 27


def test_groups_divide_the_work_of_a_convolution() -> None:
    assert counted("Conv2D", [[1, 8, 8, 16], [3, 3, 4, 16]], [1, 8, 8, 16]) == 2 * 8 * 8 * 16 * 9 * 4


def test_a_depthwise_convolution_mixes_no_channels() -> None:
    assert counted("DepthwiseConv2dNative", [[1, 8, 8, 16], [5, 5, 16, 1]], [1, 8, 8, 16]) == 2 * 8 * 8 * 16 * 25
    assert counted("DepthwiseConv2dNative", [[1, 8, 8, 16], [5, 5, 16, 2]], [1, 8, 8, 32]) == 2 * 8 * 8 * 32 * 25


def test_a_transposed_convolution_counts_by_what_goes_in() -> None:
    grown = counted("Conv2DBackpropInput", [[4], [3, 3, 8, 16], [1, 4, 4, 16]], [1, 8, 8, 8])
    assert grown == 2 * 4 * 4 * 16 * 9 * 8


def test_batched_products_and_einsum_agree() -> None:
    product = counted("BatchMatMulV2", [[1, 12, 50, 64], [1, 12, 64, 50]], [1, 12, 50, 50], adj_x=False)
    assert product == 2 * 12 * 50 * 50 * 64
    assert (
        counted("Einsum", [[1, 12, 50, 64], [1, 12, 64, 50]], [1, 12, 50, 50], equation=b"bhik,bhkj->bhij") == product
    )
    assert (
        counted("Einsum", [[1, 12, 50, 64], [1, 12, 64, 50]], [1, 12, 50, 50], equation="...ik,...kj->...ij") == product
    )


def test_moving_data_costs_nothing_and_what_is_unknown_is_not_taken_for_nothing() -> None:
    assert counted("Reshape", [[1, 4, 4, 2], [2]], [1, 32]) == 0
    assert counted("FancyNewOp", [[1, 4]], [1, 4]) is None


def test_elementwise_reducing_and_pooling_nodes_count_elements() -> None:
    assert counted("Sigmoid", [[1, 4, 4, 2]], [1, 4, 4, 2]) == 32
    assert counted("Mean", [[1, 4, 4, 2], [2]], [1, 2]) == 32
    assert counted("MaxPool", [[1, 4, 4, 2]], [1, 2, 2, 2], ksize=[1, 2, 2, 1]) == 32
    assert counted("FusedBatchNormV3", [[1, 4, 4, 2], [2], [2], [2], [2]], [1, 4, 4, 2]) == 64


def test_no_kind_of_node_is_counted_twice() -> None:
    assert not ELEMENTWISE & REDUCTIONS
    assert not MOVEMENT & (ELEMENTWISE | REDUCTIONS)


def a_model(folder: Path) -> ModelFiles:
    return ModelFiles("tiny", folder, None, None, folder / "saved_model", 8, 8, 2, {})


def test_what_was_counted_once_is_read_from_beside_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def once(model: ModelFiles) -> str:
        calls.append(model.name)
        return json.dumps({"flops": 10, "multiply_adds": 4, "by_kind": {"MatMul": 8, "Mul": 2}, "unknown": {}})

    monkeypatch.setattr("bench.model.flops._counted", once)
    said: list[str] = []
    first, again = (model_flops(a_model(tmp_path), said.append) for _ in range(2))
    assert first == again == ModelFlops(10, 4, {"MatMul": 8, "Mul": 2}, {})
    assert calls == ["tiny"]
    assert len(said) == 1


def test_a_damaged_count_names_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.model.flops._counted", lambda _: "{]")
    with pytest.raises(ArtifactError) as failure:
        model_flops(a_model(tmp_path), lambda _: None)
    assert "flops-" in str(failure.value)
