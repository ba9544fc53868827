from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.measures.usage import (
    NO_REPLIES,
    NOT_RECORDED,
    NOT_WATCHED,
    TOO_SHORT,
    USAGE_METRICS,
    Watched,
    pooled,
)
from bench.samples import Telemetry

AT = np.arange(0.0, 12.5, 0.5)
WINDOW = (2.0, 12.0)


def telemetry(**columns: Any) -> Telemetry:
    return Telemetry(AT, AT * 0.5, np.full(len(AT), 2e9), **columns)


def watched(seen: Telemetry | None = None, **more: Any) -> Watched:
    return Watched(seen or telemetry(), WINDOW, replies=100, good=80, cores=2.0, **more)


def figure(name: str, seen: Watched) -> float | None:
    return pooled(USAGE_METRICS[name], [seen])[0]


def reason(name: str, seen: Watched) -> str:
    value, why = pooled(USAGE_METRICS[name], [seen])
    assert value is None
    return why


def test_counters_are_taken_over_the_window_and_divided_by_its_replies() -> None:
    seen = watched(telemetry(context_switches=AT * 300))
    assert figure("cpu_seconds_per_request", seen) == pytest.approx(0.05)
    assert figure("context_switches_per_request", seen) == pytest.approx(30.0)


def test_a_counter_that_is_read_now_and_then_is_taken_over_the_window_all_the_same() -> None:
    rare = np.where(np.isin(AT, (0.0, 5.0, 12.0)), AT * 300, np.nan)
    assert figure("context_switches_per_request", watched(telemetry(context_switches=rare))) == pytest.approx(30.0)


def test_memory_is_pss_and_rss_only_where_there_is_none() -> None:
    pss = np.where(AT == 5.0, 3e9, np.where(AT == 0.0, 1e9, np.nan))
    seen = watched(telemetry(pss_bytes=pss))
    assert seen.memory == "pss_bytes"
    assert figure("memory_peak_bytes", seen) == 3e9
    assert 2.5e9 < (figure("memory_mean_bytes", seen) or 0) < 3e9  # rises until 5 s, then stays
    assert watched().memory == "rss_bytes"
    assert figure("memory_peak_bytes", watched()) == 2e9


def test_throttled_time_is_a_share_of_what_the_server_may_use() -> None:
    assert figure("throttled_share", watched(telemetry(throttled_seconds=AT * 0.2))) == pytest.approx(0.1)


def test_energy_is_that_of_processors_and_gpus_less_what_they_draw_when_idle() -> None:
    seen = watched(
        telemetry(cpu_energy_joules=AT * 50, gpu_energy_joules=AT * 70), idle={"cpu_watts": 20.0, "gpu_watts": 30.0}
    )
    assert figure("energy_per_request.gross", seen) == pytest.approx(120 * 10 / 80)
    assert figure("energy_per_request.net", seen) == pytest.approx(70 * 10 / 80)


def test_the_power_of_a_gpu_without_a_meter_is_added_up() -> None:
    seen = watched(telemetry(power_watts=np.full(len(AT), 64.0)), idle={"cpu_watts": None, "gpu_watts": 24.0})
    assert figure("energy_per_request.gross", seen) == pytest.approx(8.0)
    assert figure("energy_per_request.net", seen) == pytest.approx(5.0)


def test_without_a_reading_of_the_idle_machine_there_is_no_net_energy() -> None:
    seen = watched(telemetry(cpu_energy_joules=AT * 50))
    assert figure("energy_per_request.gross", seen) == pytest.approx(6.25)
    assert reason("energy_per_request.net", seen) == NOT_RECORDED


def test_the_share_of_the_peak_is_operations_of_good_replies_over_what_the_machine_reaches() -> None:
    seen = watched(image_flops=2e9, peak_flops=64e9)
    assert figure("peak_share", seen) == pytest.approx(2e9 * 8 / 64e9)


@pytest.mark.parametrize("missing", ["image_flops", "peak_flops"])
def test_no_share_is_invented_when_one_side_is_missing(missing: str) -> None:
    sides: dict[str, Any] = {"image_flops": 2e9, "peak_flops": 64e9} | {missing: None}
    assert reason("peak_share", watched(**sides, missing={missing: "no such thing"})) == "no such thing"
    assert reason("peak_share", watched(**sides)) == NOT_RECORDED


def test_a_figure_that_is_missing_has_the_reason_of_its_column() -> None:
    told = {"pss_bytes": "x", "gpu_utilisation": "no GPU", "cpu_energy_joules": "no powercap", "gpu_energy_joules": ""}
    assert reason("gpu_utilisation", watched(missing=told)) == "no GPU"
    assert reason("energy_per_request.gross", watched(missing=told)) == "no powercap"
    assert reason("context_switches_per_request", watched()) == NOT_RECORDED
    assert reason("cpu_seconds_per_request", replace(watched(), telemetry=None)) == NOT_WATCHED
    assert reason("cpu_seconds_per_request", replace(watched(), replies=0)) == NO_REPLIES
    assert reason("cpu_seconds_per_request", replace(watched(), window=(2.0, 20.0))) == TOO_SHORT
    assert reason("generator_cpu_share", watched()) == NOT_RECORDED


def test_every_figure_of_a_server_that_nobody_watched_has_a_reason() -> None:
    for name in USAGE_METRICS:
        assert reason(name, Watched(None, WINDOW, replies=10, good=10))


def test_trials_are_pooled_by_their_requests_or_seconds_and_a_peak_is_the_highest() -> None:
    one = watched(generator_cpu_seconds=1.2)
    other = replace(one, replies=300, telemetry=telemetry(pss_bytes=np.full(len(AT), 5e9)))
    together = {name: pooled(USAGE_METRICS[name], [one, other])[0] for name in USAGE_METRICS}
    assert together["cpu_seconds_per_request"] == pytest.approx(10.0 / 400)
    assert together["memory_peak_bytes"] == 5e9
    assert together["generator_cpu_share"] == pytest.approx(0.1)


def test_a_figure_that_one_trial_lacks_is_missing() -> None:
    one = watched(telemetry(context_switches=AT * 300))
    assert pooled(USAGE_METRICS["context_switches_per_request"], [one, watched()]) == (None, NOT_RECORDED)


def test_every_metric_says_what_it_is() -> None:
    for name, metric in USAGE_METRICS.items():
        assert metric.name == name
        assert metric.title
        assert not metric.title.endswith(".")


def test_a_clock_that_did_not_tick_is_no_cost_of_nothing() -> None:
    still = Telemetry(AT, np.full(len(AT), 3.0), np.full(len(AT), 2e9))
    assert reason("cpu_seconds_per_request", watched(still)) == TOO_SHORT
