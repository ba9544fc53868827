"""Where the runs of a report came from, as text: command, seed, versions, environment, scenario."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench import units
from bench.report import view
from bench.report.page import Source


@dataclass(frozen=True, slots=True)
class Origin:
    """One run."""

    run_id: str
    command: str
    seed: str
    started: str
    took: str
    versions: tuple[tuple[str, str], ...]
    environment: tuple[tuple[str, str], ...]
    scenario: str


def origin(source: Source) -> Origin:
    """What a run's manifest says of it."""
    manifest = source.manifest
    took = units.duration_text(manifest.wall_seconds)
    if manifest.overhead_seconds is not None:
        took += f", {units.duration_text(manifest.overhead_seconds)} of it neither load nor start-up nor building"
    return Origin(
        run_id=view.one_line(manifest.run_id),
        command=view.one_line(manifest.command),
        seed=str(manifest.seed),
        started=view.one_line(manifest.started_at),
        took=took,
        versions=tuple(_flat({"bench": manifest.bench_version, **manifest.versions})),
        environment=tuple(_flat(manifest.environment)),
        scenario=source.scenario,
    )


def differences(origins: Sequence[Origin]) -> tuple[tuple[str, ...], ...]:
    """(fact, its text in each run) for every fact of machine or versions that is not the same in all runs."""
    told = [dict((*each.environment, *each.versions)) for each in origins]
    names = dict.fromkeys(name for facts in told for name in facts)
    rows = ((name, *(facts.get(name, "-") for facts in told)) for name in names)
    return tuple(row for row in rows if len(set(row[1:])) > 1)


def _flat(facts: Mapping[str, object], before: str = "") -> Iterator[tuple[str, str]]:
    """(name, text) of every fact, nested ones as `cpu model`; sizes and durations with their unit."""
    for key, value in facts.items():
        name = f"{before}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key} ")
        elif isinstance(value, int | float) and not isinstance(value, bool) and name.endswith((" bytes", " seconds")):
            text = units.bytes_text(value) if name.endswith(" bytes") else units.duration_text(value)
            yield view.one_line(name.rsplit(" ", 1)[0]), text
        else:
            yield view.one_line(name), _said(value)


def _said(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_said(item) for item in value) or "none"
    return view.one_line(str(value)) or "-"
