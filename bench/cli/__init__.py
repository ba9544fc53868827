"""argv -> one library call -> print -> exit code. The only package that prints results, and that knows exit codes.

One module in `commands` per command, `group` holds them together. This module imports nothing heavy, so that Ctrl-C has
its one answer from the first moment on.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with _signals_interrupt():
            from bench.cli.group import carry_out

            return carry_out(arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr, flush=True)  # noqa: T201 -- with nothing imported that Ctrl-C cut short
        return INTERRUPTED


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP end a command the way Ctrl-C does: servers are stopped, what was measured is kept."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
