"""A recorded run with capacity searches, and the same run asked again with another limit or other prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench.results import Run, load_run
from bench.summary import Summary, summarise
from tests.recorded import FLASK, GUNICORN, NO_GPU, TFSERVING, TRITON, Point, write_run

SERVERS = (FLASK, GUNICORN, TFSERVING, replace(TRITON, price=None), NO_GPU)
LOOKED = (3.0, 4.5, 6.0, 9.0, 14.0)


def searched_run(folder: Path, seed: int = 1) -> Run:
    """Five servers at two closed and two open load points, and five looks of a capacity search of each."""
    points = (
        Point(users=1, duration=20.0),
        Point(users=8, duration=20.0),
        Point(arrival_rate=4, duration=40.0),
        Point(arrival_rate=8, duration=40.0),
        *(Point(arrival_rate=rate + 0.001, duration=45.0) for rate in LOOKED),
    )
    path = write_run(folder, seed, servers=SERVERS, points=points, capacity=False)
    for record in path.glob("trials/*/trial.json"):
        text = record.read_text()
        for number, rate in enumerate(LOOKED, start=1):
            label = f"poisson-{rate + 0.001:g}"
            if f'"label": "{label}"' in text:
                text = text.replace(f'"label": "{label}"', '"label": "capacity"')
                text = text.replace('"profile": "poisson"', '"profile": "capacity"')
                record.write_text(text.replace('"look": 0', f'"look": {number}'))
    return load_run(path)


def asked_again(
    run: Run, limit: float, per_hour: Mapping[str, float], traffic: Mapping[str, float] | None = None
) -> Summary:
    """The summary of the same rows under another SLO, prices and traffic: the long way, through the rows."""
    manifest = run.manifest
    servers = tuple(
        replace(one, price={"count": 1, **(one.price or {}), "per_hour": per_hour[one.name]})
        if one.name in per_hour
        else one
        for one in manifest.servers
    )
    slo = {**manifest.slo, "response_time": limit}
    scenario = {**manifest.scenario, **({"traffic": dict(traffic)} if traffic else {})}
    return summarise([replace(run, manifest=replace(manifest, slo=slo, servers=servers, scenario=scenario))])
