from __future__ import annotations

import json
import struct
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import AnswerError
from bench.protocols import Wire
from bench.protocols.kserve import MODEL_INFER, KServeBinary, KServeGrpc, KServeJson
from bench.protocols.protobuf import field_bytes, field_varint, varint

JSON = KServeJson(model="classifier", classes=3)
BINARY = KServeBinary(model="classifier", classes=3)
GRPC = KServeGrpc(model="classifier", classes=3)
WIRES: list[Wire] = [JSON, BINARY, GRPC]
VALUES = [0.25, 0.5, 0.25]
THREE = st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3)


def raw(values: list[float]) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def json_reply(values: object = VALUES, **changes: object) -> bytes:
    output = {"name": "probabilities", "datatype": "FP32", "shape": [1, 3], "data": values} | changes
    return json.dumps({"model_name": "classifier", "outputs": [output]}).encode()


def binary_reply(data: bytes = raw(VALUES), size: object = None, **changes: object) -> bytes:
    parameters = {"binary_data_size": len(data) if size is None else size}
    output = {"name": "probabilities", "datatype": "FP32", "shape": [1, 3], "parameters": parameters} | changes
    return json.dumps({"model_name": "classifier", "outputs": [output]}).encode() + data


def grpc_reply(
    data: bytes = raw(VALUES),
    *,
    name: str = "probabilities",
    datatype: str = "FP32",
    shape: bytes = field_bytes(3, b"\x01\x03"),
) -> bytes:
    output = field_bytes(1, name.encode()) + field_bytes(2, datatype.encode()) + shape
    return field_bytes(1, b"classifier") + field_bytes(2, b"1") + field_bytes(5, output) + field_bytes(6, data)


# ---------------------------------------------------------------- requests


@given(st.binary(max_size=500))
def test_json_carries_the_photo_as_base64_text(photo: bytes) -> None:
    request = KServeJson(model="my model", classes=3).request(photo)
    assert request.target == "/v2/models/my%20model/infer"
    (tensor,) = json.loads(request.body)["inputs"]
    (text,) = tensor.pop("data")
    assert b64decode(text, validate=True) == photo
    assert tensor == {"name": "jpeg", "shape": [1, 1], "datatype": "BYTES"}


@given(st.binary(max_size=500))
def test_binary_puts_the_photo_behind_the_json_whose_length_a_header_tells(photo: bytes) -> None:
    request = BINARY.request(photo)
    length = int(dict(request.headers)["Inference-Header-Content-Length"])
    head, tail = json.loads(request.body[:length]), request.body[length:]
    assert tail == struct.pack("<I", len(photo)) + photo
    assert head["inputs"][0]["parameters"] == {"binary_data_size": len(tail)}
    assert head["outputs"] == [{"name": "probabilities", "parameters": {"binary_data": True}}]


def test_the_grpc_request_is_byte_for_byte_what_triton_s_own_client_sends() -> None:
    # service_pb2.ModelInferRequest(...).SerializeToString() of tritonclient 2.73.0, protobuf 6.33.6, for the
    # model "classifier", input "jpeg" of BYTES [1, 1], output "probabilities", and the photo ff d8 ff.
    theirs = (
        "0a0a636c61737369666965722a110a046a706567120542595445531a020101"
        "320f0a0d70726f626162696c69746965733a0703000000ffd8ff"
    )
    request = GRPC.request(b"\xff\xd8\xff")
    assert request.body == bytes.fromhex(theirs)
    assert request.target == MODEL_INFER == "/inference.GRPCInferenceService/ModelInfer"


# ---------------------------------------------------------------- answers


def test_a_grpc_reply_reads_as_triton_s_own_client_wrote_it() -> None:
    # ModelInferResponse of the same tritonclient, model version "1", float32 0.25, 0.5, 0.25.
    theirs = (
        "0a0a636c61737369666965721201312a190a0d70726f626162696c69746965731204465033321a020103"
        "320c0000803e0000003f0000803e"
    )
    assert GRPC.answer(bytes.fromhex(theirs)).tolist() == VALUES
    assert grpc_reply() == bytes.fromhex(theirs)


@given(THREE)
def test_probabilities_read_back_exactly_from_every_form(values: list[float]) -> None:
    for wire, reply in (
        (JSON, json_reply(values)),
        (BINARY, binary_reply(raw(values))),
        (GRPC, grpc_reply(raw(values))),
    ):
        answer = wire.answer(reply)
        assert answer.dtype == np.float32
        assert answer.tolist() == values


def test_bytes_that_look_like_json_do_not_move_the_end_of_the_json() -> None:
    data = b'}}]}"{[ \n\x00\xff\x00'
    assert BINARY.answer(binary_reply(data)).tobytes() == data


