"""Model warm-up records: requests that TensorFlow Serving replays before a version becomes available.

They are PredictionLog messages in a TFRecord file, both written by hand, since the harness has no TensorFlow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import accumulate, repeat

from bench.protocols.protobuf import field_bytes

MOST_RECORDS = 1000
"""With more of them the model is not loaded."""

_PREDICT_LOG, _REQUEST = 6, 1
_CASTAGNOLI = 0x82F63B78
_MASK_DELTA = 0xA282EAD8


def records(requests: Iterable[bytes]) -> bytes:
    """A TFRecord file of one PredictionLog for each PredictRequest."""
    return b"".join(record(field_bytes(_PREDICT_LOG, field_bytes(_REQUEST, request))) for request in requests)


def record(data: bytes) -> bytes:
    """One record: its length, the data, and a masked CRC-32C behind each."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc(length)) + data + struct.pack("<I", masked_crc(data))


def masked_crc(data: bytes) -> int:
    """CRC-32C as TFRecord stores it, so that a CRC over data that holds CRCs stays a good one."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """CRC-32 with Castagnoli's polynomial.   Source: RFC 3720, appendix B.4."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _entry(byte: int) -> int:
    *_, entry = accumulate(repeat(None, 8), lambda crc, _: crc >> 1 ^ (_CASTAGNOLI if crc & 1 else 0), initial=byte)
    return entry


_TABLE = tuple(_entry(byte) for byte in range(256))
