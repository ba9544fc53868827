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
from bench.compare.judge import judge_cell
from tests import simulated as sim
from tests.benchmarks.page import Table, percent
from tests.benchmarks.validation.parts import DELAY, PARTS, Part
from tests.benchmarks.validation.record import Session, read

Floats = st.Floats
COUNTS = (6, 10, 20)
DRAWS = 400
MOST_FAILURES = 0.01
"""How many sessions of a server against itself may fail."""
_MET = ("p50", "p95", "p99")


def page(store: Path) -> str:
    """Everything that all kept sessions say, as Markdown."""
    kept = {name: read(store, name) for name in PARTS}
    own = [session for sessions in kept.values() for session in sessions]
    parts = [*_state(own), simulated_alarms().markdown(), simulated_families().markdown()]
    if any(kept[name] for name in PARTS if PARTS[name].same):
        parts += [real_alarms(kept).markdown(), contrast(kept).markdown(), noise(kept).markdown()]
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
        f"{max(loads):.1f} at most.\n",
    ]


def simulated_alarms() -> Table:
    """False alarms of each way of comparing on sessions of one server against itself, from a model."""
    source = sim.bank(np.random.default_rng(1))
    rows = []
    for rig in (sim.QUIET, sim.TYPICAL, sim.NOISY):
        rng = np.random.default_rng(2)
        drawn = sim.sessions(rng, rig, 4000, 10, source)
        shares = []
        for metric in _MET:
            one, two = sim.in_pairs(rng, drawn.logs(source, metric))
            shares.append(percent(_excludes_zero(two - one)))
        blocks = sim.welch_alarms(*sim.in_blocks(drawn.logs(source, "p50")))
        pooled = sim.pooled_alarms(drawn, source, 100)
        once = sim.one_run_alarms(*sim.in_pairs(rng, drawn.logs(source, "p99")))
        rows.append([rig.name, *shares, percent(blocks), percent(pooled), percent(once)])
    columns = (
        "machine",
        "paired p50",
        "paired p95",
        "paired p99",
        "blocks p50",
        "requests pooled",
        "one run each, p99",
    )
    notes = (
        "Share of sessions without any difference that are called different. 4,000 sessions of 10 pairs (100 where "
        "requests are pooled), seeded; `tests/unit/test_compare_method.py` holds the first three columns to 4-6 %.",
        "Paired: the t interval of interleaved pairs excludes zero. Blocks: all of one side, then all of the other, "
        "Welch's t. Pooled: a rank test of all requests. One run each: p99 more than 10 % slower.",
    )
    return Table("Simulated: false alarms of one cell", columns, rows, notes)


def _excludes_zero(ratios: Floats) -> float:
    _, low, high = st.t_bounds(ratios)
    return float(((low > 0) | (high < 0)).mean())


def simulated_families() -> Table:
    """Sessions without any difference that fail, with and without the confirm stage."""
    rows = []
    for servers, metrics in ((1, 3), (4, 3), (4, 5), (10, 6)):
        rng = np.random.default_rng(3)
        screen, fresh = (sim.correlated_cells(rng, 4000, servers, metrics, 10) for _ in range(2))
        rows.append([f"{servers * metrics} ({servers} x {metrics})", *map(percent, _family(screen, fresh))])
        for cells in (screen, fresh):
            cells[:, 0] += 1.2
        rows[-1].append(percent(_family(screen, fresh)[1]))
    columns = ("cells (servers x metrics)", "any cell flagged", "fails after confirmation", "sees 1.2 sd")
    note = "4,000 sessions of 10 pairs; cells of one server correlated 0.6; Holm, one-sided 2.5 %, over flagged cells."
    return Table("Simulated: a whole session", columns, rows, (note,))


def _family(screen: Floats, fresh: Floats) -> tuple[float, float]:
    """Share of sessions with a flagged cell, and with one that fresh pairs confirm."""
    _, low, _ = st.t_bounds(screen)
    flags = low > 0
    mean = fresh.mean(axis=-1)
    error = fresh.std(axis=-1, ddof=1) / math.sqrt(fresh.shape[-1])
    failed = 0
    for session in np.flatnonzero(flags.any(axis=1)):
        places = np.flatnonzero(flags[session])
        p = [_p_above(float(mean[session, place] / error[session, place]), fresh.shape[-1]) for place in places]
        failed += any(st.holm(p))
    return float(flags.any(axis=1).mean()), failed / len(flags)


def _p_above(t: float, n: int) -> float:
    from scipy import special

    return float(special.stdtr(n - 1, -t))


