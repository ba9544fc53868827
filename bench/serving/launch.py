"""Start one server, wait until every worker of it has answered a real request, always stop it.

A server runs under a guard (`guarded.py`), in its own session, on loopback ports that were picked here, with its own
words in a log file. This module knows nothing of load, results or the model's right answers.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import os
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bench.errors import AnswerError, LaunchError
from bench.model.files import ModelFiles
from bench.protocols import Request, Wire
from bench.scenario.budget import thread_environment, threads_told
from bench.server import Command, Elsewhere, Place, Server
from bench.serving.address import TLS
from bench.serving.asking import PROBE_TIMEOUT_SECONDS, ask_many, check_path
from bench.serving.asking import ask as ask
from bench.serving.guarded import Guarded, guarded
from bench.serving.listening import elsewhere_text
from bench.serving.standing import NotOurs, wait_for_answer

HOST = "127.0.0.1"
_PORTS = range(20_000, 32_000)
"""Below the ports that the kernel hands to outgoing connections, so none of ours can take a server's."""
_POLL_SECONDS = 0.05
_LOG_LINES = 12
_LOG_LOOK_SECONDS = 1.0
"""How often a log is read while its server starts, for something that makes waiting vain."""
_LOG_BYTES = 1_000_000
FORKED_AWAY = (
    "server ended (exit code 0) before it was ready and left a process behind: it goes on in the background, where it "
    "cannot be watched or ended; look for an option that keeps it in the foreground, or leaves out its --daemon"
)
_INHERITED_NOISE = ("TF_CPP_MIN_LOG_LEVEL", "PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "LD_PRELOAD")
"""Variables of the person's shell that would make the same server behave differently on two machines."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is ready.

    `startup_seconds` counts from exec to the first readable answer of every worker, None for one that was not started
    here; `log` is its own words, from byte `log_from` on.
    """

    server: Server
    place: Place
    wire: Wire
    process: Guarded | NotOurs
    log: Path
    startup_seconds: float | None
    log_from: int = 0
    threads: Mapping[str, str] = field(default_factory=dict)
    """Variables of its environment that decide with how many threads it computes."""

    @property
    def port(self) -> int:
        """The port that the load goes to."""
        return self.place.ports[self.server.load_port]

    @property
    def host(self) -> str:
        """The host that the load goes to, `tls:HOST` over TLS, or `unix:PATH`."""
        return load_host(self.server, self.place)

    @property
    def url(self) -> str:
        """Where it listens."""
        if self.server.standing is not None:
            return self.server.standing.url
        if self.host.startswith("unix:"):
            return self.host
        return f"{'http' if self.wire.transport == 'http' else 'grpc'}://{self.place.host}:{self.port}"


def load_host(server: Server, place: Place) -> str:
    """The host that the load goes to, `tls:HOST` over TLS, or `unix:PATH`."""
    path = server.socket(place)
    if server.standing is not None and server.standing.tls:
        return f"{TLS}{place.host}"
    return place.host if path is None else f"unix:{path}"


def free_ports(count: int, host: str = HOST) -> tuple[int, ...]:
    """Different ports that nothing listens on.   Raises: LaunchError if there are not as many."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if len(found) == count:
            break
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            found.append(port)
    if len(found) < count:
        raise LaunchError(f"no {count} free ports on {host} between {_PORTS.start} and {_PORTS.stop}")
    return tuple(found)


@contextlib.contextmanager
def running(
    server: Server,
    *,
    model: ModelFiles | None,
    python: Path,
    cores: int,
    photos: Sequence[bytes],
    log: Path,
    host: str = HOST,
    in_flight: int = 0,
    cpuset: Sequence[int] = (),
    start_timeout: float | None = None,
    swaps: bool = False,
) -> Iterator[Running]:
    """A ready server for as long as the block lasts.

    `photos` are what it is asked while we wait for it to be ready. `host` is the address it listens on: loopback,
    unless load comes from other machines. `in_flight` is the most requests that will be under way at once, if known.
    `cores` threads can compute at once; with `cpuset`, the numbers of those cores, it runs nowhere else.
    `swaps` tells that its model is going to be exchanged. `start_timeout` is how many seconds it may take to be ready,
    by default what its kind says.
    Raises: LaunchError, with the log's last lines, if it exits or is not ready within that time.
    """
    standing = server.standing
    if standing is not None:
        place = Place(standing.host, (standing.port,), model, log.parent, python, cores, in_flight)
        wire = server.wire(place)
        log.touch()
        wait_for_answer(standing, wire, photos[0], server.start_timeout if start_timeout is None else start_timeout)
        yield Running(server, place, wire, NotOurs(), log, None, log.stat().st_size)
        return
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as scratch, log.open("ab") as words:
        log_from = log.stat().st_size
        ports = free_ports(server.port_count, host)
        place = Place(host, ports, model, Path(scratch), python, cores, in_flight, tuple(cpuset), swaps)
        if host != HOST and server.socket(place) is not None:
            raise LaunchError("its UNIX socket cannot be reached from other machines", hint="choose another protocol")
        wire = server.wire(place)
        command = server.command(place)
        if shutil.which(command.argv[0], path=command.env.get("PATH")) is None:
            raise LaunchError(f"no such program: {command.argv[0]}", where=str(log))
        environment = {name: value for name, value in os.environ.items() if name not in _INHERITED_NOISE}
        environment |= {"PYTHONUNBUFFERED": "1", **thread_environment(server.computing(place).threads), **command.env}
        began_at = time.monotonic()
        with guarded(
            command.argv,
            env=environment,
            cwd=command.cwd or place.folder,
            stdout=words,
            stderr=words,
            sweep=server.litter(place),
            final=command.elsewhere.end if command.elsewhere else (),
            cores=place.cpuset,
        ) as process:
            wait_ready(server, place, wire, process, photos, log, log_from, start_timeout)
            startup_seconds = time.monotonic() - began_at
            if command.elsewhere is not None:
                process.stands_for(*_find(command, command.elsewhere, environment))
            yield Running(server, place, wire, process, log, startup_seconds, log_from, threads_told(environment))


def _find(command: Command, elsewhere: Elsewhere, environment: Mapping[str, str]) -> list[int]:
    """The first process of each container that the program stands for; their memory and CPU time are the server's.

    Raises: LaunchError if it cannot be seen from here, which is so where an engine runs in a virtual machine.
    """
    try:
        done = subprocess.run(
            elsewhere.find, env=environment, capture_output=True, text=True, timeout=PROBE_TIMEOUT_SECONDS, check=False
        )
        found = [line.partition(" ")[::2] for line in done.stdout.splitlines()]
        pids = [int(first) for first, _ in found]
        seen = bool(pids) and all(
            _is_of(pid, container, command.argv[-1]) for pid, (_, container) in zip(pids, found, strict=True)
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        seen = False
    if not seen:
        raise LaunchError(
            "the server's processes cannot be seen from here, so what it uses could not be measured",
            hint="its container has to run on this machine itself, not in a virtual machine or on another host",
        )
    return pids


def _is_of(pid: int, container: str, argument: str) -> bool:
    """Whether a process is of a container or, where its id is not known, has this last argument."""
    if container:
        return container in Path(f"/proc/{pid}/cgroup").read_text()
    *_, last, _ = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return last == os.fsencode(argument)


def wait_ready(
    server: Server,
    place: Place,
    wire: Wire,
    process: Guarded,
    photos: Sequence[bytes],
    log: Path,
    log_from: int = 0,
    timeout: float | None = None,
) -> None:
    """Return once every worker has given a readable answer to a real request.

    It is asked beside the watch over its process and its log: whoever else holds its port may never answer.
    Raises: LaunchError, also as soon as the log, read from byte `log_from`, tells that waiting is vain.
    """
    timeout = server.start_timeout if timeout is None else timeout
    deadline = time.monotonic() + timeout
    look_at = time.monotonic() + _LOG_LOOK_SECONDS
    request = wire.request(photos[0])
    workers = server.workers_at(place)
    seen: set[str] = set()
    trouble = "nothing listens on its port"
    question: Future[set[str]] | None = None
    while True:
        now = time.monotonic()
        if not process.alive():
            code = process.stop()
            what = f"server ended ({exit_text(code)}) before it was ready"
            if code == 0 and process.killed:
                what = FORKED_AWAY
            raise LaunchError(explained(server, what, log, log_from, code), where=str(log), hint=log_tail(log))
        if now > look_at:
            _refuse_what_its_log_tells(server, log, log_from)
            look_at = now + _LOG_LOOK_SECONDS
        if now > deadline:
            stage = server.stage(log_text(log, log_from))
            trouble = elsewhere_text(process.tree(), place.ports) or trouble
            what = f"server not ready after {timeout:g} s: {f'{stage}; ' * bool(stage)}{trouble}"
            raise LaunchError(what, where=str(log), hint=log_tail(log))
        question = question or _beside(lambda: _workers_that_answer(server, place, wire, request))
        if not concurrent.futures.wait([question], timeout=_POLL_SECONDS).done:
            continue
        answered, question = question, None
        try:
            seen |= answered.result()
        except ConnectionRefusedError:
            trouble = "nothing listens on its port"
        except (OSError, http.client.HTTPException, AnswerError) as failure:
            trouble = str(failure) or type(failure).__name__
        else:
            trouble = f"{len(seen)} of {workers} workers answered"
            if len(seen) >= workers:
                break
        time.sleep(_POLL_SECONDS)
    _refuse_what_its_log_tells(server, log, log_from)


_T = TypeVar("_T")


def _beside(ask: Callable[[], _T]) -> Future[_T]:
    """What a function gives, once it does; nobody waits for it in the end."""
    answer: Future[_T] = Future()

    def work() -> None:
        try:
            answer.set_result(ask())
        except BaseException as failure:
            answer.set_exception(failure)

    threading.Thread(target=work, name="question", daemon=True).start()
    return answer


def _workers_that_answer(server: Server, place: Place, wire: Wire, request: Request) -> set[str]:
    """The workers that gave a readable answer; a server with one worker need not say which."""
    port = place.ports[server.load_port]
    if server.ready_path:
        check_path(place.host, port, server.ready_path)
    workers = server.workers_at(place)
    if workers > 1:
        return ask_many(wire, place.host, port, request, 2 * workers)
    wire.answer(ask(wire, load_host(server, place), port, request)[0])
    return {"the only one"}


def _refuse_what_its_log_tells(server: Server, log: Path, log_from: int) -> None:
    """Raise LaunchError if a server that still runs said that it will not serve as it was asked to."""
    said = server.explain(log_text(log, log_from), None)
    if said is not None:
        raise LaunchError(said, where=str(log), hint=log_tail(log))


def explained(server: Server, what: str, log: Path, log_from: int, exit_code: int | None) -> str:
    """What happened and, behind a colon, what the server's own kind makes of its log."""
    said = server.explain(log_text(log, log_from), exit_code)
    return what if said is None else f"{what}: {said}"


def log_text(log: Path, log_from: int) -> str:
    """A log from some byte on, of a long one its beginning and its end; empty if it cannot be read."""
    try:
        with log.open("rb") as file:
            size = log.stat().st_size
            file.seek(log_from)
            text = file.read(_LOG_BYTES)
            if size - log_from > _LOG_BYTES:
                file.seek(max(file.tell(), size - _LOG_BYTES))
                text += b"\n" + file.read(_LOG_BYTES)
    except OSError:
        return ""
    return text.decode(errors="replace")


def exit_text(code: int | None) -> str:
    """How a process ended, in words: `exit code 3`, `killed by SIGILL`."""
    if code is None:
        return "no exit code"
    if code >= 0:
        return f"exit code {code}"
    import signal

    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def log_tail(log: Path) -> str:
    """Last lines of a log, or that it is empty."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        lines = []
    return "\n".join(["last lines of its log:", *lines[-_LOG_LINES:]]) if lines else "its log is empty"
