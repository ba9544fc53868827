from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from bench.errors import ServerFolderError, UsageError
from bench.profiles import has_schedule
from bench.scenario.plan import Plan, make_plan, missing_here, schedule_seed
from bench.scenario.scenario import Scenario, load_scenario
from bench.scenario.servers import ServerEntry
from bench.server import Missing

THREE = """
servers: {a: {kind: echo}, b: {kind: echo}, "c/<d>": {kind: echo, only: closed-1}}
load:
  - {profile: closed, users: [1, 8], duration: 10s}
  - {profile: poisson, arrival_rate: 5, duration: 20s}
  - {profile: capacity, duration: 20s}
warmup: {duration: 2s}
"""


def _scenario(tmp_path: Path, *changes: str) -> Scenario:
    path = tmp_path / "q.yaml"
    path.write_text(THREE)
    return load_scenario(path, set=changes)


def _nothing_missing(entry: ServerEntry) -> None:
    return None


def _plan(scenario: Scenario, *servers: str) -> Plan:
    return make_plan(scenario, servers=servers, missing=_nothing_missing)


def test_every_server_gets_the_load_points_in_the_order_of_the_file(tmp_path: Path) -> None:
    plan = _plan(_scenario(tmp_path))
    points = {launch.server: [trial.point.label for trial in launch.trials] for launch in plan.launches}
    assert points == {
        "a": ["closed-1", "closed-8", "poisson-5", "capacity"],
        "b": ["closed-1", "closed-8", "poisson-5", "capacity"],
        "c/<d>": ["closed-1"],
    }


MODELS = """
model: {path: m.keras}
payload: {generate: {examples: 4}}
load: [{profile: closed, users: 1, duration: 3s}]
servers:
  tutorial: {kind: flask}
  graph:    {kind: fastapi}
  onnx:     {kind: fastapi, engine: onnxruntime}
  int8:     {kind: fastapi, engine: openvino, precision: int8}
  litert:   {kind: fastapi, engine: litert}
accuracy: {top1_agreement: 99%}
"""


@pytest.mark.parametrize(
    ("model", "payload", "skipped"),
    [
        ("m.keras", "generate", {"onnx": "photos only", "int8": "photos only", "litert": "engine litert takes photos"}),
        ("m.keras", "images", {}),
        ("exported", "images", {"tutorial": "given as a SavedModel"}),
        ("m.onnx", "images", {"tutorial": "as an ONNX file", "graph": "as an ONNX file", "litert": "as an ONNX file"}),
        (
            "m.onnx",
            "generate",
            {"tutorial": "as an ONNX file", "graph": "as an ONNX file", "int8": "served as it is", "litert": "litert"},
        ),
    ],
)
def test_a_form_that_the_model_cannot_be_had_in_is_told_before_anything_is_built(
    tmp_path: Path, model: str, payload: str, skipped: dict[str, str]
) -> None:
    (tmp_path / "exported").mkdir()
    path = tmp_path / "q.yaml"
    text = MODELS.replace("m.keras", model)
    path.write_text(text if payload == "generate" else text.replace("generate: {examples: 4}", "images: sample"))
    plan = _plan(load_scenario(path))
    assert {skip.server for skip in plan.skips} == set(skipped)
    for skip in plan.skips:
        assert skipped[skip.server] in skip.reason
        assert skip.fix


def test_trials_are_numbered_in_the_order_in_which_they_run(tmp_path: Path) -> None:
    plan = _plan(_scenario(tmp_path, "trials=2"))
    assert [trial.number for launch in plan.launches for trial in launch.trials] == list(range(1, 19))


def test_servers_are_interleaved_over_the_repetitions(tmp_path: Path) -> None:
    plan = _plan(_scenario(tmp_path, "trials=4"))
    repetitions = [launch.repetition for launch in plan.launches]
    assert repetitions == sorted(repetitions)
    for repetition in (1, 2, 3, 4):
        assert {it.server for it in plan.launches if it.repetition == repetition} == {"a", "b", "c/<d>"}
    orders = {tuple(it.server for it in plan.launches if it.repetition == n) for n in (1, 2, 3, 4)}
    assert len(orders) > 1


def test_the_same_scenario_gives_the_same_plan_and_another_seed_another(tmp_path: Path) -> None:
    assert _plan(_scenario(tmp_path, "trials=3")) == _plan(_scenario(tmp_path, "trials=3"))
    assert _plan(_scenario(tmp_path, "trials=3")) != _plan(_scenario(tmp_path, "trials=3", "seed=2"))


def test_every_server_gets_the_byte_identical_schedule(tmp_path: Path) -> None:
    plan = _plan(_scenario(tmp_path))
    schedules = [
        tuple(trial.point.send_times(trial.warmup, Random(trial.seed)))
        for launch in plan.launches
        for trial in launch.trials
        if has_schedule(trial.point)
    ]
    assert len(schedules) == 2
    assert schedules[0] == schedules[1]


def test_a_schedule_depends_on_seed_load_point_and_repetition() -> None:
    seeds = {schedule_seed(*key) for key in ((1, "p", 1), (2, "p", 1), (1, "q", 1), (1, "p", 2))}
    assert len(seeds) == 4
    assert schedule_seed(1, "poisson-5", 1) == schedule_seed(1, "poisson-5", 1) < 2**32


