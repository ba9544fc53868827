"""Requests and answers of every API for a model of any inputs, as bytes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from bench.errors import AnswerError, LaunchError
from bench.payload.signature import Signature, TensorSpec
from bench.payload.tensors import packed, string_array
from bench.protocols.kserve_tensors import KServeTensorsBinary, KServeTensorsGrpc, KServeTensorsJson
from bench.protocols.named import NAMES, tensor_wire_of
from bench.protocols.plain_tensors import PlainTensors, json_array
from bench.protocols.protobuf import field_bytes, field_varint, fields
from bench.protocols.tensor_proto import numbers_of, tensor_proto
from bench.protocols.tfserving_tensors import TfServingTensorsGrpc, TfServingTensorsRest, repeated

AGE, TOWN = TensorSpec("age", "float32", (None, 1)), TensorSpec("town", "string", (None,))
PRICE, SOLD = TensorSpec("price", "float32", (None, 2)), TensorSpec("sold", "float32", (None, 1))
TABLE = Signature((AGE, TOWN), (SOLD, PRICE))
ONE_OUT = Signature((AGE,), (PRICE,))
WHOLE = Signature((TensorSpec("age", "float32", (2,)),), (PRICE,), "score")


def array_of(dtype: str, values: Any) -> Any:
    return np.array(values, dtype)


def texts(*values: bytes) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


EXAMPLE = packed({"age": array_of("float32", [[0.1], [2.0]]), "town": texts(b"Bern", b"\xff")})


def test_plain_json_names_inputs_and_outputs() -> None:
    wire = PlainTensors(TABLE.output_names)
    body = json.loads(wire.request(EXAMPLE).body)
    assert body == {"inputs": {"age": [[0.1], [2]], "town": ["Bern", {"b64": "/w=="}]}}
    assert wire.answer(b'{"outputs": {"sold": [[true]], "price": [[1, 2.5]]}}').tolist() == [1, 2.5, 1]


def test_rest_sends_an_object_an_instance_where_every_tensor_has_rows() -> None:
    wire = TfServingTensorsRest(TABLE, "m", version=3)
    request = wire.request(EXAMPLE)
    assert request.target == "/v1/models/m/versions/3:predict"
    assert json.loads(request.body) == {
        "instances": [{"age": [0.1], "town": "Bern"}, {"age": [2], "town": {"b64": "/w=="}}]
    }
    reply = b'{"predictions": [{"price": [1, 2], "sold": [5]}, {"price": [3, 4], "sold": [6]}]}'
    assert wire.answer(reply).tolist() == [1, 2, 3, 4, 5, 6]
    assert TfServingTensorsRest(ONE_OUT).answer(b'{"predictions": [[1, 2], [3, 4]]}').tolist() == [1, 2, 3, 4]


def test_rest_sends_columns_and_names_the_signature_where_it_has_to() -> None:
    wire = TfServingTensorsRest(WHOLE)
    assert json.loads(wire.request(packed({"age": array_of("float32", [1, 2])})).body) == {
        "signature_name": "score",
        "inputs": {"age": [1, 2]},
    }
    assert wire.answer(b'{"outputs": [[1, 2]]}').tolist() == [1, 2]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"{", "not JSON"),
        (b'{"error": "no"}', "the server answered an error: no"),
        (b'{"predictions": []}', "no list of instances"),
        (b'{"predictions": [{"price": [1, 2]}]}', "lacks one of price, sold"),
        (b'{"predictions": [{"price": [1, 2], "sold": ["1"]}]}', "no number"),
        (b'{"predictions": [{"price": [1, null], "sold": [1]}]}', "no number"),
        (b'{"predictions": [{"price": [[1], 2], "sold": [1]}]}', "no tensor"),
        (b'{"predictions": [{"price": [NaN, 2], "sold": [1]}]}', "not a probability"),
    ],
)
def test_a_rest_reply_that_is_no_answer_is_refused(reply: bytes, said: str) -> None:
    with pytest.raises(AnswerError, match=said):
        TfServingTensorsRest(TABLE).answer(reply)


NUMBERS = st.sampled_from(
    ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"]
)


@given(NUMBERS.flatmap(lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes())))
def test_a_tensor_proto_of_any_type_reads_back(array: Any) -> None:
    with np.errstate(over="ignore"):
        expected = array.astype(np.float32).ravel()
    assert np.array_equal(numbers_of(tensor_proto(array), "x"), expected, equal_nan=True)


def proto(dtype: int, shape: tuple[int, ...], *rest: bytes) -> bytes:
    dims = b"".join(field_bytes(2, field_varint(1, size)) for size in shape)
    return field_varint(1, dtype) + field_bytes(2, dims) + b"".join(rest)


@pytest.mark.parametrize(
    ("tensor", "values"),
    [
        (proto(1, (2,), field_bytes(5, array_of("float32", [1, 2]).tobytes())), [1, 2]),
        (proto(2, (2,), field_bytes(6, array_of("float64", [1, 2]).tobytes())), [1, 2]),
        (proto(9, (2,), field_varint(10, -1), field_varint(10, 5)), [-1, 5]),
        (proto(3, (2,), field_bytes(7, b"\x05\x81\x01")), [5, 129]),
        (proto(10, (2,), field_bytes(11, b"\x01\x00")), [1, 0]),
        (proto(19, (1,), field_varint(13, 0x3C00)), [1]),
        (proto(14, (1,), field_varint(13, 0x3FC0)), [1.5]),
        (proto(23, (1,), field_varint(17, 2**63)), [2.0**63]),
        (proto(1, (3,), field_bytes(5, array_of("float32", [7]).tobytes())), [7, 7, 7]),
    ],
)
def test_values_may_come_in_every_form_that_tensorflow_writes(tensor: bytes, values: list[float]) -> None:
    assert numbers_of(tensor, "x").tolist() == values


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (proto(7, (1,), field_bytes(8, b"x")), "data type string"),
        (proto(99, (1,)), "data type 99"),
        (proto(1, (2,), field_bytes(4, b"123")), "no whole number of float32"),
        (proto(1, (3,), field_bytes(4, bytes(8))), r"shape \(3,\) and 2 values"),
        (proto(1, (1 << 40,), field_bytes(5, bytes(4))), "and 1 values"),
        (proto(3, (1,), field_bytes(7, b"\x81")), "cut off"),
    ],
)
def test_a_tensor_proto_that_lies_is_refused(tensor: bytes, said: str) -> None:
    with pytest.raises(AnswerError, match=said):
        numbers_of(tensor, "x")


def test_grpc_sends_a_tensor_an_input_and_reads_outputs_by_name() -> None:
    wire = TfServingTensorsGrpc(TABLE, "m")
    names = [
        next(value for number, _, value in fields(entry) if number == 1)
        for number, _, entry in fields(wire.request(EXAMPLE).body)
        if number == 2 and isinstance(entry, bytes)
    ]
    assert names == [b"age", b"town"]
    reply = b"".join(
        field_bytes(1, field_bytes(1, name) + field_bytes(2, tensor_proto(array)))
        for name, array in ((b"sold", array_of("float32", [[5]])), (b"price", array_of("int32", [[1, 2]])))
    )
    assert wire.answer(reply).tolist() == [1, 2, 5]
    with pytest.raises(AnswerError, match="no output 'price'; it has: none"):
        wire.answer(b"")


def test_a_row_is_repeated_for_a_batch() -> None:
    assert repeated(EXAMPLE, 3)["town"].tolist() == [b"Bern"] * 3


def test_kserve_binary_reads_the_request_that_it_wrote() -> None:
    request = KServeTensorsBinary(model="m", signature=TABLE).request(EXAMPLE)
    length = int(dict(request.headers)["Inference-Header-Content-Length"])
    head, raw = json.loads(request.body[:length]), request.body[length:]
    assert [(it["name"], it["datatype"], it["shape"]) for it in head["inputs"]] == [
        ("age", "FP32", [2, 1]),
        ("town", "BYTES", [2]),
    ]
    sizes = [it["parameters"]["binary_data_size"] for it in head["inputs"]]
    assert np.frombuffer(raw[: sizes[0]], "<f4").tolist() == pytest.approx([0.1, 2])
    assert string_array(raw[sizes[0] :]).tolist() == [b"Bern", b"\xff"]


def described(name: str, shape: list[int], **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": "FP32", "shape": shape, **more}


def test_kserve_reads_outputs_by_name_in_each_form() -> None:
    price, sold = array_of("float32", [1, 2]), array_of("float32", [5])
    as_json = {"outputs": [described("sold", [1, 1], data=[5]), described("price", [1, 2], data=[1, 2])]}
    assert KServeTensorsJson(model="m", signature=TABLE).answer(json.dumps(as_json).encode()).tolist() == [1, 2, 5]
    size = "binary_data_size"
    head = {
        "outputs": [
            described("sold", [1, 1], parameters={size: 4}),
            described("price", [1, 2], parameters={size: 8}),
        ]
    }
    body = json.dumps(head).encode() + sold.tobytes() + price.tobytes()
    binary = KServeTensorsBinary(model="m", signature=TABLE)
    assert binary.answer(body).tolist() == [1, 2, 5]
    for damaged, said in ((body + b"x", "1 bytes more"), (body[:-1], "price claims 8 bytes, and 7 are left")):
        with pytest.raises(AnswerError, match=said):
            binary.answer(damaged)
    message = b"".join(
        field_bytes(5, field_bytes(1, name) + field_bytes(2, b"FP32") + field_bytes(3, bytes(shape)))
        for name, shape in ((b"sold", (1, 1)), (b"price", (1, 2)))
    ) + b"".join(field_bytes(6, array.tobytes()) for array in (sold, price))
    assert KServeTensorsGrpc(model="m", signature=TABLE).answer(message).tolist() == [1, 2, 5]


def test_kserve_in_json_refuses_strings_that_are_no_text() -> None:
    with pytest.raises(LaunchError, match="no UTF-8, which JSON of KServe v2 cannot carry"):
        KServeTensorsJson(model="m", signature=TABLE).request(EXAMPLE)


@given(arrays_of.arrays("float32", arrays_of.array_shapes(), elements=st.floats(-1e6, 1e6, width=32)))
def test_floats_in_json_are_short_and_read_back_exactly(array: Any) -> None:
    assert np.array_equal(array_of("float32", json.loads(json_array(array))), array)


@pytest.mark.parametrize("name", NAMES)
def test_every_api_that_can_be_named_has_a_form_for_any_inputs(name: Any) -> None:
    wire = tensor_wire_of(name, "m", TABLE)
    request = wire.request(packed({"age": array_of("float32", [[1]]), "town": texts(b"Bern")}))
    assert b"town" in request.body
    assert wire.transport == ("grpc" if name.endswith("-grpc") else "http")
