"""What a tune grid tries, and that everything wrong with one is told with its line before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import ScenarioError
from bench.problems import ScenarioProblemsError
from bench.scenario.scenario import Scenario, load_scenario
from bench.scenario.tune import settings_text


def scenario(folder: Path, server: str, *more: str) -> Scenario:
    path = folder / "q.yaml"
    path.write_text("\n".join(["servers:", f"  one: {server}", *more]) + "\n")
    return load_scenario(path)


def tried(loaded: Scenario, name: str = "one") -> list[tuple[str, bool]]:
    return [(settings_text(setting.values), setting.default) for setting in loaded.server(name).tune]


def test_a_grid_is_every_combination_and_the_entrys_own_setting_is_one_of_them(tmp_path: Path) -> None:
    loaded = scenario(tmp_path, "{kind: gunicorn, workers: 1, tune: {workers: [1, 2], threads: [1, 4]}}",
                      "model: {keras_application: EfficientNetB0}")  # fmt: skip
    assert tried(loaded) == [
        ("workers 1, threads 1", True),
        ("workers 1, threads 4", False),
        ("workers 2, threads 1", False),
        ("workers 2, threads 4", False),
    ]


def test_the_entrys_own_setting_is_tried_first_where_the_grid_lacks_it(tmp_path: Path) -> None:
    loaded = scenario(tmp_path, "{kind: echo, delay: 10ms, tune: {delay: [5ms, 5 ms, 20ms]}}")
    assert tried(loaded) == [("delay 10ms", True), ("delay 5ms", False), ("delay 20ms", False)]


def test_dotted_keys_reach_into_a_mapping_and_leave_the_rest_of_it(tmp_path: Path) -> None:
    loaded = scenario(
        tmp_path,
        "{kind: tfserving, batching: {batch_timeout: 7ms}, tune: {batching.max_batch_size: [8, 32]}}",
        "model: {keras_application: EfficientNetB0}",
    )
    batching = [getattr(setting.server, "batching") for setting in loaded.server("one").tune]  # noqa: B009
    assert [(each.max_batch_size, each.batch_timeout) for each in batching[-2:]] == [(8, 0.007), (32, 0.007)]


def test_dotted_keys_make_the_mapping_that_is_not_there(tmp_path: Path) -> None:
    loaded = scenario(tmp_path, "{kind: tfserving, tune: {batching.max_batch_size: [8]}}",
                      "model: {keras_application: EfficientNetB0}")  # fmt: skip
    assert tried(loaded) == [("batching.max_batch_size default", True), ("batching.max_batch_size 8", False)]


def test_a_tuned_server_gets_a_variant_that_conditions_may_name(tmp_path: Path) -> None:
    loaded = scenario(
        tmp_path, "{kind: echo, tune: {parallel: [1, 2]}}", 'fail_if: ["one (tuned).p95 > 1s"]', "tune_time: 6s"
    )
    assert [entry.name for entry in loaded.servers] == ["one", "one (tuned)"]
    assert loaded.server("one (tuned)").tuned_from == "one"
    assert list(loaded.resolved()["servers"]) == ["one"]
    assert loaded.resolved()["servers"]["one"]["tune"] == [{"parallel": 1}, {"parallel": 2}]
    assert loaded.tune_time == 6.0


@pytest.mark.parametrize(
    ("tune", "what", "hint"),
    [
        ("{paralel: [1]}", "servers.one.tune.paralel: unknown key", "did you mean 'parallel'?"),
        ("{parallel: [1, 0]}", "servers.one.tune.parallel.1: must be greater than 0, got 0", ""),
        ("{parallel: [two]}", "servers.one.tune.parallel.0: must be a whole number, got 'two'", ""),
        ("{delay: [5]}", "servers.one.tune.delay.0: a duration needs a unit", "20s"),
        ("{parallel: []}", "servers.one.tune.parallel: must not be empty", "for example tune:"),
        ("{parallel: 4}", "servers.one.tune.parallel: must be a list of values, got 4", "for example tune:"),
        ("{}", "servers.one.tune: must be a mapping of this server's keys", "for example tune:"),
        ("[1]", "servers.one.tune: must be a mapping of this server's keys", "for example tune:"),
        ("{kind: [echo]}", "servers.one.tune.kind: unknown key", "known keys: delay"),
        (
            "{parallel: [1, 2, 3, 4, 5], delay: [1ms, 2ms, 3ms, 4ms, 5ms]}",
            "servers.one.tune: 5 x 5 = 25 settings, and at most 24 are tried",
            "leave values out",
        ),
    ],
)
def test_what_is_wrong_with_a_grid_is_told_with_its_line(tmp_path: Path, tune: str, what: str, hint: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        scenario(tmp_path, f"{{kind: echo, tune: {tune}}}")
    assert what in refused.value.what
    assert hint in refused.value.hint
    assert refused.value.where == f"{tmp_path / 'q.yaml'}:2"


def test_every_refused_value_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScenarioProblemsError) as refused:
        scenario(tmp_path, "{kind: echo, tune: {parallel: [0, 1, -1]}}")
    assert [problem.what.split(":")[0] for problem in refused.value.problems] == [
        "servers.one.tune.parallel.0",
        "servers.one.tune.parallel.2",
    ]


def test_a_combination_that_the_kind_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as refused:
        scenario(
            tmp_path,
            "{kind: gunicorn, tune: {worker_class: [sync, gevent], threads: [1, 2]}}",
            "model: {keras_application: EfficientNetB0}",
        )
    assert "worker_class gevent, threads 2: threads mean nothing" in refused.value.what


def test_too_little_time_is_told_with_the_time_that_it_takes(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as refused:
        scenario(tmp_path, "{kind: echo, tune: {parallel: [1, 2, 3, 4]}}", "tune_time: 10s")
    assert refused.value.what == (
        "servers.one.tune: 10.0 s for 4 settings, its own among them, gives each less than 3.00 s of load"
    )
    assert refused.value.hint.startswith("tune_time: 12s is the minimum here")
    assert len(tried(scenario(tmp_path, "{kind: echo, tune: {parallel: [1, 2, 3, 4]}}", "tune_time: 12s"))) == 4


def test_a_name_that_is_taken_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="there is one already"):
        scenario(tmp_path, "{kind: echo, tune: {parallel: [1, 2]}}", "  one (tuned): {kind: echo}")


def test_keys_of_what_is_copied_can_be_tuned(tmp_path: Path) -> None:
    loaded = scenario(
        tmp_path, "{kind: replicas, of: {kind: echo, delay: 10ms}, tune: {of.parallel: [2, 4], replicas: [3]}}"
    )
    copied = [getattr(setting.server, "of").server for setting in loaded.server("one").tune[-2:]]  # noqa: B009
    assert [(each.parallel, each.delay) for each in copied] == [(2, 0.01), (4, 0.01)]


def test_a_wrong_value_of_what_is_copied_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"of\.parallel"):
        scenario(tmp_path, "{kind: replicas, of: {kind: echo}, tune: {of.parallel: [0, 1]}}")
