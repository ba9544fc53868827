"""What a master and its workers say to each other, over Locust's own protocol.  Inside gevent.

    worker  hello   who it is          master  welcome, or refused with the reason
    master  job     its share          worker  want ... (files that it lacks), then prepared
    master  ping    some times         worker  pong
    master  begin   in `lead` seconds  worker  tick ..., then finished, or failed with the reason
    master  window  when it begins, once every worker's tick said steady
    master  want    rows and replies   worker  chunk ...                            then forget
    master  halt    send nothing more  master  farewell  the end; Locust's own `quit` follows

Every message about a trial carries its number, so that what comes too late is known as such.
"""

from __future__ import annotations

import os
from typing import Any, Protocol

import locust.runners

import bench
from bench.serving.address import TOKEN_VARIABLE

FROM_MASTER = ("welcome", "refused", "job", "ping", "begin", "window", "halt", "want", "chunk", "forget", "farewell")
FROM_WORKER = ("hello", "want", "chunk", "prepared", "pong", "tick", "finished", "failed")
TOLD_TO_STOP, UNREACHABLE, REFUSED, MASTER_GONE = 0, 3, 4, 5
"""Exit codes of a worker process."""

_HEARTBEAT_SECONDS = 0.5
_MISSED_BEATS = 5
_MASTER_SILENT_SECONDS = 5.0


class Say(Protocol):
    """Tells the parent process something, as one line of JSON."""

    def __call__(self, kind: str, **facts: Any) -> None:
        """What kind of thing, and its facts."""
        ...


def set_heartbeat() -> None:
    """Have Locust notice in about three seconds that a worker is gone; a busy disk alone can silence one for two."""
    locust.runners.HEARTBEAT_INTERVAL = _HEARTBEAT_SECONDS
    locust.runners.HEARTBEAT_LIVENESS = _MISSED_BEATS
    locust.runners.MASTER_HEARTBEAT_TIMEOUT = _MASTER_SILENT_SECONDS
    locust.runners.WORKER_LOG_REPORT_INTERVAL = -1  # each side keeps its own log


def versions() -> dict[str, str]:
    """What has to be the same on both sides."""
    return {"bench": bench.__version__, "locust": locust.__version__}


def token() -> str:
    """The secret that both sides were given, or nothing."""
    return os.environ.get(TOKEN_VARIABLE, "")
