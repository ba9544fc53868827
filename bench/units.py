"""The only place where text becomes numbers with a unit and numbers become text.

Inside the program every duration is float seconds, every size bytes, every rate 1/s, every share a
fraction, every amount US dollars. This module imports nothing of ours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

_NUMBER = r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*"
_DURATIONS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
_SIZES = {"B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_RATES = {"": 1.0, "/s": 1.0, "/min": 1 / 60, "/h": 1 / 3600}


class UnitError(ValueError):
    """A text that is not the quantity it should be; `hint` says how to write one."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def parse_duration(text: object) -> float:
    """Seconds in a text such as `20s`, `500 ms`, `2min`, `1h`.

    Raises: UnitError for a bare number, an unknown unit or something below zero.
    """
    value = _with_unit(text, _DURATIONS, "duration", "20s, 500ms or 2min")
    if value < 0:
        raise UnitError(f"a duration cannot be negative, got {text!r}", "a duration is for example 20s, 500ms or 2min")
    return value


def parse_size(text: object) -> int:
    """Bytes in a text such as `64MB` or `2 GiB`.   Raises: UnitError."""
    value = _with_unit(text, _SIZES, "size", "64MB or 2GiB")
    if value < 0:
        raise UnitError(f"a size cannot be negative, got {text!r}", "a size is for example 64MB or 2GiB")
    return round(value)


def parse_rate(value: object) -> float:
    """Requests per second, from a bare number or a text such as `50/s` or `30/min`.   Raises: UnitError."""
    hint = "a rate is requests per second, for example 50, 50/s or 30/min"
    if isinstance(value, bool):
        raise UnitError(f"not a rate: {_shown(value)}", hint)
    rate = (
        _as_float(value) if isinstance(value, int | float) else _with_unit(value, _RATES, "rate", "50, 50/s or 30/min")
    )
    if not math.isfinite(rate) or rate <= 0:
        raise UnitError(f"a rate must be greater than 0 requests per second, got {_shown(value)}", hint)
    return rate


def parse_share(text: object) -> float:
    """A fraction, from a percentage such as `0.1%`.   Raises: UnitError for a bare number or outside 0-100 %."""
    share = _with_unit(text, {"%": 0.01}, "percentage", "0.1%")
    if not 0 <= share <= 1:
        raise UnitError(f"a percentage lies between 0% and 100%, got {text!r}", "a percentage is for example 0.1%")
    return share


def parse_dollars(value: object) -> float:
    """US dollars, from a bare number or a text such as `$0.75`.   Raises: UnitError."""
    hint = "an amount is US dollars, for example 0.75 or $0.75"
    text = value.strip().removeprefix("$") if isinstance(value, str) else value
    if isinstance(text, bool) or not isinstance(text, int | float | str):
        raise UnitError(f"not an amount of dollars: {_shown(value)}", hint)
    dollars = _as_float(text) if re.fullmatch(_NUMBER, str(text), re.IGNORECASE) else math.nan
    if not math.isfinite(dollars):
        raise UnitError(f"not an amount of dollars: {_shown(value)}", hint)
    if dollars < 0:
        raise UnitError(f"an amount of dollars cannot be negative, got {_shown(value)}", hint)
    return dollars


def parse_day(value: object, today: date | None = None) -> str:
    """A day or a month that has begun, `2026-11-01` or `2026-11`, as text.   Raises: UnitError.

    One day is allowed for people whose clock is ahead of `today`'s, which is by default that of UTC.
    """
    text, hint = str(value), "a date is for example 2026-11-01, or 2026-11"
    if not re.fullmatch(r"\d{4}-\d{2}(-\d{2})?", text):
        raise UnitError(f"not a date: {_shown(value)}", hint)
    try:
        first = date.fromisoformat(text if len(text) > len("2026-11") else f"{text}-01")
    except ValueError:
        raise UnitError(f"not a date: {_shown(value)}", hint) from None
    if first > (today or datetime.now(UTC).date()) + timedelta(days=1):
        raise UnitError(f"{text} is still to come", "it tells of which day a price is, for example 2026-11-01")
    return text


def _with_unit(text: object, units: dict[str, float], noun: str, example: str) -> float:
    hint = f"a {noun} is for example {example}"
    if isinstance(text, int | float) and not isinstance(text, bool):
        raise UnitError(f"a {noun} needs a unit, got {_shown(text)}", hint)
    match = re.fullmatch(_NUMBER + r"(\S*)\s*", text, re.IGNORECASE) if isinstance(text, str) else None
    if match is None:
        raise UnitError(f"not a {noun}: {_shown(text)}", hint)
    number, unit = match.groups()
    if not unit and unit not in units:
        raise UnitError(f"a {noun} needs a unit, got {text!r}", hint)
    if unit not in units:
        known = ", ".join(name for name in units if name)
        raise UnitError(f"unknown unit {unit!r} of a {noun} in {_shown(text)}", f"known units: {known}")
    value = float(number) * units[unit]
    if not math.isfinite(value):
        raise UnitError(f"too large for a {noun}: {_shown(text)}", hint)
    return value


