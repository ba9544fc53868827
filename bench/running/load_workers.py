"""How many load processes a run gets, and whether they can send what its servers are asked: known before any load.

The figures of the calibration decide; without one nothing is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import ScenarioError
from bench.load.calibration import check_targets
from bench.load.crew import Crew, crew_for
from bench.running.materials import Materials
from bench.scenario.budget import generator_room, read_processor
from bench.server import Place, Server
from bench.serving.launch import HOST

if TYPE_CHECKING:
    from bench.load.calibration import Calibration, Transport
    from bench.profiles import Profile
    from bench.scenario.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Asked:
    """The load points of one launch, and how its largest request is sent."""

    points: tuple[Profile, ...]
    transport: Transport
    request_bytes: int


def asked_of(
    server: Server, points: Sequence[Profile], materials: Materials, python: Path, scratch: Path, cores: int
) -> Asked:
    """What a server is asked at these load points."""
    ports = tuple(range(1, server.port_count + 1))  # requests are only looked at here, not sent
    wire = server.wire(Place(HOST, ports, materials.model, scratch, python, cores))
    size = len(wire.request(max(materials.payloads, key=len)).body)
    return Asked(tuple(points), wire.transport, size)


def choose_crew(scenario: Scenario, asked: Sequence[Asked], calibration: Calibration | None) -> tuple[Crew, str]:
    """The load processes, the same for every server; and what is in doubt where they were not calibrated."""
    ceiling = (
        min((calibration.limit(it.transport, it.request_bytes) for it in asked), default=None) if calibration else None
    )
    room = generator_room(read_processor(), scenario.cores)
    points = [point for it in asked for point in it.points]
    crew, doubt = crew_for(scenario.workers, points, cores=room + 1, ceiling=ceiling)
    return crew, "" if calibration else doubt


def refuse_too_much(scenario: Scenario, asked: Sequence[Asked], calibration: Calibration, workers: int) -> None:
    """Raises: ScenarioError if so many load processes cannot send what is asked."""
    problems: dict[str, None] = {}
    for it in asked:
        found = check_targets(it.points, calibration, workers, transport=it.transport, request_bytes=it.request_bytes)
        problems |= dict.fromkeys(found)
    if problems:
        hint = (
            "lower the rate, or send from other machines (--listen and `bench worker`)\n"
            "`bench calibrate` on the quiet machine tells whether the ceiling is higher than that"
        )
        raise ScenarioError("; ".join(problems), where=str(scenario.path), hint=hint)
