from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import AnswerError
from bench.protocols.protobuf import BYTES, FIXED32, FIXED64, VARINT, field_bytes, field_varint, fields, varint

NUMBERS = st.integers(1, 2**29 - 1)
UNSIGNED = st.integers(0, 2**64 - 1)
FIELDS = st.lists(st.tuples(NUMBERS, UNSIGNED | st.binary(max_size=300)), max_size=8)


def encode(number: int, value: int | bytes) -> bytes:
    return field_bytes(number, value) if isinstance(value, bytes) else field_varint(number, value)


@pytest.mark.parametrize(
    ("n", "encoded"),
    [
        (0, "00"),
        (1, "01"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (2**64 - 1, "ff" * 9 + "01"),
        (-1, "ff" * 9 + "01"),
    ],
)
def test_varints_match_the_published_examples(n: int, encoded: str) -> None:
    assert varint(n).hex() == encoded


@pytest.mark.parametrize("n", [2**64, -(2**63) - 1])
def test_a_number_of_more_than_64_bits_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        varint(n)


@given(FIELDS)
def test_fields_read_back_as_they_were_written(written: list[tuple[int, int | bytes]]) -> None:
    data = b"".join(encode(number, value) for number, value in written)
    assert [(number, value) for number, _, value in fields(data)] == written


@given(FIELDS, st.integers(0, 3000))
def test_a_message_cut_anywhere_gives_a_prefix_of_its_fields_or_an_answer_error(
    written: list[tuple[int, int | bytes]], cut: int
) -> None:
    ends = [len(b"".join(encode(*field) for field in written[:count])) for count in range(len(written) + 1)]
    data = b"".join(encode(*field) for field in written)[:cut]
    if len(data) in ends:
        assert [(number, value) for number, _, value in fields(data)] == written[: ends.index(len(data))]
    else:
        with pytest.raises(AnswerError, match="cut off"):
            list(fields(data))


@given(st.binary(max_size=200))
def test_garbage_never_raises_anything_but_an_answer_error(data: bytes) -> None:
    with suppress(AnswerError):
        for number, wire_type, value in fields(data):
            assert 1 <= number < 2**29
            assert isinstance(value, int) == (wire_type == VARINT)


def test_fixed_numbers_come_as_their_little_endian_bytes() -> None:
    data = bytes([1 << 3 | FIXED32]) + b"abcd" + bytes([2 << 3 | FIXED64]) + b"abcdefgh" + field_bytes(3, b"")
    assert list(fields(data)) == [(1, FIXED32, b"abcd"), (2, FIXED64, b"abcdefgh"), (3, BYTES, b"")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (field_bytes(1, b"abc")[:-1], "field 1 needs 3 bytes at byte 2, 2 are left"),
        (bytes([1 << 3 | FIXED32]) + b"abc", "cut off"),
        (b"\x08\x80", "cut off in a number"),
        (b"\x08" + b"\xff" * 10, "more than 64 bits"),
        (b"\x08" + b"\xff" * 9 + b"\x02", "more than 64 bits"),
        (b"\x00\x01", "field number 0"),
        (b"\x0b", "wire type 3"),
        (b"<html>", "wire type 4"),
    ],
)
def test_what_is_no_message_is_named(data: bytes, message: str) -> None:
    with pytest.raises(AnswerError, match=message):
        list(fields(data))
