"""`bench serve`: one server, started exactly as a trial would, for as long as somebody looks at it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.results import SERVER_LOG
from bench.running.materials import interpreters, prepare
from bench.running.records import TUNED_HINT, refuse_missing, without_their_form
from bench.scenario.budget import budget_of
from bench.scenario.plan import make_plan
from bench.serving.asking import curl_line
from bench.serving.launch import Running, running

if TYPE_CHECKING:
    from bench.scenario.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that runs as it would in a trial; `curl` asks it one thing, or says how where curl cannot."""

    url: str
    curl: str
    log: Path
    alive: Callable[[], bool]


@contextlib.contextmanager
def serve(scenario: Scenario, name: str, say: Callable[[str], None]) -> Iterator[Serving]:
    """One server of the scenario, started exactly as a trial would, for as long as the block lasts.

    Raises: UsageError for an unknown server, LaunchError or ArtifactError if it cannot run here.
    """
    budget = budget_of(scenario)
    plan = make_plan(scenario, servers=[name], budget=budget)
    refuse_missing(plan, [name])
    entry = scenario.server(name)
    if entry.tuned_from:
        raise UsageError(f"{name!r} has no settings yet: only `bench run` tunes it", hint=TUNED_HINT)
    materials = prepare(scenario, [entry], say)
    pythons, failed = interpreters([entry], say)
    failed = {**failed, **without_their_form([entry], materials)}
    if failed:
        raise failed[name]
    with TemporaryDirectory(prefix="bench-serve-") as scratch:
        log = Path(scratch) / SERVER_LOG
        with running(
            entry.server,
            model=materials.model,
            python=pythons[name],
            cores=budget.count,
            cpuset=entry.server.cores_wanted(budget.server, budget.usable),
            photos=materials.payloads,
            log=log,
            start_timeout=entry.start_timeout,
        ) as server:
            curl = _curl(server, materials.payloads[0], Path(scratch))
            yield Serving(server.url, curl, log, server.process.alive)


def _curl(server: Running, jpeg: bytes, scratch: Path) -> str:
    request = server.wire.request(jpeg)
    body = scratch / "request.bin"
    body.write_bytes(request.body)
    if server.wire.transport == "grpc":
        return f"# gRPC {request.target} at {server.place.host}:{server.port}; a request's bytes lie in {body}"
    return curl_line(server.url, request, body)
