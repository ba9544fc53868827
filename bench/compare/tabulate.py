"""Pairs of trials -> cells: one per load point and metric, and per server for what belongs to a whole start.

Which cells may fail a session is not decided here; each is judged alone, errors before all others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.compare.cells import COMPARED, Cell, CellVerdict, ComparedMetric, not_comparable
from bench.compare.judge import derived_cost, judge_cell, without_undeserved_gains
from bench.compare.statistics import CONFIDENCE, MIN_PAIRS
from bench.compare.values import Pair, PointValues, Start, achieved_share, enough_for, first_line, mean_of
from bench.profiles import Capacity
from bench.results.pairing import NoiseRecord

LEAST_ACHIEVED = 0.95
NOISE_PAIRS = 20
"""A noise floor is taken from so many A/A pairs or more."""
_TIMES = ("p50", "p95", "p99")
WHOLE_START = ("startup", "memory")
"""Metrics of a start, not of one of its load points: their load is empty."""
DERIVED = "derived from"
"""How the test of a cell begins that rests on that of another."""
_SERVED = {"open": "", "closed": "throughput", "capacity": "capacity"}


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Where a cell stands: label of the load point, empty for a whole start, and name of the metric."""

    load: str
    metric: str

    def __str__(self) -> str:
        return f"{self.load} {self.metric}".strip()


@dataclass(frozen=True, slots=True)
class Judging:
    """How cells are judged: least changes that matter where they are not the metrics' own, noise, level, prices."""

    deltas: Mapping[Key, float]
    noise: Mapping[Key, NoiseRecord]
    confidence: float = CONFIDENCE
    prices: tuple[float, float] | None = None


def cells_of(pairs: Sequence[Pair], judging: Judging, loads: Iterable[str]) -> dict[Key, Cell]:
    """Every cell of these load points and of the whole starts, in the order of a report."""
    found: dict[Key, Cell] = {}
    for load in loads:
        found |= {Key(load, cell.metric): cell for cell in _of_load(pairs, load, judging)}
    for name, read in (("startup", _startup), ("memory", _memory)):
        cell = _of_starts(pairs, name, read, judging)
        if cell is not None:
            found[Key("", name)] = cell
    return found


def _of_load(pairs: Sequence[Pair], load: str, judging: Judging) -> tuple[Cell, ...]:
    kind = _kind(pairs, load)
    names = ["error_rate", *((*_TIMES, "goodput") if kind != "capacity" else ()), _SERVED[kind]]
    cells = [_cell(pairs, load, COMPARED[name], judging) for name in names if name]
    if judging.prices is not None:
        cells.append(_cost(pairs, load, kind, cells, judging.prices))
    if kind == "capacity":  # its errors are those of rates chosen to be too high
        cells = [cell for cell in cells if cell.metric != "error_rate"]
    return without_undeserved_gains(_unless_saturated(cells, pairs, load))


def _kind(pairs: Sequence[Pair], load: str) -> str:
    rows = [start.points[load].row for pair in pairs for start in pair.both if load in start.points]
    row = next((row for row in rows if row is not None), None)
    if row is not None and row.profile == Capacity.name:
        return "capacity"
    return "closed" if row is not None and row.users is not None else "open"


def _cell(pairs: Sequence[Pair], load: str, metric: ComparedMetric, judging: Judging) -> Cell:
    key = Key(load, metric.name)
    kept, left_out = _sound(pairs, load)
    delta = judging.deltas.get(key)
    if len(kept) < MIN_PAIRS:
        why = f"needs at least {MIN_PAIRS} pairs, has {len(kept)}{_because(left_out)}"
        return not_comparable(metric, len(kept), why, delta=delta)
    points = [[start.points[load] for start in pair.both] for pair in kept]
    wrong = next((point.wrong for both in points for point in both if point.wrong), "")
    if wrong and metric.name != "error_rate":
        return not_comparable(metric, len(kept), wrong, delta=delta)
    unmeasured = _unmeasured(kept, points, metric.name)
    if unmeasured:
        return not_comparable(metric, len(kept), unmeasured, delta=delta)
    noise = judging.noise.get(key)
    known = noise if noise is not None and noise.pairs >= NOISE_PAIRS else None
    cell = judge_cell(
        metric,
        [one.value(metric.name) for one, _ in points],
        [two.value(metric.name) for _, two in points],
        delta=delta,
        aa_sd=None if known is None else known.sd,
        aa_pairs=NOISE_PAIRS if known is None else known.pairs,
        confidence=judging.confidence,
        requests=([_scheduled(one) for one, _ in points], [_scheduled(two) for _, two in points]),
        censored=_censored(points) if metric.name == "capacity" else (),
    )
    return _with_doubts(_with_numbers(cell, kept), points, left_out)


def _sound(pairs: Sequence[Pair], load: str) -> tuple[list[Pair], list[str]]:
    """The pairs in which neither side was lost, and why the others were."""
    kept, left_out = [], []
    for pair in pairs:
        lost = [
            f"pair {pair.number}, {start.measured.slot.side}: {why}"
            for start in pair.both
            if (why := first_line(start.measured.failure) or _lost(start, load))
        ]
        if lost:
            left_out.append(lost[0])
        else:
            kept.append(pair)
    return kept, left_out


