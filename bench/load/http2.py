"""HTTP/2 for one call at a time: prepared bytes become frames, and frames become a reply.  Knows no socket and no gRPC.

Only what a client of unary calls meets (RFC 9113): no pushes, no priorities. Header blocks are read by `hpack`. Servers
are asked to keep no table of headers, so equal blocks mean equal headers, and none is read twice.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import hpack

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PUSH_PROMISE, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = (
    0,
    1,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
)
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE = 1, 2, 4, 5
_FRAME = struct.Struct(">HBBBI")
_U32 = struct.Struct(">I")
_SETTING = struct.Struct(">HI")
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_LARGEST_WINDOW = 2**31 - 1
_DEFAULT_WINDOW = 65_535
_DEFAULT_FRAME = 16_384
_OUR_FRAME = 262_144
_REFILL = 2**30
"""So much may come in before the server is told that there is room for more."""
_LAST_STREAM = 2**31 - 3
_MOST_KNOWN_BLOCKS = 512


class Http2Error(Exception):
    """What came is not HTTP/2, or not an answer to what was asked."""


class StreamReset(Exception):  # noqa: N818 -- the server's decision, not an error of ours
    """The server gave the call up; `code` is HTTP/2's own."""

    def __init__(self, code: int) -> None:
        super().__init__(f"RST_STREAM {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Prepared:
    """One request whose bytes are ready: its header block and its body."""

    block: bytes
    body: bytes


def header_block(headers: Mapping[str, str] | tuple[tuple[str, str], ...]) -> bytes:
    """A header block that leaves nothing in anybody's table, so that it can be sent again and again."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return b"".join(b"\x00" + _string(name.lower()) + _string(value) for name, value in pairs)


def _string(text: str) -> bytes:
    """Length, then the bytes themselves (RFC 7541, 5.2, no Huffman code)."""
    raw = text.encode("utf-8")
    if len(raw) < 127:
        return bytes((len(raw),)) + raw
    rest, length = len(raw) - 127, bytearray((127,))
    while rest >= 128:
        length.append(rest % 128 + 128)
        rest //= 128
    length.append(rest)
    return bytes(length) + raw


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return _FRAME.pack(len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


_OPENING = (
    _PREFACE
    + _frame(
        _SETTINGS,
        0,
        0,
        _SETTING.pack(_HEADER_TABLE_SIZE, 0)
        + _SETTING.pack(_ENABLE_PUSH, 0)
        + _SETTING.pack(_INITIAL_WINDOW_SIZE, _LARGEST_WINDOW)
        + _SETTING.pack(_MAX_FRAME_SIZE, _OUR_FRAME),
    )
    + _frame(_WINDOW_UPDATE, 0, 0, _U32.pack(_LARGEST_WINDOW - _DEFAULT_WINDOW))
)

Headers = tuple[tuple[str, str], ...]


class Exchange:
    """One connection's two directions, as bytes; calls follow one another.

    `begin` says what to send for a call, `feed` takes what came, and `pending` what is to be sent because of it.
    After `ended` the reply stands in `headers`, `body` and `trailers`.
    """

    def __init__(self) -> None:
        self._opening = _OPENING
        self._stream = -1
        self._next_stream = 1
        self._decoder = hpack.Decoder()
        self._known: dict[bytes, Headers] = {}
        self._rest = b""
        self._control: list[bytes] = []
        self._connection_window = self._initial_window = self._stream_window = _DEFAULT_WINDOW
        self._largest_frame = _DEFAULT_FRAME
        self._received = 0
        self._upload = memoryview(b"")
        self._block = b""
        self._block_ends_stream = False
        self._goaway = False
        self._settings_seen = False
        self.ended = False
        self.answered = False
        self.headers: Headers = ()
        self.trailers: Headers = ()
        self._parts: list[bytes] = []

    @property
    def body(self) -> bytes:
        """What the reply's DATA frames held."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    @property
    def usable(self) -> bool:
        """Whether another call may be made on this connection."""
        return not self._goaway and self._next_stream <= _LAST_STREAM and (self.ended or self._stream < 0)

    def begin(self, request: Prepared) -> bytes:
        """Start a call: the bytes that may be sent at once, the rest comes from `pending`."""
        self._stream = stream = self._next_stream
        self._next_stream += 2
        self.ended = self.answered = False
        self.headers = self.trailers = ()
        self._parts = []
        self._stream_window = self._initial_window
        block, body = request.block, request.body
        opening, self._opening = self._opening, b""
        size = len(body)
        head = _FRAME.pack(len(block) >> 8, len(block) & 0xFF, _HEADERS, _END_HEADERS, stream)
        if len(block) > self._largest_frame:
            raise Http2Error("the headers do not fit into one frame")
        if 0 < size <= self._largest_frame and size <= self._connection_window and size <= self._stream_window:
            self._connection_window -= size
            self._stream_window -= size
            self._upload = memoryview(b"")
            data = _FRAME.pack(size >> 8, size & 0xFF, _DATA, _END_STREAM, stream)
            return b"".join((opening, head, block, data, body))
        self._upload = memoryview(body)
        return b"".join((opening, head, block, *self._more()))

    def feed(self, data: bytes) -> None:
        """Take in what came.   Raises: Http2Error, StreamReset."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        unpack = _FRAME.unpack_from
        while end - at >= 9:
            high, low, kind, flags, stream = unpack(data, at)
            length = (high << 8) | low
            if not self._settings_seen and kind != _SETTINGS:
                raise Http2Error("does not begin with SETTINGS")
            if length > _OUR_FRAME:
                raise Http2Error("a frame is longer than allowed")
            start, at_next = at + 9, at + 9 + length
            if at_next > end:
                break
            self._take(kind, flags, stream & _LARGEST_WINDOW, data[start:at_next])
            at = at_next
        self._rest = data[at:] if at < end else b""

    def pending(self) -> bytes:
        """What is to be sent now: answers to the server's own frames, and more of a body that waited for room."""
        if not self._control and not self._upload:
            return b""
        parts, self._control = self._control, []
        parts += self._more()
        return b"".join(parts)

    def _more(self) -> list[bytes]:
        frames: list[bytes] = []
        while self._upload:
            room = min(self._largest_frame, self._connection_window, self._stream_window)
            if room <= 0:
                break
            piece, self._upload = self._upload[:room], self._upload[room:]
            self._connection_window -= len(piece)
            self._stream_window -= len(piece)
            frames.append(_frame(_DATA, 0 if self._upload else _END_STREAM, self._stream, bytes(piece)))
        return frames

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._block and kind != _CONTINUATION:
            raise Http2Error("a header block was interrupted")
        if kind == _DATA:
            self._take_data(flags, stream, payload)
        elif kind == _HEADERS:
            self._block_ends_stream = bool(flags & _END_STREAM)
            self._take_block(flags, stream, _unpadded(flags, payload, 5 if flags & _PRIORITY else 0))
        elif kind == _CONTINUATION:
            self._take_block(flags, stream, payload)
        elif kind == _SETTINGS:
            self._take_settings(flags, payload)
        elif kind == _WINDOW_UPDATE:
            self._take_room(stream, payload)
        elif kind == _PING:
            if not flags & _ACK:
                self._control.append(_frame(_PING, _ACK, 0, payload))
        elif kind == _RST_STREAM:
            self._take_reset(stream, payload)
        elif kind == _GOAWAY:
            self._take_goaway(payload)
        elif kind == _PUSH_PROMISE:
            raise Http2Error("a push that was refused beforehand")

    def _take_data(self, flags: int, stream: int, payload: bytes) -> None:
        self._received += len(payload)
        if self._received >= _REFILL:
            self._control.append(_frame(_WINDOW_UPDATE, 0, 0, _U32.pack(self._received)))
            self._received = 0
        if stream != self._stream or self.ended:
            return  # of a call that was given up
        if flags & _PADDED:
            payload = _unpadded(flags, payload, 0)
        if payload:
            self._parts.append(payload)
        if flags & _END_STREAM:
            self._end()

    def _take_block(self, flags: int, stream: int, piece: bytes) -> None:
        block = self._block + piece
        if not flags & _END_HEADERS:
            self._block = block
            return
        self._block = b""
        headers = self._decoded(block)
        if stream != self._stream or self.ended:
            return
        if not self.answered:
            if headers and headers[0][0] == ":status" and headers[0][1][:1] == "1":
                return  # an interim reply
            self.answered = True
            self.headers = headers
        else:
            self.trailers = headers
        if self._block_ends_stream:
            self._end()

    def _decoded(self, block: bytes) -> Headers:
        decoder = self._decoder
        stateless = not decoder.header_table.dynamic_entries
        if stateless and (known := self._known.get(block)) is not None:
            return known
        try:
            pairs = decoder.decode(block, raw=True)
        except hpack.HPACKError as failure:
            raise Http2Error("a header block cannot be read") from failure
        headers = tuple((bytes(n).decode("latin-1"), bytes(v).decode("utf-8", "replace")) for n, v in pairs)
        if stateless and not decoder.header_table.dynamic_entries and block[:1] and not 0x20 <= block[0] < 0x40:
            if len(self._known) >= _MOST_KNOWN_BLOCKS:  # a server that numbers or dates its replies
                self._known.clear()
            self._known[block] = headers
        return headers

    def _take_settings(self, flags: int, payload: bytes) -> None:
        self._settings_seen = True
        if flags & _ACK:
            return
        if len(payload) % 6:
            raise Http2Error("SETTINGS of a wrong length")
        for name, value in _SETTING.iter_unpack(payload):
            if name == _INITIAL_WINDOW_SIZE:
                self._stream_window += value - self._initial_window
                self._initial_window = value
            elif name == _MAX_FRAME_SIZE:
                self._largest_frame = value
        self._control.append(_frame(_SETTINGS, _ACK, 0))

    def _take_room(self, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Http2Error("WINDOW_UPDATE of a wrong length")
        more = _U32.unpack(payload)[0] & _LARGEST_WINDOW
        if stream == 0:
            self._connection_window += more
        elif stream == self._stream:
            self._stream_window += more

    def _take_reset(self, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Http2Error("RST_STREAM of a wrong length")
        if stream != self._stream or self.ended:
            return
        self._end()
        code = _U32.unpack(payload)[0]
        if code != 0 or not self.trailers:  # NO_ERROR after a whole reply only means: stop uploading
            raise StreamReset(code)

    def _take_goaway(self, payload: bytes) -> None:
        if len(payload) < 8:
            raise Http2Error("GOAWAY of a wrong length")
        self._goaway = True
        last = _U32.unpack_from(payload)[0] & _LARGEST_WINDOW
        if not self.ended and 0 < self._stream > last:
            self._end()
            raise StreamReset(_REFUSED)

    def _end(self) -> None:
        self.ended = True
        self._upload = memoryview(b"")


_REFUSED = 7


def _unpadded(flags: int, payload: bytes, skip: int) -> bytes:
    """The payload without its padding and the `skip` bytes of a priority."""
    padding = 0
    if flags & _PADDED:
        if not payload:
            raise Http2Error("padding without a length")
        padding, payload = payload[0], payload[1:]
    if skip + padding > len(payload):
        raise Http2Error("more padding than payload")
    return payload[skip : len(payload) - padding]
