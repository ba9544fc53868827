"""Unary gRPC calls with prepared bytes inside gevent; no generated code, nothing is decoded here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import grpc
import grpc.experimental.gevent

from bench.load.address import grpc_target
from bench.load.exchange import Reply
from bench.load.job import Message

_CHANNELS = 4
"""One HTTP/2 connection serialises its frames; several keep the client from being the bottleneck."""
_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]
GRPC_STATUS = 1000
"""Added to a gRPC status code other than OK, to tell it from an HTTP status."""
Call = Callable[..., bytes]


class GrpcChannels:
    """The channels that all users of one load process share."""

    def __init__(self, host: str, port: int, users: int) -> None:
        target = grpc_target(host, port)
        self._channels = [grpc.insecure_channel(target, options=_OPTIONS) for _ in range(min(_CHANNELS, users))]
        self._handed_out = 0

    @property
    def opened(self) -> int:
        """Channels opened, each one connection."""
        return len(self._channels)

    def next(self) -> grpc.Channel:
        """A channel for one more user, in turn."""
        self._handed_out += 1
        return self._channels[self._handed_out % len(self._channels)]

    def close(self) -> None:
        """Close every channel."""
        for channel in self._channels:
            channel.close()


class GrpcClient:
    """The calls of one user."""

    opened = 0  # connections belong to the channels

    def __init__(self, channel: grpc.Channel, messages: Sequence[Message], timeout: float) -> None:
        targets = {message.target for message in messages}
        calls = {target: channel.unary_unary(target, None, None) for target in targets}
        self._calls: list[tuple[Call, bytes, tuple[tuple[str, str], ...]]] = [
            (calls[message.target], message.body, message.headers) for message in messages
        ]
        self._timeout = timeout

    def exchange(self, payload: int) -> Reply:
        """Make the prepared call of a payload and wait for its reply; failures are replies too."""
        call, body, metadata = self._calls[payload]
        sent_at = time.monotonic()
        try:
            reply = call(body, timeout=self._timeout, metadata=metadata or None)
        except grpc.RpcError as failure:
            done_at = time.monotonic()
            code = failure.code()
            if code is grpc.StatusCode.DEADLINE_EXCEEDED and done_at - sent_at >= self._timeout * 0.99:
                return Reply.failure(sent_at, "timed out")
            details = (failure.details() or "").splitlines()
            error = f"gRPC {code.name}" + (f": {details[0][:80]}" if details else "")
            return Reply(sent_at, math.nan, done_at, GRPC_STATUS + code.value[0], b"", error)
        return Reply(sent_at, math.nan, time.monotonic(), 200, reply, "")

    def close(self) -> None:
        """Nothing of its own to close."""


def prepare_gevent() -> None:
    """Make gRPC's waits yield to gevent; once per process, before any channel."""
    grpc.experimental.gevent.init_gevent()
