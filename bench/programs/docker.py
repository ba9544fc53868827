"""A program of a Docker image in place of one of this machine: the same command, run by `docker run`.

Folders keep their paths and ports their numbers inside the container, so a command line needs no translation. This
module knows nothing of what the program is; an image is pulled by `pull_image` alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.errors import ArtifactError, LaunchError
from bench.server import Command, Elsewhere, Missing

LABEL = "serving-bench"
"""Every container of ours carries it: docker ps --filter label=serving-bench."""

_ENGINE_SECONDS = 5.0
_PROGRAM_SECONDS = 60.0
_PULL_SECONDS = 3600.0

# Right after it was interrupted, `docker run` may have asked for a container that the engine has not made yet: no
# container by that name is a reason to look again, but not for long.
_REMOVE = """
"$0" inspect --format "$2" "$1" 2>/dev/null | grep . >&2
for seconds in 0 0.2 0.5 1 2 4; do
    sleep $seconds
    test -n "$("$0" rm --force --volumes "$1" 2>/dev/null)" && exit 0
done
"""
_REMOVE_GROUP = """
for seconds in 0 0.5 1; do
    sleep $seconds
    "$0" ps --all --quiet --no-trunc --filter "$1" | xargs -r "$0" rm --force --volumes >/dev/null 2>&1
done
"""
_PID_AND_ID = "{{.State.Pid}} {{.Id}}"
_LAST_WORDS = "{{if .State.OOMKilled}}the container was killed: its memory ran out{{end}}"


@dataclass(frozen=True, slots=True)
class Engine:
    """A Docker engine that answers."""

    version: str
    rootless: bool


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is on this machine; `digest` is what its registry knows it by, else the engine's own id."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What a program sees of this machine while it runs in a container.

    `folders` maps folders, which keep their paths, to whether they may be written to. `ports` keep their numbers and
    are open on `host`; with `inside` the first ones lead to those ports of the container. With `as_image` the program
    runs as the image's own user, else as the person who runs bench. `cpuset` is a list of cores such as `0-3`; `gpus`
    what `--gpus` takes. `beside` names a container whose network it shares, ports included, in place of one of its own.
    """

    image: str
    folders: Mapping[Path, bool] = field(default_factory=dict)
    host: str = "127.0.0.1"
    ports: Sequence[int] = ()
    inside: Sequence[int] = ()
    as_image: bool = False
    network: Literal["bridge", "host"] = "bridge"
    cpuset: str | None = None
    memory_bytes: int | None = None
    gpus: str | None = None
    beside: str | None = None


def find_engine() -> Engine | Missing:
    """The engine that answers, or why none does; takes seconds at most and starts nothing."""
    done = _ask("info", "--format", "{{.ServerVersion}} {{.SecurityOptions}}")
    if isinstance(done, Missing):
        return done
    version, _, options = done.stdout.strip().partition(" ")
    if done.returncode != 0 or not version[:1].isdigit():  # something else may listen where the engine should
        return _silent(done)
    return Engine(version, "rootless" in options)


def find_image(name: str) -> Image | Missing:
    """An image of this machine, or why there is none; it is never pulled."""
    done = _ask("image", "inspect", "--format", "{{.Id}} {{json .RepoDigests}}", name)
    if isinstance(done, Missing):
        return done
    if done.returncode == 0:
        own, _, known = done.stdout.strip().partition(" ")
        digests = [it.partition("@")[2] for it in json.loads(known) or ()]
        return Image(name, next(iter(digests), own))
    if "no such image" in done.stderr.lower():
        return Missing(f"the image {name} is not on this machine", f"docker pull {name}")
    return _silent(done)


def pull_image(name: str, say: Callable[[str], None]) -> None:
    """Fetch an image that is not here.   Raises: ArtifactError, in Docker's own words, if it cannot be."""
    if isinstance(find_image(name), Image):
        return
    say(f"pulling {name}")
    done = _ask("pull", "--quiet", name, seconds=_PULL_SECONDS)
    if isinstance(done, Missing):
        raise ArtifactError(f"Docker: {done.reason}", hint=done.fix)
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ArtifactError(
            f"the image {name} cannot be pulled: {said.removeprefix('Error response from daemon: ')}",
            hint="is its name right, does its registry need `docker login`, is there an internet connection?",
        )


def output_of(image: str, argv: Sequence[str]) -> str:
    """What a program of an image prints when it exits at once; empty if it cannot be run or takes too long."""
    name = new_name()
    run = ("run", "--rm", "--pull", "never", "--name", name, "--label", LABEL, "--network", "none")
    done = _ask(*run, "--entrypoint", argv[0], image, *argv[1:], seconds=_PROGRAM_SECONDS)
    if isinstance(done, Missing):
        _ask("rm", "--force", "--volumes", name)
        return ""
    return done.stdout


