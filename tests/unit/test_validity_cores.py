"""What is said of cores follows from the sets that were read back, not from how many the machine has."""

from __future__ import annotations

from dataclasses import replace

from bench.results import CoresSeen
from bench.validity import Evidence, Reason, Verdict, judge
from tests.unit.test_validity import evidence, used, with_trial


def _seen(server: tuple[int, ...], generator: tuple[int, ...], *outside: str, budget: tuple[int, ...] = ()) -> Evidence:
    """A busy server and a busy generator on these cores."""
    busy = replace(evidence(), telemetry=(used(140.0),), options={})
    seen = CoresSeen(budget or server, server, generator, processes=2, outside=outside)
    return with_trial(busy, lambda t: replace(t, generator_cpu_seconds=20.0, host={}, cores=seen))


def _reasons(found: Evidence) -> dict[str, Reason]:
    return {reason.id: reason for reason in judge(found)}


def test_cores_that_are_apart_are_not_shared_however_busy_they_are() -> None:
    assert "cores-shared" not in _reasons(_seen((0, 1, 2), (3,)))
    assert "cores-shared" in _reasons(_seen((0, 1, 2, 3), (3,)))


def test_what_both_kept_busy_is_held_against_the_cores_that_both_had() -> None:
    four = _reasons(_seen((0, 1, 2), (2, 3)))["cores-shared"]
    assert four.numbers["cores"] == 4
    wide = replace(_seen(tuple(range(8)), (7,)), environment={"cpu": {"usable_cores": 64}})
    assert "cores-shared" not in _reasons(wide)


def test_a_process_that_may_use_other_cores_makes_the_row_suspect() -> None:
    escaped = _reasons(_seen((0, 1, 2, 3), (3,), "python (0-3)", budget=(0, 1)))["outside-its-cores"]
    assert escaped.verdict is Verdict.SUSPECT
    assert "its budget of 0-1: python (0-3)" in escaped.what


def test_a_server_that_leaves_cores_of_its_budget_alone_is_noted() -> None:
    noted = _reasons(_seen((0,), (3,), budget=(0, 1)))["outside-its-cores"]
    assert noted.verdict is Verdict.VALID
    assert "keeps to the cores 0" in noted.what


def test_a_server_that_keeps_to_all_of_its_cores_is_left_alone() -> None:
    assert "outside-its-cores" not in _reasons(_seen((0, 1), (3,)))


def test_threads_are_held_against_the_budget_and_what_the_kind_says_goes_before_its_keys() -> None:
    two = replace(_seen((0, 1), (3,)), options={"workers": 2, "tf_threads": 1})
    assert "more-threads-than-cores" not in _reasons(two)
    crowded = _reasons(replace(two, computing={"processes": 2, "threads": 2}))["more-threads-than-cores"]
    assert crowded.numbers == {"processes": 2, "threads": 2, "cores": 2}
