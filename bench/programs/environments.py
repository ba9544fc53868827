"""Python environments of their own for servers whose dependencies disagree with ours, built once with uv.

An environment is keyed by the text of its pinned requirements and the version of Python, and complete when its
marker file is there. This module knows nothing of what the packages are or who uses them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import IO

from bench.cache import cache_folder, locked
from bench.child import last_lines
from bench.errors import ArtifactError, ServerFolderError

_MARKER = "complete"


def environment(kind: str, requirements: Path, say: Callable[[str], None]) -> Path:
    """The interpreter of an environment that holds the pinned packages; built the first time, within minutes.

    Raises: ArtifactError if uv is missing or cannot install them, ServerFolderError if `requirements` cannot be read.
    """
    folder = _folder(kind, requirements)
    if not _is_complete(folder):
        with locked(folder.with_name(f"{folder.name}.lock"), say, f"the environment of {kind}"):
            if not _is_complete(folder):
                _build(folder, kind, requirements, say)
    return _python(folder)


def environment_ready(kind: str, requirements: Path) -> bool:
    """Whether `environment` would answer at once.   Raises: ServerFolderError if `requirements` cannot be read."""
    return _is_complete(_folder(kind, requirements))


def environment_built(folder: Path, requirements: str | None) -> bool:
    """Whether a kind's folder has the environment that it asks for, as it also has if it asks for none.

    `requirements` is a path relative to the folder.   Raises: ServerFolderError.
    """
    pinned = folder / (requirements or "")
    return requirements is None or environment_ready(pinned.parent.name, pinned)


def _folder(kind: str, requirements: Path) -> Path:
    try:
        text = requirements.read_text()
    except OSError as failure:
        raise ServerFolderError(
            f"the pinned requirements of {kind} cannot be read: {failure.strerror}", where=str(requirements)
        ) from failure
    # The soabi tells apart interpreters of one version whose compiled packages do not fit each other.
    built_for = f"{platform.python_version()} {sysconfig.get_config_var('SOABI')} {platform.machine()}"
    key = hashlib.sha256(f"{built_for}\n{text}".encode()).hexdigest()[:16]
    return cache_folder() / "environments" / f"{kind}-{key}"


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _is_complete(folder: Path) -> bool:
    # bin/python is a link to the interpreter it was made with, which an upgrade may have taken away.
    return (folder / _MARKER).is_file() and _python(folder).exists()


def _build(folder: Path, kind: str, requirements: Path, say: Callable[[str], None]) -> None:
    """Build in the final place, since scripts in bin/ carry absolute paths; the marker comes last."""
    uv = _uv()
    log = folder.with_name(f"{folder.name}.log")
    shutil.rmtree(folder, ignore_errors=True)  # of a build that was killed; we hold the lock
    say(f"building the environment of {kind}")
    try:
        with log.open("wb") as words:
            _uv_step([uv, "venv", "--no-project", "--python", sys.executable, str(folder)], words, log, kind)
            # Bytecode is compiled now, so that a server's first start is no slower than its next.
            install = [
                uv,
                "pip",
                "install",
                "--compile-bytecode",
                "--python",
                str(_python(folder)),
                "--requirements",
                str(requirements),
            ]
            _uv_step(install, words, log, kind)
        (folder / _MARKER).touch()
    except OSError as failure:
        raise ArtifactError(f"the environment of {kind} cannot be built: {failure}", where=str(folder)) from failure
    finally:
        if not (folder / _MARKER).is_file():
            shutil.rmtree(folder, ignore_errors=True)
    log.unlink(missing_ok=True)


def _uv() -> str:
    if importlib.util.find_spec("uv") is not None:
        import uv

        return uv.find_uv_bin()
    found = shutil.which("uv")
    if found is None:
        raise ArtifactError("uv is not installed, and servers' environments are built with it", hint="pip install uv")
    return found


def _uv_step(command: list[str], words: IO[bytes], log: Path, kind: str) -> None:
    """Run one uv command in its own process group, its words into the log; it dies with us when interrupted."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=words, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        try:
            code = process.wait()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if code != 0:
        raise ArtifactError(
            f"the environment of {kind} could not be built (uv exit code {code})",
            where=str(log),
            hint=f"{last_lines(log)}\nuv needs a package index the first time: is there an internet connection?",
        )