def real_alarms(kept: dict[str, list[Session]]) -> Table:
    """How often `bench ab` failed a server that was compared with itself."""
    rows = []
    for part in _same():
        sessions = kept[part.name]
        if not sessions:
            continue
        failed = sum(_failed(session) for session in sessions)
        words = Counter(session.word for session in sessions)
        cells = [verdict for session in sessions for verdict in session.gated_first_stage]
        changed = [cell for cell in cells if cell in ("improved", "regressed")]
        rows.append(
            [
                part.title,
                str(len(sessions)),
                str(failed),
                percent(st.binomial_upper(failed, len(sessions))),
                f"{len(changed)} of {len(cells)} ({changed.count('improved')} improved)",
                ", ".join(f"{count} {word}" for word, count in words.most_common()),
            ]
        )
    every = [session for part in _same() for session in kept[part.name]]
    failed = sum(_failed(session) for session in every)
    bound = st.binomial_upper(failed, len(every)) if every else 1.0
    shown = "shows" if bound <= MOST_FAILURES else "does not show yet"
    columns = ("A/A", "sessions", "failed the gate", "so at most (95 %)", "first-stage cells changed", "sessions said")
    notes = (
        "Each session is the whole of `bench ab`: fresh servers, 6 pairs, confirm stage and null control where a cell "
        'would fail. "Failed the gate" counts a session that said regressed, or in which a cell was confirmed although '
        "both sides are the same.",
        f"Together {failed} of {len(every)} sessions failed, which lets one claim at most {percent(bound)}: it {shown} "
        f"that at most {percent(MOST_FAILURES)} do.",
        '"Not comparable" (exit code 12) is no false regression: the load was not sent in time, or too few requests '
        "were answered, because others kept the machine busy. It never reads as a pass.",
        "The bound is exact binomial, one-sided; with no failure it is the rule of three. To claim at most 1 % takes "
        "299 sessions without a failure: `--sessions 299` goes on from here.",
    )
    return Table("Real A/A sessions: does it cry wolf?", columns, rows, notes)


def _failed(session: Session) -> bool:
    return session.exit_code == 10 or session.word == "void"


def contrast(kept: dict[str, list[Session]]) -> Table:
    """What other ways would have said of the same A/A sessions."""
    rows = []
    for part in _same():
        sessions = [session for session in kept[part.name] if session.count >= st.MIN_PAIRS]
        if not sessions:
            continue
        pairs = sum(session.count for session in sessions)
        paired = [_changed(_cell("p50", session.pairs, COMPARED["p50"].delta)) for session in sessions]
        zero = [_zero_excluded(session, "p50") for session in sessions]
        blocks = [_blocks_differ(session, "p50") for session in sessions]
        pooled = [session.pooled_p is not None and session.pooled_p < 0.05 for session in sessions]
        once = sum(_off_by(a, b, 0.10) for session in sessions for a, b in session.pairs["p99"])
        rows.append(
            [
                part.title,
                _of(sum(paired), len(sessions)),
                _of(sum(zero), len(sessions)),
                _of(sum(blocks), len(sessions)),
                _of(sum(pooled), len(sessions)),
                _of(once, pairs),
            ]
        )
    columns = (
        "A/A",
        "`bench ab`, p50 changed",
        "its interval excludes 0",
        "first half against second, p50",
        "requests pooled",
        "one run each, p99 off by 10 %",
    )
    notes = (
        "The same trials, judged in five ways; both sides are the same server, so every count is a false alarm. First "
        "half against second: the session's trials in the order in which they ran, as if one side had been measured "
        "before the other, by Welch's t at 5 %.",
        "The last column is the usual way: one run of each, and their p99 compared; of all pairs, in either direction.",
    )
    return Table("Real A/A sessions: what other ways would have said", columns, rows, notes)


def noise(kept: dict[str, list[Session]]) -> Table:
    """How much a pair of the same server differs, and what that lets so many pairs see."""
    rows = []
    for part in _same():
        pairs = _joined(kept[part.name])
        for metric in (*_MET, "throughput"):
            ratios = _ratios(pairs, metric)
            if len(ratios) < st.MIN_PAIRS or st.constant(ratios):
                continue
            sd = float(ratios.std(ddof=1))
            seen = [percent(st.smallest_visible(sd, count, COMPARED[metric].delta)) for count in COUNTS]
            rows.append([f"{part.title}, {metric}", str(len(ratios)), percent(sd), *seen])
    columns = ("A/A", "pairs", "sd of a pair's log-ratio", *(f"visible with {count} pairs" for count in COUNTS))
    note = (
        "Visible: the true change that 4 of 5 sessions call changed: significant, and at least delta (5 %, p99 10 %)."
    )
    return Table("Measured noise", columns, rows, (note,))


def detection(kept: dict[str, list[Session]]) -> Table:
    """Share of sessions that see each fault, by their number of pairs, beside the prediction."""
    rows = []
    for part in _faulty():
        pairs = _joined(kept[part.name])
        count = len(pairs["p50"])
        if count < st.MIN_PAIRS:
            continue
        whole = _cell(part.metric, pairs, COMPARED[part.metric].delta)
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
        "Nominal sizes are those of a quiet machine: where others stall the server, their stalls are the p99, and a "
        "server that does not get 90 % of a core never feels a quota of 90 %.",
        "What is as large as delta is called regressed half of the time, by design.",
    )
    return Table("Real faults: does it see what is there?", columns, rows, notes)


