"""Start a program under a guard and end it: the harness's side of `guard.py`.

Whatever happens to the harness, the program and all its descendants end with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from bench.errors import LaunchError
from bench.serving import guard

_GUARD_START_SECONDS = 10.0
_SLACK_SECONDS = 10.0
File = int | IO[bytes] | None


class Guarded:
    """One running program; `pid` leads its process group."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket, patience: float) -> None:
        self._process = process
        self._control = control
        self._patience = patience
        self._elsewhere: tuple[int, ...] = ()
        self._heard = b""
        self._code: int | None = None
        self._ended = False
        self.killed = 0
        """How many processes had to be killed in the end, since they neither ended by themselves nor on SIGTERM."""
        self.pid = self._read_pid()

    @property
    def stdin(self) -> IO[bytes]:
        """The program's standard input, if it was asked for as a pipe."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """The program's standard output, if it was asked for as a pipe."""
        assert self._process.stdout is not None
        return self._process.stdout

    def poll(self) -> int | None:
        """Exit code once the program and all it left behind are gone (negative: killed by that signal); else None."""
        if not self._ended:
            self._listen(0.0)
        return self._code if self._ended else None

    def alive(self) -> bool:
        """Whether the program itself still runs (one that is ending does not)."""
        if self._ended:
            return False
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        return stat[stat.rindex(")") + 2] != "Z"

    def tree(self) -> list[int]:
        """Process ids of the program and everything below it, or of what it stands for; empty once they are gone."""
        if not self._elsewhere:
            return guard.descendants(self._process.pid)
        return [pid for first in self._elsewhere for pid in _with_all_below(first)]

    def stands_for(self, *pids: int) -> None:
        """Have `tree` tell of these processes, such as the first of a container, instead of what started them."""
        self._elsewhere = pids

    def stop(self) -> int | None:
        """End the program and everything below it; its exit code, None if it never said."""
        if not self._ended:
            with contextlib.suppress(OSError):
                self._control.sendall(b"stop\n")
            deadline = time.monotonic() + self._patience
            while time.monotonic() < deadline and self.poll() is None and not self._ended:
                self._listen(0.2)
            if not self._ended:  # the guard itself hangs: closing its pipe and killing it ends the program too
                self._process.kill()
        self._control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_SLACK_SECONDS)
        return self._code

    def _read_pid(self) -> int:
        deadline = time.monotonic() + _GUARD_START_SECONDS
        while b"\n" not in self._heard:
            self._hear(0.2)
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise LaunchError("the guard process did not start")
        line, self._heard = self._heard.split(b"\n", 1)
        return int(json.loads(line)["pid"])

    def _listen(self, seconds: float) -> None:
        self._hear(seconds)
        if b"\n" in self._heard:
            line, self._heard = self._heard.split(b"\n", 1)
            said = json.loads(line)
            self._code, self.killed = said["code"], said["killed"]
            self._ended = True
        elif self._process.poll() is not None:
            self._ended = True

    def _hear(self, seconds: float) -> None:
        if select.select([self._control], [], [], seconds)[0]:
            with contextlib.suppress(OSError):
                self._heard += self._control.recv(4096)


def _with_all_below(pid: int) -> list[int]:
    """A process and its descendants; empty once they are gone."""
    below = guard.descendants(pid)
    return [pid, *below] if below or Path(f"/proc/{pid}").exists() else []


@contextlib.contextmanager
def guarded(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: File = subprocess.DEVNULL,
    stdout: File = subprocess.DEVNULL,
    stderr: File = subprocess.DEVNULL,
    grace: float = 10.0,
    sweep: Sequence[str] = (),
    final: Sequence[str] = (),
    cores: Sequence[int] = (),
) -> Iterator[Guarded]:
    """A program that runs while the block does; `env` is its whole environment, the harness's own if None.

    `grace` is the seconds between SIGTERM and SIGKILL; `sweep` holds glob patterns of files to remove afterwards
    if they appeared meanwhile; `final` is a command that the guard runs once the program ended or is to end, whatever
    became of the harness: it ends what the program started where no signal of ours reaches. With `cores` the program
    and all its descendants run on those alone.
    Raises: LaunchError if even the guard cannot be started.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", guard.__file__),
                *(str(theirs.fileno()), str(grace), json.dumps(list(sweep)), json.dumps(list(final))),
                *(json.dumps(list(cores)), "--", *argv),
            ],
            env=dict(os.environ if env is None else env),
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
    try:
        program = Guarded(process, ours, grace + _SLACK_SECONDS + (guard.FINAL_SECONDS if final else 0.0))
    except BaseException:
        ours.close()
        process.kill()
        process.wait()
        raise
    try:
        yield program
    finally:
        program.stop()
