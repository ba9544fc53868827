"""What was measured and what it is priced as: every way in which they differ is said."""

from __future__ import annotations

from typing import Any

import pytest

from bench.cost.basis import age, machine_of, machine_text, mismatches, priced_text
from bench.cost.prices import resolve_price
from bench.validity import Verdict

CPU: dict[str, Any] = {"model": "Example CPU", "logical_cores": 8, "physical_cores": 4, "usable_cores": 8}
HERE: dict[str, Any] = {"cpu": CPU, "architecture": "x86_64", "gpus": []}
ON_GPU: dict[str, Any] = {**HERE, "gpus": [{"name": "Tesla T4", "memory": "15360 MiB"}]}


def _ids(environment: dict[str, Any], instance: str, **options: Any) -> list[tuple[str, Verdict]]:
    found = mismatches(machine_of(environment), resolve_price({"instance": instance}), options)
    return [(reason.id, reason.verdict) for reason in found]


def test_an_instance_like_the_machine_raises_no_doubt() -> None:
    assert _ids(HERE, "c7i.2xlarge") == []  # 8 vCPU, 2 to a core
    assert _ids(ON_GPU, "g4dn.2xlarge") == []


def test_four_vcpus_are_two_cores_of_one_family_and_four_of_another() -> None:
    two = {**HERE, "cpu": {**CPU, "logical_cores": 4, "physical_cores": 2, "usable_cores": 4}}
    assert _ids(two, "c7i.xlarge") == []
    assert _ids(two, "c7a.xlarge") == [("priced-other-cores", Verdict.SUSPECT)]
    (reason,) = mismatches(machine_of(two), resolve_price({"instance": "c7a.xlarge"}), {})
    assert reason.what == "measured on 2 physical cores, priced as c7a.xlarge with 4"


def test_a_count_of_instances_is_counted_in() -> None:
    found = mismatches(machine_of(HERE), resolve_price({"instance": "a1.4xlarge", "count": 2}), {})
    assert [reason.what for reason in found] == [
        "measured on x86_64, priced as a1.4xlarge, which is arm64",
        "measured on 4 physical cores, priced as 2 x a1.4xlarge with 32",
    ]


def test_a_gpu_instance_is_not_priced_from_a_machine_without_one() -> None:
    first, *_ = mismatches(machine_of(HERE), resolve_price({"instance": "g4dn.2xlarge"}), {})
    assert (first.id, first.verdict) == ("priced-gpu-unmeasured", Verdict.INVALID)
    assert first.what == "priced as g4dn.2xlarge with NVIDIA T4, measured on a machine without a GPU"
    assert _ids(ON_GPU, "g4dn.2xlarge", device="cpu") == [("priced-gpu-unmeasured", Verdict.INVALID)]


def test_another_gpu_or_none_is_said() -> None:
    assert _ids(ON_GPU, "g5.2xlarge") == [("priced-other-gpu", Verdict.SUSPECT)]
    assert _ids(ON_GPU, "c7i.2xlarge", device="gpu") == [("priced-without-gpu", Verdict.INVALID)]
    assert _ids(ON_GPU, "c7i.2xlarge") == [("priced-without-gpu", Verdict.SUSPECT)]
    assert _ids(ON_GPU, "c7i.2xlarge", device="cpu") == []


def test_cores_are_what_the_server_could_use() -> None:
    assert machine_of(HERE).cores == 4
    assert machine_of(HERE, usable=2).cores == 1
    assert machine_of({**HERE, "cpu": {**CPU, "quota_cores": 4.0}}).cores == 2
    assert machine_of({"cpu": {"logical_cores": 4}, "architecture": "aarch64"}).cores == 4
    assert machine_of({"cpu": "Example CPU @ 2.60 GHz", "cores": 2}).cores is None
    assert machine_of({}).gpus == ()


def test_both_sides_are_said_in_words() -> None:
    assert machine_text(machine_of(HERE)) == "Example CPU, 4 physical cores, x86_64, no GPU"
    assert machine_text(machine_of(ON_GPU)).endswith("Tesla T4")
    two = resolve_price({"instance": "a1.4xlarge", "count": 2})
    assert priced_text(two) == "2 x a1.4xlarge: 32 physical cores (32 vCPU), 64 GiB, arm64"
    assert priced_text(resolve_price({"instance": "g4dn.xlarge"})).endswith("x86_64, 1 x NVIDIA T4")
    assert priced_text(resolve_price({"per_hour": 0.5})) == "$0.5/h, of a machine that the scenario does not name"
    assert mismatches(machine_of(HERE), resolve_price({"per_hour": 0.5}), {}) == ()


@pytest.mark.parametrize(
    ("as_of", "started", "old"),
    [
        ("2026-07-20", "2026-11-23T03:45:00Z", False),
        ("2025-11-23", "2026-11-23T03:45:00Z", False),
        ("2025-11-22", "2026-11-23T03:45:00Z", True),
        ("2025-10", "2026-11-23T03:45:00Z", True),
        ("2025-11", "2026-11-23T03:45:00Z", False),
        ("2024-04", "2026-11-23T03:45:00Z", True),
        ("", "2026-11-23T03:45:00Z", False),
        ("2026", "2026-11-23T03:45:00Z", False),
        ("2024-04", "", False),
    ],
)
def test_a_price_of_more_than_a_year_before_the_run_is_flagged(as_of: str, started: str, old: bool) -> None:
    found = age({"instance": "x", "as_of": as_of}, started)
    assert [reason.id for reason in found] == (["price-old"] if old else [])
