"""`bench worker`: this machine sends part of a load that a `bench run` elsewhere asks for.

The worker runs under a guard like everything else that is started; it joins again for no second run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

from bench.errors import LoadError, UsageError
from bench.load.drive import LOCUSTFILE
from bench.serving.address import Address, parse_address
from bench.serving.guarded import Guarded, guarded
from bench.serving.launch import exit_text

CONNECT_EXAMPLE = "for example --connect 192.168.1.5:5557, what `bench run --listen` was given on the other machine"


def parse_connect(text: str) -> Address:
    """Where the master listens.   Raises: UsageError."""
    try:
        return parse_address(text).resolved()
    except ValueError as failure:
        raise UsageError(str(failure), where="--connect", hint=CONNECT_EXAMPLE) from failure
    except OSError as failure:
        raise UsageError(f"unknown host in {text!r}: {failure.strerror}", where="--connect") from failure


def work(connect: Address, *, wait: float, say: Callable[[str], None]) -> None:
    """Serve the master at this address until it says that the run is over; try `wait` seconds to reach it.

    Raises: LoadError if it cannot be reached, refuses this worker, or is gone before it said so.
    """
    with guarded(
        [sys.executable, "-P", str(LOCUSTFILE), "worker", str(connect), str(wait)],
        stdout=subprocess.PIPE,
        stderr=sys.stderr.fileno(),
        env={**os.environ, "GRPC_VERBOSITY": "ERROR"},
        grace=2.0,
    ) as process:
        say(f"looking for a master at {connect}")
        reason = ""
        for said in _heard(process):
            if said["kind"] == "joined":
                say(f"joined {said['master']} as {said['name']}")
            elif said["kind"] == "ended":
                reason = said["reason"]
        code = process.stop()
    if code != 0:
        hint = "start `bench run --listen` there, and see that no firewall is between" if "within" in reason else ""
        raise LoadError(reason or f"the load worker ended ({exit_text(code)})", where=str(connect), hint=hint)
    say(f"done: {reason}")


def _heard(process: Guarded) -> Iterator[dict[str, Any]]:
    for line in process.stdout:
        said: dict[str, Any] = json.loads(line)
        yield said
