from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.compare.session import LEAST_PAIRS, MODES, NULL_PAIRS, Mode, confirm, instead, mode_of, screen
from bench.errors import UsageError
from bench.results.pairing import Side, Slot, Stage


def firsts(slots: tuple[Slot, ...]) -> list[Side]:
    return [slot.side for slot in slots if slot.position == 1]


@given(mode=st.sampled_from([Mode(name, looks) for name, looks in MODES.items()]), seed=st.integers(0, 2**32))
def test_exactly_half_of_the_pairs_of_every_look_begin_with_the_baseline(mode: Mode, seed: int) -> None:
    for group in screen(mode, seed):
        assert firsts(group).count(Side.BASELINE) == len(group) // 4
    assert [slot.pair for group in screen(mode, seed) for slot in group if slot.position == 1] == list(
        range(1, mode.pairs + 1)
    )


def test_the_order_follows_from_the_seed_alone() -> None:
    mode = mode_of()
    assert screen(mode, 1) == screen(mode, 1)
    assert len({tuple(firsts(screen(mode, seed)[0])) for seed in range(20)}) > 10


def test_each_pair_has_both_sides_one_after_the_other() -> None:
    (group,) = screen(mode_of("release"), 3)
    for one, two in zip(group[::2], group[1::2], strict=True):
        assert (one.pair, one.position, two.position) == (two.pair, 1, 2)
        assert {one.side, two.side} == {Side.BASELINE, Side.CANDIDATE}


def test_the_null_control_is_mixed_among_fresh_pairs_with_numbers_of_their_own() -> None:
    mode = mode_of()
    slots = confirm(mode, 1)
    stages = [slot.stage for slot in slots[::2]]
    assert stages.count(Stage.NULL) == NULL_PAIRS
    assert stages.count(Stage.CONFIRM) == 10
    assert stages != sorted(stages)
    assert min(slot.pair for slot in slots) == 11
    assert len({slot.pair for slot in slots}) == 16


def test_pairs_that_stand_in_for_others_have_numbers_of_their_own() -> None:
    slots = instead(Stage.CONFIRM, 27, 2, 1)
    assert [(slot.pair, slot.position) for slot in slots] == [(27, 1), (27, 2), (28, 1), (28, 2)]
    assert firsts(slots).count(Side.BASELINE) == 1


def test_an_odd_number_of_pairs_is_as_balanced_as_it_can_be() -> None:
    (group,) = screen(mode_of(pairs=7), 1)
    assert firsts(group).count(Side.BASELINE) in (3, 4)


@pytest.mark.parametrize("pairs", [-1, 0, LEAST_PAIRS - 1])
def test_too_few_pairs_are_refused_before_anything_is_measured(pairs: int) -> None:
    with pytest.raises(UsageError, match="cannot tell a change from chance"):
        mode_of(pairs=pairs)


def test_an_unknown_mode_is_told_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="unknown mode 'fast'") as failure:
        mode_of("fast")
    assert "smoke, default, release, sequential" in failure.value.hint
