"""What `--baseline` and `--candidate` name: a server, perhaps as it was at a commit, perhaps with keys of its own.

`NAME` is the server as it lies there, `NAME@REVISION` its folder out of git. Both sides get the load, the SLO and the
photos of one scenario; what may differ is the server and the model.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import LaunchError, ScenarioError, UsageError
from bench.names import did_you_mean
from bench.paired.worktree import Tracked, changes_text, checked_out, commit_of, committed_at, tracked
from bench.results.pairing import Contender, Side
from bench.scenario.plan import missing_here
from bench.scenario.scenario import Scenario, load_scenario
from bench.scenario.servers import ServerEntry

_SHORT_COMMIT = 12
_NOT_A_PROGRAM = ("__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache")


@dataclass(frozen=True, slots=True)
class Chosen:
    """One side, ready to be built and started: `scenario` is the common one with the keys of this side.

    `model_from` is the path that its model has in the person's own files, where it was taken out of git instead.
    """

    contender: Contender
    scenario: Scenario
    entry: ServerEntry
    model_from: str = ""


@dataclass(frozen=True, slots=True)
class Sides:
    """What is compared; `same` tells that nothing differs, so that what changes is the rig's doing."""

    baseline: Chosen
    candidate: Chosen
    same: bool

    def of(self, side: Side) -> Chosen:
        """The one of that side."""
        return self.baseline if side is Side.BASELINE else self.candidate


@dataclass(frozen=True, slots=True)
class Asked:
    """A side as a person wrote it."""

    side: Side
    text: str
    server: str
    revision: str
    changes: tuple[str, ...]

    @property
    def flag(self) -> str:
        """The flag that it came from."""
        return f"--{self.side}"


def parse_side(scenario: Scenario, side: Side, text: str, changes: Sequence[str] = ()) -> Asked:
    """`NAME` or `NAME@REVISION`; a name may hold an @ itself.   Raises: UsageError for an unknown server."""
    names = tuple(entry.name for entry in scenario.servers if not entry.tuned_from)  # found in a run, not here
    server, revision = text, ""
    if text not in names and "@" in text:
        server, _, revision = text.rpartition("@")
        if not revision:
            raise UsageError("a revision is missing behind the @", where=f"--{side}", hint=f"for example {server}@main")
    if server not in names:
        raise UsageError(
            f"the scenario has no server {server!r}", where=f"--{side}", hint=did_you_mean(server, names, "servers")
        )
    return Asked(side, text, server, revision, tuple(changes))


@contextlib.contextmanager
def resolved(scenario: Scenario, baseline: Asked, candidate: Asked) -> Iterator[Sides]:
    """Both sides for as long as the block lasts; what was checked out of git for them is gone afterwards.

    Raises: UsageError for what git does not have, ScenarioError for keys that the server does not take, LaunchError
    for a server that cannot run on this machine.
    """
    _refuse_what_takes_no_part(scenario, baseline, candidate)
    with contextlib.ExitStack() as stack:
        one, two = (_chosen(scenario, asked, stack) for asked in (baseline, candidate))
        one, two = _told_apart(one, two)
        by_content = one.scenario.model_path != two.scenario.model_path
        same = _alike(one, by_content=by_content) == _alike(two, by_content=by_content)
        yield Sides(one, two, same=same)


def _refuse_what_takes_no_part(scenario: Scenario, *sides: Asked) -> None:
    """Changes that lie uncommitted in a folder and are on neither side would be missed by whoever made them."""
    if all(asked.revision for asked in sides):
        _refuse_unseen_model(scenario, sides[0])
    folders = {asked.server: scenario.server(asked.server).folder for asked in sides if asked.revision}
    compared_as_it_lies = {asked.server for asked in sides if not asked.revision}
    for server, folder in folders.items():
        place = tracked(folder)
        if place is not None and place.changed and server not in compared_as_it_lies:
            raise UsageError(
                f"the folder of {server!r} has changes that are not committed, and neither side would have them: "
                f"{changes_text(place)}",
                where=str(folder),
                hint=f"commit them, or compare with the folder as it lies: --candidate {server}",
            )


def _chosen(scenario: Scenario, asked: Asked, stack: contextlib.ExitStack) -> Chosen:
    entry = scenario.server(asked.server)
    place = tracked(entry.folder)
    commit, dirty = (place.head, bool(place.changed)) if place is not None else ("", False)
    assignments = [_assignment(asked, change) for change in asked.changes]
    model: list[str] = []
    if asked.revision:
        if place is None:
            raise UsageError(
                f"the folder of {asked.server!r} is in no git repository, so there is no {asked.revision!r} of it",
                where=asked.flag,
                hint=f"{entry.folder}: commit it, or name two servers of the scenario",
            )
        commit, dirty = commit_of(place, asked.revision, asked.flag), False
        assignments.insert(0, _kind_at(asked, place, commit, stack))
        model = _model_at(scenario, asked, place, commit, stack)
        assignments[1:1] = model
    own = _own_scenario(scenario, asked, assignments) if assignments else scenario
    found = replace(own.server(asked.server), kind=entry.kind)
    lack = missing_here(found)
    if lack is not None:
        raise LaunchError(lack.reason, where=asked.text, hint=lack.fix)
    said = (asked.text, *asked.changes)
    contender = Contender(
        server=asked.server,
        label=" ".join(said),
        asked=asked.text,
        revision=commit,
        dirty=dirty,
        changes=asked.changes,
        digest=folder_digest(found.folder),
        committed_at="" if place is None else committed_at(place, commit),
    )
    taken = bool(asked.revision and model) and not any(change.startswith("model") for change in asked.changes)
    return Chosen(contender, own, found, model_from=_model_path(scenario) if taken else "")


