"""The price book says what an instance costs, where that comes from, and refuses what it does not know."""

from __future__ import annotations

import re

import pytest

from bench.cost.prices import cost_basis, cost_per_million, find_price, price_book, resolve_price
from bench.errors import ScenarioError


def test_the_articles_arithmetic_holds() -> None:
    assert resolve_price({"instance": "a1.4xlarge", "count": 2})["per_hour"] == pytest.approx(0.816)
    assert resolve_price({"instance": "g3s.xlarge"})["per_hour"] == 0.75


def test_a_million_requests_cost_the_hours_it_takes_to_serve_them() -> None:
    assert cost_per_million(0.408, 2, 2.0) == pytest.approx(1e6 * 0.816 / 7200)
    assert cost_per_million(3.6, 1, 1000.0) == pytest.approx(1.0)
    assert cost_per_million(0.408, 1, 0.0) is None
    assert cost_per_million(0.408, 1, None) is None


def test_every_entry_is_dated_has_a_source_and_no_price_of_zero() -> None:
    book = price_book()
    assert len(book) == 80
    assert len({(price.provider, price.region, price.instance) for price in book}) == len(book)
    for price in book:
        assert re.fullmatch(r"20\d\d-\d\d(-\d\d)?", price.as_of), price.instance
        assert price.source
        assert price.usd_per_hour is None or price.usd_per_hour > 0
        assert price.usd_per_hour is not None or "RETIRED" in price.note


def test_an_instance_is_looked_up_at_home_first_and_elsewhere_on_request() -> None:
    assert find_price("a1.4xlarge").region == "us-east-1"
    assert find_price("a1.4xlarge", region="eu-west-1").usd_per_hour == 0.4608
    assert find_price("n1-standard-4").provider == "gcp"


def test_an_unknown_instance_names_the_nearest() -> None:
    with pytest.raises(ScenarioError, match=r"no instance 'a1.4xlrge'\n  hint: did you mean 'a1.4xlarge'"):
        find_price("a1.4xlrge")
    with pytest.raises(ScenarioError, match=r"no price of c5.4xlarge in eu-west-1\n  hint: it has aws us-east-1"):
        find_price("c5.4xlarge", region="eu-west-1")
    with pytest.raises(ScenarioError, match=r"no price of g3s.xlarge in gcp"):
        find_price("g3s.xlarge", provider="gcp")


def test_an_instance_without_a_known_price_is_refused_rather_than_free() -> None:
    with pytest.raises(ScenarioError, match=r"knows eia2.medium but no price"):
        find_price("eia2.medium")


def test_a_price_of_ones_own_counts_its_machines() -> None:
    price = resolve_price({"per_hour": 0.5, "count": 3})
    assert (price["per_hour"], price["count"], price["instance"]) == (1.5, 3, None)
    assert price["basis"] == "3 x $0.5/h, as the scenario says"


def test_a_resolved_price_says_where_it_comes_from() -> None:
    price = resolve_price({"instance": "g3s.xlarge"})
    assert price["basis"] == "1 x g3s.xlarge at $0.75/h (aws us-east-1, 2026-07-20)"
    assert "RETIRED" in price["note"]
    assert price["source"]


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ({"per_hour": 0}, "greater than 0, got 0"),
        ({"per_hour": -1.0}, "greater than 0, got -1.0"),
        ({"per_hour": float("nan")}, "greater than 0"),
        ({"per_hour": "0.5"}, "greater than 0, got '0.5'"),
        ({"instance": "a1.4xlarge", "count": 0}, "price.count must be a number greater than 0"),
        ({"instance": "a1.4xlarge", "count": True}, "price.count must be"),
        ({}, "either instance or per_hour"),
        ({"instance": "a1.4xlarge", "per_hour": 1}, "either instance or per_hour"),
        ({"instanse": "a1.4xlarge"}, "unknown key 'instanse' of price\n  hint: did you mean 'instance'"),
    ],
)
def test_a_price_that_makes_no_sense_is_refused(spec: dict[str, object], what: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(what)):
        resolve_price(spec)


def test_the_basis_tells_a_saturation_figure_from_one_at_a_load_point() -> None:
    price = resolve_price({"instance": "a1.4xlarge"})
    assert cost_basis(price, 2.0, saturated=False).endswith(
        "at the goodput of this load point (2.00/s), 100 % of it used"
    )
    assert cost_basis(price, 2.0, saturated=True).startswith("saturation figure: 1 x a1.4xlarge")


def test_the_book_says_how_many_vcpus_make_a_core_where_that_is_known() -> None:
    by_name = {price.instance: price for price in price_book()}
    assert by_name["c7i.xlarge"].cores == 2
    assert by_name["c7a.xlarge"].cores == 4
    assert by_name["a1.4xlarge"].cores == 16
    assert by_name["tpu-v5litepod-1"].cores is None


def test_every_estimated_price_says_so() -> None:
    for price in price_book():
        assert price.reserved_usd_per_hour is None or "reserved ESTIMATED" in price.note
        assert price.reserved_usd_per_hour is None or price.reserved_usd_per_hour < (price.usd_per_hour or 0)


def test_a_price_of_ones_own_carries_its_date() -> None:
    price = resolve_price({"per_hour": 0.5, "as_of": "2026-11"})
    assert (price["as_of"], price["basis"]) == ("2026-11", "1 x $0.5/h, as the scenario says, 2026-11")