def verdicts(kept: dict[str, list[Session]]) -> Table:
    """What the sessions themselves said of each fault."""
    rows = []
    for part in _faulty():
        said = Counter(session.first_stage.get(part.metric, "-") for session in kept[part.name])
        if said:
            rows.append([part.title, part.metric, str(sum(said.values())), _counted(said)])
    note = "First-stage verdict of the metric in which the fault shows, as each session of 10 pairs gave it."
    return Table("Real faults: what each session said", ("fault", "metric", "sessions", "verdicts"), rows, (note,))


def usual(kept: dict[str, list[Session]]) -> Table:
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
            [part.title, str(len(pairs)), _of(slower, len(pairs)), _of(faster, len(pairs)), middle, _ends(ratios)]
        )
    columns = ("what was compared", "pairs", "slower by 10 %", "faster by 10 %", "median", "5 % to 95 % of the pairs")
    note = "Every recorded pair taken alone: one run of each side, and the p99 of one compared with that of the other."
    return Table("The usual way: one run each, p99 compared", columns, rows, (note,))


def _same() -> list[Part]:
    return [part for part in PARTS.values() if part.same]


def _faulty() -> list[Part]:
    return [part for part in PARTS.values() if not part.same]


def _joined(sessions: Sequence[Session]) -> dict[str, list[Sequence[float]]]:
    names = sessions[0].pairs if sessions else {"p50": []}
    return {name: [pair for session in sessions for pair in session.pairs[name]] for name in names}


def _ratios(pairs: dict[str, list[Sequence[float]]], metric: str) -> Floats:
    both = np.asarray(pairs.get(metric, []), dtype=np.float64).reshape(-1, 2)
    return np.asarray(np.log(both[:, 1]) - np.log(both[:, 0]))


def _cell(metric: str, pairs: object, delta: float) -> Cell:
    assert isinstance(pairs, dict)
    name = "errors" if metric == "error_rate" else metric
    both, sent = np.asarray(pairs[name], dtype=np.float64), np.asarray(pairs["requests"], dtype=np.float64)
    requests = (sent[:, 0].astype(int).tolist(), sent[:, 1].astype(int).tolist())
    return judge_cell(COMPARED[metric], both[:, 0], both[:, 1], delta=delta, requests=requests)


def _changed(cell: Cell) -> bool:
    return cell.verdict.changed


def _zero_excluded(session: Session, metric: str) -> bool:
    ratios = _ratios({metric: list(session.pairs[metric])}, metric)
    return not st.constant(ratios) and st.paired_t(ratios).excludes_zero


def _blocks_differ(session: Session, metric: str) -> bool:
    """Whether the trials that ran first differ from those that ran later."""
    order = []
    for (a, b), first in zip(session.pairs[metric], session.baseline_first, strict=True):
        order += [a, b] if first else [b, a]
    logs = np.log(order)
    return st.welch(logs[: len(logs) // 2], logs[len(logs) // 2 :]).p < 0.05


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
    cell = _cell(part.metric, pairs, COMPARED[part.metric].delta)
    seen = cell.p_worse is not None and cell.p_worse < (1 - st.CONFIDENCE) / 2
    return seen, cell.verdict is CellVerdict.REGRESSED


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
    ratios = _ratios(pairs, part.metric)
    sign = -1.0 if COMPARED[part.metric].better == "higher" else 1.0
    draws = rng.normal(sign * _true_log(part, pairs), float(ratios.std(ddof=1)), (10 * DRAWS, k))
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
    return math.log1p(part.truth[0] * DELAY / baseline)


def _change(cell: Cell) -> str:
    if cell.change is None or cell.low is None or cell.high is None:
        return "-"
    unit = "pp" if cell.change_is == "difference" else "%"
    digits = 2 if unit == "pp" else 1
    return f"{100 * cell.change:+.{digits}f} {unit} [{100 * cell.low:+.{digits}f}, {100 * cell.high:+.{digits}f}]"


def _share(share: float) -> str:
    return f"{100 * share:.0f} %"


def _of(count: int, total: int) -> str:
    return f"{count} of {total} ({100 * count / total:.0f} %)"


def _counted(said: Counter[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in said.most_common())


def _off_by(a: float, b: float, limit: float) -> bool:
    return max(a, b) / min(a, b) - 1 > limit


def _ends(ratios: Sequence[float]) -> str:
    low, high = np.quantile(ratios, (0.05, 0.95))
    return f"{100 * low:+.0f} % to {100 * high:+.0f} %"