def contained(
    command: Command, container: Container, name: str = "", secrets: Mapping[str, str] | None = None
) -> Command:
    """The same program, of the image, in a container that is removed whatever becomes of us.

    Without a program, an empty first argument, the image's own one gets the rest of the arguments. `name` is that of
    the container, where others have to know it. `secrets` are variables that the client takes out of its own
    environment: everybody on a machine can read its command lines.

    Its words come out of `docker run` as they would out of the program.
    Raises: LaunchError if no engine answers, or it does not have the image.
    """
    engine, image = find_engine(), find_image(container.image)
    for lack in (engine, image):
        if isinstance(lack, Missing):
            raise LaunchError(f"Docker: {lack.reason}", hint=lack.fix)
    assert isinstance(engine, Engine)
    name, docker = name or new_name(), client()
    options = ["--name", name, "--label", LABEL, "--pull", "never", "--log-driver", "none"]
    if (
        not engine.rootless and not container.as_image
    ):  # there the container's root is already the person who started the engine
        options += ["--user", f"{os.getuid()}:{os.getgid()}"]
    options += ["--network", f"container:{container.beside}" if container.beside else container.network]
    if container.network == "bridge" and not container.beside:
        inner = [*container.inside, *container.ports[len(container.inside) :]]
        published = (f"{container.host}:{port}:{to}" for port, to in zip(container.ports, inner, strict=True))
        options += [it for each in published for it in ("--publish", each)]
    for folder, writable in container.folders.items():
        options += ["--mount", _mount(folder, writable)]
    if command.cwd is not None:
        options += ["--workdir", str(command.cwd)]
    if container.cpuset is not None:
        options += ["--cpuset-cpus", container.cpuset]
    if container.memory_bytes is not None:  # the same for both: no swap
        options += ["--memory", str(container.memory_bytes), "--memory-swap", str(container.memory_bytes)]
    if container.gpus is not None:
        options += ["--gpus", container.gpus]
    options += [it for key, value in command.env.items() for it in ("--env", f"{key}={value}")]
    options += [it for key in secrets or () for it in ("--env", key)]
    program, *arguments = command.argv
    start = ["--entrypoint", program] if program else []
    argv = (docker, "run", *options, *start, container.image, *arguments)
    elsewhere = Elsewhere(
        end=("sh", "-c", _REMOVE, docker, name, _LAST_WORDS),
        find=(docker, "inspect", "--format", "{{.State.Pid}}" if program else _PID_AND_ID, name),
    )
    return Command(argv, secrets or {}, cwd=command.cwd, elsewhere=elsewhere)


def all_of(names: Sequence[str], group: str) -> Elsewhere:
    """The end of every container whose name begins with `group`, and where the processes of those in `names` are."""
    docker = client()
    end = ("sh", "-c", _REMOVE_GROUP, docker, f"name=^/{group}")
    return Elsewhere(end=end, find=(docker, "inspect", "--format", _PID_AND_ID, *names))


def client() -> str:
    """Docker's own client."""
    return shutil.which("docker") or "docker"


def new_name() -> str:
    """A name that no container has."""
    return f"{LABEL}-{uuid.uuid4().hex[:12]}"


def _mount(folder: Path, writable: bool) -> str:
    """The value of `--mount`, which is a line of CSV."""
    parts = ["type=bind", f"source={folder}", f"target={folder}", *([] if writable else ["readonly"])]
    return ",".join(f'"{part.replace(chr(34), chr(34) * 2)}"' if {",", '"'} & set(part) else part for part in parts)


@dataclass(frozen=True, slots=True)
class _Round:
    """Questions that are asked together: how long each may take, and what was answered so far."""

    seconds: float
    answers: dict[tuple[str, ...], subprocess.CompletedProcess[str] | Missing] = field(default_factory=dict)


_round: ContextVar[_Round | None] = ContextVar("_round", default=None)


@contextlib.contextmanager
def one_round(seconds: float) -> Iterator[None]:
    """Within the block nothing is asked twice, nor is anything once there was no answer within `seconds`.

    For those who ask on behalf of many kinds: an engine that hangs then costs them that time once.
    """
    token = _round.set(_Round(seconds))
    try:
        yield
    finally:
        _round.reset(token)


def _ask(*arguments: str, seconds: float = _ENGINE_SECONDS) -> subprocess.CompletedProcess[str] | Missing:
    together = _round.get()
    if together is None:
        return _ask_now(arguments, seconds)
    hung = next((it for it in together.answers.values() if isinstance(it, Missing)), None)
    if hung is None and arguments not in together.answers:
        together.answers[arguments] = _ask_now(arguments, together.seconds)
    return hung or together.answers[arguments]


def _ask_now(arguments: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str] | Missing:
    program = shutil.which("docker")
    if program is None:
        return Missing("docker is not on PATH", "https://docs.docker.com/engine/install")
    try:
        return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return Missing(f"its engine does not answer within {seconds:g} s", "docker info")
    except OSError as failure:
        return Missing(f"its engine does not answer: {failure}", "docker info")


def _silent(done: subprocess.CompletedProcess[str]) -> Missing:
    """An engine that gives no answer, in the words of docker's last line."""
    said = (done.stderr.strip().splitlines() or ["no reason given"])[-1].removeprefix("ERROR: ")
    may_not = "permission denied" in said.lower()
    return Missing(
        f"its engine does not answer: {said.partition('. Is the docker daemon')[0]}",
        "sudo usermod --append --groups docker $USER, then log in again" if may_not else "systemctl start docker",
    )
