"""The key `tune` of a server: a small grid of its own keys, every setting of it checked before anything starts.

It knows what a setting is, and nothing of how one is tried or which is best.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.credentials import masked
from bench.document import KeyPath
from bench.problems import Problems
from bench.scenario.tune import settings_text
from bench.server import Server

MOST_SETTINGS = 24
LEAST_SECONDS = 3.0
"""Of load for one setting; less would say nothing."""
SUFFIX = " (tuned)"
"""What the name of a tuned variant ends with."""
_EXAMPLE = "for example tune: {workers: [1, 2], threads: [1, 4]}, or {batching.max_batch_size: [8, 32]}"

Make = Callable[[Mapping[str, Any], Problems], Server | None]
"""The kind with these keys, as a scenario writes them; None, with what is wrong noted, if it refuses them."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One point of a grid: the keys that it varies with their values as written, and the kind with them.

    `default` tells that it is what the entry itself says; it is tried too, first of all where the grid lacks it.
    """

    values: Mapping[str, Any]
    server: Server
    default: bool = False


def settings_of(
    tune: object, written: Mapping[str, Any], own: Server, make: Make, keys: KeyPath, problems: Problems
) -> tuple[Setting, ...]:
    """What is tried of a server: its own setting and every combination of the grid; none if something is wrong.

    `written` are the keys of the kind as its entry has them, `own` is the kind with those.
    """
    grid = _checked(tune, keys, problems)
    if not grid or not _each_alone(grid, written, make, keys, problems):
        return ()
    found: list[Setting] = []
    for values in itertools.product(*grid.values()):
        setting = dict(zip(grid, values, strict=True))
        aside = problems.aside()
        server = make(_assigned(written, setting), aside)
        if server is None:
            problems.add(keys, f"{settings_text(masked(setting))}: {aside.first.what}", aside.first.hint)
            return ()
        if all(server != other.server for other in found):  # two ways to write the same value
            found.append(Setting(setting, server, server == own))
    if not any(setting.default for setting in found):
        found.insert(0, Setting({key: _value(written, own, key) for key in grid}, own, default=True))
    return tuple(found)


def _checked(tune: object, keys: KeyPath, problems: Problems) -> dict[str, list[Any]]:
    """The grid as a mapping of keys to lists of values, empty if it is none."""
    if not isinstance(tune, Mapping) or not tune:
        problems.add(keys, "must be a mapping of this server's keys to lists of values", _EXAMPLE)
        return {}
    grid: dict[str, list[Any]] = {}
    for key, values in tune.items():
        if not isinstance(values, list) or not values:
            what = (
                "must not be empty" if values == [] else f"must be a list of values, got {masked(values, str(key))!r}"
            )
            problems.add((*keys, key), what, _EXAMPLE)
        else:
            grid[str(key)] = values
    if len(grid) < len(tune):
        return {}
    count = 1
    for values in grid.values():
        count *= len(values)
    if count > MOST_SETTINGS:
        sizes = " x ".join(str(len(values)) for values in grid.values())
        what = f"{sizes} = {count:,} settings, and at most {MOST_SETTINGS} are tried"
        problems.add(keys, what, "leave values out: each setting gets its own start and its share of tune_time")
        return {}
    return grid


def _each_alone(
    grid: Mapping[str, list[Any]], written: Mapping[str, Any], make: Make, keys: KeyPath, problems: Problems
) -> bool:
    """Whether the kind takes every value by itself; else each that it refuses is noted at its own place."""
    good = True
    for key, index, value in _values(grid):
        aside = problems.aside()
        if make(_assigned(written, {key: value}), aside) is not None or not _is_about(key, aside.first.what):
            continue  # what is said of other keys may be right together with other values: combinations are checked
        good = False
        unknown = aside.first.what.endswith("unknown key")
        place = (*keys, key) if unknown else (*keys, key, index)
        if not unknown or index == 0:
            problems.add(place, aside.first.what.removeprefix(f"{key}: "), aside.first.hint)
    return good


def _is_about(key: str, what: str) -> bool:
    return what.startswith((f"{key}: ", f"{key}."))


def _values(grid: Mapping[str, list[Any]]) -> Iterator[tuple[str, int, Any]]:
    for key, values in grid.items():
        for index, value in enumerate(values):
            yield key, index, value


def _assigned(written: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The keys with some of them replaced; `batching.timeout` is the key `timeout` inside `batching`."""
    found = dict(written)
    for dotted, value in values.items():
        *above, last = dotted.split(".")
        inside = found
        for part in above:
            below = inside.get(part)
            inside[part] = dict(below) if isinstance(below, Mapping) else {}
            inside = inside[part]
        inside[last] = value
    return found


def _value(written: Mapping[str, Any], own: Server, key: str) -> Any:
    """What an entry says of a key of the grid, else what the kind has for it, None where that is nothing."""
    said: Any = written
    found: Any = own
    for part in key.split("."):
        said = said.get(part) if isinstance(said, Mapping) else None
        found = found.get(part) if isinstance(found, Mapping) else getattr(found, part, None)
    return found if said is None else said
