"""A folder as it was at a commit: a git worktree for as long as a block lasts, and what git knows of a folder.

Nothing here knows what lies in the folder. The repository's branches, index and files are never touched.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UsageError

_SECONDS = 120.0
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Tracked:
    """A folder that a git repository holds: its root, the folder below it, and what differs from the last commit."""

    root: Path
    below: Path
    head: str
    changed: tuple[str, ...]


def tracked(folder: Path, name: str = "") -> Tracked | None:
    """What git knows of a folder, or of one file in it; None if no repository has committed it, or there is no git."""
    try:
        root = Path(_git(folder, "rev-parse", "--show-toplevel"))
        head = _git(root, "rev-parse", "--verify", "HEAD^{commit}")
        below = folder.resolve().relative_to(root.resolve())
        if not _git(root, "ls-files", "--", str(below / name)):
            return None
        changed = _git(root, "status", "--porcelain", "--untracked-files=all", "--", str(below / name))
    except (_GitError, OSError, ValueError):
        return None
    return Tracked(root, below, head, tuple(line[3:] for line in changed.splitlines()))


def commit_of(place: Tracked, revision: str, where: str) -> str:
    """The full id of the commit that a revision names.   Raises: UsageError if it names none."""
    try:
        return _git(place.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except _GitError as failure:
        raise UsageError(
            f"{revision!r} names no commit of the repository that holds this server",
            where=where,
            hint="a branch, a tag or a commit; one that is not here yet has to be fetched first (git fetch)",
        ) from failure


def committed_at(place: Tracked, commit: str) -> str:
    """When a commit was made, in ISO 8601; empty if git cannot tell."""
    with contextlib.suppress(_GitError):
        return _git(place.root, "show", "--no-patch", "--format=%cI", "--end-of-options", commit)
    return ""


@contextlib.contextmanager
def checked_out(place: Tracked, commit: str, where: str) -> Iterator[Path]:
    """The folder as it was at a commit, in a worktree that is removed whatever happens.

    Raises: UsageError if that commit does not have the folder, or git cannot check it out.
    """
    with tempfile.TemporaryDirectory(prefix="bench-worktree-", ignore_cleanup_errors=True) as scratch:
        tree = Path(scratch).resolve() / "tree"
        try:
            _git(place.root, "worktree", "add", "--detach", "--quiet", str(tree), commit)
            folder = tree / place.below
            if not folder.is_dir():
                raise UsageError(f"{place.below} does not exist at commit {commit[:12]}", where=where)
            yield folder
        except _GitError as failure:
            raise UsageError(f"commit {commit[:12]} cannot be checked out: {failure}", where=where) from failure
        finally:
            with contextlib.suppress(_GitError):
                _git(place.root, "worktree", "remove", "--force", str(tree))
            with contextlib.suppress(_GitError):
                _git(place.root, "worktree", "prune")


def changes_text(place: Tracked) -> str:
    """The changed files, the first few by name."""
    more = len(place.changed) - _SHOWN
    return ", ".join(place.changed[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


class _GitError(Exception):
    """git said no; the text is its first line."""


def _git(folder: Path, *arguments: str) -> str:
    """What git prints; in a session of its own, so that Ctrl-C does not stop it half-way through a removal."""
    # Hooks of the repository are not ours to run, and GIT_DIR of a hook that started us would name another one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_TERMINAL_PROMPT"] = "0"
    try:
        done = subprocess.run(
            ["git", "-c", "core.hooksPath=/dev/null", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            timeout=_SECONDS,
            start_new_session=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise _GitError(str(failure)) from failure
    if done.returncode:
        raise _GitError(next(iter(done.stderr.strip().splitlines()), f"git exit code {done.returncode}"))
    return done.stdout.rstrip("\n")  # a line of git status may begin with a space
