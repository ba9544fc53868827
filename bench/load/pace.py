"""Waiting for an instant, to some tens of microseconds, without keeping the processor from the replies.

gevent's own sleep has a grain of a millisecond and busy waiting starves the event loop, so the clock is a
Linux timerfd that gevent's loop watches like a socket.
"""

from __future__ import annotations

import ctypes
import os
import time
from array import array

import gevent
from gevent.hub import get_hub

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1
_libc = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Alarm:
    """A timer on `time.monotonic()` that one greenlet at a time can wait for."""

    def __init__(self) -> None:
        self._fd = _libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = _Itimerspec()
        self._by_reference = ctypes.byref(self._spec)
        self._hub = get_hub()
        self._watcher = self._hub.loop.io(self._fd, 1)

    def wait_until(self, instant: float) -> None:
        """Return once `time.monotonic()` has reached the instant; at once if it already has."""
        while instant > time.monotonic():
            seconds = int(instant)
            self._spec.value.seconds = seconds
            self._spec.value.nanoseconds = int((instant - seconds) * 1e9) + 1
            if _libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, self._by_reference, None) != 0:
                raise OSError(ctypes.get_errno(), "timerfd_settime failed")
            self._hub.wait(self._watcher)
            os.read(self._fd, 8)

    def close(self) -> None:
        """Give the timer back."""
        self._watcher.close()
        os.close(self._fd)


class Arrivals:
    """The shared schedule: users take intended times from it in order, one user waiting on the clock at a time.

    The user who waits (the leader) appoints the next one the moment its own arrival is due, and sends. With
    every user busy the next to come back takes over; its request then leaves late, which `send_lag` shows.
    """

    def __init__(self, schedule: array[float], began_at: float) -> None:
        self._schedule = schedule
        self._began_at = began_at
        self._alarm = Alarm()
        self._next = 0
        self._idle: list[gevent.Greenlet] = []
        self._led = False
        self._loop = get_hub().loop
        self._hub = get_hub()
        self._stopped = False

    @property
    def taken(self) -> int:
        """How many arrivals users have taken."""
        return self._next

    def take(self) -> tuple[int, float] | None:
        """Number of an arrival and its intended time, once it is due; None when there are no more."""
        if self._led:
            self._idle.append(gevent.getcurrent())
            self._hub.switch()
        self._led = True
        if self._stopped or self._next >= len(self._schedule):
            self._dismiss()
            return None
        number = self._next
        self._next = number + 1
        intended_at = self._schedule[number]
        self._alarm.wait_until(self._began_at + intended_at)
        if self._idle:
            # The one who came back last goes first: its connection is the warmest.
            self._loop.run_callback(self._idle.pop().switch)
        else:
            self._led = False
        return number, intended_at

    def stop(self) -> None:
        """Hand out no further arrivals."""
        self._stopped = True

    def _dismiss(self) -> None:
        waiting, self._idle = self._idle, []
        self._led = False
        for user in waiting:
            self._loop.run_callback(user.switch)
