"""What one part of a scenario asks of another, and of the files that it names; each finding goes to `Problems`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.model.check import check_model_file
from bench.names import did_you_mean
from bench.problems import Problems
from bench.profiles import Capacity, Closed, Profile, has_schedule
from bench.scenario.grid import LEAST_SECONDS
from bench.units import duration_text

if TYPE_CHECKING:
    from bench.cost.prices import Price as BookPrice
    from bench.scenario.parts import Gate, ModelKeys
    from bench.scenario.scenario import Scenario

BUILT_IN_WEIGHTS = ("random", "imagenet")
_MOST_REQUESTS = 10_000_000
"""Of one load point; their times are computed before the trial and held in memory."""


def check_points(scenario: Scenario, problems: Problems) -> None:
    """A load point that is there twice, one too long, and an `only` that names none."""
    first: dict[str, int] = {}
    for index, profile in enumerate(scenario.load):
        for point in profile.points():
            if point.label in first:
                problems.add(
                    ("load", index),
                    f"the load point {point.label} is there twice, first in load.{first[point.label]}",
                    "results are told apart by this label; keep one of them",
                )
            first.setdefault(point.label, index)
            if has_schedule(point) and point.mean_rate * point.duration > _MOST_REQUESTS:
                problems.add(
                    ("load", index),
                    f"{point.label} would send {point.mean_rate * point.duration:,.0f} requests",
                    f"at most {_MOST_REQUESTS:,} can be scheduled; make the rate lower or the duration shorter",
                )
    for entry in scenario.servers:
        for place, label in enumerate(entry.only):
            if label not in first:
                keys = ("servers", entry.name, "only", place)
                problems.add(keys, f"unknown load point {label!r}", did_you_mean(label, first, "load points"))


def check_tuning(scenario: Scenario, problems: Problems) -> None:
    """A grid whose settings would get too little time each."""
    for entry in scenario.servers:
        count = len(entry.tune)
        if count and scenario.tune_time / count < LEAST_SECONDS:
            problems.add(
                ("servers", entry.name, "tune"),
                f"{duration_text(scenario.tune_time)} for {count} settings, its own among them, gives each less than "
                f"{duration_text(LEAST_SECONDS)} of load",
                f"tune_time: {count * LEAST_SECONDS:g}s is the minimum here; or try fewer settings",
            )


def check_references(scenario: Scenario, servers: Sequence[str], problems: Problems) -> None:
    """A published figure of a server that is not there."""
    for index, reference in enumerate(scenario.references):
        if reference.server not in servers:
            problems.add(
                ("references", index, "server"),
                f"unknown server {reference.server!r}",
                did_you_mean(reference.server, servers, "servers"),
            )


def check_gates(scenario: Scenario, problems: Problems) -> None:
    """Gates that no session could judge, and those that are there twice."""
    points = {point.label: point for point in scenario.points}
    for index, gate in enumerate(scenario.gates):
        found = _gate_problem(gate, points)
        if gate.metric == "cost" and all(entry.price is None for entry in scenario.servers):
            found = "no server has a price, so there is no cost", "add for example price: {per_hour: 0.408}"
        if any((gate.metric, gate.load) == (other.metric, other.load) for other in scenario.gates[:index]):
            found = "this gate is there twice", "each one more is one more chance of a false alarm"
        if found is not None:
            problems.add(("gates", index), *found)


def _gate_problem(gate: Gate, points: Mapping[str, Profile]) -> tuple[str, str] | None:
    """What is wrong with a gate, and a hint: one that no session could judge must not be found out after it."""
    if gate.load is not None and gate.load not in points:
        return f"unknown load point {gate.load!r}", did_you_mean(gate.load, points, "load points")
    if gate.metric == "error_rate" and gate.delta is not None:
        return (
            "an error rate has no delta",
            "it has risen when it is 1.5 times as high and 0.1 percentage points higher",
        )
    if gate.metric in ("startup", "memory") and gate.load is not None:
        return f"{gate.metric} belongs to the whole start of a server, not to a load point", f"write {gate.metric}"
    if gate.metric == "capacity" and (gate.load or Capacity.name) != Capacity.name:
        return "a capacity is found by the load point 'capacity' only", "write capacity"
    if gate.metric == "capacity" and Capacity.name not in points:
        return "no load point finds a capacity", "add for example {profile: capacity, duration: 20s} to load"
    asked = [points[gate.load]] if gate.load is not None else list(points.values())
    if gate.metric == "throughput" and not any(isinstance(point, Closed) for point in asked):
        return "an open loop offers a throughput, it does not find one", "gate the capacity, or a closed loop"
    return None


def check_model_given(scenario: Scenario, problems: Problems) -> None:
    """A server of a model where there is none."""
    if scenario.model is not None:
        return
    for entry in scenario.servers:
        if entry.server.model_form is not None:
            problems.add(
                ("servers", entry.name),
                f"kind {entry.kind!r} serves a model, and the scenario names none",
                "add for example 'model: {keras_application: EfficientNetB0}'",
            )
            return


def check_servers_here(scenario: Scenario, problems: Problems) -> None:
    """Keys of servers that mean nothing on this machine."""
    for entry in scenario.servers:
        if not entry.tuned_from:
            for mistake in entry.server.mistakes():
                problems.add(("servers", entry.name, *mistake.keys), mistake.what, mistake.hint)


def check_model_files(scenario: Scenario, model: ModelKeys, problems: Problems) -> None:
    """Files of the model that are not there, or are none."""
    if model.path is not None:
        with problems.at(("model", "path")):
            check_model_file(scenario.beside(model.path))
    if model.weights not in BUILT_IN_WEIGHTS and not scenario.beside(model.weights).is_file():
        problems.add(
            ("model", "weights"),
            f"no such file: {scenario.beside(model.weights)}",
            "weights are 'random', 'imagenet' or a weights file, relative to the scenario's folder",
        )


def check_prices(scenario: Scenario, problems: Problems) -> None:
    """Instances that no price book knows."""
    from bench.cost.price_file import all_prices

    book: tuple[BookPrice, ...] = ()
    with problems.at(("prices",)):
        book = all_prices(scenario.price_file)
    for entry in scenario.servers:
        if entry.price is not None and book:
            with problems.at(("servers", entry.name, "price", *(("instance",) if entry.price.instance else ()))):
                entry.price.resolved(book)
