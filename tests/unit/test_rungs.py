"""On which rung of the advice a server stands: as its kind says, or as old runs let one tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.rungs import RUNGS, Rung, higher, rung_before
from bench.server import Inner, Server, known_kinds, load_kind


def kind(name: str, **options: Any) -> Server:
    """A server of a kind that comes with bench."""
    return load_kind(known_kinds()[name])(**options)


@pytest.mark.parametrize(
    ("server", "rung"),
    [
        (kind("flask"), "naive"),
        (kind("flask", load_per_request=True), ""),
        (kind("flask", engine="onnxruntime"), "model optimised"),
        (kind("fastapi"), "model optimised"),
        (kind("fastapi", engine="openvino", workers=2), "web server"),
        (kind("gunicorn", workers=2), "web server"),
        (kind("tfserving"), "model server"),
        (kind("litserve"), "model server"),
        (kind("bentoml"), "model server"),
        (kind("mlflow"), "model server"),
        (kind("triton"), "model server"),
        (kind("mlserver"), "model server"),
        (kind("mlserver", batching=True), "batching"),
        (kind("tensorrt"), "GPU"),
        (kind("tfserving", device="gpu"), "GPU"),
        (kind("replicas", replicas=3), "more instances"),
        (kind("replicas", replicas=1), "web server"),
        (kind("echo"), ""),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__module__.split("_")[2],
)
def test_a_kind_says_on_which_rung_its_server_stands(server: Server, rung: Rung) -> None:
    assert server.rung == rung


def test_copies_of_something_further_up_do_not_step_down() -> None:
    folder = Path("tfserving")
    copies = kind("replicas", replicas=2, of=Inner("tfserving", folder, kind("tfserving", device="gpu")))
    assert copies.rung == "GPU"
    assert higher("", "naive") == "naive"


@pytest.mark.parametrize(
    ("name", "options", "rung"),
    [
        ("flask", {}, "naive"),
        ("flask", {"load_per_request": True}, ""),
        ("gunicorn", {"workers": 2}, "web server"),
        ("fastapi", {"engine": "openvino"}, "model optimised"),
        ("fastapi", {"engine": "keras"}, "web server"),
        ("tfserving", {"batching": None}, "model server"),
        ("triton", {"batching": {"queue_delay": 0.001}}, "batching"),
        ("tfserving", {"batching": {"max_batch_size": 8}, "device": "gpu"}, "GPU"),
        ("replicas", {"replicas": 4}, "more instances"),
        ("replicas", {"replicas": 1, "of": {"kind": "flask"}}, "naive"),
        ("echo", {}, ""),
    ],
)
def test_a_run_that_kept_no_rung_is_read_by_its_kinds(name: str, options: dict[str, Any], rung: Rung) -> None:
    assert rung_before(name, options) == rung


def test_the_model_comes_before_the_servers_and_a_gpu_last() -> None:
    assert RUNGS[:2] == ("naive", "model optimised")
    assert RUNGS[-3:] == ("batching", "more instances", "GPU")
