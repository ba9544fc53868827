"""Load balancer and egress follow bytes, apart from computing."""

from __future__ import annotations

import re

import pytest

from bench.cost.network import Exchange, network_cost, network_price, network_prices


def test_a_hundred_images_a_second_cost_what_their_bytes_cost() -> None:
    price = network_price("aws")
    assert price is not None
    found = network_cost(price, Exchange(100_000, 1_000, 0.0), 100.0, 1.0)
    assert found.gb_in == pytest.approx(36.0)
    assert found.load_balancer == pytest.approx(0.0225 + 0.008 * 36.36)
    assert found.egress == pytest.approx(0.36 * 0.09)
    assert found.basis.startswith("100 kB there and 1.00 kB back per request as measured, 100/s on average, aws")


def test_new_connections_count_where_they_need_more_units_than_the_bytes_do() -> None:
    price = network_price("aws")
    assert price is not None
    reused, each = (network_cost(price, Exchange(100, 100, share), 500.0, 1.0) for share in (0.0, 1.0))
    assert each.load_balancer == pytest.approx(0.0225 + 0.008 * 20)
    assert (reused.load_balancer or 0) < 0.04


def test_what_is_not_known_is_not_zero() -> None:
    price = network_price("azure")
    assert price is not None
    found = network_cost(price, Exchange(None, 1000, None), 10.0, 730.0)
    assert found.load_balancer is None
    assert found.egress is not None
    assert network_cost(price, Exchange(10, None, None), 10.0, 730.0).egress is None
    assert network_price("own") is None
    assert network_price(None) is None


def test_every_network_price_is_dated_and_has_its_source() -> None:
    assert [price.provider for price in network_prices()] == ["aws", "gcp", "azure"]
    for price in network_prices():
        assert re.fullmatch(r"20\d\d(-\d\d)?", price.as_of)
        assert price.source