def test_a_server_that_cannot_run_is_left_out_with_its_reason(tmp_path: Path) -> None:
    def missing(entry: ServerEntry) -> Missing | None:
        return Missing("no engine", "start it") if entry.name == "b" else None

    plan = make_plan(_scenario(tmp_path), missing=missing)
    assert {launch.server for launch in plan.launches} == {"a", "c/<d>"}
    whole = [skip for skip in plan.skips if skip.trial is None]
    assert [(skip.server, skip.reason, skip.fix) for skip in whole] == [("b", "no engine", "start it")]


def test_a_load_point_that_is_not_measured_is_left_out_with_its_reason_once(tmp_path: Path) -> None:
    plan = _plan(_scenario(tmp_path, "trials=3"))
    left_out = [(skip.server, skip.trial.point.label) for skip in plan.skips if skip.trial is not None]
    assert left_out == [
        ("c/<d>", "closed-8"),
        ("c/<d>", "poisson-5"),
        ("c/<d>", "capacity"),
    ]
    assert all(skip.reason for skip in plan.skips)
    ids = [skip.trial.id for skip in plan.skips if skip.trial] + [t.id for it in plan.launches for t in it.trials]
    assert len(set(ids)) == len(ids)


def test_a_server_that_cannot_run_is_not_started(tmp_path: Path) -> None:
    def missing(entry: ServerEntry) -> Missing | None:
        return Missing("no engine", "start it") if entry.name == "a" else None

    plan = make_plan(_scenario(tmp_path), missing=missing)
    assert "a" not in {launch.server for launch in plan.launches}


def test_servers_asked_for_by_name_are_the_only_ones(tmp_path: Path) -> None:
    plan = _plan(_scenario(tmp_path), "b")
    assert {launch.server for launch in plan.launches} == {"b"}
    with pytest.raises(UsageError, match="no server 'bb'"):
        _plan(_scenario(tmp_path), "bb")


def test_the_estimate_is_the_load_and_something_for_every_start(tmp_path: Path) -> None:
    plan = _plan(_scenario(tmp_path))
    assert plan.load_seconds == 2 * (12 + 12 + 22 + 12 * 22) + 12
    assert plan.load_seconds < plan.estimated_seconds < plan.load_seconds + 60


def test_a_search_says_beforehand_how_long_it_can_take(tmp_path: Path) -> None:
    usual, short = _plan(_scenario(tmp_path)), _plan(_scenario(tmp_path, "load.2.most_looks=3"))
    assert usual.load_seconds - short.load_seconds == pytest.approx(2 * 9 * 22)
    assert usual.most_seconds > usual.estimated_seconds + 2 * 12 * 5 * 20 - 1
    no_search = _plan(
        _scenario(tmp_path, "servers={a: {kind: echo, only: closed-1}}", "warmup={duration: 2s, at_most: 2s}")
    )
    assert no_search.most_seconds == no_search.estimated_seconds


def test_the_folder_of_a_trial_is_safe_whatever_its_server_is_called(tmp_path: Path) -> None:
    plan = _plan(_scenario(tmp_path))
    ids = [trial.id for launch in plan.launches for trial in launch.trials]
    assert all("/" not in name and "<" not in name for name in ids)
    assert any(name.endswith("-a-closed-8") for name in ids)


def test_a_kind_whose_check_fails_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "server.py").write_text(
        "from dataclasses import dataclass\nfrom bench import server\n\n"
        "@dataclass(frozen=True, kw_only=True)\nclass Server(server.Server):\n    title = 'mine'\n"
        "    def missing(self): raise KeyError('oh')\n"
        "    def command(self, place): ...\n    def wire(self, place): ...\n"
    )
    entry = _scenario(tmp_path, "servers.a={kind: ./mine}").server("a")
    with pytest.raises(ServerFolderError, match="its check for what is missing failed") as failure:
        missing_here(entry)
    assert failure.value.where.endswith("mine/server.py")


SWAPPING = """
model: {keras_application: EfficientNetB0}
servers: {a: {kind: tfserving}, b: {kind: flask}}
load:
  - {profile: swap, arrival_rate: [2, 4], duration: 20s}
  - {profile: closed, users: 1, duration: 10s}
"""


def test_each_exchange_of_a_model_gets_a_start_of_its_own_after_the_other_load_points(tmp_path: Path) -> None:
    (tmp_path / "q.yaml").write_text(SWAPPING)
    plan = _plan(load_scenario(tmp_path / "q.yaml"))
    of_a = [[trial.point.label for trial in launch.trials] for launch in plan.launches if launch.server == "a"]
    assert of_a == [["closed-1"], ["swap-2"], ["swap-4"]]
    numbers = [trial.number for launch in plan.launches for trial in launch.trials]
    assert numbers == sorted(numbers)


def test_a_kind_that_cannot_exchange_its_model_is_left_out_of_it_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "q.yaml").write_text(SWAPPING)
    plan = _plan(load_scenario(tmp_path / "q.yaml"))
    assert [(skip.server, skip.trial.point.label if skip.trial else "") for skip in plan.skips] == [
        ("b", "swap-2"),
        ("b", "swap-4"),
    ]
    assert "no way to exchange its model" in plan.skips[0].reason
    assert not [launch for launch in plan.launches if launch.server == "b" and len(launch.trials) != 1]
