"""One paired session -> its verdict: first stage, fresh pairs for what would fail, null control, and the exit code.

Everything is read from the run's folder, so a session that was stored is judged again to the same words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.compare.cells import COMPARED, Cell, CellVerdict, not_comparable
from bench.compare.conclude import Findings, conclusion
from bench.compare.confirm import confirmed, exploratory, flagged
from bench.compare.diagnostics import Effect, null_control_failed, position_effect, session_slope
from bench.compare.session import LEAST_PAIRS
from bench.compare.statistics import CONFIDENCE, POCOCK_ALPHA, t_bounds
from bench.compare.surroundings import under_test
from bench.compare.tabulate import DERIVED, Judging, Key, cells_of
from bench.compare.values import SHIFT_QUANTILES, Pair, Start, first_line, pairs_of, read_starts
from bench.compare.verdict import WORSE_FIRST, Line, Shift, TrialValue, Verdict
from bench.profiles import Capacity
from bench.results import Manifest, Run
from bench.results.pairing import GateRecord, Pairing, Side, Stage

__all__ = ["Screening", "judge_session", "screening"]


@dataclass(frozen=True, slots=True)
class Screening:
    """The first stage alone: its cells, the gated ones that would fail, and whether all gated ones are decided."""

    cells: Mapping[Key, Cell]
    flagged: tuple[Key, ...]
    decided: bool


def screening(run: Run) -> Screening:
    """What the pairs so far say; for a session that has to decide how it goes on."""
    pairing = _pairing(run)
    return _screening(pairs_of(read_starts(run), Stage.SCREEN), pairing, _judging(run))


def judge_session(run: Run) -> Verdict:
    """The verdict of a paired session, finished or not.   Raises: ValueError for a run that is none."""
    pairing = _pairing(run)
    starts = read_starts(run)
    judging = _judging(run)
    screen, confirm, null = (pairs_of(starts, stage) for stage in (Stage.SCREEN, Stage.CONFIRM, Stage.NULL))
    first = _screening(screen, pairing, judging)
    final = _final_cells(first, screen, confirm, judging)
    null_cells = _null_cells(null, pairing, judging)
    lines = _lines(final, pairing, first.flagged if confirm else ())
    findings = Findings(
        lines=lines,
        unconfirmed=first.flagged if len(confirm) < LEAST_PAIRS else (),
        void=null_control_failed(list(null_cells.values())),
        null_pairs=len(null),
        failures=_failures(starts),
        pairing=pairing,
        pairs=len(screen),
        confirm_pairs=len(confirm),
    )
    word, sentence, code, strict = conclusion(findings)
    gates = tuple(_key(gate) for gate in pairing.gates)
    return Verdict(
        name=run.manifest.name,
        run_ids=(run.manifest.run_id,),
        started_at=run.manifest.started_at,
        seconds=run.manifest.wall_seconds,
        word=word,
        sentence=sentence,
        exit_code=code,
        exit_code_strict=strict,
        baseline=pairing.baseline,
        candidate=pairing.candidate,
        same=pairing.same,
        paired=True,
        mode=pairing.mode,
        seed=pairing.seed,
        pairs=len(screen),
        confirm_pairs=len(confirm),
        null_pairs=len(null),
        lines=lines,
        null=tuple(Line(key.load, cell, gated=True) for key, cell in null_cells.items()),
        warnings=tuple(dict.fromkeys([*run.manifest.warnings, *run.warnings])),
        diagnostics=(*_under_test(run.manifest, pairing), *_diagnostics(screen, starts, gates)),
        shifts=_shifts(screen, confirm, pairing),
        values=_values(starts, gates),
        command=run.manifest.command,
        method_version=run.manifest.method_version,
    )


def _pairing(run: Run) -> Pairing:
    if run.manifest.pairing is None:
        raise ValueError("not a paired session")
    return run.manifest.pairing


def _key(gate: GateRecord) -> Key:
    return Key(gate.load, gate.metric)


def _judging(run: Run) -> Judging:
    pairing = _pairing(run)
    sequential = len(pairing.looks) > 1
    return Judging(
        deltas={_key(gate): gate.delta for gate in pairing.gates},
        noise={Key(noise.load, noise.metric): noise for noise in pairing.noise},
        confidence=1 - POCOCK_ALPHA if sequential else CONFIDENCE,
        prices=_prices(run, pairing),
    )


def _prices(run: Run, pairing: Pairing) -> tuple[float, float] | None:
    """Dollars per hour of either side; None unless both have a price."""
    found = {server.name: (server.price or {}).get("per_hour") for server in run.manifest.servers}
    one, two = (found.get(contender.label) for contender in (pairing.baseline, pairing.candidate))
    return None if one is None or two is None else (float(one), float(two))


def _loads(pairs: Sequence[Pair]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label for pair in pairs for start in pair.both for label in start.points))


def _screening(pairs: Sequence[Pair], pairing: Pairing, judging: Judging) -> Screening:
    cells = cells_of(pairs, judging, _loads(pairs))
    gates = {key: cells[key] for key in map(_key, pairing.gates) if key in cells}
    can = {key: cell for key, cell in gates.items() if cell.can_gate}
    decided = all(cell.verdict.changed or cell.verdict is CellVerdict.NO_CHANGE for cell in gates.values())
    return Screening(cells, flagged(can), decided and bool(gates))


def _final_cells(
    first: Screening, screen: Sequence[Pair], confirm: Sequence[Pair], judging: Judging
) -> dict[Key, Cell]:
    """The cells that are shown; of what was measured again the word is the fresh pairs', the estimate that of all."""
    final = dict(first.cells)
    if not first.flagged or not confirm:
        return final
    fresh_judging = replace(judging, confidence=CONFIDENCE)
    loads = _loads(confirm)
    fresh = cells_of(confirm, fresh_judging, loads)
    pooled = cells_of([*screen, *confirm], fresh_judging, loads)
    decided = confirmed({key: fresh[key] for key in first.flagged if key in fresh})
    for key, cell in decided.items():
        final[key] = _pooled(cell, pooled[key], len(screen), len(confirm))
    return final


