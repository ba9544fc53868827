"""What one exchange with a server gives back, whatever carried it, and the deadline it had."""

from __future__ import annotations

import time
from itertools import islice
from typing import NamedTuple, Protocol

import gevent

_NAN = float("nan")
_MOST_AT_ONCE = 256


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
