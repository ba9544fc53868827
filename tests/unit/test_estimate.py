from __future__ import annotations

from pathlib import Path

import pytest

from bench.scenario.estimate import IDLE_TIMEOUTS
from bench.scenario.plan import Plan, make_plan
from bench.scenario.scenario import load_scenario

B5 = """
model: {keras_application: EfficientNetB5}
slo: {percentile: 95, response_time: 1s, error_rate: 0.1%}
servers:
  flask: {kind: flask}
  flask-reload: {kind: flask, only: closed-1}
  gunicorn: {kind: gunicorn}
  triton: {kind: triton}
load:
  - {profile: closed, users: 1, duration: 20s}
  - {profile: closed, users: 8, duration: 12s}
  - {profile: capacity, duration: 30s, most_looks: 4}
warmup: {duration: 3s}
"""
B0 = """
model: {keras_application: EfficientNetB0}
slo: {percentile: 95, response_time: 250ms, error_rate: 0.1%}
servers:
  flask: {kind: flask}
  flask-reload: {kind: flask, only: closed-1}
  gunicorn: {kind: gunicorn}
  triton: {kind: triton}
load:
  - {profile: closed, users: 1, duration: 5s}
  - {profile: closed, users: 8, duration: 4s}
  - {profile: capacity, duration: 6s, most_looks: 3}
warmup: {duration: 1s}
"""


def plan(tmp_path: Path, text: str, *changes: str) -> Plan:
    path = tmp_path / "q.yaml"
    path.write_text(text)
    return make_plan(load_scenario(path, set=changes), missing=lambda _: None)


def search(tmp_path: Path, keys: str, kind: str = "flask", *changes: str) -> Plan:
    text = f"model: {{keras_application: EfficientNetB0}}\nservers: {{a: {{kind: {kind}}}}}\nload:\n"
    text += f"  - {{profile: closed, users: 1, duration: 10s}}\n  - {{profile: capacity, most_looks: 2, {keys}}}\n"
    return plan(tmp_path, f"{text}warmup: {{duration: 2s}}\n", *changes)


@pytest.mark.parametrize(("text", "took"), [(B5, 1017.5), (B0, 216.1)])
def test_the_estimate_is_what_the_run_took_within_a_quarter_and_not_less(
    tmp_path: Path, text: str, took: float
) -> None:
    """Wall times of runs on two quiet cores, the first of them that of docs/example-report."""
    planned = plan(tmp_path, text)
    assert 0.98 * took < planned.estimated_seconds < 1.25 * took < planned.most_seconds


def test_a_look_at_a_server_that_computes_is_taken_to_last_longer_than_its_duration(tmp_path: Path) -> None:
    computing, plain = search(tmp_path, "duration: 20s"), search(tmp_path, "duration: 20s", "echo")
    assert plain.load_seconds == 2 + 10 + 2 * (2 + 20)
    assert computing.load_seconds > plain.load_seconds + 2 * 20


def test_the_rates_that_a_search_stays_between_bound_how_long_a_look_is_taken_to_last(tmp_path: Path) -> None:
    anywhere = search(tmp_path, "duration: 20s")
    fast = search(tmp_path, "duration: 20s, from_rate: 100")
    slow = search(tmp_path, "duration: 20s, to_rate: 2")
    assert fast.load_seconds < anywhere.load_seconds < slow.load_seconds


def test_an_own_server_may_be_as_slow_as_one_with_a_model(tmp_path: Path) -> None:
    own = search(tmp_path, "duration: 20s", "url, url: 'http://127.0.0.1:9', protocol: tfserving-rest")
    assert own.load_seconds == search(tmp_path, "duration: 20s").load_seconds


def test_a_probe_is_counted_where_no_closed_loop_comes_before_the_search(tmp_path: Path) -> None:
    with_closed = search(tmp_path, "duration: 20s")
    after = search(tmp_path, "duration: 20s", "flask", "load=[{profile: capacity, most_looks: 2, duration: 20s}]")
    bounded = search(
        tmp_path,
        "duration: 20s",
        "flask",
        "load=[{profile: capacity, most_looks: 2, duration: 20s, from_rate: 1, to_rate: 6}]",
    )
    spare = with_closed.estimated_seconds - with_closed.load_seconds
    assert after.estimated_seconds - after.load_seconds > spare > bounded.estimated_seconds - bounded.load_seconds


def test_the_bound_holds_every_warm_up_every_look_and_every_wait(tmp_path: Path) -> None:
    planned = search(tmp_path, "duration: 20s", "echo", "timeout=10s", "warmup={duration: 2s, at_most: 5s}")
    longest = (5 + 10) + (5 + 2) + 2 * (6 * 20 + IDLE_TIMEOUTS * 10)
    assert planned.most_seconds - longest == pytest.approx(planned.estimated_seconds - planned.load_seconds)
