"""Two images compared as a user would: named in the scenario, or one of them on the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.compare.session import Mode
from bench.errors import LaunchError
from bench.paired.ab import planned, run_session
from bench.results import load_run
from bench.scenario.scenario import Scenario, load_scenario
from bench.server import find_kind
from tests.docker_engine import an_engine, an_image, containers, docker

pytestmark = pytest.mark.integration

PYTHON = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]  # as in the image that it is taken from
FAST, SLOW = "echo-of-tests:1", "echo-of-tests:2"
SCENARIO = """
name: images
load: [{profile: poisson, arrival_rate: 100, duration: 300ms}]
warmup: {duration: 50ms, at_most: 50ms}
gates: [p50]
servers:
  old: {kind: docker, image: "echo-of-tests:1", port: 8080}
  new: {kind: docker, image: "echo-of-tests:2", port: 8080}
  lost: {kind: docker, image: "echo-of-tests:3", port: 8080}
"""


@pytest.fixture(scope="module")
def images() -> Iterator[None]:
    """Two images of the echo server's program: it takes 10 ms in one of them and 60 ms in the other."""
    with an_engine(), an_image() as base:
        made = docker("create", base, "nothing")
        docker("cp", str(Path(find_kind("echo", Path.cwd())) / "app.py"), f"{made}:/app.py")
        for image, delay in ((FAST, "0.010"), (SLOW, "0.060")):
            words = [str(PYTHON), "-S", "/app.py", "0.0.0.0", "8080", delay, "64"]
            docker("commit", "--change", f"ENTRYPOINT {json.dumps(words)}", made, image)
        docker("rm", made)
        yield
        docker("image", "rm", "--force", FAST, SLOW)


@pytest.fixture
def scenario(images: None, tmp_path: Path) -> Scenario:
    file = tmp_path / "images.yaml"
    file.write_text(SCENARIO)
    return load_scenario(file)


@pytest.mark.parametrize(
    ("candidate", "changes"), [("new", ()), ("old", (f"image={SLOW}",))], ids=["two servers", "one key"]
)
def test_each_side_runs_its_own_image_and_the_run_keeps_both_digests(
    scenario: Scenario, tmp_path: Path, candidate: str, changes: tuple[str, ...]
) -> None:
    with planned(scenario, baseline="old", candidate=candidate, candidate_set=changes, gap=0.0) as plan:
        once = Mode("one pair", (1,))  # a verdict takes six; what ran is seen in one
        pairing = replace(plan.session.pairing, looks=once.looks)
        short = replace(plan.session, mode=once, confirms=False, pairing=pairing)
        result = run_session(replace(plan, session=short), report=False, out=tmp_path / "results")
    run = load_run(result.folder)
    assert [(trial.outcome, trial.reason) for trial in run.trials] == [("ok", "")] * 2
    versions = [server.version.split() for server in run.manifest.servers]
    assert [name for name, _ in versions] == [FAST, SLOW]
    assert len({digest for _, digest in versions}) == 2
    values = {value.side: value.value for value in result.verdict.values if value.metric == "p50"}
    assert values["baseline"] is not None
    assert values["candidate"] is not None
    assert values["candidate"] - values["baseline"] > 0.030, "each side is its own image"
    assert (result.verdict.same, result.exit_code()) == (False, 12)
    assert containers() == []


def test_an_image_that_is_not_here_is_told_before_anything_is_measured(scenario: Scenario) -> None:
    with (
        pytest.raises(LaunchError, match="echo-of-tests:3 is not on this machine") as failure,
        planned(scenario, baseline="old", candidate="lost"),
    ):
        pass
    assert failure.value.exit_code == 13
