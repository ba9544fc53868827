"""The cheapest server for a traffic, and the exact place at which each assumption would turn the choice."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cost.choice import Contender, Flip, cheapest, cost, flips, replicas_in_all, stretches
from bench.cost.traffic import Traffic

SMALL = Contender("small", capacity=10.0, per_hour=1.0, high=14.0)
LARGE = Contender("large", capacity=100.0, per_hour=3.0, high=130.0)
NOTHING_SPARE = Traffic(rate=15.0, headroom=0.0, spare_replicas=0)
CONTENDERS = st.lists(
    st.builds(
        Contender,
        name=st.sampled_from(["a", "b", "c"]),
        capacity=st.floats(0.5, 300),
        per_hour=st.floats(0.05, 10),
    ),
    min_size=2,
    max_size=3,
)
TRAFFIC = st.builds(
    Traffic, rate=st.floats(0.1, 800), headroom=st.sampled_from([0.0, 0.3, 0.5]), spare_replicas=st.integers(0, 2)
)


def _flip(found: tuple[Flip, ...], assumption: str, *, below: bool | None = None) -> Flip:
    return next(
        flip
        for flip in found
        if flip.assumption == assumption and (below is None or (flip.needed < (flip.now or 0)) is below)
    )


def _beaten(contenders: list[Contender], chosen: int, traffic: Traffic) -> bool:
    best = min(cost(contender, traffic) for contender in contenders)
    return best < cost(contenders[chosen], traffic) * (1 - 1e-9)


def test_the_cheapest_is_chosen_for_the_traffic_and_of_equals_the_one_with_more_to_spare() -> None:
    assert cheapest([SMALL, LARGE], NOTHING_SPARE) == 0
    assert cheapest([SMALL, LARGE], replace(NOTHING_SPARE, rate=25.0)) == 1  # 3 small ones cost what a large one does
    assert cheapest([SMALL, LARGE], replace(NOTHING_SPARE, rate=31.0)) == 1


def test_without_a_traffic_the_cheapest_request_of_a_full_replica_is_chosen() -> None:
    assert cheapest([SMALL, LARGE], Traffic()) == 1
    assert cost(LARGE, Traffic(headroom=0.25)) == pytest.approx(3.0 / 75)


def test_replicas_hold_the_headroom_and_the_spares() -> None:
    assert replicas_in_all(10.0, Traffic(rate=40.0, headroom=0.3, spare_replicas=1)) == 7  # 40 / 7 is 5.7
    assert replicas_in_all(10.0, Traffic(rate=40.0, headroom=0.0, spare_replicas=0)) == 4
    assert replicas_in_all(None, Traffic(rate=40.0)) is None
    assert replicas_in_all(10.0, Traffic()) is None


def test_more_replicas_than_may_be_run_are_none_at_all() -> None:
    traffic = Traffic(rate=1000.0, headroom=0.0, spare_replicas=1, most_replicas=100)
    assert replicas_in_all(10.0, traffic) is None
    assert replicas_in_all(10.2, traffic) == 100
    assert math.isinf(cost(SMALL, traffic))
    assert cheapest([SMALL], traffic) is None
    assert replicas_in_all(1e-300, replace(traffic, rate=1e300)) is None


def test_what_would_turn_the_choice_is_said_with_the_place() -> None:
    found = flips([SMALL, LARGE], NOTHING_SPARE)
    assert _flip(found, "price").text == (
        "at $2.00/h or less, 33.3 % below its $3.00/h, or if small got more than 50 % dearer"
    )
    assert _flip(found, "traffic").text == "with traffic above 30/s (now 15/s)"
    assert _flip(found, "headroom").text == "with a headroom above 50 % (now 0 %)"
    assert not [flip for flip in found if flip.assumption == "spare_replicas"]
    spare = _flip(flips([SMALL, LARGE], replace(NOTHING_SPARE, rate=35.0)), "spare_replicas")
    assert (spare.to, spare.text) == ("small", "with 1 spare replica (now 0)")  # 5 small ones, or 2 large ones
    low = _flip(found, "capacity", below=True)
    assert low.needed == pytest.approx(5.0)  # below, more than 3 small ones are needed
    assert low.to == "large"


def test_a_capacity_within_its_interval_that_would_turn_the_choice_is_marked() -> None:
    rival = Contender("rival", capacity=7.0, per_hour=0.9, high=8.0)
    found = flips([SMALL, rival], replace(NOTHING_SPARE, rate=8.0))
    more = _flip(found, "capacity", below=False)
    assert (more.to, more.needed, more.likely) == ("rival", 8.0, True)
    assert not _flip(flips([SMALL, replace(rival, high=7.9)], replace(NOTHING_SPARE, rate=8.0)), "capacity").likely


def test_spot_prices_turn_the_choice_only_where_they_are_known_of_all() -> None:
    small, large = (
        replace(one, other_prices={"spot": price}) for one, price in ((SMALL, 0.9), (LARGE, 0.3))
    )  # fmt: skip
    assert _flip(flips([small, large], NOTHING_SPARE), "price_spot").to == "large"
    assert not [f for f in flips([SMALL, large], NOTHING_SPARE) if f.assumption.startswith("price_")]


def test_one_server_alone_is_not_turned() -> None:
    assert flips([SMALL], NOTHING_SPARE) == ()
    assert flips([], NOTHING_SPARE) == ()


@settings(max_examples=60)
@given(contenders=CONTENDERS, traffic=TRAFFIC)
def test_just_short_of_a_flip_the_choice_stands_and_just_beyond_it_does_not(
    contenders: list[Contender], traffic: Traffic
) -> None:
    chosen = cheapest(contenders, traffic)
    if chosen is None:
        return
    for flip in flips(contenders, traffic):
        step = 1e-6
        if flip.assumption == "traffic":
            beyond = replace(traffic, rate=flip.needed * (1 + step if flip.needed >= (traffic.rate or 0) else 1 - step))
            assert _beaten(contenders, chosen, beyond)
        elif flip.assumption == "headroom":
            up = "above" in flip.text
            moved = flip.needed + (step if up else -step) * (1 - flip.needed)
            if moved >= 0:
                assert _beaten(contenders, chosen, replace(traffic, headroom=moved))
        elif flip.assumption == "price":
            dearer = [
                replace(c, per_hour=flip.needed * (1 + step)) if i == chosen else c for i, c in enumerate(contenders)
            ]
            assert _beaten(dearer, chosen, traffic)
            cheaper = [
                replace(c, per_hour=flip.needed * (1 - step)) if i == chosen else c for i, c in enumerate(contenders)
            ]
            assert not _beaten(cheaper, chosen, traffic) or flip.needed == flip.now
        elif flip.assumption == "spare_replicas":
            assert _beaten(contenders, chosen, replace(traffic, spare_replicas=int(flip.needed)))


@settings(max_examples=60)
@given(contenders=CONTENDERS, traffic=TRAFFIC)
def test_a_capacity_moved_beyond_its_flip_turns_the_choice_and_short_of_it_does_not(
    contenders: list[Contender], traffic: Traffic
) -> None:
    contenders = [replace(c, name=str(i)) for i, c in enumerate(contenders)]
    chosen = cheapest(contenders, traffic)
    if chosen is None:
        return
    for flip in flips(contenders, traffic):
        if flip.assumption != "capacity":
            continue
        less = flip.needed < (flip.now or 0)
        place = chosen if less else int(flip.to)

        def moved(factor: float, place: int = place, needed: float = flip.needed) -> list[Contender]:
            return [replace(c, capacity=needed * factor) if i == place else c for i, c in enumerate(contenders)]

        assert _beaten(moved(1 - 1e-6 if less else 1 + 1e-6), chosen, traffic)
        assert not _beaten(moved(1 + 1e-6 if less else 1 - 1e-6), chosen, traffic)


def test_stretches_are_those_of_what_a_replica_is_given() -> None:
    found = stretches([SMALL, LARGE], Traffic(headroom=0.5, spare_replicas=0))
    assert [each.up_to for each in found] == [10.0, 15.0, None]


def test_the_articles_two_instances_are_told_apart_by_the_arithmetic() -> None:
    """2 x a1.4xlarge ($0.816/h) against 1 x g3s.xlarge ($0.75/h) at 2 s, 250 ms and 100 ms per image.

    One image at a time is 1 / latency a second: so is the capacity of each as the article has it.
    """
    pair, gpu = 2 * 0.408, 0.75
    flask, cpu, on_gpu = 1 / 2.0, 1 / 0.25, 1 / 0.1
    per_million = [1e6 * per_hour / (3600 * rate) for per_hour, rate in ((pair, flask), (pair, cpu), (gpu, on_gpu))]
    assert per_million == pytest.approx([453.33, 56.67, 20.83], abs=0.01)
    contenders = [
        Contender("flask", flask, pair),
        Contender("tfserving-cpu", cpu, pair),
        Contender("tfserving-gpu", on_gpu, gpu),
    ]
    bare = Traffic(headroom=0.0, spare_replicas=0)
    for rate in (0.1, 4.0, 10.0, 40.0, 1000.0):  # the GPU is cheaper by the hour and faster: nothing turns that
        assert cheapest(contenders, replace(bare, rate=rate)) == 2
    assert [(each.cheapest, each.up_to) for each in stretches(contenders, bare)] == [((2,), None)]
    found = flips(contenders, replace(bare, rate=4.0))
    price = _flip(found, "price")
    assert price.to == "flask" or price.to == "tfserving-cpu"
    assert price.needed == pytest.approx(0.816)  # at 4/s one of each serves: 8.8 % is all that lies between them
    half = [contenders[0], replace(contenders[1], per_hour=0.408), contenders[2]]  # one a1.4xlarge instead of two
    assert cheapest(half, replace(bare, rate=4.0)) == 1
    assert [(each.cheapest, each.up_to) for each in stretches(half, bare)] == [
        ((1,), 4.0),
        ((2,), 10.0),
        ((1,), 12.0),  # three of them are cheaper than two with a GPU
        ((2,), None),
    ]
