"""Runs the copies and nginx before them: `python supervise.py PLAN.json`.  Standard library only.

nginx starts once every copy accepts connections, so that the first request finds all of them. When any of the
programs ends, it is named on stderr and everything ends: fewer copies than asked for must not be measured. All stay in
one process group, which the guard ends.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ENDED = "replicas: "
_LOOK_SECONDS = 0.02


def start(each: dict[str, Any]) -> subprocess.Popen[bytes]:
    """One program, kept to its own cores if it has some."""
    cores = each["cores"]

    def pin() -> None:
        if cores:
            os.sched_setaffinity(0, cores)

    return subprocess.Popen(
        each["argv"],
        env={**os.environ, **each["env"]},
        cwd=each["cwd"],
        stdin=subprocess.DEVNULL,
        preexec_fn=pin,  # noqa: PLW1509 -- one thread
    )


def accepts(address: str) -> bool:
    """Whether something accepts connections at HOST:PORT or unix:PATH."""
    family = socket.AF_UNIX if address.startswith("unix:") else socket.AF_INET
    with socket.socket(family) as probe:
        if address.startswith("unix:"):
            return probe.connect_ex(address.removeprefix("unix:")) == 0
        host, _, port = address.rpartition(":")
        return probe.connect_ex((host, int(port))) == 0


def how(code: int) -> str:
    """How a program ended, in words."""
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def ended(running: dict[str, subprocess.Popen[bytes]]) -> str | None:
    """What to say of a program that has ended, if one has."""
    for name, program in running.items():
        code = program.poll()
        if code is not None:
            return f"{ENDED}{name} ended ({how(code)})"
    return None


def main(plan: dict[str, Any]) -> int:
    """Run everything until something ends."""
    running: dict[str, subprocess.Popen[bytes]] = {}
    for copy in plan["copies"]:
        running[copy["name"]] = start(copy)
    waiting = [copy["address"] for copy in plan["copies"]]
    said = None
    while waiting and said is None:
        waiting = [address for address in waiting if not accepts(address)]
        said = ended(running)
        time.sleep(_LOOK_SECONDS)
    if said is None:
        running["nginx"] = start(plan["nginx"])
    while said is None:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        said = ended(running)
        if said is None:  # a child of a child, which came to us when its parent ended
            os.waitpid(-1, os.WNOHANG)
    sys.stderr.write(f"{said}\n")
    sys.stderr.flush()
    return 1


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text())))
