"""Who is tried for how long, and which setting is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.results import Outcome
from bench.scenario.plan import Plan, make_plan
from bench.scenario.scenario import Scenario, load_scenario
from bench.scenario.tune import tuning_records
from bench.summary.tuning import By, Tried, best, deciding
from bench.validity import Verdict

TWO = """
servers:
  plain: {kind: echo}
  few: {kind: echo, tune: {parallel: [1, 2]}}
  many: {kind: echo, delay: 1ms, tune: {parallel: [1, 2, 4, 8], delay: [2ms]}}
load: [{profile: closed, users: 1, duration: 10s}]
tune_time: 40s
tune_users: 5
"""


def scenario(folder: Path, *changes: str) -> Scenario:
    path = folder / "q.yaml"
    path.write_text(TWO)
    return load_scenario(path, set=changes)


def plan(loaded: Scenario, *servers: str) -> Plan:
    return make_plan(loaded, servers=servers, missing=lambda _: None)


def test_every_tuned_server_gets_the_same_time_divided_over_what_is_tried_of_it(tmp_path: Path) -> None:
    planned = plan(scenario(tmp_path))
    seconds: dict[str, list[float]] = {}
    for launch in planned.tries:
        (trial,) = launch.trials
        seconds.setdefault(trial.server, []).append(trial.seconds)
        assert (trial.warmup_most, trial.point.users) == (0.0, 5)  # type: ignore[attr-defined]  # it is a closed loop
    assert {name: len(each) for name, each in seconds.items()} == {"few": 2, "many": 5}
    assert [sum(each) for each in seconds.values()] == pytest.approx([40.0, 40.0])


def test_the_settings_of_all_servers_are_mixed_in_a_seeded_order_and_come_first(tmp_path: Path) -> None:
    loaded = scenario(tmp_path)
    planned = plan(loaded)
    order = [(launch.server, launch.trials[0].tune_point) for launch in planned.tries]
    assert order == [(it.server, it.trials[0].tune_point) for it in plan(loaded).tries]
    assert order != sorted(order)
    numbers = [trial.number for launch in (*planned.tries, *planned.launches) for trial in launch.trials]
    assert numbers == list(range(1, 13))


def test_the_tuned_variants_get_all_load_points_like_any_server(tmp_path: Path) -> None:
    assert {launch.server for launch in plan(scenario(tmp_path)).launches} == {
        "plain",
        "few",
        "few (tuned)",
        "many",
        "many (tuned)",
    }


@pytest.mark.parametrize("name", ["few", "few (tuned)"])
def test_a_server_and_its_tuned_variant_are_measured_together(tmp_path: Path, name: str) -> None:
    planned = plan(scenario(tmp_path), name)
    assert {launch.server for launch in planned.launches} == {"few", "few (tuned)"}
    assert {launch.server for launch in planned.tries} == {"few"}


def test_tuning_is_part_of_the_estimate(tmp_path: Path) -> None:
    planned = plan(scenario(tmp_path))
    assert planned.load_seconds == pytest.approx(2 * 40 + 5 * 15)
    assert planned.estimated_seconds > planned.load_seconds + 7 * 1.5


def test_a_scenario_without_tune_tries_nothing(tmp_path: Path) -> None:
    assert plan(scenario(tmp_path), "plain").tries == ()


def test_the_record_has_every_setting_with_the_keys_that_it_really_had(tmp_path: Path) -> None:
    loaded = scenario(tmp_path)
    planned = plan(loaded)
    (few, many) = tuning_records(loaded, [loaded.server("few"), loaded.server("many")], planned.tries)
    assert (few.tuned, few.seconds, few.users) == ("few (tuned)", 20.0, 5)
    assert [(each.settings, each.default) for each in few.tried] == [({"parallel": 1}, True), ({"parallel": 2}, False)]
    assert [each.options["delay"] for each in many.tried] == [0.001, 0.002, 0.002, 0.002, 0.002]
    ids = {launch.trials[0].id for launch in planned.tries}
    assert {each.trial_id for record in (few, many) for each in record.tried} == ids


def setting(number: int, goodput: float | None, p50: float = 0.1, **changes: Any) -> Tried:
    values: dict[str, Any] = {
        "number": number,
        "settings": {"workers": number},
        "default": number == 1,
        "outcome": Outcome.OK,
        "reason": "",
        "n": 200,
        "goodput": goodput,
        "throughput": 10.0,
        "p50": p50,
        "p95": 2 * p50,
        "verdict": Verdict.VALID,
        "reasons": (),
        "trial_id": f"00{number}",
    }
    return Tried(**{**values, **changes})


def number_of(tried: list[Tried], by: By) -> int | None:
    found = best(tried, by)
    return None if found is None else found.number


def test_the_highest_goodput_is_chosen() -> None:
    tried = [setting(1, 50.0), setting(2, 100.0), setting(3, 80.0)]
    assert deciding(tried, slo=True) == "goodput"
    assert number_of(tried, "goodput") == 2


def test_the_servers_own_setting_stays_unless_another_is_clearly_better() -> None:
    assert number_of([setting(1, 99.0), setting(2, 100.0)], "goodput") == 1
    assert number_of([setting(1, 95.0), setting(2, 100.0)], "goodput") == 2
    assert number_of([setting(1, None, 0.100), setting(2, None, 0.099)], "p95") == 1
    assert number_of([setting(1, None, 0.100), setting(2, None, 0.090)], "p95") == 2


def test_a_setting_that_failed_or_answered_wrongly_never_wins() -> None:
    failed = setting(2, None, outcome=Outcome.FAILED)
    wrong = setting(3, 500.0, verdict=Verdict.INVALID)
    assert number_of([setting(1, 50.0), failed, wrong], "goodput") == 1
    assert number_of([failed, wrong], "goodput") is None


def test_where_no_setting_serves_within_the_slo_or_there_is_none_response_times_decide() -> None:
    tried = [setting(1, 0.0, 0.9), setting(2, 0.0, 0.5)]
    assert deciding(tried, slo=True) == "p95"
    assert deciding([setting(1, 10.0)], slo=False) == "p95"
    assert deciding([*tried, setting(3, 0.0, p95=None)], slo=True) == "p50"
    assert number_of(tried, "p50") == 2
