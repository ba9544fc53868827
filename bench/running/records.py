"""What a run writes down before it measures: its manifest, a record per server, and why one cannot run here."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import bench
from bench.catalogue import scenario_argument
from bench.cost.prices import Price
from bench.errors import ArtifactError, LaunchError
from bench.load.crew import Remote
from bench.machine import facts as machine
from bench.results import Manifest, Outcome, RunFolder, ServerRecord
from bench.running.materials import Materials
from bench.scenario.budget import Budget
from bench.scenario.plan import TENSORS_HINT, Plan
from bench.serving.affinity import process_cores
from bench.serving.launch import Running

if TYPE_CHECKING:
    from bench.scenario.scenario import Scenario
    from bench.scenario.servers import ServerEntry

TUNED_HINT = "write the settings that a run has chosen as a server of their own"


def measures(running: Running) -> dict[str, object]:
    """The cores of a server that is ready, as the kernel says, and with how many threads it computes there."""
    cores = set().union(*map(process_cores, running.process.tree()))
    computing = asdict(running.server.computing(running.place))
    return {"cores": tuple(sorted(cores)), "threads": running.threads, "computing": computing}


def without_their_form(entries: Sequence[ServerEntry], materials: Materials) -> dict[str, ArtifactError]:
    """The servers that need the model in a form which it was not given in, and cannot be turned into."""
    lacking = {}
    for entry in entries:
        form, model = entry.server.model_form, materials.model
        signature = None if model is None else model.signature
        if signature is not None and (unable := entry.server.cannot_take(signature)):
            lacking[entry.name] = ArtifactError(unable, hint=TENSORS_HINT)
            continue
        if form is None or model is None or model.file(form) is not None:
            continue
        if reason := materials.missing_forms.get(form):
            lacking[entry.name] = ArtifactError(f"the model cannot be turned into {form}: {reason}")
        else:
            lacking[entry.name] = ArtifactError(
                f"kind {entry.kind} serves the model as {form}, which a SavedModel cannot be turned into",
                hint="give the model as a .keras or .h5 file",
            )
    return lacking


def without_their_cores(entries: Sequence[ServerEntry], budget: Budget) -> dict[str, ArtifactError]:
    """The servers that are to get more cores than the others, and more than there are."""
    lacking = {}
    for entry in entries:
        try:
            entry.server.cores_wanted(budget.server, budget.usable)
        except ArtifactError as failure:
            lacking[entry.name] = failure
    return lacking


def refuse_missing(plan: Plan, asked_for: Sequence[str]) -> None:
    """Raises: LaunchError if a server that was asked for by name cannot run here."""
    for skip in plan.skips:
        if skip.trial is None and skip.server in asked_for:
            raise LaunchError(skip.reason, where=skip.server, hint=skip.fix)


def server_record(entry: ServerEntry, book: Sequence[Price], reason: str, fix: str) -> ServerRecord:
    """A server before its turn: skipped, with the reason."""
    return ServerRecord(
        name=entry.name,
        kind=entry.kind,
        title=entry.server.title,
        options=entry.options,
        outcome=Outcome.SKIPPED,
        reason=reason,
        fix=fix,
        model_form=entry.server.model_form,
        tuned_from=entry.tuned_from,
        other_work=entry.server.other_work,
        rung=entry.server.rung,
        price=None if entry.price is None else entry.price.resolved(book),
    )


def model_served(entry: ServerEntry, materials: Materials) -> dict[str, Any]:
    """The form of the model that this server really gets, its bytes on disk and which it is; None if it takes none."""
    form, model = entry.server.model_form, materials.model
    if form is None or model is None:
        return {"model_form": form, "model_bytes": None}
    size, digest = model.size_bytes.get(form), materials.model_digest
    return {"model_form": model.really(form), "model_bytes": size, "model_digest": digest}


def new_manifest(
    scenario: Scenario,
    folder: RunFolder,
    servers: tuple[ServerRecord, ...],
    asked_for: Sequence[str],
    remote: Remote | None,
) -> Manifest:
    """The manifest of a run that begins now."""
    flags = [f"--server {shlex.quote(name)}" for name in asked_for]
    flags += [f"--set {shlex.quote(assignment)}" for assignment in scenario.assignments]
    if remote is not None:
        flags += [f"--listen {remote.listen} --workers-expected {remote.count}"]
    return Manifest(
        run_id=folder.run_id,
        name=scenario.name,
        question=scenario.question,
        scenario=scenario.resolved(),
        scenario_file=scenario.path.name,
        command=" ".join(["bench run", shlex.quote(scenario_argument(scenario.path)), *flags]),
        started_at=now_text(),
        slo=scenario.slo.model_dump(),
        references=tuple(reference.model_dump() for reference in scenario.references),
        servers=servers,
        environment=machine.facts(),
        versions=machine.versions(),
        seed=scenario.seed,
        fail_if=tuple(condition.text for condition in scenario.fail_if),
        bench_version=bench.__version__,
    )


def now_text() -> str:
    """The instant, for people and files: UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
