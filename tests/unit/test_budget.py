from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import ScenarioError
from bench.scenario import budget
from bench.scenario.budget import (
    Budget,
    Processor,
    budget_text,
    generator_room,
    parse_cores,
    parse_list,
    read_processor,
    split,
)
from bench.units import UnitError, cores_text


def machine(physical: int, threads: int = 1, quota: float | None = None) -> Processor:
    """Numbered as Linux mostly does: the second hyper-threads come after all first ones."""
    return Processor(tuple(tuple(core + physical * n for n in range(threads)) for core in range(physical)), quota)


@pytest.mark.parametrize(
    ("processor", "server", "generator"),
    [
        (machine(1), "0", "0"),
        (machine(2), "0-1", "0-1"),
        (machine(1, 2), "0-1", "0-1"),
        (machine(4), "0-2", "3"),
        (machine(2, 2), "0,2", "1,3"),
        (machine(1, 4), "0-2", "3"),
        (machine(16), "0-14", "15"),
        (machine(8, 2), "0-6,8-14", "7,15"),
        (machine(64), "0-62", "63"),
        (machine(32, 2), "0-30,32-62", "31,63"),
        (Processor(((5,), (9,), (12,), (70,))), "5,9,12", "70"),
    ],
)
def test_four_cores_and_more_are_split_by_whole_physical_cores(
    processor: Processor, server: str, generator: str
) -> None:
    found = split(processor)
    assert (cores_text(found.server), cores_text(found.generator)) == (server, generator)


def test_more_load_workers_keep_more_cores_but_never_the_last_one_of_the_servers() -> None:
    assert cores_text(split(machine(16), workers=5).generator) == "11-15"
    assert cores_text(split(machine(8, 2), workers=3).generator) == "6-7,14-15"
    assert cores_text(split(machine(4), workers=64).server) == "0"
    assert cores_text(split(machine(1, 4), workers=64).server) == "0"


def test_a_quota_counts_as_the_cores_that_it_pays_for() -> None:
    assert split(machine(64, quota=2.0)).server == (0, 1)
    assert split(machine(64, quota=2.0)).count == 2
    assert split(machine(64, quota=7.5)).server == tuple(range(7))
    assert split(machine(64, quota=7.5)).generator == (7,)
    assert split(machine(2, quota=0.5)).count == 1
    assert split(machine(8, quota=2.0), asked=6).count == 2
    assert len(split(machine(8, quota=2.0), asked=6).server) == 6


@pytest.mark.parametrize(
    ("processor", "asked", "server", "generator"),
    [
        (machine(2), 1, "0", "1"),
        (machine(2), 2, "0-1", "0-1"),
        (machine(4, 2), 2, "0,4", "1-3,5-7"),
        (machine(4, 2), 3, "0-1,4", "2-3,6-7"),
        (machine(2, 2), 3, "0-2", "3"),
        (machine(4), (1, 3), "1,3", "0,2"),
        (machine(1, 2), (1,), "1", "0"),
    ],
)
def test_asked_cores_are_given_and_the_generator_keeps_away_from_them(
    processor: Processor, asked: budget.Asked, server: str, generator: str
) -> None:
    found = split(processor, asked)
    assert (cores_text(found.server), cores_text(found.generator)) == (server, generator)


def test_cores_that_are_not_there_are_refused_with_those_that_are() -> None:
    with pytest.raises(ScenarioError, match="9 cores for the servers, and this machine has 4") as many:
        split(machine(4), 9)
    assert "usable here: 0-3 (4 cores)" in many.value.hint
    with pytest.raises(ScenarioError, match="may not use cores 4,7"):
        split(machine(4), (0, 4, 7))


def test_load_from_other_machines_takes_no_core() -> None:
    assert split(machine(4), remote=True) == Budget((0, 1, 2, 3), (), (0, 1, 2, 3))
    assert split(machine(4), 2, remote=True).generator == ()


