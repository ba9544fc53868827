# ruff: noqa: E501 -- a table of inputs and what is said about them reads best with one row each
from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cost import Traffic
from bench.errors import ScenarioError
from bench.names import LONGEST_NAME, name_problem, nearest, printable, slug
from bench.problems import ScenarioProblemsError
from bench.profiles import Closed
from bench.scenario.scenario import check_files, load_scenario

SCENARIOS = Path(__file__).parents[2] / "scenarios"

DESIGN = """\
name: efficientnet
question: Which way of serving EfficientNet-B5 meets a 1 s p95 at the lowest cost per request?
model:
  keras_application: EfficientNetB5   # or  path: my_model.keras | my_model.h5 | saved_model_dir/
  weights: random                     # random (seeded) | imagenet | a weights file
  seed: 1
payload:
  images: sample                      # photos that ship with a dependency; or a glob of the user's own files
slo: {percentile: 95, response_time: 1s, error_rate: 0.1%}
load:
  - {profile: closed, users: 1, duration: 20s}                   # latency of one request at a time
  - {profile: closed, users: 8, duration: 20s}                   # throughput when saturated
  - {profile: poisson, arrival_rate: [1, 2, 4], duration: 30s}   # open loop at equal offered rates
  - {profile: capacity, duration: 20s}                           # highest arrival rate that still meets the SLO
warmup: {duration: 5s}
trials: 1
servers:
  flask:            {kind: flask}
  flask-reload:     {kind: flask, load_per_request: true}        # the worst thing a tutorial can teach
  gunicorn:         {kind: gunicorn, workers: 2, threads: 1, price: {instance: a1.4xlarge, count: 2}}
  tfserving:        {kind: tfserving, protocol: rest, price: {instance: a1.4xlarge}}
  tfserving-grpc:   {kind: tfserving, protocol: grpc}
  tfserving-batch:  {kind: tfserving, protocol: grpc, batching: {max_batch_size: 16, batch_timeout: 5ms}}
  tfserving-gpu:    {kind: tfserving, device: gpu, price: {instance: g3s.xlarge}}
  triton:           {kind: triton}
references:                                                       # published figures, shown beside ours
  - {server: flask, metric: service_time, value: 2s, source: "the article's Flask example"}
fail_if: []                                                       # e.g. "tfserving.p95 > 500ms"
"""

ECHO = "servers: {a: {kind: echo}}\n"


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "q.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _complaint(tmp_path: Path, text: str, **given: Any) -> str:
    with pytest.raises(ScenarioError) as failure:
        load_scenario(_write(tmp_path, text), **given)
    assert failure.value.exit_code == 2
    return str(failure.value).replace(str(tmp_path), "DIR")


def test_the_example_of_the_design_loads_as_it_stands(tmp_path: Path) -> None:
    path = _write(tmp_path, DESIGN)
    scenario = load_scenario(path)
    check_files(scenario)
    assert scenario.text == DESIGN
    assert [point.label for point in scenario.points] == [
        "closed-1",
        "closed-8",
        "poisson-1",
        "poisson-2",
        "poisson-4",
        "capacity",
    ]
    assert scenario.slo.model_dump() == {"percentile": 95, "response_time": 1.0, "error_rate": pytest.approx(0.001)}
    assert scenario.server("tfserving-batch").options["batching"]["batch_timeout"] == pytest.approx(0.005)
    assert scenario.server("flask-reload").options["load_per_request"] is True
    assert scenario.references[0].value == 2.0
    assert json.loads(json.dumps(scenario.resolved()))["servers"]["gunicorn"]["price"]["count"] == 2


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_scenario_that_comes_with_bench_loads_and_says_its_question_first(path: Path) -> None:
    scenario = load_scenario(path)
    check_files(scenario)
    first = scenario.text.splitlines()[0]
    assert first.startswith("# ")
    assert "?" in first
    assert scenario.name == path.stem


def test_everything_but_servers_has_a_default(tmp_path: Path) -> None:
    scenario = load_scenario(_write(tmp_path, ECHO))
    assert scenario.name == "q"
    assert scenario.load == (Closed(users=1, duration=20.0), Closed(users=8, duration=20.0))
    assert (scenario.seed, scenario.trials, scenario.timeout, scenario.warmup.duration) == (1, 1, 30.0, 5.0)
    assert scenario.model_spec is None