def _pooled(decided: Cell, pooled: Cell, screen: int, confirm: int) -> Cell:
    if pooled.change is None or decided.verdict is CellVerdict.NOT_COMPARABLE:
        return decided
    note = f"estimate over all {screen + confirm} pairs"
    kept = ("baseline", "candidate", "change", "low", "high", "pairs", "sd", "hodges_lehmann", "smallest_visible")
    return replace(decided, notes=(*decided.notes, note), **{name: getattr(pooled, name) for name in kept})


def _null_cells(null: Sequence[Pair], pairing: Pairing, judging: Judging) -> dict[Key, Cell]:
    """The gated cells of the baseline against itself, at the load points that were measured again."""
    gates = {_key(gate) for gate in pairing.gates}
    plain = replace(judging, confidence=CONFIDENCE, prices=None, noise={})
    return {key: cell for key, cell in cells_of(null, plain, _loads(null)).items() if key in gates}


def _lines(cells: Mapping[Key, Cell], pairing: Pairing, remeasured: Sequence[Key]) -> tuple[Line, ...]:
    """Gated cells first, the worst of them at the top; then the others."""
    gates = [_key(gate) for gate in pairing.gates]
    every = {**{key: _missing(key, pairing) for key in gates if key not in cells}, **cells}
    rest = [key for key in every if key not in gates]
    tested = [key for key in rest if not every[key].test.startswith(DERIVED)]  # what is derived is not tested twice
    stands_out = exploratory([every[key] for key in tested])
    every |= {key: _among_many(every[key], holds) for key, holds in zip(tested, stands_out, strict=True)}
    lines = [Line(key.load, cell, gated=key in gates, confirmed=key in remeasured) for key, cell in every.items()]
    return tuple(sorted(lines, key=lambda line: (not line.gated, WORSE_FIRST.index(line.cell.verdict))))


def _among_many(cell: Cell, holds: bool) -> Cell:
    """An informational cell: what one of so many shows by chance is no change."""
    if not cell.verdict.changed or holds:
        return cell
    note = "one of many cells: not beyond a false discovery rate of 10 %"
    return replace(cell, verdict=CellVerdict.INCONCLUSIVE, notes=(note, *cell.notes))


def _missing(key: Key, pairing: Pairing) -> Cell:
    delta = next(gate.delta for gate in pairing.gates if _key(gate) == key)
    return not_comparable(COMPARED[key.metric], 0, "not measured", delta=delta)


def _under_test(manifest: Manifest, pairing: Pairing) -> tuple[str, ...]:
    """What the sides differ in by themselves: keys, versions with the digests of images, models."""
    found = {server.name: server for server in manifest.servers}
    one, two = (found.get(contender.label) for contender in (pairing.baseline, pairing.candidate))
    return under_test(one, two) if one is not None and two is not None else ()