def test_hyper_threads_of_one_physical_core_are_told_as_such() -> None:
    assert split(machine(1, 2), (0,)).siblings
    assert not split(machine(2, 2)).siblings
    assert "hyper-threads of the same physical core" in budget_text(split(machine(1, 2), (0,)))


def test_the_sentence_says_who_has_what() -> None:
    assert budget_text(split(machine(4))) == (
        "Every server gets cores 0-2 (3 of 4 cores); the load generator has core 3 to itself."
    )
    assert "shares them: each slows the other down" in budget_text(split(machine(2)))
    assert "core 0 (1 of 1 core), and the load generator shares it" in budget_text(split(machine(1)))
    assert "load comes from other machines" in budget_text(split(machine(4), remote=True))
    assert "allows 2.5 cores' worth" in budget_text(split(machine(4, quota=2.5)))
    assert split(machine(4)).as_mapping()["sentence"] == budget_text(split(machine(4)))


def test_the_room_for_load_workers_is_what_the_servers_leave() -> None:
    assert generator_room(machine(16), None) == 15
    assert generator_room(machine(16), 12) == 4
    assert generator_room(machine(2), 2) == 1
    assert generator_room(machine(1), None) == 1


@pytest.mark.parametrize(
    ("value", "cores"),
    [(4, 4), ("0-3", (0, 1, 2, 3)), ("2,0", (0, 2)), ([0, "2-3"], (0, 2, 3)), ("7", (7,)), (None, None)],
)
def test_cores_are_a_number_or_a_list(value: object, cores: budget.Asked) -> None:
    assert parse_cores(value) == cores


@pytest.mark.parametrize("value", [0, -1, True, [], "", "a", "3-1", "1.5", 1.5, [[1]], "0--3", "99999"])
def test_anything_else_is_no_cores(value: object) -> None:
    with pytest.raises(UnitError):
        parse_cores(value)


def test_the_kernels_lists_are_read_and_written() -> None:
    assert parse_list("0-2,8\n") == (0, 1, 2, 8)
    assert cores_text((8, 1, 0, 2)) == "0-2,8"


def test_this_machine_is_what_the_affinity_says(tmp_path: Path) -> None:
    assert set(read_processor().usable) == os.sched_getaffinity(0)
    assert read_processor(tmp_path).groups == tuple((core,) for core in sorted(os.sched_getaffinity(0)))


def test_hyper_threads_are_read_from_the_kernel(tmp_path: Path) -> None:
    usable = sorted(os.sched_getaffinity(0))
    for core in usable:
        (tmp_path / f"cpu{core}" / "topology").mkdir(parents=True)
        (tmp_path / f"cpu{core}" / "topology" / "thread_siblings_list").write_text(f"0-{max(usable)},4000\n")
    assert read_processor(tmp_path).groups == (tuple(usable),)


def test_every_thread_variable_follows_the_budget_and_only_those_are_recorded() -> None:
    told = budget.thread_environment(3)
    assert set(told.values()) == {"3"}
    assert {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"} <= set(told)
    assert budget.threads_told({"OMP_NUM_THREADS": "2", "TOKEN": "secret"}) == {"OMP_NUM_THREADS": "2"}


@given(
    physical=st.integers(1, 64),
    threads=st.integers(1, 4),
    workers=st.integers(1, 300),
    quota=st.none() | st.floats(0.1, 300.0),
)
def test_whatever_the_machine_both_have_cores_and_share_them_only_below_four(
    physical: int, threads: int, workers: int, quota: float | None
) -> None:
    processor = machine(physical, threads, quota)
    found = split(processor, workers=workers)
    assert found.server
    assert found.generator
    assert set(found.server) | set(found.generator) <= set(processor.usable)
    assert bool(found.shared) == (processor.worth < budget.FEWEST_TO_SPLIT)
    if not found.shared and physical > 1 and len({g for g in processor.groups if set(g) & set(found.server)}) > 1:
        assert not found.siblings


def test_more_cores_than_any_machine_has_are_told_as_too_many() -> None:
    with pytest.raises(UnitError, match="must be at most 4,096, got 99999"):
        parse_cores(99999)
