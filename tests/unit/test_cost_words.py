"""The sentences about money say what the staircase says."""

from __future__ import annotations

from bench.cost.choice import Contender, Flip, stretches
from bench.cost.traffic import Traffic
from bench.cost.words import break_even_text, flip_text, listed, price_in, traffic_text

BARE = Traffic(headroom=0.0, spare_replicas=0)


def _said(*contenders: Contender) -> str:
    return break_even_text(stretches(contenders, BARE), [contender.name for contender in contenders])


def test_one_flip_is_one_sentence() -> None:
    assert _said(Contender("gunicorn", 40, 1.0), Contender("tfserving", 500, 1.5)) == (
        "gunicorn is cheapest up to 40/s, tfserving above."
    )


def test_one_that_always_wins_is_said_so() -> None:
    assert _said(Contender("a", 10, 1.0), Contender("b", 10, 2.0)) == "a is cheapest at every rate."


def test_servers_that_cost_the_same_are_said_to() -> None:
    assert _said(Contender("a", 10, 1.0), Contender("b", 12, 1.0)) == (
        "No server is cheaper than b at any rate; a costs the same up to 10/s, in 3 ranges after that, and from 48/s "
        "to 50/s."
    )
    assert _said(Contender("a", 10, 1.0), Contender("b", 10, 1.0)).startswith("a and b cost the same at every rate up")


def test_several_flips_are_ranges() -> None:
    said = _said(Contender("small", 10, 1.0), Contender("large", 100, 3.0))
    assert said == ("Cheapest: small up to 30/s; large above 20/s. Where two are named for a rate, they cost the same.")


def test_many_flips_are_counted_between_the_first_and_the_last() -> None:
    said = _said(Contender("small", 17.8, 0.05), Contender("large", 40.7, 0.1))
    assert said == "small is cheapest up to 17.8/s, large above 249/s; in between, whole replicas turn it 17 times."


def test_names_are_listed_up_to_a_handful() -> None:
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(list("abcdefg")) == "a, b, c, d and 3 more"


def test_where_nothing_settles_it_says_how_far_was_looked() -> None:
    said = _said(Contender("one", 10, 1.0), Contender("two", 20, 2.0))
    assert said == (
        "No server is cheaper than one at any rate up to 1,000/s; two costs the same from 10/s to 20/s, in 48 ranges "
        "after that, and from 990/s to 1,000/s."
    )


def test_a_server_alone_has_no_break_even() -> None:
    assert _said(Contender("a", 10, 1.0)) == ""
    assert break_even_text((), ("a", "b")) == ""


def test_a_flip_that_the_measurement_leaves_open_says_so() -> None:
    flip = Flip("capacity", 1.0, 2.0, "b", "if it served 2/s or more", likely=True)
    assert flip_text(flip) == "b would be chosen if it served 2/s or more, which the measurement itself leaves open"


def test_a_traffic_is_said_with_all_that_is_assumed() -> None:
    assert traffic_text(Traffic(rate=40.0)) == "40/s, 30 % headroom, 1 spare replica, 730 hours a month"
    assert "(15/s on average)" in traffic_text(Traffic(rate=40.0, mean_rate=15.0))
    assert traffic_text(Traffic()).startswith("no traffic stated")


def test_a_price_that_is_not_above_zero_is_no_price() -> None:
    assert price_in({"per_hour": 0.5}) == 0.5
    assert price_in({"per_hour": 0}) is None
    assert price_in({"per_hour": -1.0}) is None
    assert price_in(None) is None


def test_a_range_too_narrow_for_its_digits_is_one_rate() -> None:
    said = _said(Contender("a", 39.5, 1.0), Contender("b", 40.5, 1.0))
    assert said.endswith("in 38 ranges after that, and around 1,580/s.")