def _failures(starts: Sequence[Start]) -> tuple[str, ...]:
    """Every start or trial that failed, first line only."""
    said = []
    for start in starts:
        slot = start.measured.slot
        where = f"pair {slot.pair}, {slot.side} ({start.measured.server})"
        if start.measured.failure:
            said.append(f"{where}: {first_line(start.measured.failure)}")
    return tuple(said)


def _diagnostics(screen: Sequence[Pair], starts: Sequence[Start], gates: Sequence[Key]) -> tuple[str, ...]:
    """What the session says of itself: the place in a pair, and the drift from its beginning to its end."""
    key = next((key for key in gates if key.metric in ("p50", "p95", "p99")), None)
    if key is None:
        return ()
    values = [(start, _value(start, key)) for start in starts if start.measured.slot.stage is Stage.SCREEN]
    said = []
    ordered = [sorted(pair.both, key=lambda start: start.measured.slot.position) for pair in screen]
    first, second = ([_value(both[place], key) for both in ordered] for place in (0, 1))
    known = [(one, two) for one, two in zip(first, second, strict=True) if one is not None and two is not None]
    place = position_effect([one for one, _ in known], [two for _, two in known])
    if place is not None and place.differs:
        said.append(f"{key}: second in a pair {_effect_text(place)}; the order was random, so it cancels")
    sound = [(start, value) for start, value in values if value is not None]
    if len(sound) < LEAST_PAIRS:
        return tuple(said)
    drift = session_slope(
        [value for _, value in sound], [start.measured.slot.side is Side.CANDIDATE for start, _ in sound]
    )
    if drift is not None and drift.differs:
        said.append(f"{key}: {_effect_text(drift)} from the first trial to the last, on both sides alike")
    return tuple(said)


def _effect_text(effect: Effect) -> str:
    return f"{100 * effect.change:+.1f} % [{100 * effect.low:+.1f}, {100 * effect.high:+.1f}]"


def _value(start: Start, key: Key) -> float | None:
    if key.metric == "startup":
        return start.startup
    if key.metric == "memory":
        return start.memory
    point = start.points.get(key.load)
    return None if point is None else point.value(key.metric)


def _values(starts: Sequence[Start], gates: Sequence[Key]) -> tuple[TrialValue, ...]:
    return tuple(
        TrialValue(slot.stage, slot.pair, slot.position, slot.side, key.load, key.metric, _value(start, key))
        for start in starts
        for slot in (start.measured.slot,)
        for key in gates
        if key.load in start.points or not key.load
    )


def _shifts(screen: Sequence[Pair], confirm: Sequence[Pair], pairing: Pairing) -> tuple[Shift, ...]:
    """The quantiles of either side at every load point that has them, over all pairs of both."""
    pairs = [*screen, *confirm]
    found = []
    for load in _loads(pairs):
        if load == Capacity.name:
            continue
        rows = [_quantile_ratios(pair, load) for pair in pairs]
        ratios = np.array([row for row in rows if row is not None])
        if len(ratios) < LEAST_PAIRS:
            continue
        # The band holds for all quantiles at once: Bonferroni over those that are drawn.
        confidence = 1 - (1 - CONFIDENCE) / len(SHIFT_QUANTILES)
        change, low, high = (np.expm1(bound) for bound in t_bounds(ratios.T, confidence))
        delta = next((gate.delta for gate in pairing.gates if gate.load == load and gate.metric in _TIMES), None)
        found.append(
            Shift(
                load,
                SHIFT_QUANTILES,
                tuple(map(float, change)),
                tuple(map(float, low)),
                tuple(map(float, high)),
                len(ratios),
                COMPARED["p95"].delta if delta is None else delta,
            )
        )
    return tuple(found)


_TIMES = ("p50", "p95", "p99")


def _quantile_ratios(pair: Pair, load: str) -> list[float] | None:
    points = [start.points.get(load) for start in pair.both]
    if any(point is None or point.lost or point.wrong or point.quantiles is None for point in points):
        return None
    one, two = (point.quantiles for point in points if point is not None and point.quantiles is not None)
    if not all(value > 0 for value in (*one, *two)):
        return None
    return [math.log(after / before) for before, after in zip(one, two, strict=True)]
