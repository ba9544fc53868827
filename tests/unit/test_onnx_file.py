"""What an ONNX file says of itself, without the onnx package."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import ScenarioError
from bench.model.check import check_model_file
from bench.model.onnx_file import PhotoInput, check_photos, read_onnx
from bench.payload.signature import TensorSpec
from bench.protocols.protobuf import field_bytes
from tests.onnx_files import CLASSES, FLOAT, INT64, mean_colour, model_proto, node, tensor_proto, value_info, written


@pytest.mark.parametrize(
    ("layout", "batch", "photos"),
    [
        ("NCHW", "n", PhotoInput("NCHW", 8, 6)),
        ("NHWC", "n", PhotoInput("NHWC", 8, 6)),
        ("NCHW", 1, PhotoInput("NCHW", 8, 6)),
    ],
)
def test_the_layout_of_photos_is_read_from_the_shape(
    layout: str, batch: int | str, photos: PhotoInput, tmp_path: Path
) -> None:
    known = read_onnx(written(tmp_path / "m.onnx", mean_colour(layout, batch=batch)))
    assert known.photos == photos
    rows = batch if isinstance(batch, int) else None
    assert known.signature.outputs == (TensorSpec("probabilities", "float32", (rows, CLASSES)),)
    assert (known.opset, known.data_files) == (17, ())


def test_an_input_that_is_a_weight_or_that_no_node_reads_is_none(tmp_path: Path) -> None:
    extra = [value_info("weights", (3, CLASSES)), value_info("left:over/0", (1,))]
    known = read_onnx(written(tmp_path / "m.onnx", mean_colour(extra_inputs=extra)))
    assert [spec.name for spec in known.signature.inputs] == ["pixels"]


def test_what_a_branch_reads_is_read(tmp_path: Path) -> None:
    inner = node("Identity", ["outside"], "y")
    branch = node("If", ["condition"], "y")
    branch += field_bytes(5, field_bytes(1, b"then_branch") + field_bytes(6, field_bytes(1, inner)))
    proto = model_proto(
        [value_info("condition", (1,), 9), value_info("outside", (2,)), value_info("nobody", (2,))],
        [branch],
        [value_info("y", (2,))],
    )
    inputs = read_onnx(written(tmp_path / "m.onnx", proto)).signature.inputs
    assert [(spec.name, spec.dtype) for spec in inputs] == [("condition", "bool"), ("outside", "float32")]


@pytest.mark.parametrize(
    ("inputs", "takes"),
    [
        ([("x", ("n", 4), FLOAT)], r"x float32 \(None, 4\)"),
        ([("x", ("n", 3, 8, 8), INT64)], r"x int64 \(None, 3, 8, 8\)"),
        ([("x", ("n", 3, "h", "w"), FLOAT)], r"x float32 \(None, 3, None, None\)"),
        ([("x", (4, 3, 8, 8), FLOAT)], r"x float32 \(4, 3, 8, 8\)"),
        ([("x", ("n", 1, 8, 8), FLOAT)], r"x float32 \(None, 1, 8, 8\)"),
        ([("x", ("n", 3, 8, 8), FLOAT), ("y", ("n",), FLOAT)], r"y float32 \(None,\)"),
    ],
)
def test_what_takes_no_photos_is_told_by_what_it_takes(
    inputs: list[tuple[str, tuple[int | str, ...], int]], takes: str, tmp_path: Path
) -> None:
    given = [value_info(name, shape, dtype) for name, shape, dtype in inputs]
    proto = model_proto(given, [node("Sum", [name for name, *_ in inputs], "z")], [value_info("z", ("n",))])
    with pytest.raises(ScenarioError, match=takes) as told:
        check_photos(written(tmp_path / "m.onnx", proto))
    assert str(tmp_path / "m.onnx") in told.value.what
    assert "(batch, 3, height, width)" in told.value.hint


@pytest.mark.parametrize("content", [b"", b"\x08\x08", b"hello world", b"\xff\xd8\xff\xe0 a photo", b"PK\x03\x04"])
def test_what_is_no_onnx_model_is_refused_as_such(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="is not an ONNX model"):
        check_model_file(written(tmp_path / "m.onnx", content))


@given(cut=st.integers(0, 400), byte=st.integers(0, 255))
def test_no_damage_makes_it_fail_in_another_way(cut: int, byte: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    content = mean_colour()
    at = cut % len(content)
    for damaged in (content[:at], content[:at] + bytes([byte]) + content[at + 1 :]):
        try:
            check_photos(written(tmp_path_factory.getbasetemp() / "damaged.onnx", damaged))
        except ScenarioError as told:
            assert "damaged.onnx" in told.what  # noqa: PT017 -- many are still whole


def test_weights_beside_the_file_have_to_be_there(tmp_path: Path) -> None:
    file = written(tmp_path / "m.onnx", mean_colour(location="weights.bin"))
    with pytest.raises(ScenarioError, match=r"keeps its weights in weights\.bin, which is not beside it"):
        check_photos(file)
    written(tmp_path / "weights.bin", b"")
    assert read_onnx(file).data_files == ("weights.bin",)


@pytest.mark.parametrize("place", ["/etc/passwd", "../weights.bin", "a/../../weights.bin"])
def test_weights_outside_of_the_folder_are_refused(place: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="outside of its own folder"):
        check_photos(written(tmp_path / "m.onnx", mean_colour(location=place)))


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read"):
        read_onnx(tmp_path)


def test_a_tensor_of_several_data_files_names_each_once(tmp_path: Path) -> None:
    written(tmp_path / "w.bin", b"")
    weights = [tensor_proto(name, (1,), [1.0], location="w.bin") for name in ("a", "b")]
    proto = model_proto([value_info("x", (1,))], [node("Sum", ["x", "a", "b"], "y")], [value_info("y", (1,))], weights)
    assert read_onnx(written(tmp_path / "m.onnx", proto)).data_files == ("w.bin",)
