"""What a server counts inside itself over a trial's window, its warm-up and every question before it left out."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from bench.running.trial_clock import TrialClock

Read = Callable[[], Mapping[str, float]]


@dataclass(slots=True)
class Counted:
    """The counters as they were when the window began; empty before that, or where the server does not tell."""

    at_window: Mapping[str, float] = field(default_factory=dict)

    def since(self, after: Mapping[str, float]) -> dict[str, float]:
        """By how much each counter has grown since the window began; empty if that is not known."""
        return gained(self.at_window, after) if self.at_window else {}


@contextlib.contextmanager
def counting(read: Read, clock: TrialClock) -> Iterator[Counted]:
    """Read the counters once while the block runs, at the moment when the window begins."""
    counted = Counted()

    def work() -> None:
        if clock.await_window():
            counted.at_window = read()

    thread = threading.Thread(target=work, name="counting", daemon=True)
    thread.start()
    try:
        yield counted
    finally:
        clock.end()
        thread.join()


def gained(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """By how much each counter grew; empty if one went back, since the server began anew in between."""
    grown = {name: value - before.get(name, 0.0) for name, value in after.items()}
    began_anew = any(name not in after for name in before) or any(value < 0 for value in grown.values())
    return {} if began_anew else grown