def test_an_echo_server_needs_no_model_and_flask_does(tmp_path: Path) -> None:
    load_scenario(_write(tmp_path, ECHO))
    complaint = _complaint(tmp_path, "servers:\n  a: {kind: echo}\n  f: {kind: flask}\n")
    assert complaint.startswith("DIR/q.yaml:3: servers.f: kind 'flask' serves a model, and the scenario names none")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "DIR/q.yaml:1: the file is empty"),
        ("# only a comment\n", "DIR/q.yaml:1: the file is empty"),
        ("- a\n", "DIR/q.yaml:1: a scenario is a mapping of keys, this is a list"),
        ("just text\n", "DIR/q.yaml:1: a scenario is a mapping of keys, this is a single value"),
        ("a: b: c\n", "DIR/q.yaml:1: not YAML"),
        ("servers: {a: {kind: echo}\nload: []\n", "DIR/q.yaml:2: not YAML"),
        ("a: 1\n---\nb: 2\n", "DIR/q.yaml:2: not YAML"),
        ("a: \x01\n", "DIR/q.yaml:1: not YAML"),
        ("a: " + "[" * 5000, "DIR/q.yaml:1: not YAML"),
        ("servers: &a\n  x: *a\n", "too large or nested too deeply"),
        ("x: &x [a,a,a,a,a,a,a,a,a]\n" + "".join(f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("xbcdef", "bcdefg", strict=True)), "too large"),
        ("servers: {[1]: {kind: echo}}\n", "DIR/q.yaml:1: servers: a list cannot be a key"),
        ("name: x\n", "DIR/q.yaml: servers: there are no servers"),
        ("servers: {}\n", "DIR/q.yaml:1: servers: there are no servers"),
        ("servers: [echo]\n", "DIR/q.yaml:1: servers: must be a mapping of a name to a server"),
        ("servers:\n  a:\n", "DIR/q.yaml:2: servers.a: 'kind' is missing"),
        ("servers:\n  a: echo\n", "DIR/q.yaml:2: servers.a: must be a mapping"),
        ("servers:\n  a: {kind: ech}\n", "DIR/q.yaml:2: servers.a.kind: unknown server kind 'ech'\n  hint: did you mean 'echo'?"),
        ("servers:\n  a: {kind: ./nowhere}\n", "DIR/q.yaml:2: servers.a.kind: no server.py in "),
        ("servers:\n  a: {kind: echo}\n  b: {kind: echo}\n  a: {kind: echo}\n", "DIR/q.yaml:4: servers.a: this key is there twice, first at DIR/q.yaml:2"),
        ("servers:\n  a: {kind: echo, delay: 5ms, delay: 6ms}\n", "DIR/q.yaml:2: servers.a.delay: this key is there twice"),
        ("servers:\n  a:\n    kind: echo\n    delya: 5ms\n", "DIR/q.yaml:4: servers.a.delya: unknown key\n  hint: did you mean 'delay'?"),
        ("servers:\n  a: {kind: echo, delay: 5}\n", "DIR/q.yaml:2: servers.a.delay: a duration needs a unit, got 5"),
        ("servers:\n  a: {kind: echo, parallel: 0}\n", "DIR/q.yaml:2: servers.a.parallel: must be greater than 0, got 0"),
        ("servers:\n  a: {kind: echo, parallel: true}\n", "servers.a.parallel: must be a whole number, got True"),
        ("servers:\n  a: {kind: echo, parallel: '2'}\n", "servers.a.parallel: must be a whole number, got '2'"),
        (ECHO + "lod: []\n", "DIR/q.yaml:2: lod: unknown key\n  hint: did you mean 'load'?"),
        (ECHO + "path: x\n", "DIR/q.yaml:2: path: unknown key"),
        (ECHO + "load: []\n", "DIR/q.yaml:2: load: must be a list of load profiles"),
        (ECHO + "load:\n  - closed\n", "DIR/q.yaml:3: load.0: must be a mapping"),
        (ECHO + "load:\n  - {users: 1}\n", "DIR/q.yaml:3: load.0: 'profile' is missing"),
        (ECHO + "load:\n  - {profile: poison, arrival_rate: 1, duration: 1s}\n", "DIR/q.yaml:3: load.0.profile: unknown profile 'poison'\n  hint: did you mean 'poisson'?"),
        (ECHO + "load:\n  - {profile: [closed]}\n", "DIR/q.yaml:3: load.0.profile: unknown profile ['closed']"),
        (ECHO + "load:\n  - {profile: poisson, arrival_rate: -5, duration: 1s}\n", "DIR/q.yaml:3: load.0.arrival_rate: a rate must be greater than 0 requests per second, got -5"),
        (ECHO + "load:\n  - {profile: poisson, arrival_rate: [1, x], duration: 1s}\n", "load.0.arrival_rate.1: not a rate: 'x'"),
        (ECHO + "load:\n  - {profile: closed, users: [], duration: 1s}\n", "load.0.users: must not be empty"),
        (ECHO + "load:\n  - {profile: closed, users: 1}\n", "DIR/q.yaml:3: load.0: 'duration' is missing"),
        (ECHO + "load:\n  - {profile: closed, users: 1, duration: 0s}\n", "load.0.duration: must be greater than 0"),
        (ECHO + "load:\n  - &l {profile: closed, users: 1, duration: 1s}\n  - *l\n", "load.1: the load point closed-1 is there twice, first in load.0"),
        (ECHO + "slo: {response_time: 1s, percentile: 100}\n", "slo.percentile: must be less than 100, got 100"),
        (ECHO + "slo: {respons_time: 1s}\n", "slo.respons_time: unknown key\n  hint: did you mean 'response_time'?"),
        (ECHO + "slo: fast\n", "DIR/q.yaml:2: slo: must be a mapping, got 'fast'"),
        (ECHO + "warmup: 5s\n", "DIR/q.yaml:2: warmup:"),
        (ECHO + "trials: 0\n", "trials: must be at least 1, got 0"),
        (ECHO + "timeout: .inf\n", "timeout: a duration needs a unit"),
        (ECHO + "name: ../../etc\n", "name: '../../etc' cannot be a folder name"),
        (ECHO + "question:\n", "question: must be text, got nothing"),
        (ECHO + "model: {}\n", "model: give one of 'keras_application' and 'path'"),
        (ECHO + "model: {keras_application: EfficientNetB9}\n", "unknown keras_application 'EfficientNetB9'\n  hint: did you mean"),
        (ECHO + "model: {path: m.keras, weights: random}\n", "model: 'weights' goes with keras_application"),
        (ECHO + "references:\n  - {server: b, metric: p95, value: 1s, source: x}\n", "DIR/q.yaml:3: references.0.server: unknown server 'b'"),
        (ECHO + "references:\n  - {server: a, metric: p96, value: 1s, source: x}\n", "references.0.metric: must be one of"),
        (ECHO + "fail_if: 'a.p95 > 5ms'\n", "fail_if: must be a list"),
        (ECHO + "fail_if: ['b.p95 > 5ms']\n", "DIR/q.yaml:2: fail_if.0: unknown server 'b' in 'b.p95 > 5ms'\n  hint: known servers: a"),
        (ECHO + "fail_if:\n  - a.p95 > 5ms\n  - a.p96 > 5ms\n", "DIR/q.yaml:4: fail_if.1: unknown metric 'p96' in 'a.p96 > 5ms'\n  hint: did you mean 'p9"),
        (ECHO + "fail_if: ['a[closed-2].p95 > 5ms']\n", "fail_if.0: unknown load point 'closed-2' in 'a[closed-2].p95 > 5ms'\n  hint: did you mean 'closed-"),
        ("servers:\n  a: {kind: echo, only: closed-1}\nfail_if: ['a[closed-8].p95 > 5ms']\n", "fail_if.0: unknown load point 'closed-8' in 'a[closed-8].p95 > 5ms'\n  hint: did you mean 'closed-1'? known load points of a: closed-1"),
        (ECHO + "fail_if: [a.p95 > 5]\n", "fail_if.0: a duration needs a unit"),
        (ECHO + "fail_if: [5]\n", "fail_if.0: must be text, got 5"),
        (ECHO + "fail_if: ['']\n", "fail_if.0: not an expression: ''"),
        ("servers:\n  a: {kind: echo, price: {}}\n", "servers.a.price: give one of 'instance' and 'per_hour'"),
        ("servers:\n  a: {kind: echo, price: {per_hour: 1, region: x}}\n", "servers.a.price: 'region' and 'provider' choose among instances"),
        ("servers:\n  a: {kind: echo, start_timeout: 5}\n", "servers.a.start_timeout: a duration needs a unit"),
        ("servers:\n  a: {kind: echo, start_timeout: 0s}\n", "servers.a.start_timeout: must be greater than 0"),
        ("servers:\n  a: {kind: echo, only: closed-11}\n", "servers.a.only.0: unknown load point 'closed-11'\n  hint: did you mean 'closed-1'?"),
        ("servers:\n  a: {kind: tfserving, batching: {max_batch_siz: 1}}\nmodel: {keras_application: EfficientNetB0}\n", "servers.a.batching.max_batch_siz: unknown key\n  hint: did you mean 'max_batch_size'?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(text: str, complaint: str, tmp_path: Path) -> None:
    assert complaint in _complaint(tmp_path, text)


def test_all_problems_of_a_file_are_told_together_in_the_order_of_its_lines(tmp_path: Path) -> None:
    path = _write(
        tmp_path, "trials: 0\nservers:\n  a: {kind: echo, delay: 5}\n  b: {kind: ech}\nload: [{profile: x}]\n"
    )
    with pytest.raises(ScenarioProblemsError) as failure:
        load_scenario(path)
    assert [problem.where.rpartition(":")[2] for problem in failure.value.problems] == ["1", "3", "4", "5"]


def test_a_file_that_is_no_file_is_said(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere.yaml"):
        with pytest.raises(ScenarioError) as failure:
            load_scenario(path)
        assert failure.value.where == str(path)
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ScenarioError, match="UTF-8") as failure:
        load_scenario(tmp_path / "latin.yaml")
    assert failure.value.where.endswith(":2")


def test_a_merged_mapping_gives_its_keys_and_the_own_ones_win(tmp_path: Path) -> None:
    text = "servers:\n  a: &a {kind: echo, delay: 5ms}\n  b:\n    <<: *a\n    delay: 7ms\n"
    scenario = load_scenario(_write(tmp_path, text))
    assert [entry.options["delay"] for entry in scenario.servers] == [pytest.approx(0.005), pytest.approx(0.007)]


# --set


def test_set_changes_one_value_and_leaves_the_text_verbatim(tmp_path: Path) -> None:
    text = (
        "servers: {a: &a {kind: echo}, b: *a, c.d: {kind: echo}}\nload: [{profile: closed, users: 1, duration: 20s}]\n"
    )
    changes = [
        "load.0.duration=5s",
        "servers.a.delay=7ms",
        "servers.c.d.delay=8ms",
        "slo.percentile=99",
        "load.0.users=[2,3]",
    ]
    scenario = load_scenario(_write(tmp_path, text), set=changes)
    assert scenario.text == text
    assert scenario.load == (Closed(users=(2, 3), duration=5.0),)
    assert [entry.options["delay"] for entry in scenario.servers] == [
        pytest.approx(seconds) for seconds in (0.007, 0.010, 0.008)
    ]
    assert scenario.slo.percentile == 99


@pytest.mark.parametrize(
    ("assignment", "complaint"),
    [
        ("nonsense", "--set nonsense: not KEY=VALUE"),
        ("=1", "--set =1: not KEY=VALUE"),
        ("a..b=1", "--set a..b=1: not KEY=VALUE"),
        ("trials=0", "--set trials=0: trials: must be at least 1, got 0"),
        ("trails=1", "--set trails=1: trails: unknown key\n  hint: did you mean 'trials'?"),
        ("load.7.duration=1s", "--set load.7.duration=1s: '7' is no item of this list"),
        ("servers.a=[", "--set servers.a=[: not YAML"),
        ("servers.a=", "--set servers.a=: servers.a: 'kind' is missing"),
    ],
)
def test_what_is_wrong_with_a_set_names_the_set(assignment: str, complaint: str, tmp_path: Path) -> None:
    text = ECHO + "load: [{profile: closed, users: 1, duration: 20s}]\n"
    assert _complaint(tmp_path, text, set=[assignment]).startswith(complaint)


# files that a scenario points at


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("model:\n  path: nope.keras\n", "DIR/q.yaml:2: model.path: "),
        ("model:\n  path: fake.keras\n", "DIR/q.yaml:2: model.path: "),
        ("model:\n  keras_application: EfficientNetB0\n  weights: w.h5\n", "DIR/q.yaml:3: model.weights: no such file"),
        ("payload:\n  images: '*.jpg'\n", "DIR/q.yaml:2: payload.images: photo a.jpg is not an image"),
        ("payload:\n  images: '*.nope'\n", "DIR/q.yaml:2: payload.images: no file matches"),
        ("servers: {a: {kind: echo, price: {instance: a1.5xlarge}}}\n", "DIR/q.yaml:1: servers.a.price.instance: the price book has no instance 'a1.5xlarge'\n  hint: did you mean 'a1.4xlarge'?"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_said_at_the_key_that_names_it(text: str, complaint: str, tmp_path: Path) -> None:
    for name in ("fake.keras", "a.jpg", "b.jpg"):
        (tmp_path / name).write_text(name)
    path = _write(tmp_path, text if "servers" in text else text + ECHO)
    scenario = load_scenario(path)
    with pytest.raises(ScenarioError) as failure:
        check_files(scenario)
    assert str(failure.value).replace(str(tmp_path), "DIR").startswith(complaint)


def test_paths_are_relative_to_the_scenario(tmp_path: Path) -> None:
    scenario = load_scenario(_write(tmp_path, ECHO + "model: {path: m.keras}\n"))
    assert scenario.model_spec is not None
    assert scenario.model_spec.path == tmp_path / "m.keras"


def test_how_long_a_start_may_take_is_left_to_the_kind_unless_the_scenario_says_it(tmp_path: Path) -> None:
    scenario = load_scenario(_write(tmp_path, "servers: {a: {kind: echo}, b: {kind: echo, start_timeout: 10min}}\n"))
    assert [entry.start_timeout for entry in scenario.servers] == [None, 600.0]


# fail_if


def test_a_condition_may_name_any_metric_and_a_load_point_of_its_server(tmp_path: Path) -> None:
    conditions = ["a.p95 > 500ms", "'b c'[poisson-2].service_time.p99 > 1s", "a[closed-1].goodput < 3/s"]
    text = (
        "servers: {a: {kind: echo}, 'b c': {kind: echo, only: poisson-2}}\n"
        "load:\n  - {profile: closed, users: 1, duration: 1s}\n"
        "  - {profile: poisson, arrival_rate: 2, duration: 1s}\n"
        f"fail_if: {json.dumps(conditions)}\n"
    )
    scenario = load_scenario(_write(tmp_path, text))
    assert [condition.text for condition in scenario.fail_if] == conditions
    assert [condition.label for condition in scenario.fail_if] == ["", "poisson-2", "closed-1"]
    assert scenario.resolved()["fail_if"] == conditions


# what a kind or a profile refuses itself


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("servers:\n  a: {kind: echo}\n  g: {kind: gunicorn, worker_class: gevent, threads: 2}\n", "DIR/q.yaml:3: servers.g: threads mean nothing to worker_class gevent"),
        ("servers:\n  t: {kind: tfserving, flags: {port: 3}}\n", "DIR/q.yaml:2: servers.t: flag port is set by the harness"),
        ("servers:\n  t: {kind: tfserving, batching: {allowed_batch_sizes: [4, 2]}}\n", "DIR/q.yaml:2: servers.t.batching: allowed_batch_sizes must ascend"),
        ("servers:\n  m:\n    kind: ./mine\n", "DIR/q.yaml:3: servers.m.kind: DIR/mine/server.py: its Server cannot be made: Can't instantiate abstract class"),
    ],
)  # fmt: skip
def test_what_a_kind_refuses_is_said_at_its_server(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "server.py").write_text(
        "from dataclasses import dataclass\nfrom bench import server\n\n"
        "@dataclass(frozen=True, kw_only=True)\nclass Server(server.Server):\n    title = 'no command'\n"
    )
    assert _complaint(tmp_path, text).startswith(complaint)


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        *(
            (f"profile: {name}, {keys.replace('RATE', rate)}", "rate")
            for name, keys in {
                "constant": "arrival_rate: RATE, duration: 9s",
                "poisson": "arrival_rate: [1, RATE], duration: 9s",
                "gamma": "arrival_rate: RATE, burstiness: 2, duration: 9s",
                "steps": "arrival_rates: [1, RATE], step: 9s",
                "ramp": "from_rate: 1, to_rate: RATE, duration: 9s",
                "spike": "arrival_rate: 1, peak_rate: RATE, duration: 9s, spike_at: 1s, spike_duration: 1s",
            }.items()
            for rate in ("0", "-1", "0/s", "2000000", "x", "null")
        ),
        ("profile: gamma, arrival_rate: 1, burstiness: 0, duration: 9s", "load.0.burstiness: must be at least 0.01, got 0"),
        ("profile: gamma, arrival_rate: 1, burstiness: 11, duration: 9s", "load.0.burstiness: must be at most 10, got 11"),
        ("profile: gamma, arrival_rate: 1, duration: 9s", "load.0: 'burstiness' is missing"),
        ("profile: steps, arrival_rates: [], step: 9s", "load.0.arrival_rates: must not be empty"),
        ("profile: steps, arrival_rates: 4, step: 9s", "load.0.arrival_rates: must be a list, got 4"),
        ("profile: steps, arrival_rates: [4], step: 9", "load.0.step: a duration needs a unit, got 9"),
        ("profile: steps, arrival_rates: [4], step: 9s, duration: 9s", "load.0.duration: unknown key"),
        ("profile: ramp, from_rate: 1, to_rate: 2, duration: 0s", "load.0.duration: must be greater than 0"),
        ("profile: spike, arrival_rate: 5, peak_rate: 5, duration: 9s, spike_at: 1s, spike_duration: 1s", "load.0: peak_rate must be greater than arrival_rate, got 5 and 5"),
        ("profile: spike, arrival_rate: 5, peak_rate: 9, duration: 9s, spike_at: 8s, spike_duration: 2s", "load.0: the spike ends 10 s after the beginning, the duration is 9 s\n  hint: "),
        ("profile: constant, arrival_rate: 1000000, duration: 1min", "load.0: constant-1e+06 would send 60,000,000 requests\n  hint: at most 10,000,000"),
        ("profile: replay", "load.0: 'file' is missing"),
        ("profile: replay, file: nowhere.txt", "load.0.file: no such file: DIR/nowhere.txt\n  hint: a path is relative"),
        ("profile: replay, file: .", "load.0: DIR cannot be read: Is a directory"),
        ("profile: replay, file: good.txt, time_scale: 0", "load.0.time_scale: must be greater than 0, got 0"),
        ("profile: replay, file: good.txt, duration: 1h", "load.0: the recording ends 3 s after the window's beginning, and duration is 3600 s"),
        ("profile: replay, file: good.txt, start: 1min", "load.0: there is nothing to replay 60 s after the beginning of DIR/good.txt: its last request came after 3 s"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_profile_is_said_with_its_line(keys: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("1\n2\n4\n")
    said = _complaint(tmp_path, f"{ECHO}load:\n  - {{{keys}}}\n")
    assert said.startswith("DIR/q.yaml:3: load.0")
    assert complaint in said


def test_what_is_wrong_with_a_recording_is_said_with_the_line_of_both_files(tmp_path: Path) -> None:
    (tmp_path / "trace.txt").write_text("# seconds\n1\nx\n")
    load = "load:\n  - {profile: closed, users: 1, duration: 1s}\n  - {profile: replay, file: trace.txt}\n"
    said = _complaint(tmp_path, f"{ECHO}{load}trials: 0\n")
    first, *hint, last = said.splitlines()
    assert first == "DIR/trace.txt:3: not a number: 'x'"
    assert "one timestamp in seconds per line" in hint[0]
    assert "load.1 names it, DIR/q.yaml:4" in hint[1]
    assert last == "DIR/q.yaml:5: trials: must be at least 1, got 0"


def test_a_recording_lies_beside_its_scenario_and_is_recorded_with_its_digest(tmp_path: Path) -> None:
    (tmp_path / "traces").mkdir()
    (tmp_path / "traces" / "one.txt").write_text("10\n11\n12\n")
    path = _write(tmp_path, ECHO + "load: [{profile: replay, file: traces/one.txt, time_scale: 2}]\n")
    scenario = load_scenario(path)
    assert [point.label for point in scenario.points] == ["replay-one-x2"]
    recorded = json.loads(json.dumps(scenario.resolved()["load"]))
    digest = hashlib.sha256(b"10\n11\n12\n").hexdigest()
    expected = {"file": "traces/one.txt", "time_scale": 2, "start": 0.0, "duration": 1.5, "digest": digest}
    assert recorded == [{"profile": "replay", **expected}]


def test_a_scenario_remembers_what_was_set_over_its_text(tmp_path: Path) -> None:
    path = _write(tmp_path, ECHO)
    assert load_scenario(path).assignments == ()
    changes = ("trials=2", "servers.a.delay=7ms")
    assert load_scenario(path, set=changes).assignments == changes
    assert "assignments: unknown key" in _complaint(tmp_path, ECHO + "assignments: [x]\n")


def test_scenarios_are_checked_without_numpy(tmp_path: Path) -> None:
    """It alone would double the time that `bench check` takes."""
    _write(tmp_path, ECHO + "fail_if: ['a.p95 > 500ms', 'a.goodput < 5', 'a.send_lag.p99 > 1s']\n")
    paths = [str(path) for path in (tmp_path / "q.yaml", *sorted(SCENARIOS.glob("*.yaml")))]
    program = (
        "import sys; from pathlib import Path; from bench.scenario.scenario import load_scenario, check_files\n"
        f"for path in {paths!r}: check_files(load_scenario(Path(path)))\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"numpy", "pyarrow", "rich", "jinja2", "locust", "bench.measures.metrics"} & set(
        done.stdout.split()
    ) == set()


# names


def test_a_server_may_be_called_anything_that_can_be_shown(tmp_path: Path) -> None:
    text = 'servers: {"<script>alert(1)</script>": {kind: echo}, "[red]x[/red]": {kind: echo}, 1: {kind: echo}, é: {kind: echo}}\n'
    scenario = load_scenario(_write(tmp_path, text))
    slugs = [entry.slug for entry in scenario.servers]
    assert len(set(slugs)) == 4
    assert all("/" not in folder and "<" not in folder for folder in slugs)


@pytest.mark.parametrize("name", ["", " a", "a\n", "\x1b[31m", "a" * (LONGEST_NAME + 1), "a\u202eb", " "])
def test_a_name_that_a_terminal_cannot_show_as_it_is_is_refused(name: str) -> None:
    assert name_problem(name)


@given(st.text(max_size=80), st.text(max_size=80))
def test_two_names_have_two_safe_slugs(one: str, other: str) -> None:
    for name in (one, other):
        assert 0 < len(slug(name)) <= 60
        assert set(slug(name)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        assert slug(name) not in (".", "..")
    assert one == other or slug(one) != slug(other)


def test_a_plain_name_is_its_own_slug() -> None:
    assert slug("flask-reload_2.0") == "flask-reload_2.0"


def test_the_nearest_word_ignores_case_and_dashes() -> None:
    assert nearest("Load-Per-Request", ("load_per_request", "threaded")) == "load_per_request"
    assert nearest("zzz", ("load", "servers")) is None


def test_control_characters_are_shown_and_not_sent_to_the_terminal() -> None:
    assert printable("a\x1b[31mb\r\nc é") == "a\\x1b[31mb\\r\nc é"


@pytest.mark.parametrize(
    ("text", "cores"), [("1", 1), ("0", None), ("0-2", (0, 1, 2)), ("[0, 2]", (0, 2)), ("'3-1'", None), ("true", None)]
)
def test_cores_are_how_many_or_which(tmp_path: Path, text: str, cores: int | tuple[int, ...] | None) -> None:
    path = tmp_path / "q.yaml"
    path.write_text(f"servers: {{a: {{kind: echo}}}}\ncores: {text}\n")
    if cores is not None:
        assert load_scenario(path).cores == cores
        return
    with pytest.raises(ScenarioError) as refused:
        load_scenario(path)
    assert refused.value.where == f"{path}:2"
    assert "how many" in refused.value.hint


def test_cores_that_this_machine_does_not_have_are_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "q.yaml"
    path.write_text("servers: {a: {kind: echo}}\ncores: 4000\n")
    with pytest.raises(ScenarioError, match="4000 cores for the servers, and this machine has") as refused:
        check_files(load_scenario(path))
    assert refused.value.where == f"{path}:2"
    assert "usable here" in refused.value.hint


def test_a_traffic_is_read_with_its_units_and_has_defaults(tmp_path: Path) -> None:
    text = "servers: {a: {kind: echo}}\ntraffic: {rate: 40/s, mean_rate: 600/min, headroom: 25%, spare_replicas: 0}\n"
    traffic = load_scenario(_write(tmp_path, text)).traffic
    assert (traffic.rate, traffic.mean, traffic.headroom, traffic.spare_replicas) == (40.0, 10.0, 0.25, 0)
    plainly = load_scenario(_write(tmp_path, "servers: {a: {kind: echo}}\n"))
    assert plainly.traffic == Traffic()
    assert plainly.resolved()["traffic"]["rate"] is None


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("traffic: {rate: 0}", "traffic.rate: a rate must be greater than 0 requests per second, got 0"),
        ("traffic: {rate: 40, headroom: 100%}", "traffic.headroom: must be less than 1"),
        ("traffic: {rate: 40, headroom: 30}", "traffic.headroom: a percentage needs a unit, got 30"),
        ("traffic: {mean_rate: 40}", "traffic: 'mean_rate' is what is served on average, at most 'rate', the peak"),
        ("traffic: {rate: 4, mean_rate: 40}", "traffic: 'mean_rate' is what is served on average, at most 'rate'"),
        ("traffic: {rate: 4, spare_replicas: 5, most_replicas: 5}", "traffic: 'spare_replicas' leaves none"),
        ("traffic: {rat: 4}", "traffic.rat: unknown key\n  hint: did you mean 'rate'?"),
        ("traffic: 40/s", "traffic: must be a mapping"),
        ("prices: ''", "prices: must not be empty"),
    ],
)
def test_a_traffic_that_makes_no_sense_is_told(tmp_path: Path, line: str, what: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(what)) as failure:
        load_scenario(_write(tmp_path, f"servers: {{a: {{kind: echo}}}}\n{line}\n"))
    assert str(failure.value.where).endswith(":2")


@pytest.mark.parametrize(
    ("price", "what"),
    [
        ("{per_hour: 0}", "per_hour: must be greater than 0, got 0"),
        ("{per_hour: -1}", "per_hour: an amount of dollars cannot be negative"),
        ("{per_hour: 1, as_of: soon}", "as_of: not a date: 'soon'"),
        ("{per_hour: 1, as_of: 2999-01-31}", "as_of: 2999-01-31 is still to come"),
        ("{instance: c5.xlarge, as_of: 2026-11}", "'as_of' dates a 'per_hour'"),
    ],
)
def test_a_price_that_makes_no_sense_is_told(tmp_path: Path, price: str, what: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(what)) as failure:
        load_scenario(_write(tmp_path, f"servers:\n  a: {{kind: echo, price: {price}}}\n"))
    assert str(failure.value.where).endswith(":2")


def test_own_prices_are_looked_up_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("instance,usd_per_hour\nmy-box,0.35\n")
    text = "servers: {a: {kind: echo, price: {instance: my-box}}}\nprices: mine.csv\n"
    check_files(load_scenario(_write(tmp_path, text)))
    (tmp_path / "mine.csv").write_text("instance,usd_per_hour\nmy-bxo,0.35\nother,0\n")
    with pytest.raises(ScenarioError, match=r"mine.csv:3: usd_per_hour must be greater than 0, got 0"):
        check_files(load_scenario(_write(tmp_path, text)))
    (tmp_path / "mine.csv").write_text("instance,usd_per_hour\nmy-bxo,0.35\n")
    with pytest.raises(ScenarioError, match=r"q.yaml:1: .*no instance 'my-box'\n  hint: did you mean 'my-bxo'"):
        check_files(load_scenario(_write(tmp_path, text)))
    (tmp_path / "mine.csv").unlink()
    with pytest.raises(ScenarioError, match="no such file of prices"):
        check_files(load_scenario(_write(tmp_path, text)))
