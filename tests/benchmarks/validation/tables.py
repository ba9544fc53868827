"""Kept sessions -> the tables of docs/validation.md. Everything there is printed from here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from bench.compare import statistics as st
from bench.compare.cells import COMPARED, Cell, CellVerdict
from tests.benchmarks.page import Table, percent
from tests.benchmarks.validation.pairs import COUNTS, Kept, cell, faulty, joined, of, ratios
from tests.benchmarks.validation.parts import PARTS, Part
from tests.benchmarks.validation.record import Session, beside_others, sessions_of
from tests.benchmarks.validation.same import contrast, disturbed, noise, real_alarms
from tests.benchmarks.validation.simulated import simulated_alarms, simulated_families

DRAWS = 400


def page(store: Path) -> str:
    """Everything that all kept sessions say, as Markdown."""
    kept = sessions_of(store)
    own = [session for sessions in kept.values() for session in sessions]
    parts = [*_state(own), simulated_alarms().markdown(), simulated_families().markdown()]
    if any(kept[name] for name in PARTS if PARTS[name].same):
        parts += [table(kept).markdown() for table in (real_alarms, disturbed, contrast, noise)]
    if any(kept[name] for name in PARTS if not PARTS[name].same):
        parts += [detection(kept).markdown(), verdicts(kept).markdown(), usual(kept).markdown()]
    return "\n".join(parts)


def _state(own: Sequence[Session]) -> list[str]:
    """On what machine, and how disturbed."""
    if not own:
        return ["No session yet.\n"]
    others, loads = [session.others for session in own], [session.load_average for session in own]
    hours = sum(session.seconds for session in own) / 3600
    return [
        *dict.fromkeys(session.machine for session in own if session.machine),
        f"\n{len(own)} sessions, {sum(session.count for session in own)} pairs, {hours:.1f} hours of measuring, "
        f"{min(session.at for session in own)[:16]} to {max(session.at for session in own)[:16]} UTC. Other programs "
        f"disturbed a session by {percent(median(others))} in the median ({percent(min(others))} to "
        f"{percent(max(others))}): the larger of the share of the machine that they used and the share of time that a "
        f"process of ours waited for a core. Load average at the end of a session {median(loads):.1f} in the median, "
        f"{max(loads):.1f} at most. {_beside_text(own)}\n",
    ]


def _beside_text(own: Sequence[Session]) -> str:
    beside = beside_others(own)
    if not beside:
        return "No two sessions were measured at the same time."
    return f"{of(beside, len(own))} were measured while another session was."


def detection(kept: Kept) -> Table:
    """Share of sessions that see each fault, by their number of pairs, beside the prediction."""
    rows = []
    for part in faulty():
        pairs = joined(kept[part.name])
        count = len(pairs["p50"])
        if count < st.MIN_PAIRS:
            continue
        whole = cell(part.metric, pairs, COMPARED[part.metric].delta)
        cells = []
        for k in COUNTS:
            measured, expected = _measured(part, pairs, k), _predicted(part, pairs, k)
            cells += [
                f"{_share(measured[0])} / {_share(expected[0])}",
                f"{_share(measured[1])} / {_share(expected[1])}",
            ]
        rows.append([part.title, part.metric, str(count), _change(whole), *cells])
    columns = (
        "fault",
        "metric",
        "pairs",
        "measured change",
        *(f"{what}, {k} pairs" for k in COUNTS for what in ("seen", "regressed")),
    )
    notes = (
        "measured / predicted. Seen: the 95 % interval lies on the bad side of zero. Regressed: and the change is at "
        "least delta (5 %; p99 10 %; errors 1.5 times and 0.1 percentage points).",
        f"Measured: {DRAWS} sessions of so many pairs, drawn with replacement from the recorded ones; beyond "
        "the number recorded it shows what more of the same would say.",
        "Predicted: normal differences with the fault's nominal size and the scatter of the recorded pairs; errors: "
        "independent ones at the nominal rates.",
        "Nominal sizes are those of a quiet machine: where others stall the server by as much as a fault adds, the "
        "stalls are the p99, and a server that does not get what its quota allows never feels the quota.",
        "What is as large as delta is called regressed half of the time, by design.",
    )
    return Table("Real faults: does it see what is there?", columns, rows, notes)


def verdicts(kept: Kept) -> Table:
    """What the sessions themselves said of each fault."""
    rows = []
    for part in faulty():
        said = Counter(session.first_stage.get(part.metric, "-") for session in kept[part.name])
        if said:
            rows.append([part.title, part.metric, str(sum(said.values())), _counted(said)])
    note = "First-stage verdict of the metric in which the fault shows, as each session of 10 pairs gave it."
    return Table("Real faults: what each session said", ("fault", "metric", "sessions", "verdicts"), rows, (note,))


def usual(kept: Kept) -> Table:
    """One run each, compare p99: on the same pairs."""
    rows = []
    for part in PARTS.values():
        pairs = [pair for session in kept[part.name] for pair in session.pairs["p99"]]
        if not pairs:
            continue
        slower = sum(b / a - 1 > 0.10 for a, b in pairs)
        faster = sum(a / b - 1 > 0.10 for a, b in pairs)
        ratios = [b / a - 1 for a, b in pairs]
        middle = f"{100 * float(np.median(ratios)):+.1f} %"
        rows.append(
            [part.title, str(len(pairs)), of(slower, len(pairs)), of(faster, len(pairs)), middle, _ends(ratios)]
        )
    columns = ("what was compared", "pairs", "slower by 10 %", "faster by 10 %", "median", "5 % to 95 % of the pairs")
    note = "Every recorded pair taken alone: one run of each side, and the p99 of one compared with that of the other."
    return Table("The usual way: one run each, p99 compared", columns, rows, (note,))


def _measured(part: Part, pairs: dict[str, list[Sequence[float]]], k: int) -> tuple[float, float]:
    rng = np.random.default_rng(k)
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in pairs.items()}
    count = len(arrays["p50"])
    found = [
        _judged(part, {name: values[rng.integers(0, count, k)] for name, values in arrays.items()})
        for _ in range(DRAWS)
    ]
    return _shares(found)


def _judged(part: Part, pairs: object) -> tuple[bool, bool]:
    """Whether a session sees the fault, and calls it regressed."""
    whole = cell(part.metric, pairs, COMPARED[part.metric].delta)
    seen = whole.p_worse is not None and whole.p_worse < (1 - st.CONFIDENCE) / 2
    return seen, whole.verdict is CellVerdict.REGRESSED


def _shares(found: Sequence[tuple[bool, bool]]) -> tuple[float, float]:
    seen, regressed = (sum(each) / len(found) for each in zip(*found, strict=True))
    return seen, regressed


def _predicted(part: Part, pairs: dict[str, list[Sequence[float]]], k: int) -> tuple[float, float]:
    rng = np.random.default_rng(100 + k)
    if part.metric == "error_rate":
        sent = round(float(np.asarray(pairs["requests"]).mean()))
        rates = np.asarray(part.truth)
        found = []
        for _ in range(DRAWS):
            errors = rng.binomial(sent, rates, size=(k, 2)).astype(np.float64)
            found.append(_judged(part, {"errors": errors, "requests": np.full((k, 2), float(sent))}))
        return _shares(found)
    logs = ratios(pairs, part.metric)
    sign = -1.0 if COMPARED[part.metric].better == "higher" else 1.0
    draws = rng.normal(sign * _true_log(part, pairs), float(logs.std(ddof=1)), (10 * DRAWS, k))
    mean, low, _ = st.t_bounds(draws)
    large = (
        np.expm1(mean) >= COMPARED[part.metric].delta if sign > 0 else -np.expm1(-mean) >= COMPARED[part.metric].delta
    )
    return float((low > 0).mean()), float(((low > 0) & large).mean())


def _true_log(part: Part, pairs: dict[str, list[Sequence[float]]]) -> float:
    """Log of the true ratio: what was added to the service time, over what a request takes with all around it."""
    if part.metric == "throughput":
        return math.log1p(part.truth[0])
    baseline = float(np.median(np.asarray(pairs[part.metric])[:, 0]))
    return math.log1p(part.truth[0] * part.delay / baseline)


def _change(found: Cell) -> str:
    if found.change is None or found.low is None or found.high is None:
        return "-"
    unit = "pp" if found.change_is == "difference" else "%"
    digits = 2 if unit == "pp" else 1
    return f"{100 * found.change:+.{digits}f} {unit} [{100 * found.low:+.{digits}f}, {100 * found.high:+.{digits}f}]"


def _share(share: float) -> str:
    return f"{100 * share:.0f} %"


def _counted(said: Counter[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in said.most_common())


def _ends(ratios: Sequence[float]) -> str:
    low, high = np.quantile(ratios, (0.05, 0.95))
    return f"{100 * low:+.0f} % to {100 * high:+.0f} %"
