from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.units import (
    UnitError,
    bytes_text,
    dollars_text,
    duration_text,
    parse_day,
    parse_dollars,
    parse_duration,
    parse_rate,
    parse_share,
    parse_size,
    percent_text,
    rate_text,
    value_text,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20s", 20),
        ("500 ms", 0.5),
        ("2min", 120),
        ("2m", 120),
        ("1h", 3600),
        ("5us", 5e-6),
        ("5µs", 5e-6),
        ("1e-3s", 1e-3),
    ],
)
def test_a_duration_is_a_number_with_its_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("parse", "text", "complaint"),
    [
        (parse_duration, 20, "a duration needs a unit, got 20"),
        (parse_duration, "20", "a duration needs a unit, got '20'"),
        (parse_duration, "5sec", "unknown unit 'sec'"),
        (parse_duration, "5S", "unknown unit 'S'"),
        (parse_duration, "-5s", "cannot be negative"),
        (parse_duration, "1e999s", "too large"),
        (parse_duration, None, "not a duration: nothing"),
        (parse_duration, True, "not a duration: True"),
        (parse_duration, ["5s"], "not a duration"),
        (parse_duration, "soon" * 100, "not a duration"),
        (parse_size, "64", "a size needs a unit"),
        (parse_size, "-1MB", "cannot be negative"),
        (parse_rate, 0, "greater than 0"),
        (parse_rate, -5, "greater than 0"),
        (parse_rate, True, "not a rate"),
        (parse_rate, 10**400, "greater than 0"),
        (parse_rate, float("nan"), "greater than 0"),
        (parse_rate, "5/ms", "unknown unit '/ms'"),
        (parse_share, 0.1, "needs a unit"),
        (parse_share, "101%", "between 0% and 100%"),
        (parse_dollars, "-1", "cannot be negative"),
        (parse_dollars, "cheap", "not an amount"),
        (parse_dollars, True, "not an amount"),
        (parse_dollars, float("inf"), "not an amount"),
    ],
)
def test_what_is_no_quantity_is_refused_with_a_hint(
    parse: Callable[[Any], float], text: object, complaint: str
) -> None:
    with pytest.raises(UnitError) as failure:
        parse(text)
    assert complaint in failure.value.what
    assert len(failure.value.what) < 150
    assert failure.value.hint


def test_sizes_know_decimal_and_binary_units() -> None:
    assert (parse_size("64MB"), parse_size("2 GiB"), parse_size("10B")) == (64_000_000, 2 * 2**30, 10)


def test_a_rate_may_be_bare_and_is_per_second() -> None:
    assert (parse_rate(50), parse_rate("50"), parse_rate("1e3"), parse_rate("50/s")) == (50, 50, 1000, 50)
    assert parse_rate("30/min") == pytest.approx(0.5)


def test_a_percentage_is_a_fraction_inside() -> None:
    assert parse_share("0.1%") == pytest.approx(0.001)


def test_dollars_may_carry_their_sign() -> None:
    assert (parse_dollars("$0.75"), parse_dollars(0.75), parse_dollars("1")) == (0.75, 0.75, 1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (math.nan, "-"),
        (math.inf, "inf"),
        (0, "0 s"),
        (12.34e-6, "12.3 µs"),
        (0.0123, "12.3 ms"),
        (0.99949, "999 ms"),
        (0.9996, "1.00 s"),
        (9.996, "10.0 s"),
        (119.0, "119 s"),
        (600, "10.0 min"),
        (7200, "2.00 h"),
    ],
)
def test_a_duration_is_shown_with_three_digits_and_the_unit_that_fits(seconds: float | None, text: str) -> None:
    assert duration_text(seconds) == text


def test_other_quantities_are_shown_with_three_digits() -> None:
    assert bytes_text(454_000_000) == "454 MB"
    assert bytes_text(12) == "12 B"
    assert rate_text(7.123) == "7.12/s"
    assert dollars_text(4.1034) == "$4.10"
    assert percent_text(0.001) == "0.1 %"
    assert [show(None) for show in (bytes_text, rate_text, dollars_text, percent_text)] == ["-"] * 4


@given(st.floats(1e-7, 1e5))
def test_what_is_shown_reads_back_within_its_three_digits(seconds: float) -> None:
    assert parse_duration(duration_text(seconds).replace(",", "")) == pytest.approx(seconds, rel=0.006, abs=1e-9)


@pytest.mark.parametrize("text", ["2026-11-23", "2026-11", "2026-11-24", "1999-12-31"])
def test_a_day_that_has_begun_somewhere_is_one(text: str) -> None:
    assert parse_day(text, date(2026, 11, 23)) == text


@pytest.mark.parametrize("text", ["2026-11-25", "2026-12", "2027-01-01", "2026-02-29", "2026-13", "2026", "11/2026"])
def test_a_day_that_is_still_to_come_or_never_does_is_refused(text: str) -> None:
    with pytest.raises(UnitError):
        parse_day(text, date(2026, 11, 23))


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "s", "12.3 ms"),
        (12.5, "1/s", "12.5/s"),
        (0.001, "share", "0.1 %"),
        (0.75, "$", "$0.750"),
        (1.5e6, "bytes", "1.50 MB"),
        (1.5e6, "B", "1.50 MB"),
        (2.5, "count", "2.5"),
        (1500.0, "W", "1.50 kW"),
        (None, "s", "-"),
        (math.nan, "count", "-"),
    ],
)
def test_a_value_is_written_in_the_unit_of_its_metric(value: float | None, unit: str, text: str) -> None:
    assert value_text(value, unit) == text
