"""A server whose delays are known: `python -m tests.doubles.known_server PORT RECORD MODEL [NUMBER...]`.

    fixed SECONDS                 every request takes the same time
    lognormal MEDIAN SIGMA SEED   independent log-normal delays
    stall EVERY LASTS             answers at once, but in the first LASTS seconds of every EVERY seconds not at all
    queue SECONDS PARALLEL        PARALLEL workers of fixed speed and one queue between them

It is the echo server with another clock in it. With RECORD other than `-` it keeps, for every request, when it
arrived and when its reply left, as two float64 on `time.monotonic()`, and writes them to that file when it is
terminated: what the machine added to a delay is then part of the truth.
"""

from __future__ import annotations

import gc
import signal
import sys
from array import array
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import FrameType

from servers.echo.app import App, Connection, listen, monotonic, workers

DoneAt = Callable[[float], float]


def fixed(delay: float) -> DoneAt:
    return lambda arrived_at: arrived_at + delay


def lognormal(median: float, sigma: float, seed: float) -> DoneAt:
    normal = Random(seed).lognormvariate
    return lambda arrived_at: arrived_at + median * normal(0.0, sigma)


def stall(every: float, lasts: float) -> DoneAt:
    def done_at(arrived_at: float) -> float:
        into = arrived_at % every
        return arrived_at + lasts - into if into < lasts else arrived_at

    return done_at


def queue(delay: float, parallel: float) -> DoneAt:
    return workers(delay, int(parallel))


MODELS: dict[str, Callable[..., DoneAt]] = {model.__name__: model for model in (fixed, lognormal, stall, queue)}


class Recording(App):
    """Remembers when each request arrived and when its reply left."""

    def __init__(self, port: int, done_at: DoneAt) -> None:
        super().__init__(listen("127.0.0.1", port), done_at)
        self._arrived: dict[Connection, float] = {}
        self.record = array("d")

    def answer(self, connection: Connection, body: bytes, now: float) -> None:
        self._arrived[connection] = now
        super().answer(connection, body, now)

    def send(self, connection: Connection, reply: bytes) -> None:
        if reply:
            self.record.append(self._arrived[connection])
            self.record.append(monotonic())
        super().send(connection, reply)


def main(port: str, record: str, model: str, *numbers: str) -> None:
    done_at = MODELS[model](*map(float, numbers))
    app = App(listen("127.0.0.1", int(port)), done_at) if record == "-" else Recording(int(port), done_at)

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit

    signal.signal(signal.SIGTERM, leave)
    gc.freeze()
    gc.disable()
    try:
        app.serve_for_ever()
    finally:
        if isinstance(app, Recording):
            Path(record).write_bytes(app.record.tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
