from __future__ import annotations

from pathlib import Path

import pytest

from bench.compare.surroundings import environment_key, machine_facts
from bench.paired.noise import keep_noise, known_noise, noise_file, workload_digest
from bench.results.pairing import NoiseRecord


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))


def test_what_sessions_found_is_pooled_by_their_pairs() -> None:
    keep_noise("machine", "w", "first", [NoiseRecord("p95", "load", 0.03, 11)])
    keep_noise("machine", "w", "second", [NoiseRecord("p95", "load", 0.04, 11)])
    (found,) = known_noise("machine", "w")
    assert found.pairs == 21
    assert found.sd == pytest.approx((0.5 * (0.03**2 + 0.04**2)) ** 0.5)


def test_noise_belongs_to_its_machine_and_its_workload() -> None:
    keep_noise("machine", "w", "first", [NoiseRecord("p95", "load", 0.03, 11)])
    assert known_noise("machine", "other") == ()
    assert known_noise("other", "w") == ()


def test_the_same_session_counts_once() -> None:
    for sd in (0.03, 0.05):
        keep_noise("machine", "w", "first", [NoiseRecord("p95", "load", sd, 11)])
    assert known_noise("machine", "w")[0].sd == pytest.approx(0.05)


def test_a_damaged_file_is_as_good_as_none() -> None:
    noise_file("machine").parent.mkdir(parents=True)
    for text in ("{", "[1, {}]", '[{"workload": "w", "cells": [{"sd": "x"}]}]'):
        noise_file("machine").write_text(text)
        assert known_noise("machine", "w") == ()


def test_a_reboot_and_a_busy_minute_leave_the_machine_the_same() -> None:
    before = {
        "cpu": {"model": "X", "usable_cores": 2},
        "memory_bytes": 8_100_000_000,
        "load_average": 0.1,
        "kernel": "6.1",
    }
    after = {**before, "memory_bytes": 8_099_000_000, "load_average": 3.0, "kernel": "6.2"}
    assert environment_key(before) == environment_key(after)
    assert environment_key({**before, "cpu": {"model": "Y", "usable_cores": 2}}) != environment_key(before)


def test_facts_that_nobody_knows_are_none() -> None:
    facts = machine_facts({})
    assert (facts["CPU model"], facts["memory"], facts["GPUs"]) == (None, None, [])


def test_a_workload_is_told_by_all_of_its_parts() -> None:
    assert workload_digest({"load": 1}) == workload_digest({"load": 1}) != workload_digest({"load": 2})
