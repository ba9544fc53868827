from __future__ import annotations

import json
from base64 import b64decode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import AnswerError
from bench.protocols.plain import PlainJson

WIRE = PlainJson()


@given(st.binary(max_size=500))
def test_the_photo_travels_as_base64_in_json(photo: bytes) -> None:
    request = WIRE.request(photo)
    assert request.target == "/predict"
    assert ("Content-Type", "application/json") in request.headers
    assert b64decode(json.loads(request.body)["image"], validate=True) == photo


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=50))
def test_probabilities_read_back_exactly(values: list[float]) -> None:
    answer = WIRE.answer(json.dumps({"probabilities": values}).encode())
    assert answer.dtype == np.float32
    assert answer.tolist() == values


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", r"not JSON .*\(empty\)"),
        (b"<html>502</html>", "not JSON .*502"),
        (b"\xff\xfe\xff", "not JSON"),
        (b'{"probabilities": [0.5', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"probabilities": [' + b"9" * 5000 + b"]}", "not JSON"),
        (b"[0.5, 0.5]", "not a JSON object"),
        (b'{"outputs": [0.5]}', "no 'probabilities'"),
        (b'{"error": "no such model"}', "answered an error: no such model"),
        (b'{"probabilities": []}', "not a list of numbers"),
        (b'{"probabilities": 0.5}', "not a list of numbers"),
        (b'{"probabilities": {"0": 0.5}}', "not a list of numbers"),
        (b'{"probabilities": [[0.5, 0.5]]}', r"\[0\] is not a number"),
        (b'{"probabilities": [0.5, "0.5"]}', r"\[1\] is not a number"),
        (b'{"probabilities": [0.5, null]}', r"\[1\] is not a number"),
        (b'{"probabilities": [true]}', r"\[0\] is not a number"),
        (b'{"probabilities": [0.5, NaN]}', r"\[1\] is nan, not a probability \(1 of 2"),
        (b'{"probabilities": [-Infinity, NaN]}', r"\[0\] is -inf, not a probability \(2 of 2"),
        (b'{"probabilities": [1e39]}', r"\[0\] is inf"),
        (b'{"probabilities": [' + b"9" * 400 + b"]}", "beyond float range"),
    ],
)
def test_what_is_no_answer_is_named_in_a_sentence(body: bytes, sentence: str) -> None:
    with pytest.raises(AnswerError, match=sentence) as caught:
        WIRE.answer(body)
    assert len(caught.value.what) < 400


@given(st.binary(max_size=200))
def test_garbage_never_raises_anything_but_an_answer_error(body: bytes) -> None:
    with pytest.raises(AnswerError):
        WIRE.answer(body)
