"""Protocol Buffers' wire format, as much of it as a prediction needs: varints, length-delimited fields, reading back.

Messages are encoded by hand so that the load generator needs neither TensorFlow nor generated stubs. This
module knows field numbers and wire types, and nothing of any message.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.errors import AnswerError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

_WIDTH = {FIXED64: 8, FIXED32: 4}
_MASK64 = 2**64 - 1
_LONGEST_VARINT = 10
_LARGEST_FIELD_NUMBER = 2**29 - 1


def varint(n: int) -> bytes:
    """A whole number in 1 to 10 bytes, low bits first; negative ones as 64-bit two's complement, as int32 and int64 do.

    Raises: ValueError outside -2**63 .. 2**64 - 1.
    """
    if not -(2**63) <= n <= _MASK64:
        raise ValueError(f"does not fit in 64 bits: {n}")
    n &= _MASK64
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field_varint(number: int, value: int) -> bytes:
    """One field that holds a whole number, a bool or an enum."""
    return varint(number << 3 | VARINT) + varint(value)


def field_bytes(number: int, data: bytes) -> bytes:
    """One length-delimited field: a string, bytes, a message or a packed list."""
    return varint(number << 3 | BYTES) + varint(len(data)) + data


def fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Field number, wire type and value of each field, in the order of the bytes.

    The value is an int (unsigned, 64 bits) for a varint; else bytes: 8 or 4 of them, little-endian, for a fixed
    number, any number of them for a length-delimited field.
    Raises: AnswerError if the bytes are cut off or are no message.
    """
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if not 1 <= number <= _LARGEST_FIELD_NUMBER:
            raise AnswerError(f"not a protobuf message: field number {number} at byte {at}")
        if wire_type == VARINT:
            value, at = _read_varint(data, at)
            yield number, wire_type, value
            continue
        if wire_type == BYTES:
            width, at = _read_varint(data, at)
        elif wire_type in _WIDTH:
            width = _WIDTH[wire_type]
        else:
            raise AnswerError(f"not a protobuf message: wire type {wire_type} of field {number} at byte {at}")
        if at + width > len(data):
            raise AnswerError(
                f"protobuf message cut off: field {number} needs {width} bytes at byte {at}, {len(data) - at} are left"
            )
        yield number, wire_type, data[at : at + width]
        at += width


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at a byte, and where the next thing begins."""
    value = 0
    for shift, byte in enumerate(data[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            if value > _MASK64:
                raise AnswerError(f"not a protobuf message: a number of more than 64 bits at byte {at}")
            return value, at + shift + 1
    if len(data) - at < _LONGEST_VARINT:
        raise AnswerError(f"protobuf message cut off in a number at byte {at}")
    raise AnswerError(f"not a protobuf message: a number of more than 64 bits at byte {at}")
