"""Waiting for an instant, to some tens of microseconds, without keeping the processor from the replies.

gevent's own sleep has a grain of a millisecond and busy waiting starves the event loop, so the clock is a
Linux timerfd that gevent's loop watches like a socket.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from array import array
from bisect import bisect_left
from collections.abc import Callable

import gevent
from gevent.hub import get_hub

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1
_EARLY_SECONDS = 45e-6
"""An idle processor takes about so long to wake up, so the alarm rings that much before an arrival is due."""
_LONGEST_SPIN_SECONDS = 25e-6
"""If no more than this is left then, it is waited out without sleeping; else the processor was awake anyway."""
_monotonic = time.monotonic
_libc = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Alarm:
    """A timer on `time.monotonic()` that runs a function in gevent's hub, before anything else that is ready then."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._fd = _libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = _Itimerspec()
        self._value = self._spec.value
        self._by_reference = ctypes.byref(self._spec)
        loop = get_hub().loop
        self._watcher = loop.io(self._fd, 1, priority=loop.MAXPRI)
        self._watcher.start(ring)

    def set(self, instant: float) -> None:
        """Ring at this instant, at once if it has passed, and forget any other; a ring that is due is forgotten too."""
        seconds = int(instant)
        self._value.seconds = seconds
        self._value.nanoseconds = int((instant - seconds) * 1e9) + 1
        if _libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, self._by_reference, None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def clear(self) -> None:
        """Take note of the ring; it would go on for ever."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 8)

    def close(self) -> None:
        """Give the timer back; more than once is fine."""
        if self._fd >= 0:
            self._watcher.stop()
            self._watcher.close()
            os.close(self._fd)
            self._fd = -1


class Arrivals:
    """The shared schedule: users take intended times from it in order, each the moment it is due.

    A user who comes back and finds the next arrival due takes it at once, whatever else is waiting to be handled;
    that keeps the lateness at the length of one reply's handling when many replies come together. Otherwise it
    joins the idle ones, of whom the alarm sends one off per arrival. With every user busy the next to come back
    takes over; its request then leaves late, which `send_lag` shows.
    """

    def __init__(self, schedule: array[float], began_at: float) -> None:
        self._schedule = schedule
        self._began_at = began_at
        self._passed_over = 0.0
        self._next = 0
        self._end = len(schedule)
        self._gap_from = self._gap_to = self._end + 1
        self._gap_seconds = 0.0
        self._idle: list[gevent.Greenlet] = []
        self._hub = get_hub()
        self._alarm = Alarm(self._ring)
        self._armed = False

    @property
    def taken(self) -> int:
        """How many arrivals users have taken."""
        return self._next

    def take(self) -> tuple[int, float] | None:
        """Number of an arrival and its intended time, once it is due; None when there are no more."""
        if self._next >= self._gap_from:
            self._cross_gap()
        number = self._next
        if number >= self._end:
            self._dismiss()
            return None
        intended_at = self._schedule[number] - self._passed_over
        if self._began_at + intended_at <= _monotonic():
            self._next = number + 1
            return number, intended_at
        self._idle.append(gevent.getcurrent())
        if not self._armed:
            self._armed = True
            self._alarm.set(self._began_at + intended_at - _EARLY_SECONDS)
        arrival: tuple[int, float] | None = self._hub.switch()
        return arrival

    def pass_over(self, start: float, end: float) -> None:
        """Leave out the arrivals between two instants of the schedule; the later ones come that much earlier.

        None of those left out may have been taken: `start`, in seconds since the trial began, is now or later. Once.
        """
        self._gap_from = max(self._next, bisect_left(self._schedule, start))
        self._gap_to = max(self._next, bisect_left(self._schedule, end))
        self._gap_seconds = end - start
        if self._next < self._gap_from:
            return
        self._cross_gap()
        if self._next >= self._end:
            self._hub.loop.run_callback(self._dismiss)
        elif self._armed:
            self._alarm.set(self._began_at + self._schedule[self._next] - self._passed_over)

    def stop(self) -> None:
        """Hand out no further arrivals."""
        self._end = self._next
        self._hub.loop.run_callback(self._dismiss)

    def _ring(self) -> None:
        """Send off an idle user per arrival that is due, and set the alarm for the next one."""
        idle, schedule, began_at = self._idle, self._schedule, self._began_at
        while True:
            if self._next >= self._gap_from:
                self._cross_gap()
            if self._next >= self._end:
                break
            number = self._next
            intended_at = schedule[number] - self._passed_over
            due_at = began_at + intended_at
            left = due_at - _monotonic()
            if left > _LONGEST_SPIN_SECONDS or (left > 0.0 and not idle):
                self._alarm.set(due_at - _EARLY_SECONDS if left > 2 * _EARLY_SECONDS else due_at)
                return
            while due_at > _monotonic():
                pass
            if not idle:
                self._armed = False
                self._alarm.clear()
                return
            # The one who came back last goes first: its connection is the warmest. A user that was killed is gone.
            user = idle.pop()
            if not user.dead:
                self._next = number + 1
                user.switch((number, intended_at))
        self._dismiss()

    def _cross_gap(self) -> None:
        self._next = self._gap_to
        self._passed_over += self._gap_seconds
        self._gap_from = self._end + 1

    def _dismiss(self) -> None:
        """Nothing will come any more."""
        self._alarm.close()
        while self._idle:
            self._hub.loop.run_callback(self._idle.pop().switch, None)
