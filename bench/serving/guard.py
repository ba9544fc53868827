"""The parent of everything we start: when the harness is gone, however it went, so is what it started.

Run by path with nothing but the standard library, so it is up in some milliseconds:

    python -I -S bench/serving/guard.py CONTROL_FD GRACE_SECONDS SWEEP_JSON FINAL_JSON CORES_JSON -- PROGRAM ARGUMENT...

It starts the program in a session of its own, becomes the reaper of all its descendants (also those that move to
another session) and holds one end of a socket pair. When the other end says anything or closes - a stop, a crash,
SIGKILL of the harness - it sends SIGTERM to the program's process group, waits, then SIGKILLs whatever
descends from it. The same clean-up follows when the program exits by itself and leaves children behind. A final
command, where there is one, runs right after the SIGTERM: it ends what the program started out of reach, such as a
container. Files that match a sweep pattern and were not there at the start are removed last. With cores, the program
is pinned to them before it begins, and so is whatever it starts.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
FINAL_SECONDS = 30.0
"""How long a final command may take before it is killed."""
_libc = ctypes.CDLL(None)


def descendants(root: int) -> list[int]:
    """Process ids below `root`, from /proc."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            stat = Path(entry.path, "stat").read_text()
        except OSError:
            continue
        fields = stat[stat.rindex(")") + 2 :].split()
        if fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _start(argv: list[str], cores: list[int]) -> int:
    guard = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        # If even the guard is killed, the kernel ends at least the program itself.
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != guard:  # it was killed before the kernel knew
            os._exit(127)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        if cores and not _pinned(cores):
            os._exit(127)
        os.execvp(argv[0], argv)  # noqa: S606 -- an argument list, no shell
    except OSError as failure:
        sys.stderr.write(f"{argv[0]}: {failure.strerror}\n")
        sys.stderr.flush()
    os._exit(127)


def _pinned(cores: list[int]) -> bool:
    """Whether this process, and so its children, may run on these cores and no others."""
    try:
        os.sched_setaffinity(0, cores)
        if os.sched_getaffinity(0) == set(cores):
            return True
        failure = f"only {sorted(os.sched_getaffinity(0))} of them may be used"
    except (OSError, OverflowError, ValueError) as refused:
        failure = str(refused)
    sys.stderr.write(f"cannot be pinned to the cores {cores}: {failure}\n")
    sys.stderr.flush()
    return False


def _reap(leader: int, code: int | None) -> int | None:
    """Collect every child that ended; the leader's exit code once it did."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == leader:
                code = os.waitstatus_to_exitcode(status)
    return code


def _finish(final: list[str]) -> None:
    """Run the final command to its end; what it leaves behind is cleaned up with everything else."""
    pid = _start(final, [])
    if not select.select([os.pidfd_open(pid)], [], [], FINAL_SECONDS)[0]:
        os.kill(pid, signal.SIGKILL)  # it is our child and nobody has reaped it: the id is still its own


def _clean_up(leader: int, code: int | None, grace: float, final: list[str]) -> tuple[int | None, int]:
    """SIGTERM to the group, the final command, a wait, SIGKILL to every descendant until there is none.

    The leader's exit code, and how many processes had to be killed.
    """
    if code is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(leader, signal.SIGTERM)
    if final:
        _finish(final)
        code = _reap(leader, code)
    if code is None:
        deadline = time.monotonic() + grace
        while code is None and time.monotonic() < deadline:
            time.sleep(0.01)
            code = _reap(leader, code)
    settle = time.monotonic() + min(grace, 1.0)
    while descendants(os.getpid()) and time.monotonic() < settle:
        time.sleep(0.01)
        code = _reap(leader, code)
    killed: set[int] = set()
    while alive := descendants(os.getpid()):
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        time.sleep(0.01)
        code = _reap(leader, code)
    return _reap(leader, code), len(killed)


def _matching(patterns: list[str]) -> set[str]:
    return {path for pattern in patterns for path in glob.glob(pattern)}  # noqa: PTH207 -- absolute patterns


def main(arguments: list[str]) -> int:
    """Guard one program until it ends or the harness does."""
    control = socket.socket(fileno=int(arguments[0]))
    grace, patterns, final, cores, argv = float(arguments[1]), *map(json.loads, arguments[2:5]), arguments[6:]
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    there = _matching(patterns)
    leader = _start(argv, cores)
    with contextlib.suppress(OSError):
        control.sendall(json.dumps({"pid": leader}).encode() + b"\n")
    code = None
    exits = os.pidfd_open(leader)
    select.select([control.fileno(), exits], [], [])
    code, killed = _clean_up(leader, _reap(leader, code), grace, final)
    for path in _matching(patterns) - there:
        with contextlib.suppress(OSError):
            Path(path).unlink()
    with contextlib.suppress(OSError):
        control.sendall(json.dumps({"code": code, "killed": killed}).encode() + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
