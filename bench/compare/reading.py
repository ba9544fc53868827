"""`bench compare`: stored runs judged again. A paired session gives its verdict, two runs of different times advice.

Runs that differ in what makes figures comparable are refused, naming the key.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.compare.cells import COMPARED, Cell, CellVerdict, not_comparable
from bench.compare.conclude import change_text
from bench.compare.damage import refuse_damage
from bench.compare.judge import without_undeserved_gains
from bench.compare.judge_unpaired import capped, judge_unpaired
from bench.compare.staged import judge_session
from bench.compare.surroundings import differing, hard_facts, payload_facts, server_facts, soft_facts, under_test
from bench.compare.tabulate import Key
from bench.compare.unpaired import Trials, gate_keys, trials_of
from bench.compare.verdict import (
    INCONCLUSIVE,
    NOT_COMPARABLE,
    PASSED,
    REGRESSED,
    WORSE_FIRST,
    Line,
    Verdict,
    Word,
)
from bench.errors import NotComparableError, NothingMeasuredError, UsageError
from bench.names import did_you_mean
from bench.results import MANIFEST, METHOD_VERSION, SCHEMA_VERSION, Run, ServerRecord, load_run
from bench.results.pairing import PAIRING_VERSION, Contender

_NEWER = "update bench: pip install --upgrade serving-bench"


def compare(
    baseline: Path,
    candidate: Path | None = None,
    *,
    server: str | None = None,
    gate_unpaired: bool = False,
    allow_env_mismatch: bool = False,
) -> Verdict:
    """The verdict of one recorded paired session, or the advice that two runs give.

    `server` is whose trials are compared where both runs have several. Of two runs, `gate_unpaired` lets words stand
    that drift alone could have earned, and `allow_env_mismatch` compares what differs in a hard key, for advice only.
    Raises: UsageError, ResultsError, NotComparableError, NothingMeasuredError.
    """
    first = _load(baseline)
    if candidate is None:
        return _session(first)
    second = _load(candidate)
    return _advice(first, second, server, gate_unpaired=gate_unpaired, allow_mismatch=allow_env_mismatch)


def _load(folder: Path) -> Run:
    """The run.

    Raises: NotComparableError if a newer bench wrote it: nothing can be said then, which is no pass. ResultsError.
    """
    versions = _versions(folder)
    for name, found, known in (
        ("schema version", versions[0], SCHEMA_VERSION),
        ("method version", versions[1], METHOD_VERSION),
        ("pairing version", versions[2], PAIRING_VERSION),
    ):
        if found > known:
            what = f"written by a newer bench ({name} {found}, this one knows {known})"
            raise NotComparableError(what, where=str(folder / MANIFEST), hint=_NEWER)
    run = load_run(folder)
    refuse_damage(run)
    return run


def _versions(folder: Path) -> tuple[int, int, int]:
    """Schema, method and pairing version as written; 0 for what is not there."""
    found = [0, 0, 0]
    with contextlib.suppress(OSError, ValueError, RecursionError):
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if isinstance(data, dict):
            pairing = data.get("pairing")
            inner = pairing.get("version") if isinstance(pairing, dict) else None
            for place, value in enumerate((data.get("schema_version"), data.get("method_version"), inner)):
                found[place] = value if isinstance(value, int) else 0
    return found[0], found[1], found[2]


def _session(run: Run) -> Verdict:
    if run.manifest.pairing is None:
        raise UsageError(
            "one run that is no paired session has nothing to be compared with",
            where=str(run.folder),
            hint="give a second run, or measure a session: bench ab SCENARIO --baseline NAME --candidate NAME",
        )
    return judge_session(run)


def _advice(first: Run, second: Run, server: str | None, *, gate_unpaired: bool, allow_mismatch: bool) -> Verdict:
    hard = differing(hard_facts(first.manifest), hard_facts(second.manifest))
    hard += differing(*payload_facts(first.manifest, second.manifest))
    if not allow_mismatch:
        _refuse(hard, first, second)
    one, two = _servers(first, second, server)
    hard += differing(server_facts(_record(first, one)), server_facts(_record(second, two)))
    if not allow_mismatch:
        _refuse(hard, first, second)
    before, after = trials_of(first, one), trials_of(second, two)
    for run, name, trials in ((first, one, before), (second, two, after)):
        if not any(trials.values(key) for key in trials.cells() if key.load):
            raise NothingMeasuredError(f"{name} has no valid trial", where=str(run.folder))
    gates = gate_keys(first.manifest, before)
    may_gate = gate_unpaired and not hard
    lines = _lines(before, after, gates, may_gate=may_gate)
    word, sentence, code, strict = _conclusion(lines)
    warnings = [f"hard key differs: {text}" for text in hard]
    warnings += [
        f"soft key differs: {text}" for text in differing(soft_facts(first.manifest), soft_facts(second.manifest))
    ]
    return Verdict(
        name=first.manifest.name,
        run_ids=(first.manifest.run_id, second.manifest.run_id),
        started_at=second.manifest.started_at,
        seconds=None,
        word=word,
        sentence=sentence,
        exit_code=code,
        exit_code_strict=strict,
        baseline=Contender(server=one, label=f"{one} of {first.manifest.run_id}", asked=one),
        candidate=Contender(server=two, label=f"{two} of {second.manifest.run_id}", asked=two),
        same=False,
        paired=False,
        mode="unpaired",
        seed=first.manifest.seed,
        pairs=min(before.count, after.count),
        confirm_pairs=0,
        null_pairs=0,
        lines=lines,
        null=(),
        warnings=tuple(warnings),
        diagnostics=under_test(_record(first, one), _record(second, two)),
        shifts=(),
        values=(),
        command=f"bench compare {first.folder} {second.folder}",
        method_version=first.manifest.method_version,
    )


def _refuse(differences: Sequence[str], first: Run, second: Run) -> None:
    """Raises: NotComparableError if there are differences in hard keys."""
    if differences:
        raise NotComparableError(
            f"the runs differ in what decides their figures: {'; '.join(differences)}",
            where=f"{first.folder} and {second.folder}",
            hint="--allow-env-mismatch compares them all the same, for advice that never says more than inconclusive",
        )


def _record(run: Run, name: str) -> ServerRecord:
    found = next((server for server in run.manifest.servers if server.name == name), None)
    if found is None:
        raise NothingMeasuredError(f"the run has trials of {name!r} and does not know it", where=str(run.folder))
    return found


def _servers(first: Run, second: Run, asked: str | None) -> tuple[str, str]:
    """Whose trials are compared: the one asked for, else the only one, else the only name that both have."""
    names = [tuple(dict.fromkeys(trial.server for trial in run.trials)) for run in (first, second)]
    for run, own in zip((first, second), names, strict=True):
        if not own:
            raise NothingMeasuredError("no trial was measured", where=str(run.folder))
        if asked is not None and asked not in own:
            hint = did_you_mean(asked, own, "servers")
            raise UsageError(f"no trials of a server {asked!r}", where=str(run.folder), hint=hint)
    if asked is not None:
        return asked, asked
    if len(names[0]) == len(names[1]) == 1:
        return names[0][0], names[1][0]
    common = [name for name in names[0] if name in names[1]]
    if len(common) != 1:
        raise UsageError(
            "the runs have several servers, so it is not clear which to compare",
            where="--server",
            hint=f"servers in both: {', '.join(common)}" if common else "the runs have no server in common",
        )
    return common[0], common[0]


def _lines(before: Trials, after: Trials, gates: Sequence[Key], *, may_gate: bool) -> tuple[Line, ...]:
    keys = [key for key in before.cells() if key in set(after.cells())]
    cells: dict[Key, Cell] = {}
    for key in keys:
        cell = _cell(before, after, key)
        cells[key] = replace(cell, can_gate=cell.can_gate and before.enough(key) and after.enough(key))
    for load in dict.fromkeys(key.load for key in keys):
        own = [key for key in keys if key.load == load]
        credited = without_undeserved_gains([cells[key] for key in own])
        cells |= {key: capped(cell, gate_unpaired=may_gate) for key, cell in zip(own, credited, strict=True)}
    lines = [Line(key.load, cell, gated=key in gates) for key, cell in cells.items()]
    return tuple(sorted(lines, key=lambda line: (not line.gated, WORSE_FIRST.index(line.cell.verdict))))


def _cell(before: Trials, after: Trials, key: Key) -> Cell:
    """One cell of both runs; trials without a value are counted, and what a server did wrong leaves none to compare."""
    metric = COMPARED[key.metric]
    wrong = before.wrong(key) or after.wrong(key)
    if wrong and key.metric != "error_rate":
        return not_comparable(metric, min(len(before.values(key)), len(after.values(key))), wrong)
    requests = (before.requests(key), after.requests(key)) if metric.test == "errors" else None
    cell = judge_unpaired(metric, before.values(key), after.values(key), requests=requests)
    notes = [
        f"{count} of {total} trials of the {side} left out ({why})"
        for side, (count, total, why) in (("baseline", before.left_out(key)), ("candidate", after.left_out(key)))
        if count
    ]
    return replace(cell, notes=(*cell.notes, *notes))


def _conclusion(lines: Sequence[Line]) -> tuple[Word, str, int, int]:
    """As of a session, but that nothing was confirmed, and nothing was unless asked for gated."""
    gated = [line for line in lines if line.gated]
    judged = [line for line in gated if line.cell.verdict is not CellVerdict.NOT_COMPARABLE]
    if not judged:
        why = next((f"{Key(line.load, line.cell.metric)}: {line.cell.note}" for line in gated), "no metric in common")
        return Word.NOT_COMPARABLE, f"not comparable: {why}", NOT_COMPARABLE, NOT_COMPARABLE
    first = next((line for line in judged if line.cell.verdict is CellVerdict.REGRESSED and line.cell.can_gate), None)
    if first is not None:
        said = f"regressed: {_named(first)}, unpaired and not confirmed"
        return Word.REGRESSED, said, REGRESSED, REGRESSED
    undecided = [line for line in judged if not line.cell.can_gate or line.cell.verdict is CellVerdict.INCONCLUSIVE]
    if undecided or len(judged) < len(gated):
        line = (undecided or judged)[0]
        said = f"inconclusive: {_named(line)}; runs of different times are advice only"
        return Word.INCONCLUSIVE, said, PASSED, INCONCLUSIVE
    better = next((line for line in judged if line.cell.verdict is CellVerdict.IMPROVED), None)
    if better is not None:
        return Word.IMPROVED, f"improved: {_named(better)}, unpaired", PASSED, PASSED
    return Word.NO_CHANGE, f"no change in any of {len(gated)} gated cells, unpaired", PASSED, PASSED


def _named(line: Line) -> str:
    return f"{Key(line.load, line.cell.metric)} {change_text(line.cell)}"