def _lost(start: Start, load: str) -> str:
    return start.points[load].lost if load in start.points else "not measured"


def _because(left_out: Sequence[str]) -> str:
    if not left_out:
        return ""
    more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
    return f" ({left_out[0]}{more})"


def _unmeasured(pairs: Sequence[Pair], points: Sequence[Sequence[PointValues]], metric: str) -> str:
    """Why there is no value in some trial."""
    for pair, both in zip(pairs, points, strict=True):
        for start, point in zip(pair.both, both, strict=True):
            if point.value(metric) is None:
                return f"pair {pair.number}, {start.measured.slot.side}: {_why_none(point, metric)}"
    return ""


def _why_none(point: PointValues, metric: str) -> str:
    if metric in _TIMES and point.row is not None and point.row.response_time is not None:
        needed = point.row.response_time.needs.get(metric)
        if needed:
            return f"{point.row.response_time.n} requests are too few for a {metric}, it takes {needed}"
    return "no rate was within the SLO" if metric == "capacity" else "has no value"


def _scheduled(point: PointValues) -> int:
    return 0 if point.row is None else point.row.n


def _censored(points: Sequence[Sequence[PointValues]]) -> tuple[int, ...]:
    return tuple(place for place, both in enumerate(points) if any(point.censored for point in both))


def _with_numbers(cell: Cell, kept: Sequence[Pair]) -> Cell:
    """The cell with pairs called by their numbers in the session; the statistics know only their places."""

    def numbers(found: re.Match[str]) -> str:
        places = [int(place) for place in found[1].split(", ")]
        return "pair " + ", ".join(str(kept[place - 1].number) for place in places)

    return replace(cell, notes=tuple(re.sub(r"\bpair (\d+(?:, \d+)*)", numbers, note) for note in cell.notes))


def _with_doubts(cell: Cell, points: Sequence[Sequence[PointValues]], left_out: Sequence[str]) -> Cell:
    """The cell, unable to gate where its tail is too thin, and saying so where pairs were left out."""
    rows = [point.row for both in points for point in both if point.row is not None]
    notes = list(cell.notes)
    thin = not all(enough_for(cell.metric, row) for row in rows)
    if thin:
        notes.append(f"too few requests per trial for {cell.metric} to gate")
    if left_out:
        notes.append(f"{len(left_out)} of {len(left_out) + len(points)} pairs left out{_because(left_out)}")
    return replace(cell, can_gate=cell.can_gate and not thin, notes=tuple(notes))


def _unless_saturated(cells: Sequence[Cell], pairs: Sequence[Pair], load: str) -> list[Cell]:
    """Latency where a side could not keep up says how long the window was, not how fast the server is."""
    slow = []
    kept, _ = _sound(pairs, load)
    for side in (0, 1):
        rows = [pair.both[side].points[load].row for pair in kept]
        share = mean_of([achieved_share(row) for row in rows if row is not None and row.profile != Capacity.name])
        if share is not None and share < LEAST_ACHIEVED:
            slow.append(f"the {('baseline', 'candidate')[side]} served {100 * share:.0f} % of the offered rate")
    if not slow:
        return list(cells)
    why = f"saturated: {' and '.join(slow)}"
    return [
        replace(cell, verdict=CellVerdict.NOT_COMPARABLE, can_gate=False, notes=(why, *cell.notes))
        if cell.metric in _TIMES
        else cell
        for cell in cells
    ]


def _cost(pairs: Sequence[Pair], load: str, kind: str, cells: Sequence[Cell], prices: tuple[float, float]) -> Cell:
    metric = COMPARED["cost"]
    served = next((cell for cell in cells if cell.metric == _SERVED[kind]), None)
    if served is not None:
        cost = derived_cost(metric, served, *prices)
        return cost if cost.verdict is CellVerdict.INCONCLUSIVE else _decided(cost)
    kept, left_out = _sound(pairs, load)
    if len(kept) < MIN_PAIRS:
        why = f"needs at least {MIN_PAIRS} pairs, has {len(kept)}{_because(left_out)}"
        return not_comparable(metric, len(kept), why)
    values = [[start.points[load].value("cost") for start in pair.both] for pair in kept]
    cell = judge_cell(metric, [one for one, _ in values], [two for _, two in values])
    return replace(cell, notes=("at the offered rate, which both were given", *cell.notes))


def _decided(cost: Cell) -> Cell:
    """A cost that its price decides, without what is said of the rate alone."""
    return replace(cost, pairs_needed=None, notes=tuple(note for note in cost.notes if not note.startswith("needs ")))


def _of_starts(
    pairs: Sequence[Pair], name: str, read: Callable[[Start], float | None], judging: Judging
) -> Cell | None:
    """A metric of whole starts; None where no start has it."""
    kept = [pair for pair in pairs if not any(start.measured.failure for start in pair.both)]
    values = [(read(pair.baseline), read(pair.candidate)) for pair in kept]
    if all(value is None for both in values for value in both):
        return None
    key, metric = Key("", name), COMPARED[name]
    return judge_cell(
        metric,
        [one for one, _ in values],
        [two for _, two in values],
        delta=judging.deltas.get(key),
        confidence=judging.confidence,
    )


def _startup(start: Start) -> float | None:
    return start.startup


def _memory(start: Start) -> float | None:
    return start.memory