def _as_float(value: int | float | str) -> float:
    """The number as a float; inf where it does not fit."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _shown(value: object) -> str:
    """What was written, short enough for one line."""
    if value is None:
        return "nothing"
    text = f"{value}" if isinstance(value, int | float) and not isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def duration_text(seconds: float | None) -> str:
    """Three significant digits with the unit that fits: 0.0123 -> `12.3 ms`; a missing value is `-`."""
    if seconds is None or math.isnan(seconds):
        return "-"
    if math.isinf(seconds):
        return "inf"
    size = abs(seconds)
    if size == 0:
        return "0 s"
    if size < 0.9995e-3:
        return f"{_digits(seconds * 1e6)} µs"
    if size < 0.9995:
        return f"{_digits(seconds * 1e3)} ms"
    if size < 120:
        return f"{_digits(seconds)} s"
    if size < 7200:
        return f"{_digits(seconds / 60)} min"
    return f"{_digits(seconds / 3600)} h"


def bytes_text(size: float | None) -> str:
    """A size in decimal units: 454_000_000 -> `454 MB`; a missing value is `-`."""
    if size is None or math.isnan(size):
        return "-"
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(size) >= factor * 0.9995:
            return f"{_digits(size / factor)} {unit}"
    return f"{size:.0f} B"


def rate_text(per_second: float | None) -> str:
    """A rate with three significant digits: 7.123 -> `7.12/s`; a missing value is `-`."""
    if per_second is None or math.isnan(per_second):
        return "-"
    return f"{_digits(per_second)}/s"


def dollars_text(dollars: float | None) -> str:
    """US dollars with three significant digits: 4.1034 -> `$4.10`; a missing value is `-`."""
    if dollars is None or math.isnan(dollars):
        return "-"
    return f"${_digits(dollars)}"


def percent_text(share: float | None) -> str:
    """A share as a percentage with three significant digits: 0.001 -> `0.1 %`; a missing value is `-`."""
    if share is None or math.isnan(share):
        return "-"
    text = _digits(share * 100)
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def count_text(count: float | None) -> str:
    """A whole number with grouped thousands: 12345 -> `12,345`; a missing value is `-`."""
    return "-" if count is None or math.isnan(count) else f"{count:,.0f}"


def ratio_text(ratio: float | None) -> str:
    """How many times as much, with three significant digits: 0.0936 -> `0.0936x`; a missing value is `-`."""
    return "-" if ratio is None or math.isnan(ratio) else f"{_digits(ratio)}x"


def short(text: str) -> str:
    """A number's text without zeros that say nothing: `1.00 s` -> `1 s`; for limits and ticks, which are exact."""
    return re.sub(r"(\d)\.0+(?!\d)|(\.\d*?[1-9])0+(?!\d)", lambda m: (m[1] or "") + (m[2] or ""), text)


def value_text(value: float | None, unit: str) -> str:
    """A value in the unit of a metric: `s`, `1/s`, `share`, `$`, `bytes`, `B`, `count`, or one for `scaled_text`.

    A missing value is `-`.
    """
    if value is None or math.isnan(value):
        return "-"
    match unit:
        case "s":
            return duration_text(value)
        case "1/s":
            return rate_text(value)
        case "share":
            return percent_text(value)
        case "$":
            return dollars_text(value)
        case "bytes" | "B":
            return bytes_text(value)
        case "count":
            return f"{value:.3g}"
        case _:
            return scaled_text(value, unit)


def cores_text(cores: Iterable[int]) -> str:
    """`0-3,6`: core numbers as taskset and Docker write them."""
    runs: list[list[int]] = []
    for core in sorted(set(cores)):
        if runs and core == runs[-1][1] + 1:
            runs[-1][1] = core
        else:
            runs.append([core, core])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def scaled_text(value: float | None, unit: str) -> str:
    """An amount with three significant digits and the prefix that fits: (3.11e11, "FLOP/s") -> `311 GFLOP/s`.

    For what has no text of its own here, such as FLOP, W, J and Hz; a missing value is `-`.
    """
    if value is None or math.isnan(value):
        return "-"
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m")):
        if abs(value) >= size * 0.9995:
            return f"{_digits(value / size)} {prefix}{unit}"
    return f"{_digits(value * 1e6)} µ{unit}" if value else f"0 {unit}"


def _digits(value: float) -> str:
    """Three significant digits without an exponent for what people read; thousands are grouped."""
    if value == 0:
        return "0"
    exponent = int(f"{value:.2e}".partition("e")[2])  # after rounding: 9.996 is 10.0, not 10.00
    decimals = max(0, 2 - exponent)
    return f"{value:,.{min(decimals, 9)}f}"
