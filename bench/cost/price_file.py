"""Prices of the person's own: a CSV or YAML file with the columns of the book that comes with bench.

What is wrong in it is told with its line. An empty field is not known, never zero.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.cost.prices import NUMBERS, TEXTS, WHOLES, Price, price_book
from bench.document import read_document
from bench.errors import ScenarioError
from bench.names import nearest
from bench.units import UnitError, parse_day, parse_dollars

VARIABLE = "BENCH_PRICES"
"""Names a file of one's own prices for every scenario; those that a scenario names come before it."""
COLUMNS = (*TEXTS, *WHOLES, *NUMBERS)
_REQUIRED = ("instance", "usd_per_hour")
_MOST_BYTES = 1_000_000


def all_prices(own: Path | None = None) -> tuple[Price, ...]:
    """One's own prices (the file of the scenario, then that of BENCH_PRICES), then the book that comes with bench.

    Raises: ScenarioError with file:line if a file cannot be read or a price in it makes no sense.
    """
    named = os.environ.get(VARIABLE)
    files = [file for file in (own, Path(named).expanduser() if named else None) if file is not None]
    return (*(price for file in files for price in read_prices(file)), *price_book())


def read_prices(file: Path) -> tuple[Price, ...]:
    """The prices in a `.csv` file with a header, or in a `.yaml` file that maps each instance to its columns.

    Raises: ScenarioError with file:line.
    """
    rows = _yaml_rows(file) if file.suffix in (".yaml", ".yml") else _csv_rows(file)
    found: dict[tuple[str, str, str], str] = {}
    prices = []
    for place, values in rows:
        price = _price(values, place)
        key = (price.provider, price.region, price.instance)
        if key in found:
            raise ScenarioError(f"{price.instance} is there twice, first at {found[key]}", where=place)
        found[key] = place
        prices.append(price)
    if not prices:
        raise ScenarioError("holds no price", where=str(file), hint=_EXAMPLE)
    return tuple(prices)


_EXAMPLE = "a line is for example 'my-box,0.35,8,2,2026-11-01' below 'instance,usd_per_hour,vcpu,vcpu_per_core,as_of'"


def _csv_rows(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(file:line, column -> text) of every line that is not empty."""
    reader = csv.reader(io.StringIO(_text(file)))
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_columns(header, f"{file}:1")
        for cells in reader:
            place = f"{file}:{reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise ScenarioError(
                    f"{len(cells)} field{'s' * (len(cells) != 1)} below a header of {len(header)}", where=place
                )
            yield place, dict(zip(header, (cell.strip() for cell in cells), strict=True))
    except csv.Error as failure:
        raise ScenarioError(f"not CSV: {failure}", where=f"{file}:{reader.line_num}") from failure


def _check_columns(header: list[str], place: str) -> None:
    for name in header:
        _check_column(name, place)
        if header.count(name) > 1:
            raise ScenarioError(f"the column {name!r} is there twice", where=place)
    for name in _REQUIRED:
        if name not in header:
            raise ScenarioError(f"the column {name!r} is missing", where=place, hint=_EXAMPLE)


def _check_column(name: str, place: str) -> None:
    if name not in COLUMNS:
        near = nearest(name, COLUMNS)
        meant = f"did you mean {near!r}? " if near else ""
        raise ScenarioError(f"unknown column {name!r}", where=place, hint=f"{meant}known: {', '.join(COLUMNS)}")


def _yaml_rows(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(file:line of the instance, column -> value) of every instance."""
    _text(file)
    document = read_document(file, what="a list of prices")
    for instance, values in document.values.items():
        place = document.where((instance,))
        if not isinstance(values, dict):
            hint = f"for example '{instance}: {{usd_per_hour: 0.35, vcpu: 8, as_of: 2026-11-01}}'"
            raise ScenarioError(f"{instance} must be a mapping of columns", where=place, hint=hint)
        for name in values:
            _check_column(name, document.where((instance, name)))
        if "usd_per_hour" not in values:
            raise ScenarioError(f"{instance}: 'usd_per_hour' is missing", where=place)
        yield place, {"instance": instance, **values}


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
    except FileNotFoundError as failure:
        raise ScenarioError(
            "no such file of prices", where=str(file), hint=f"named by `prices:` or {VARIABLE}"
        ) from failure
    except OSError as failure:
        raise ScenarioError(f"cannot be read: {failure.strerror}", where=str(file)) from failure
    if len(data) > _MOST_BYTES:
        raise ScenarioError("more than 1 MB, too large for a list of prices", where=str(file))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        line = data[: failure.start].count(b"\n") + 1
        raise ScenarioError("not a text file in UTF-8", where=f"{file}:{line}") from failure
    if not text.strip():
        raise ScenarioError("holds no price", where=f"{file}:1", hint=_EXAMPLE)
    return text


def _price(values: Mapping[str, Any], place: str) -> Price:
    fields: dict[str, Any] = {name: _label(name, values.get(name), place) for name in TEXTS}
    if not fields["instance"]:
        raise ScenarioError("'instance' is empty", where=place, hint=_EXAMPLE)
    if fields["as_of"]:
        try:
            parse_day(fields["as_of"])
        except UnitError as failure:
            raise ScenarioError(f"as_of: {failure.what}", where=place, hint=failure.hint) from failure
    fields |= {name: _number(name, values.get(name), place) for name in NUMBERS}
    fields |= {name: _whole(name, values.get(name), place) for name in WHOLES}
    fields["provider"] = fields["provider"] or "own"
    fields["source"] = fields["source"] or place.rpartition(":")[0].rpartition("/")[2]
    return Price(**fields, own=True)


def _label(name: str, value: object, place: str) -> str:
    text = "" if value is None else str(value).strip()
    if not text.isprintable() or len(text) > 200:
        raise ScenarioError(f"{name} must be printable text of at most 200 characters", where=place)
    return text


def _number(name: str, value: object, place: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = parse_dollars(value) if name.endswith("usd_per_hour") else _plain_number(value)
    except UnitError as failure:
        raise ScenarioError(f"{name}: {failure.what}", where=place, hint="a number above 0, or nothing") from failure
    if number <= 0:
        raise ScenarioError(
            f"{name} must be greater than 0, got {value}", where=place, hint="leave it empty where it is not known"
        )
    return number


def _plain_number(value: object) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(str(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UnitError(f"not a number: {value!r}", "")
    return number


def _whole(name: str, value: object, place: str) -> int | None:
    number = _number(name, value, place)
    if number is not None and not (math.isfinite(number) and number.is_integer()):
        raise ScenarioError(f"{name} must be a whole number, got {value}", where=place)
    return None if number is None else int(number)
