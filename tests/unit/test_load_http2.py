"""HTTP/2 as a client of unary calls meets it: frames in any pieces, windows, resets, and what is no HTTP/2."""

from __future__ import annotations

import struct
from itertools import pairwise

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load.http2 import Exchange, Http2Error, Prepared, StreamReset, header_block

REQUEST = Prepared(header_block(((":method", "POST"), (":path", "/a/b"))), b"hello")
DATA, HEADERS, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32
HEAD = ((":status", "200"), ("content-type", "application/grpc"))
TRAILERS = (("grpc-status", "0"),)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">HBBBI", len(payload) >> 8, len(payload) & 255, kind, flags, stream) + payload


def settings(**values: int) -> bytes:
    names = {"window": 4, "frame": 5}
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", names[name], value) for name, value in values.items()))


def whole_reply(stream: int, body: bytes = b"world") -> bytes:
    return (
        frame(HEADERS, END_HEADERS, stream, header_block(HEAD))
        + frame(DATA, 0, stream, body)
        + frame(HEADERS, END_HEADERS | END_STREAM, stream, header_block(TRAILERS))
    )


def begun(*said: bytes) -> Exchange:
    """A call under way whose server has said these things."""
    exchange = Exchange()
    exchange.begin(REQUEST)
    for data in said:
        exchange.feed(data)
    return exchange


def frames(wire: bytes) -> list[tuple[int, int, int, bytes]]:
    """Kind, flags, stream and payload of every frame."""
    found = []
    while wire:
        high, low, kind, flags, stream = struct.unpack_from(">HBBBI", wire)
        length = (high << 8) | low
        found.append((kind, flags, stream, wire[9 : 9 + length]))
        wire = wire[9 + length :]
    return found


@given(cuts=st.lists(st.integers(0, 200), max_size=12))
def test_a_reply_reads_the_same_however_it_is_cut(cuts: list[int]) -> None:
    stream = settings() + frame(PING, 0, 0, b"12345678") + whole_reply(1) + frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1")
    exchange = begun()
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    for start, end in pairwise(edges):
        exchange.feed(stream[start:end])
    assert exchange.ended
    assert (exchange.headers, exchange.body, exchange.trailers) == (HEAD, b"world", TRAILERS)


def test_the_first_call_brings_the_preface_and_the_next_ones_do_not() -> None:
    exchange = Exchange()
    first = exchange.begin(REQUEST)
    assert first.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    exchange.feed(settings() + whole_reply(1))
    assert frames(exchange.begin(REQUEST)) == [
        (HEADERS, END_HEADERS, 3, REQUEST.block),
        (DATA, END_STREAM, 3, b"hello"),
    ]
    exchange.feed(whole_reply(3, b"again"))
    assert exchange.body == b"again"


def test_our_header_block_is_what_the_library_reads() -> None:
    headers = ((":path", "/" + "p" * 300), ("x-empty", ""), ("x-long", "l" * 20_000), ("x-127", "v" * 127))
    read = hpack.Decoder(max_header_list_size=10**6).decode(header_block(headers))
    assert [(str(name), str(value)) for name, value in read] == list(headers)


def test_a_body_waits_for_room_and_is_sent_whole() -> None:
    exchange, body = Exchange(), bytes(range(256)) * 1000
    sent = exchange.begin(Prepared(REQUEST.block, body))
    data = [payload for kind, _, _, payload in frames(sent[24:]) if kind == DATA]
    assert sum(map(len, data)) == 65_535
    assert max(map(len, data)) == 16_384
    exchange.feed(settings(window=100_000, frame=50_000))
    assert [kind for kind, *_ in frames(exchange.pending())] == [SETTINGS]  # the connection has no room yet
    exchange.feed(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1_000_000)))
    more = frames(exchange.pending())
    assert sum(len(payload) for *_, payload in more) == 100_000 - 65_535
    exchange.feed(frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 1_000_000)))
    rest = frames(exchange.pending())
    assert b"".join([*data, *(payload for *_, payload in more), *(payload for *_, payload in rest)]) == body
    assert [flags for _, flags, *_ in rest][-1] == END_STREAM
    assert exchange.pending() == b""


def test_a_ping_and_settings_are_acknowledged() -> None:
    exchange = begun(settings(), frame(PING, 0, 0, b"abcdefgh"))
    assert frames(exchange.pending()) == [(SETTINGS, ACK, 0, b""), (PING, ACK, 0, b"abcdefgh")]


def test_headers_may_be_padded_prioritised_and_continued() -> None:
    block = header_block(HEAD)
    padded = bytes((3,)) + bytes(5) + block[:4] + bytes(3)
    exchange = begun(
        settings(),
        frame(HEADERS, PADDED | PRIORITY, 1, padded) + frame(CONTINUATION, END_HEADERS, 1, block[4:]),
        frame(DATA, PADDED, 1, bytes((2,)) + b"body" + bytes(2)),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, header_block(TRAILERS)),
    )
    assert (exchange.headers, exchange.body) == (HEAD, b"body")


def test_a_server_that_keeps_a_table_of_headers_is_read_right_all_the_same() -> None:
    encoder = hpack.Encoder()  # compresses against what it sent before, so equal bytes mean other headers later
    exchange = begun(settings())
    for stream, value in ((1, "one"), (3, "two"), (5, "one"), (7, "two")):
        head = (*HEAD, ("x-value", value))
        if stream > 1:
            exchange.begin(REQUEST)
        exchange.feed(frame(HEADERS, END_HEADERS | END_STREAM, stream, encoder.encode(head)))
        assert exchange.headers == head


def test_an_interim_reply_is_not_the_answer() -> None:
    early = frame(HEADERS, END_HEADERS, 1, header_block(((":status", "103"),)))
    exchange = begun(settings(), early)
    assert not exchange.answered
    exchange.feed(whole_reply(1))
    assert exchange.headers == HEAD


def test_a_reset_ends_the_call_and_the_connection_serves_the_next() -> None:
    exchange = begun(settings())
    with pytest.raises(StreamReset) as caught:
        exchange.feed(frame(RST_STREAM, 0, 1, struct.pack(">I", 11)))
    assert caught.value.code == 11
    assert exchange.usable
    exchange.begin(REQUEST)
    exchange.feed(frame(DATA, END_STREAM, 1, b"late") + whole_reply(3))
    assert exchange.body == b"world"


def test_after_goaway_what_was_taken_is_answered_and_nothing_new_is_asked() -> None:
    exchange = begun(settings(), frame(GOAWAY, 0, 0, struct.pack(">II", 1, 0)))
    assert not exchange.ended
    exchange.feed(whole_reply(1))
    assert exchange.body == b"world"
    assert not exchange.usable


def test_goaway_before_our_call_refuses_it() -> None:
    with pytest.raises(StreamReset):
        begun(settings(), frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0)))


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        frame(PING, 0, 0, b"12345678"),
        settings() + frame(SETTINGS, 0, 0, b"odd"),
        settings() + frame(DATA, 0, 1, bytes(300_000)),
        settings() + frame(PUSH, 0, 1, bytes(8)),
        settings() + frame(HEADERS, 0, 1, b"\x00") + frame(PING, 0, 0, bytes(8)),
        settings() + frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
        settings() + frame(HEADERS, END_HEADERS | PADDED, 1, b"\x09abc"),
        settings() + frame(WINDOW_UPDATE, 0, 0, b"\x01"),
    ],
)
def test_what_is_no_http2_is_refused(said: bytes) -> None:
    with pytest.raises(Http2Error):
        begun(said)
