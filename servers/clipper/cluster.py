"""Runs Clipper's containers together: `python cluster.py PLAN.json`.  Standard library only.

Redis comes first, since the others share its network; then both frontends, which wait for it themselves; then the
application is made, the model's containers are started, and the model is registered and linked: the steps of
Clipper's own admin client. When any of the programs ends, it is named on stderr and everything ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ENDED = "clipper: "
_LOOK_SECONDS = 0.1
_ASK_SECONDS = 10.0


class Ended(Exception):  # noqa: N818 -- an end, not an error of this program
    """A program has ended, which ends all of them."""


class Cluster:
    """The programs that run, `docker run` each."""

    def __init__(self, docker: str) -> None:
        self._docker = docker
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, each: dict[str, Any]) -> None:
        """Start one container; return once it runs, so that another can share its network."""
        self._running[each["name"]] = subprocess.Popen(each["argv"], stdin=subprocess.DEVNULL)
        look = [self._docker, "inspect", "--format", "{{.State.Running}}", each["container"]]
        while subprocess.run(look, capture_output=True, text=True, check=False).stdout.strip() != "true":
            self.look()
            time.sleep(_LOOK_SECONDS)

    def tell(self, step: dict[str, Any]) -> None:
        """One call of the management API; asked again while nobody answers."""
        request = urllib.request.Request(step["url"], json.dumps(step["body"]).encode(), method="POST")  # noqa: S310 -- written by server.py
        while True:
            self.look()
            try:
                with urllib.request.urlopen(request, timeout=_ASK_SECONDS):  # noqa: S310
                    return
            except urllib.error.HTTPError as failure:
                said = failure.read(400).decode(errors="replace").strip()
                raise Ended(f"{step['url']} refuses (HTTP {failure.code}): {said}") from failure
            except OSError:
                time.sleep(_LOOK_SECONDS)

    def look(self) -> None:
        """Raises: Ended, if a program has."""
        for name, program in self._running.items():
            code = program.poll()
            if code is not None:
                raise Ended(f"{name} ended (exit code {code})")

    def watch(self) -> None:
        """Until a program ends.   Raises: Ended."""
        while True:
            self.look()
            time.sleep(_LOOK_SECONDS)


def main(plan: dict[str, Any]) -> int:
    """Run everything until something ends."""
    cluster = Cluster(plan["docker"])
    try:
        for step in plan["steps"]:
            if "argv" in step:
                cluster.start(step)
            else:
                cluster.tell(step)
        cluster.watch()
    except Ended as end:
        sys.stderr.write(f"{ENDED}{end}\n")
        sys.stderr.flush()
    return 1


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text())))
