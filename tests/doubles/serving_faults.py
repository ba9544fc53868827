"""What goes wrong on purpose in the stand-in for TensorFlow Serving, and how it says things and ends."""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn

FAULT, _, _NUMBER = os.environ.get("DOUBLE_FAULT", "").partition("=")
FAULT_NUMBER = int(_NUMBER or 0)
USAGE_EXIT = 255

REFUSALS: tuple[tuple[int, str], ...] = (
    (8, "Server Threadpool Exhausted"),
    (8, "Received message larger than max (8388608 vs. 4194304)"),
    (8, "Run() timeout exceeded while waiting in batching queue"),
    (8, "OOM when allocating tensor with shape[64,3,224,224] and type float"),
    (14, "The batch scheduling queue to which this task was submitted is full; currently 10 batches enqueued"),
    (4, "Timed out waiting for notification"),
)
"""Code and text of what `fails_after` answers, one after the other."""


class ServingError(Exception):
    """A request that is answered with an error: TensorFlow's status code and its text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def say(what: str) -> None:
    """A line on stdout, at once."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def leave(said: str) -> NoReturn:
    """Say something on stdout and exit as the real program does when it cannot start."""
    say(said)
    logging.shutdown()
    os._exit(USAGE_EXIT)  # server threads must not hold it up