def _model_path(scenario: Scenario) -> str:
    return "" if scenario.model is None else scenario.model.path or ""


def _model_place(scenario: Scenario) -> tuple[Tracked, str] | None:
    """The folder that holds the model's file, or the model's folder, and the file's name in it; None outside of git."""
    path = scenario.model_path
    if path is None or not path.exists():
        return None
    folder, name = (path, "") if path.is_dir() else (path.parent, path.name)
    place = tracked(folder, name)
    return None if place is None else (place, name)


def _model_at(scenario: Scenario, asked: Asked, server: Tracked, commit: str, stack: contextlib.ExitStack) -> list[str]:
    """The model as it was at the commit, if the repository of the server holds it; a model from elsewhere is common."""
    found = _model_place(scenario)
    if found is None or found[0].root != server.root:
        return []
    place, name = found
    path = stack.enter_context(checked_out(place, commit, asked.flag)) / name
    if not path.exists():
        raise UsageError(f"{place.below / name} does not exist at commit {commit[:_SHORT_COMMIT]}", where=asked.flag)
    return [f"model.path={json.dumps(str(path))}"]


def _refuse_unseen_model(scenario: Scenario, asked: Asked) -> None:
    """A model that was changed and not committed would be on neither side."""
    found, server = _model_place(scenario), tracked(scenario.server(asked.server).folder)
    if found is None or server is None or found[0].root != server.root or not found[0].changed:
        return
    raise UsageError(
        f"the model has changes that are not committed, and neither side would have them: {changes_text(found[0])}",
        where=str(scenario.model_path),
        hint=f"commit them, or compare with what lies here: --candidate {asked.server}",
    )


def _kind_at(asked: Asked, place: Tracked, commit: str, stack: contextlib.ExitStack) -> str:
    folder = stack.enter_context(checked_out(place, commit, asked.flag))
    if not (folder / "server.py").is_file():
        raise UsageError(f"{place.below} holds no server.py at commit {commit[:_SHORT_COMMIT]}", where=asked.flag)
    return f"servers.{asked.server}.kind={json.dumps(str(folder))}"


def _assignment(asked: Asked, change: str) -> str:
    """`delay=5ms` is a key of this side's server, `model.seed=2` one of its model."""
    key = change.partition("=")[0].strip()
    if not key or "=" not in change:
        raise UsageError("not KEY=VALUE", where=f"{asked.flag}-set {change}", hint="for example workers=4")
    if key == "kind":
        raise UsageError(
            "another kind is another server", where=f"{asked.flag}-set {change}", hint="name it in servers"
        )
    return change if key == "model" or key.startswith("model.") else f"servers.{asked.server}.{change}"


def _own_scenario(scenario: Scenario, asked: Asked, assignments: Sequence[str]) -> Scenario:
    try:
        return load_scenario(scenario.path, set=[*scenario.assignments, *assignments])
    except ScenarioError as failure:
        if not asked.revision or asked.changes:
            raise
        what = f"the server of that commit does not take the scenario's keys: {failure.what}"
        raise UsageError(what, where=f"{asked.flag} {asked.text}", hint=failure.hint) from failure


def _told_apart(one: Chosen, two: Chosen) -> tuple[Chosen, Chosen]:
    """Different labels, as rows of one table."""
    if one.contender.label != two.contender.label:
        return one, two
    labels = (f"{one.contender.label} ({side})" for side in (Side.BASELINE, Side.CANDIDATE))
    first, second = (
        replace(chosen, contender=replace(chosen.contender, label=label))
        for chosen, label in zip((one, two), labels, strict=True)
    )
    return first, second


def _alike(chosen: Chosen, *, by_content: bool) -> object:
    """What makes two sides the same thing: program, keys, price and model, a file of which by its content if asked."""
    entry, model, path = chosen.entry, chosen.scenario.model, chosen.scenario.model_path
    keys = None if model is None or entry.server.model_form is None else model.model_dump()
    if keys is not None and path is not None and by_content:
        keys["path"] = folder_digest(path)
    return (
        chosen.contender.digest,
        json.dumps(entry.options, sort_keys=True, default=str),
        None if entry.price is None else entry.price.model_dump(),
        keys,
    )


def folder_digest(folder: Path) -> str:
    """Tells the program in a folder, or a file, apart from another; what Python leaves there has no part in it.

    Raises: UsageError if it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for path in [folder] if folder.is_file() else sorted(folder.rglob("*")):
            if path.is_file() and not any(part in _NOT_A_PROGRAM for part in path.parts):
                digest.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
                digest.update(path.read_bytes())
    except OSError as failure:
        raise UsageError(f"cannot be read: {failure.strerror}", where=str(folder)) from failure
    return digest.hexdigest()[:16]