def test_a_shape_that_is_not_packed_or_takes_two_bytes_reads_too() -> None:
    assert GRPC.answer(grpc_reply(shape=field_varint(3, 1) + field_varint(3, 3))).tolist() == VALUES
    wide = KServeGrpc(model="classifier", classes=1000)
    packed = field_bytes(3, varint(1) + varint(1000))
    assert wide.answer(grpc_reply(bytes(4000), shape=packed)).shape == (1000,)


def test_the_named_output_is_found_among_others() -> None:
    other = field_bytes(1, b"logits") + field_bytes(2, b"FP32") + field_bytes(3, b"\x01\x03")
    before = field_bytes(5, other) + field_bytes(6, raw([9.0, 9.0, 9.0]))
    assert GRPC.answer(before + grpc_reply()).tolist() == VALUES


NAN = float("nan")


@pytest.mark.parametrize(
    ("answer", "body", "why"),
    [
        (JSON.answer, json_reply(shape=[3]), r"shape \[3\], not \[1, 3\]"),
        (JSON.answer, json_reply(shape=None), "shape None"),
        (JSON.answer, json_reply(datatype="FP64"), "data type FP64, not FP32"),
        (JSON.answer, json_reply(VALUES[:2]), r"shape \[1, 3\] and 2 values"),
        (JSON.answer, json_reply([0.1, NAN, 0.2]), "nan, not a probability"),
        (JSON.answer, json_reply([0.1, "0.2", 0.3]), "is not a number"),
        (JSON.answer, json_reply(None), "is not a list of numbers"),
        (JSON.answer, json_reply(name="logits"), "no output 'probabilities'; it has: logits"),
        (JSON.answer, b'{"outputs": 7}', "no output 'probabilities'; it has: none"),
        (JSON.answer, b'{"outputs": [7, {"name": []}]}', "it has: none"),
        (JSON.answer, b'{"error": "unknown model"}', "the server answered an error: unknown model"),
        (JSON.answer, b"<html>", "the reply is not JSON"),
        (JSON.answer, b"", "the reply is not JSON"),
        (BINARY.answer, binary_reply(shape=[1, 2]), r"shape \[1, 2\], not \[1, 3\]"),
        (BINARY.answer, binary_reply(raw([0.1, NAN, 0.2])), "nan, not a probability"),
        (BINARY.answer, binary_reply(b""), r"shape \[1, 3\] and 0 values"),
        (BINARY.answer, binary_reply(size=0), "claims 0 bytes, and 12 follow the JSON"),
        (BINARY.answer, binary_reply()[:-1], "claims 12 bytes, and 11 follow the JSON"),
        (BINARY.answer, binary_reply(b"\x00" * 13), "13 bytes, which is no whole number of float32"),
        (BINARY.answer, json_reply(), "claims None bytes, and 0 follow the JSON"),
        (BINARY.answer, binary_reply(parameters=[]), "claims None bytes"),
        (BINARY.answer, raw(VALUES), "the reply is not JSON"),
        (BINARY.answer, b'{"error": "no"}', "the server answered an error: no"),
        (GRPC.answer, grpc_reply(shape=field_bytes(3, b"\x03")), r"shape \[3\], not \[1, 3\]"),
        (GRPC.answer, grpc_reply(shape=field_bytes(3, b"\x01\x03\x80")[:-1] + b"\x03"), r"shape \[1, 3, 3\]"),
        (GRPC.answer, grpc_reply(shape=b""), r"shape \[\], not \[1, 3\]"),
        (GRPC.answer, grpc_reply(datatype="INT32"), "data type INT32, not FP32"),
        (GRPC.answer, grpc_reply(b""), r"shape \[1, 3\] and 0 values"),
        (GRPC.answer, grpc_reply(raw([0.1, float("inf"), 0.2])), "inf, not a probability"),
        (GRPC.answer, grpc_reply(name="logits"), "no output 'probabilities'; it has: logits"),
        (GRPC.answer, grpc_reply()[:-14], "describes 1 outputs and holds 0"),
        (GRPC.answer, b"", "no output 'probabilities'; it has: none"),
        (GRPC.answer, grpc_reply()[:-1], "cut off"),
        (GRPC.answer, b"Bad gateway", "protobuf"),
    ],
)
def test_what_is_no_answer_is_refused_with_a_sentence(answer: Callable[[bytes], object], body: bytes, why: str) -> None:
    with pytest.raises(AnswerError, match=why):
        answer(body)


@given(st.one_of(st.binary(max_size=200), st.sampled_from([json_reply(), binary_reply(), grpc_reply()])), st.data())
def test_damaged_bytes_are_an_answer_or_an_answer_error_and_nothing_else(body: bytes, data: st.DataObject) -> None:
    damaged = bytearray(body)
    if damaged:
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    for wire in WIRES:
        with suppress(AnswerError):
            assert np.isfinite(wire.answer(bytes(damaged))).all()
