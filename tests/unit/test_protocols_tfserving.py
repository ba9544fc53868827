from __future__ import annotations

import json
import struct
from base64 import b64decode
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from bench.errors import AnswerError
from bench.protocols.protobuf import field_bytes, field_varint, varint
from bench.protocols.tfserving import TfServingGrpc, TfServingRest, json_numbers

REST, GRPC = TfServingRest(), TfServingGrpc()
PIXELS = arrays(np.float32, st.tuples(*[st.integers(1, 4)] * 3), elements=st.floats(0, 255, width=32))
FLOATS = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30)


def packed(values: list[float]) -> bytes:
    return field_bytes(5, struct.pack(f"<{len(values)}f", *values))


def unpacked(values: list[float]) -> bytes:
    return b"".join(varint(5 << 3 | 5) + struct.pack("<f", value) for value in values)


def content(values: list[float]) -> bytes:
    return field_bytes(4, struct.pack(f"<{len(values)}f", *values))


def tensor(values: bytes, dims: tuple[int, ...], dtype: int = 1) -> bytes:
    shape = b"".join(field_bytes(2, field_varint(1, size)) for size in dims)
    return field_varint(1, dtype) + field_bytes(2, shape) + values


def response(tensor_proto: bytes, name: bytes = b"probabilities") -> bytes:
    entry = field_bytes(1, name) + field_bytes(2, tensor_proto)
    return field_bytes(2, field_bytes(1, b"model")) + field_bytes(1, entry)


# ---------------------------------------------------------------- REST


@given(st.binary(max_size=500))
def test_rest_sends_one_instance_in_base64(photo: bytes) -> None:
    request = TfServingRest(model="my model").request(photo)
    assert request.target == "/v1/models/my%20model:predict"
    (instance,) = json.loads(request.body)["instances"]
    assert b64decode(instance["b64"], validate=True) == photo


@given(FLOATS)
def test_rest_predictions_read_back_exactly(values: list[float]) -> None:
    assert REST.answer(json.dumps({"predictions": [values]}, indent=4).encode()).tolist() == values


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"predictions": [[0.5, NaN]]}', r"predictions\[0\]\[1\] is nan"),
        (b'{"predictions": [[Infinity]]}', r"predictions\[0\]\[0\] is inf"),
        (b'{"predictions": [[0.5], [0.5]]}', "one photo was sent and 2 predictions came back"),
        (b'{"predictions": []}', "0 predictions"),
        (b'{"predictions": null}', "no list of predictions"),
        (b'{"predictions": [0.5]}', r"predictions\[0\] is not a list of numbers"),
        (b'{"predictions": [{"probabilities": [0.5]}]}', r"predictions\[0\] is not a list of numbers"),
        (b'{"predictions": [[[0.5]]]}', "not a number"),
        (
            b'{\n    "error": "Servable not found for request: Latest(model)"\n}',
            "answered an error: Servable not found",
        ),
        (b"<HTML>404</HTML>", "not JSON"),
    ],
)
def test_a_rest_reply_that_is_no_answer_is_named(body: bytes, sentence: str) -> None:
    with pytest.raises(AnswerError, match=sentence):
        REST.answer(body)


@given(PIXELS)
def test_rest_pixels_read_back_exactly_in_the_signature_that_takes_them(pixels: NDArray[np.float32]) -> None:
    request = json.loads(TfServingRest(pixels=lambda _: pixels).request(b"a photo").body)
    assert request["signature_name"] == "tensor"
    (instance,) = request["instances"]
    assert np.array_equal(np.array(instance, dtype=np.float32), pixels)


def test_a_pixel_is_as_short_as_it_reads_back_and_there_are_no_blanks() -> None:
    assert json_numbers(np.array([[[0.1, 255], [7.5, 0]]], dtype=np.float32)) == b"[[[0.1,255],[7.5,0]]]"


# ---------------------------------------------------------------- gRPC


@given(FLOATS)
def test_floats_read_back_from_each_of_their_three_forms(values: list[float]) -> None:
    for form in (packed, unpacked, content):
        assert GRPC.answer(response(tensor(form(values), (1, len(values))))).tolist() == values


def test_packed_and_single_floats_may_be_mixed_as_protobuf_allows() -> None:
    assert GRPC.answer(response(tensor(packed([0.25]) + unpacked([0.5]), (1, 2)))).tolist() == [0.25, 0.5]


