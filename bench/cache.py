"""The cache of what is built once: where it lies, who may write to it, and what its keys are made of."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import ArtifactError, ScenarioError

Say = Callable[[str], None]
"""Where progress goes, one sentence at a time."""


def cache_folder() -> Path:
    """Where built models and environments live: BENCH_CACHE, else serving-bench in XDG_CACHE_HOME or ~/.cache."""
    own = os.environ.get("BENCH_CACHE")
    if own:
        return Path(own).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "serving-bench"


@contextmanager
def locked(file: Path, say: Say, waiting_for: str) -> Iterator[None]:
    """Hold an exclusive lock on a file, made if it is not there; says so once if another process holds it.

    The kernel lets go of it when this process dies. Raises: ArtifactError if the file cannot be made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = file.open("a")
    except OSError as failure:
        raise ArtifactError(
            f"the cache cannot be written: {failure.strerror}",
            where=str(file.parent),
            hint="BENCH_CACHE names another folder for it",
        ) from failure
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that builds {waiting_for}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def built_beside(folder: Path, place: Callable[[], Path]) -> Iterator[Path]:
    """An empty folder that becomes `folder` when the block ends well: a killed build leaves nothing that looks whole.

    For those who hold the lock, so that one of the same name is of a build that was killed. `place` reads the given
    files once more and says where what is built from them belongs: a file that was replaced after its digest was taken,
    and before it was loaded, would lie under the name of the old one for good.
    Raises: ScenarioError if that is elsewhere by now; nothing is kept then.
    """
    building = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        yield building
    except (ArtifactError, ScenarioError):  # what could not be read may be half of a file that is being written
        _refuse_changed(building, folder, place)
        raise
    _refuse_changed(building, folder, place)
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)


def _refuse_changed(building: Path, folder: Path, place: Callable[[], Path]) -> None:
    try:
        if place() == folder:
            return
    except ScenarioError:  # it could be read before
        pass
    shutil.rmtree(building, ignore_errors=True)
    name = folder.name.rpartition("-")[0]
    raise ScenarioError(f"the file of model {name} changed while it was read", hint="run again; nothing of it was kept")


def content_digest(path: Path) -> str:
    """Digest of a file, or of every file in a folder with its relative name."""
    try:
        if path.is_file():
            with path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        digest = hashlib.sha256()
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            digest.update(f"{file.relative_to(path)}\0{content_digest(file)}\n".encode())
        return digest.hexdigest()
    except OSError as failure:
        raise ScenarioError(f"{path} cannot be read: {failure.strerror}", hint="check its permissions") from failure
