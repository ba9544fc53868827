"""Whether a folder is a server that can be measured: it starts, answers, fails cleanly, stops, leaves nothing behind.

Each step is one `Step`, so that whoever writes a server sees at once what is missing. It measures nothing.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import AnswerError, ArtifactError, BenchError, LaunchError, ScenarioError
from bench.measures.answers import Expectation, difference
from bench.problems import ScenarioProblemsError
from bench.protocols import Request
from bench.running.materials import Materials, interpreters, prepare
from bench.scenario.scenario import Scenario, load_scenario
from bench.scenario.servers import ServerEntry
from bench.serving.asking import StatusError, ask
from bench.serving.guarded import Guarded
from bench.serving.launch import HOST, Running, exit_text, running
from bench.serving.learned import first_answers

NAME = "server"
"""The server's name in the scenario that is made up for it."""
_NONSENSE = b"\x00 this is no request {"
_PATIENCE_SECONDS = 30.0
_PORT_SECONDS = 2.0
_ENDING_SECONDS = 1.0
_MOST_NAMED = 5
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried: whether it went well, what happened, and what would help if it did not."""

    name: str
    ok: bool
    text: str
    hint: str = ""


def examine(
    folder: Path,
    *,
    set: Sequence[str] = (),  # noqa: A002 -- spelled like the flag
    say: Say,
    watch: Sequence[Path] | None = None,
) -> Iterator[Step]:
    """Try everything that a run would need of the server in a folder, one step after the other.

    `set` gives its keys (`delay=5ms`). `watch` are the folders in which nothing may be left; by default those for
    temporary files, shared memory, and the server's own. A step that the next ones rest on ends it when it fails.
    Raises: ScenarioError, ServerFolderError for a folder that holds no server, or keys that it does not have.
    """
    with tempfile.TemporaryDirectory(prefix="bench-check-") as name:
        scratch = Path(name)
        scenario = _scenario(scratch, folder, set)
        entry = scenario.server(NAME)
        yield Step("loads", True, entry.server.title)
        lack = entry.server.missing()
        if lack is not None:
            yield Step("can run here", False, lack.reason, lack.fix)
            return
        yield Step("can run here", True, "nothing is missing")
        try:
            materials, right, python = _materials(scenario, entry, say)
        except BenchError as failure:
            yield Step("has what it needs", False, failure.what, failure.hint)
            return
        folders = [Path(tempfile.gettempdir()), Path("/dev/shm"), entry.folder] if watch is None else watch  # noqa: S108
        before = _listing(folders)
        yield from _life(entry, materials, right, python, scratch / "server.log")
        yield _left(folders, before)


def _scenario(scratch: Path, folder: Path, assignments: Sequence[str]) -> Scenario:
    """A scenario with that one server; it has a model only where the server serves one."""
    path = scratch / "check.yaml"
    server = f"servers:\n  {NAME}: {{kind: {json.dumps(str(folder))}}}\n"
    path.write_text(f"load: [{{profile: closed, users: 1, duration: 1s}}]\n{server}")
    keys = [f"servers.{NAME}.{assignment}" for assignment in assignments]
    with_model = ["model.keras_application=EfficientNetB0"]
    from bench.server import find_kind, load_kind

    kind = load_kind(find_kind(str(folder), scratch))
    serves_model = kind.model_form is not None or any("{model}" in text for text in assignments)
    try:
        return load_scenario(path, set=[*(with_model if serves_model else []), *keys])
    except ScenarioProblemsError as failure:
        raise ScenarioProblemsError([_as_asked(problem, path, folder) for problem in failure.problems]) from None
    except ScenarioError as failure:
        raise _as_asked(failure, path, folder) from None


def _as_asked(failure: ScenarioError, path: Path, folder: Path) -> ScenarioError:
    """The same without the scenario that nobody wrote: its file is gone, and `--set` was given the bare key."""
    where = re.sub(rf"^{re.escape(str(path))}(:\d+)?", lambda _: str(folder / "server.py"), failure.where)
    prefix = f"servers.{NAME}"
    return ScenarioError(
        failure.what.removeprefix(f"{prefix}.").removeprefix(f"{prefix}: "),
        where=where.replace(f"--set {prefix}.", "--set "),
        hint=failure.hint.replace(f" of {prefix}", ""),
    )


def _materials(scenario: Scenario, entry: ServerEntry, say: Say) -> tuple[Materials, Expectation | None, Path]:
    materials = prepare(scenario, [entry], say)
    pythons, failed = interpreters([entry], say)
    if failed:
        raise failed[NAME]
    try:
        right = materials.right_answers(entry)
    except ArtifactError:  # it does not say what is right; whether it stays the same can still be seen
        right = None
    return materials, right, pythons[NAME]


def _life(
    entry: ServerEntry, materials: Materials, right: Expectation | None, python: Path, log: Path
) -> Iterator[Step]:
    """From the start of the server to its end."""
    steps: list[Step] = []
    ports: tuple[int, ...] = ()
    process: Guarded | None = None
    alive = True
    cores = len(os.sched_getaffinity(0))
    try:
        with running(
            entry.server, model=materials.model, python=python, cores=cores, photos=materials.payloads, log=log
        ) as ready:
            steps.append(_ready(ready))
            yield steps[-1]
            requests = tuple(ready.wire.request(payload) for payload in materials.payloads)
            yield _answers(ready, requests, right)
            yield _fails_cleanly(ready, requests[0])
            if isinstance(ready.process, Guarded):
                process, ports, alive = ready.process, ready.place.ports, ready.process.alive()
    except (LaunchError, AnswerError, ArtifactError) as failure:
        if not steps:
            yield Step("starts and is ready", False, failure.what, failure.hint)
        else:
            yield Step("keeps running", False, failure.what, failure.hint)
        return
    if process is None:
        return
    yield _stops(process, alive)
    yield _frees_ports(ports)


def _ready(ready: Running) -> Step:
    if ready.startup_seconds is None:
        return Step("starts and is ready", True, "it already runs")
    return Step("starts and is ready", True, f"first answer after {ready.startup_seconds:.2g} s")


def _answers(ready: Running, requests: Sequence[Request], right: Expectation | None) -> Step:
    """Every photo gets its right answer; where nobody knows it, one of its own that stays the same."""
    name = "answers right"
    try:
        if right is None:
            learned = first_answers(ready, requests)
            apart = f"answers stay the same, and those of {len(requests)} photos differ by {learned.photo_distance:.2g}"
            return Step(name, True, f"{apart}; nothing tells whether they are right (see `expected` in server.py)")
        worst = max(
            difference(ready.wire.answer(ask(ready.wire, ready.host, ready.port, request)[0]), output)
            for request, output in zip(requests, right.outputs, strict=True)
        )
    except (BenchError, OSError, http.client.HTTPException) as failure:
        return Step(name, False, _said(failure), getattr(failure, "hint", "") or _where_decoding_is_told(right))
    if worst > right.tolerance:
        what = f"an answer differs from the right one by {worst:.2g}, and {right.tolerance:.2g} is allowed"
        return Step(name, False, what, _where_decoding_is_told(right))
    return Step(name, True, f"{len(requests)} photos, the largest difference is {worst:.2g}")


def _where_decoding_is_told(right: Expectation | None) -> str:
    return (
        "" if right is None else "docs/add-a-server.md tells how photos are decoded and resized, and what else differs"
    )


def _fails_cleanly(ready: Running, good: Request) -> Step:
    """Nonsense is refused with an error, soon, and the next good request is answered as before."""
    name = "fails cleanly"
    hint = "answer what cannot be read with HTTP 400 (gRPC: INVALID_ARGUMENT) and go on serving"
    broken = replace(good, body=_NONSENSE)
    try:
        body, _ = ask(ready.wire, ready.host, ready.port, broken, timeout=_PATIENCE_SECONDS)
    except AnswerError as failure:
        refused = f"HTTP {failure.status}" if isinstance(failure, StatusError) else failure.what.splitlines()[0][:60]
    except (OSError, http.client.HTTPException) as failure:
        what = f"a broken request got no reply: {_said(failure)}"
        return Step(name, False, what if _goes_on(ready) else "a broken request ended the server", hint)
    else:
        shown = body[:60].decode(errors="replace")
        return Step(name, False, f"a broken request was answered as if it were good: {shown}", hint)
    try:
        ready.wire.answer(ask(ready.wire, ready.host, ready.port, good, timeout=_PATIENCE_SECONDS)[0])
    except (BenchError, OSError, http.client.HTTPException) as failure:
        what = f"after a broken request a good one fails: {_said(failure)}"
        return Step(name, False, what if _goes_on(ready) else "a broken request ended the server", hint)
    return Step(name, True, f"a broken request gets {refused}, and the next one is answered")


def _goes_on(ready: Running) -> bool:
    """Whether the server still runs, once one that is ending has had a moment for it."""
    deadline = time.monotonic() + _ENDING_SECONDS
    while ready.process.alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    return ready.process.alive()


def _stops(process: Guarded, alive: bool) -> Step:
    """It ended when it was told to, and not before, with everything that it had started."""
    hint = "end on SIGTERM within 10 s, and pass it on to what you started"
    code = process.poll()
    if code == -signal.SIGKILL and process.killed:
        others = f", with {_processes(process.killed - 1)} that it had started" if process.killed > 1 else ""
        return Step("stops", False, f"it did not end on SIGTERM and was killed{others}", hint)
    if process.killed:
        what = f"it left {_processes(process.killed)} behind, which {'was' if process.killed == 1 else 'were'} killed"
        return Step("stops", False, what, hint)
    if not alive:
        return Step("stops", False, f"it had ended before it was told to ({exit_text(code)})", "its log may tell why")
    return Step("stops", True, f"it ended on SIGTERM ({exit_text(code)}), no process is left")


def _processes(count: int) -> str:
    return "a process" if count == 1 else f"{count} processes"


def _frees_ports(ports: Sequence[int]) -> Step:
    deadline = time.monotonic() + _PORT_SECONDS
    taken = list(ports)
    while taken and time.monotonic() < deadline:
        taken = [port for port in taken if _listens(port)]
        if taken:
            time.sleep(0.05)
    if taken:
        return Step("frees its ports", False, f"something still listens on {', '.join(map(str, taken))}")
    return Step("frees its ports", True, "nothing listens any more")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _listing(folders: Iterable[Path]) -> set[Path]:
    """What lies in these folders and is ours; compiled Python and files of other runs of bench do not count."""
    found: set[Path] = set()
    for folder in folders:
        with contextlib.suppress(OSError):
            for entry in os.scandir(folder):
                with contextlib.suppress(OSError):
                    own = entry.stat(follow_symlinks=False).st_uid == os.getuid()
                    if own and entry.name != "__pycache__" and not entry.name.startswith("bench-"):
                        found.add(Path(entry.path))
    return found


def _left(folders: Sequence[Path], before: set[Path]) -> Step:
    name = "leaves no file"
    left = sorted(_listing(folders) - before)
    if not left:
        return Step(name, True, f"nothing new in {', '.join(map(str, folders))}")
    shown = ", ".join(map(str, left[:_MOST_NAMED])) + (", ..." if len(left) > _MOST_NAMED else "")
    return Step(
        name,
        False,
        f"appeared meanwhile and is still there: {shown}",
        "write into place.folder, which is removed, or name the files in `litter`; if another program made them, "
        "check again",
    )


def _said(failure: BaseException) -> str:
    said = failure.what if isinstance(failure, BenchError) else str(failure)
    return said.splitlines()[0] if said else type(failure).__name__
