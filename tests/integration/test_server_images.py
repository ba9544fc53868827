"""Kinds that come as images, in containers of a real engine, with stand-ins for what is in the images."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import LaunchError
from bench.load.driven import counts
from bench.measures.answers import expectation
from bench.profiles import Closed
from bench.server import known_kinds, load_kind
from bench.serving.launch import Running, running
from bench.serving.learned import first_answers
from tests.docker_engine import an_engine, an_image, containers, docker
from tests.doubles import image_servers
from tests.driving import PHOTOS, drive, load_process

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    with an_engine(), an_image("bench-test-images:1", Path(image_servers.__file__), entry=True) as name:
        yield name


@pytest.fixture(autouse=True)
def nothing_left(image: str) -> Iterator[None]:
    yield
    assert containers() == []


def start(tmp_path: Path, kind: str, **keys: Any) -> Any:
    server = load_kind(known_kinds()[kind])(**keys)
    log = tmp_path / "server.log"
    return running(server, model=None, python=Path(sys.executable), cores=1, photos=PHOTOS, log=log, start_timeout=60.0)


def answers(ready: Running) -> Any:
    return first_answers(ready, [ready.wire.request(photo) for photo in PHOTOS]).outputs


def test_deepdetect_is_ready_once_its_service_answers(image: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "net.pt").touch()
    with start(tmp_path, "deepdetect", image=image, repository=str(tmp_path / "model"), classes=3) as ready:
        assert np.allclose(answers(ready), [image_servers.shares(photo) for photo in PHOTOS])
        assert ready.process.tree() == [int(docker("inspect", "--format", "{{.State.Pid}}", *containers()))]


def clipper(image: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    module = sys.modules[load_kind(known_kinds()["clipper"]).__module__]
    for name in ("REDIS", "QUERY", "MANAGEMENT"):
        monkeypatch.setattr(module, name, image)
    return {"image": image, "num_replicas": 2}


def test_all_of_clipper_is_started_watched_and_ended_and_its_late_answers_are_failures(
    image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start(tmp_path, "clipper", **clipper(image, monkeypatch)) as ready:
        pids = docker("inspect", "--format", "{{.State.Pid}}", *containers()).split()
        assert len(pids) == 5, "Redis, two frontends, two models"
        assert sorted(map(int, pids)) == sorted(ready.process.tree())
        right = expectation([np.array(image_servers.shares(photo), dtype=np.float32) for photo in PHOTOS], 1e-3)
        requests = [ready.wire.request(photo) for photo in PHOTOS]
        with load_process() as load:
            driven, samples = drive(load, ready.port, Closed(users=2, duration=0.8), warmup=0.1, requests=requests)
        assert all(
            np.allclose(ready.wire.answer(body), right.outputs[n], atol=1e-3) for n, body in kept(driven.replies)
        )
    late = int(np.count_nonzero(samples.has_error(ready.wire.request(PHOTOS[0]).reply.fails_as)))
    assert late == counts(samples)["failed"]
    assert late == pytest.approx(len(samples) / image_servers.LATE_EVERY, abs=3)
    assert len(driven.replies) == len(PHOTOS), "replies that differ by their number alone are kept once"
    assert driven.connections == 2, "what comes behind the length of a reply costs no connection"


def kept(replies: Any) -> list[tuple[int, bytes]]:
    """What is left of replies without their number, made whole again."""
    return [(number, re.sub(rb"\{\s*,", b"{", body)) for number, body in replies]


def test_a_part_of_clipper_that_ends_ends_all_and_is_named(
    image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_little = {"memory": 6 << 20}  # for any of them; which one ends first is chance
    keys = clipper(image, monkeypatch) | too_little
    with (
        pytest.raises(LaunchError, match=r"clipper: (redis|(management|query) frontend) ended \(exit code \d+\)"),
        start(tmp_path, "clipper", **keys),
    ):
        pass
