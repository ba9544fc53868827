"""What one exchange with a server gives back, whatever carried it, and the deadline it had."""

from __future__ import annotations

import json
import re
import time
from itertools import islice
from typing import NamedTuple, Protocol

import gevent

from bench.load.job import Message

_NAN = float("nan")
_MOST_AT_ONCE = 256
_MOST_ERROR_BYTES = 8192
_SHOWN = 120


class TimedOut(Exception):  # noqa: N818 -- a signal between greenlets, never shown
    """Thrown into a user whose reply did not come in time."""


class Reply(NamedTuple):
    """Instants on `time.monotonic()`, NaN where they never came; `error` is empty for a reply of whatever status."""

    sent_at: float
    first_byte_at: float
    done_at: float
    status: int
    body: bytes
    error: str

    @classmethod
    def failure(cls, sent_at: float, error: str, status: int = 0) -> Reply:
        """A request that got no reply."""
        return cls(sent_at, _NAN, _NAN, status, b"", error)


def http_error(status: int, body: bytes) -> str:
    """`HTTP 503`, or `HTTP 503: queue # is full` where the body is JSON that says so under `error`, as many servers do.

    Numbers are left out: they would make as many kinds of errors as there are requests.
    """
    kind = f"HTTP {status}"
    if not body.lstrip().startswith(b"{") or len(body) > _MOST_ERROR_BYTES:
        return kind
    try:
        text = json.loads(body).get("error")
    except ValueError:
        return kind
    if not isinstance(text, str) or not text.strip():
        return kind
    return f"{kind}: {re.sub(r'[0-9]+', '#', ' '.join(text.split()))[:_SHOWN]}"


class Rule:
    """What a good status does not tell of the replies to one message, compiled once."""

    def __init__(self, message: Message) -> None:
        self._varies = re.compile(message.varies.encode("latin-1")) if message.varies else None
        self._fails = re.compile(message.fails.encode("latin-1")) if message.fails else None
        self._fails_as = message.fails_as

    def failure(self, body: bytes) -> str:
        """The kind of error that a body tells of; empty if it tells of none."""
        return self._fails_as if self._fails is not None and self._fails.search(body) else ""

    def lasting(self, body: bytes) -> bytes:
        """The body without what varies."""
        return body if self._varies is None else self._varies.sub(b"", body)


class Expiring(Protocol):
    """A client whose wait can be ended."""

    def expire(self) -> None:
        """End the wait of the user in `exchange`."""
        ...


class Deadlines:
    """One greenlet that ends waits which last longer than the time-out, instead of one timer a request.

    Every request has the same time-out, so the oldest in flight is always the first to expire.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.in_flight: dict[Expiring, float] = {}
        """Who waits, and since which instant; clients enter and leave by themselves, a call each would cost more."""
        self._greenlet = gevent.spawn(self._watch)

    def close(self) -> None:
        """Watch no longer."""
        self._greenlet.kill()

    def _watch(self) -> None:
        while True:
            gevent.sleep(0.05)
            limit = time.monotonic() - self.timeout
            for client, began_at in list(islice(self.in_flight.items(), _MOST_AT_ONCE)):
                if began_at > limit:
                    break
                self.in_flight.pop(client, None)
                client.expire()
