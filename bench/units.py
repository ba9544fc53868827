"""The only place where text becomes numbers with a unit and numbers become text.

Inside the program every duration is float seconds, every size bytes, every rate 1/s, every share a
fraction, every amount US dollars. This module imports nothing of ours.
"""

from __future__ import annotations

import math
import re

_NUMBER = r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*"
_DURATIONS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
_SIZES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def parse_duration(text: object) -> float:
    """Seconds in a text such as `20s`, `500 ms`, `2min`, `1h`.

    Raises: ValueError for a bare number, an unknown unit or something below zero.
    """
    value = _with_unit(text, _DURATIONS, "duration", "20s, 500ms or 2min")
    if value < 0:
        raise ValueError(f"a duration cannot be negative, got {text!r}")
    return value


def parse_size(text: object) -> int:
    """Bytes in a text such as `64MB` or `2 GiB`.   Raises: ValueError."""
    value = _with_unit(text, {k: float(v) for k, v in _SIZES.items()}, "size", "64MB or 2GiB")
    if value < 0:
        raise ValueError(f"a size cannot be negative, got {text!r}")
    return round(value)


def parse_rate(value: object) -> float:
    """Requests per second, from a bare number or a text such as `50/s` or `30/min`.   Raises: ValueError."""
    if isinstance(value, bool):
        raise ValueError(f"a rate is requests per second, for example 50, got {value!r}")
    if isinstance(value, int | float):
        rate = float(value)
    else:
        rate = _with_unit(value, {"/s": 1.0, "/min": 1 / 60, "/h": 1 / 3600}, "rate", "50, 50/s or 30/min")
    if not math.isfinite(rate) or rate <= 0:
        raise ValueError(f"a rate must be greater than 0 requests per second, got {value!r}")
    return rate


def parse_share(text: object) -> float:
    """A fraction, from a percentage such as `0.1%`.   Raises: ValueError for a bare number or outside 0-100 %."""
    share = _with_unit(text, {"%": 0.01}, "percentage", "0.1%")
    if not 0 <= share <= 1:
        raise ValueError(f"a percentage lies between 0% and 100%, got {text!r}")
    return share


def _with_unit(text: object, units: dict[str, float], noun: str, example: str) -> float:
    if isinstance(text, bool | int | float) or text is None:
        raise ValueError(f"a {noun} needs a unit, for example {example}; got {text!r}")
    match = re.fullmatch(_NUMBER + r"(\S*)\s*", str(text), re.IGNORECASE)
    if match is None:
        raise ValueError(f"not a {noun}: {text!r}; write for example {example}")
    number, unit = match.groups()
    if unit not in units:
        known = ", ".join(units)
        raise ValueError(f"unknown unit {unit!r} of a {noun} in {text!r}; known units: {known}")
    return float(number) * units[unit]


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


def _digits(value: float) -> str:
    """Three significant digits without an exponent for what people read; thousands are grouped."""
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value)) + 1e-12))
    return f"{value:,.{min(decimals, 9)}f}"
