"""The load generator's clock as the harness knows it: what is to happen at a moment of a trial waits for it here.

`time.monotonic()` is the same in every process of a machine, so the generator only has to say when it began.
"""

from __future__ import annotations

import time
from threading import Condition


class TrialClock:
    """Seconds since the trial began, once the generator has said when that was; shared by threads."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._began_at: float | None = None
        self._window_at: float | None = None
        self._over = False

    def tell(self, began_at: float, window_at: float | None) -> None:
        """When the trial began, on `time.monotonic()`, and its window, in seconds since then, if that is known yet."""
        with self._changed:
            self._began_at = began_at
            self._window_at = window_at
            self._changed.notify_all()

    def end(self) -> None:
        """The load is over: whoever still waits waits in vain."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    @property
    def over(self) -> bool:
        """Whether the load has ended."""
        return self._over

    def now(self) -> float:
        """Seconds since the trial began.   Raises: ValueError before anybody knows."""
        if self._began_at is None:
            raise ValueError("the trial has not begun")
        return time.monotonic() - self._began_at

    def await_window(self, after: float = 0.0) -> bool:
        """Return so many seconds after the window's beginning: whether the load was still going on then."""
        with self._changed:
            while not self._over:
                if self._began_at is None or self._window_at is None:
                    self._changed.wait()
                    continue
                left = self._began_at + self._window_at + after - time.monotonic()
                if left <= 0:
                    return True
                self._changed.wait(left)
        return False

    def pause(self, seconds: float) -> bool:
        """Wait so long, or until the load ends: whether it still goes on."""
        with self._changed:
            self._changed.wait_for(lambda: self._over, timeout=seconds)
        return not self._over