def test_one_float_stands_for_a_constant_row() -> None:
    assert GRPC.answer(response(tensor(packed([0.5]), (1, 3)))).tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "no output 'probabilities'; it has: none"),
        (response(tensor(packed([0.5]), (1, 1)), b"scores"), "it has: scores"),
        (response(tensor(packed([0.5]), (1, 1), dtype=2)), "data type 2"),
        (response(b""), "data type 0"),
        (response(tensor(packed([0.5, 0.5]), (2,))), r"shape \(2,\)"),
        (response(tensor(packed([0.5, 0.5]), (2, 1))), r"shape \(2, 1\)"),
        (response(tensor(packed([0.5, 0.5]), (1, 3))), r"shape \(1, 3\) and 2 values"),
        (response(tensor(content([0.5]), (1, 3))), r"shape \(1, 3\) and 1 values"),
        (response(tensor(packed([0.5]), (1, 2**40))), "and 1 values"),
        (response(tensor(packed([0.5]), (1, -1))), "and 1 values"),
        (response(tensor(packed([]), (1, 0))), r"shape \(1, 0\)"),
        (response(tensor(field_bytes(4, b"abc"), (1, 1))), "holds 3 bytes"),
        (response(tensor(packed([float("nan"), 0.5]), (1, 2))), r"probabilities\[0\] is nan"),
        (response(tensor(packed([0.5]), (1, 1)))[:-2], "cut off"),
        (b'{"error": "text"}', "protobuf"),
    ],
)
def test_a_grpc_reply_that_is_no_answer_is_named(body: bytes, sentence: str) -> None:
    with pytest.raises(AnswerError, match=sentence):
        GRPC.answer(body)


@given(st.binary(max_size=60), st.integers(0, 59))
def test_a_damaged_grpc_reply_never_raises_anything_but_an_answer_error(noise: bytes, at: int) -> None:
    good = response(tensor(packed([0.25, 0.5, 0.25]), (1, 3)))
    with suppress(AnswerError):
        GRPC.answer(good[:at] + noise + good[at + len(noise) :])


# ---------------------------------------------------------------- against the classes that TensorFlow Serving publishes


@pytest.fixture(scope="module")
def published() -> Any:
    return pytest.importorskip("tensorflow_serving.apis.predict_pb2")


@pytest.mark.tensorflow
@pytest.mark.parametrize("photo", [b"", b"\xff\xd8 a photo", bytes(range(256)) * 1000])
def test_the_published_class_reads_our_request_as_one_string_tensor(published: Any, photo: bytes) -> None:
    request = published.PredictRequest.FromString(TfServingGrpc(model="résumé").request(photo).body)
    assert request.model_spec.name == "résumé"
    assert list(request.inputs) == ["jpeg"]
    assert request.inputs["jpeg"].dtype == 7
    assert [dim.size for dim in request.inputs["jpeg"].tensor_shape.dim] == [1]
    assert list(request.inputs["jpeg"].string_val) == [photo]
    assert published.PredictRequest.FromString(request.SerializeToString()) == request


@pytest.mark.tensorflow
def test_the_published_class_reads_pixels_as_one_float_tensor(published: Any) -> None:
    pixels = np.random.default_rng(1).random((4, 5, 3), dtype=np.float32) * 255
    request = published.PredictRequest.FromString(TfServingGrpc(pixels=lambda _: pixels).request(b"").body)
    assert request.model_spec.signature_name == "tensor"
    tensor = request.inputs["image"]
    assert (tensor.dtype, [dim.size for dim in tensor.tensor_shape.dim]) == (1, [1, 4, 5, 3])
    assert tensor.tensor_content == pixels.tobytes()


@pytest.mark.tensorflow
@pytest.mark.parametrize("as_content", [False, True])
def test_a_reply_written_by_the_published_class_reads_back(published: Any, as_content: bool) -> None:
    row = np.random.default_rng(1).random((1, 1000), dtype=np.float32)
    reply = published.PredictResponse()
    reply.model_spec.name, reply.model_spec.signature_name, reply.model_spec.version.value = "m", "serving_default", 1
    for name, values in (("other", row + 1), ("probabilities", row)):
        proto = reply.outputs[name]
        proto.dtype = 1
        for size in values.shape:
            proto.tensor_shape.dim.add().size = size
        if as_content:
            proto.tensor_content = values.tobytes()
        else:
            proto.float_val.extend(values[0].tolist())
    assert GRPC.answer(reply.SerializeToString()).tolist() == row[0].tolist()


@pytest.mark.tensorflow
@given(values=FLOATS)
def test_the_published_class_reads_the_same_floats_from_each_of_their_forms(
    published: Any, values: list[float]
) -> None:
    for form in (packed, unpacked, content):
        body = response(tensor(form(values), (1, len(values))))
        theirs = published.PredictResponse.FromString(body).outputs["probabilities"]
        raw = np.frombuffer(theirs.tensor_content, "<f4").tolist() if theirs.tensor_content else list(theirs.float_val)
        assert GRPC.answer(body).tolist() == raw == values
