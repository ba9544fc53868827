"""What the figures stand on: prices, trials, requests, the load generator's own figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench import units
from bench.measures.capacity import capacity_text
from bench.report.view.server import servers
from bench.report.view.words import one_line, plural
from bench.results import Outcome
from bench.summary import Summary


def capacities(summary: Summary) -> str:
    """`Capacity within the SLO: a 70.4/s (66.6/s to 78.0/s), b below 4.00/s`; empty where none was searched."""
    found = [f"{view.name} {capacity_text(view.summary.capacity)}" for view in servers(summary) if view.looks]
    return f"Capacity within the SLO: {', '.join(found)}." if found else ""


def price_notes(summary: Summary) -> tuple[str, ...]:
    """One line per price used: what was priced, at what, whose price it is and of which day."""
    found: dict[str, list[str]] = {}
    for view in servers(summary):
        if view.summary.price is not None and not view.absent:
            found.setdefault(price_text(view.summary.price), []).append(view.name)
    return tuple(f"{_listed(names)}: {price}" for price, names in found.items())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 5 else f"{', '.join(names[:4])} and {len(names) - 4} more"


def price_text(price: Mapping[str, object]) -> str:
    """`2 x a1.4xlarge at $0.408/h (aws us-east-1, 2026-07-20)`: the price book's own words, or put together here."""
    if price.get("basis"):
        return one_line(str(price["basis"]))
    per_hour, count = price.get("per_hour"), price.get("count", 1)
    amount = f"{units.dollars_text(float(per_hour))}/h" if isinstance(per_hour, int | float) else "an unknown price"
    instance = f"{price['instance']} x {count}, " if price.get("instance") else ""
    origin = [str(price[key]) for key in ("source", "as_of") if price.get(key)]
    return one_line(f"{instance}{amount}" + (f" ({', '.join(origin)})" if origin else ""))


def basis_text(summary: Summary) -> str:
    """What was measured, for the foot of every chart: runs, trials and requests."""
    measured = [row for row in summary.rows if row.outcome is Outcome.OK]
    requests = sum(row.n for row in measured)
    trials = sum(row.trials for row in measured)
    runs = ", ".join(one_line(run) for run in summary.run_ids)
    unfinished = "" if summary.complete else " The run did not finish."
    return (
        f"{units.count_text(trials)} {plural('trial', trials)}, {units.count_text(requests)} "
        f"{plural('request', requests)} in the measured windows. "
        f"{plural('Run', len(summary.run_ids))} {runs}, method {summary.method_version}.{unfinished}"
    )


def calibration_texts(summary: Summary, *, brief: bool = False) -> tuple[str, ...]:
    """What the load generator itself could do and add, once per machine that the runs were made on."""
    wanted = "brief" if brief else "sentence"
    found: dict[str, list[str]] = {}
    for calibration in summary.calibrations:
        if calibration.get(wanted):
            found.setdefault(one_line(str(calibration[wanted])), []).append(one_line(str(calibration["run_id"])))
    if len(found) < 2:
        return tuple(found)
    return tuple(f"{_listed(runs)}: {sentence}" for sentence, runs in found.items())
