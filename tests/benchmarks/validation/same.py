"""The tables of servers compared with themselves: how often the gate failed one, and what that lets one claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from bench.compare import statistics as st
from bench.compare.cells import COMPARED
from tests.benchmarks.page import Table, percent
from tests.benchmarks.validation.pairs import COUNTS, Kept, cell, joined, of, ratios, same
from tests.benchmarks.validation.record import Session

MOST_FAILURES = 0.01
"""How many sessions of a server against itself may fail."""
QUIET_SESSION = 0.10
"""A session that others disturbed by less than this counts as one of a quiet machine."""
NO_VERDICT = ("not comparable", "nothing measured")
_MET = ("p50", "p95", "p99")


def real_alarms(kept: Kept) -> Table:
    """How often `bench ab` failed a server that was compared with itself."""
    rows = []
    for part in same():
        sessions = kept[part.name]
        if not sessions:
            continue
        words = Counter(session.word for session in sessions)
        cells = [verdict for session in sessions for verdict in session.gated_first_stage]
        changed = [word for word in cells if word in ("improved", "regressed")]
        rows.append(
            [
                part.title,
                *_bounded(sessions),
                f"{len(changed)} of {len(cells)} ({changed.count('improved')} improved)",
                ", ".join(f"{count} {word}" for word, count in words.most_common()),
            ]
        )
    every = _every(kept)
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


def disturbed(kept: Kept) -> Table:
    """The same sessions by how disturbed the machine was, and without those that reached no verdict."""
    every = _every(kept)
    rows = []
    for title, sessions in (
        ("all", every),
        (f"quiet: others below {_share(QUIET_SESSION)}", [one for one in every if one.others < QUIET_SESSION]),
        (f"busy: others {_share(QUIET_SESSION)} or more", [one for one in every if one.others >= QUIET_SESSION]),
    ):
        if not sessions:
            continue
        share = f"{len(sessions)} of {len(every)} ({100 * len(sessions) / len(every):.0f} %)"
        reached = [session for session in sessions if session.word not in NO_VERDICT]
        bounds = _bounded(reached) if reached else ["0", "-", "-"]
        rows.append([title, share, *_bounded(sessions)[1:], *bounds])
    columns = (
        "machine",
        "sessions",
        "failed the gate",
        "so at most (95 %)",
        "reached a verdict",
        "of these failed",
        "so at most (95 %)",
    )
    notes = (
        "How disturbed: the larger of the share of the machine that other programs used and the share of time that a "
        "process of the session waited for a core.",
        'Reached a verdict: said something other than "not comparable" or "nothing measured". Those that did '
        "not had no chance to fail, and the last columns leave them out.",
    )
    return Table("Real A/A sessions: quiet machine, busy machine, verdicts alone", columns, rows, notes)


def _every(kept: Kept) -> list[Session]:
    return [session for part in same() for session in kept[part.name]]


def _bounded(sessions: Sequence[Session]) -> list[str]:
    """How many there are, how many failed, and the bound of their share."""
    failed = sum(_failed(session) for session in sessions)
    return [str(len(sessions)), str(failed), percent(st.binomial_upper(failed, len(sessions)))]


def _share(share: float) -> str:
    return f"{100 * share:.0f} %"


def _failed(session: Session) -> bool:
    return session.exit_code == 10 or session.word == "void"


def contrast(kept: Kept) -> Table:
    """What other ways would have said of the same A/A sessions."""
    rows = []
    for part in same():
        sessions = [session for session in kept[part.name] if session.count >= st.MIN_PAIRS]
        if not sessions:
            continue
        pairs = sum(session.count for session in sessions)
        paired = [cell("p50", session.pairs, COMPARED["p50"].delta).verdict.changed for session in sessions]
        zero = [_zero_excluded(session, "p50") for session in sessions]
        blocks = [_blocks_differ(session, "p50") for session in sessions]
        pooled = [session.pooled_p is not None and session.pooled_p < 0.05 for session in sessions]
        once = sum(_off_by(a, b, 0.10) for session in sessions for a, b in session.pairs["p99"])
        rows.append(
            [
                part.title,
                of(sum(paired), len(sessions)),
                of(sum(zero), len(sessions)),
                of(sum(blocks), len(sessions)),
                of(sum(pooled), len(sessions)),
                of(once, pairs),
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


def noise(kept: Kept) -> Table:
    """How much a pair of the same server differs, and what that lets so many pairs see."""
    rows = []
    for part in same():
        pairs = joined(kept[part.name])
        for metric in (*_MET, "throughput"):
            logs = ratios(pairs, metric)
            if len(logs) < st.MIN_PAIRS or st.constant(logs):
                continue
            sd = float(logs.std(ddof=1))
            seen = [percent(st.smallest_visible(sd, count, COMPARED[metric].delta)) for count in COUNTS]
            rows.append([f"{part.title}, {metric}", str(len(logs)), percent(sd), *seen])
    columns = ("A/A", "pairs", "sd of a pair's log-ratio", *(f"visible with {count} pairs" for count in COUNTS))
    note = (
        "Visible: the true change that 4 of 5 sessions call changed: significant, and at least delta (5 %, p99 10 %)."
    )
    return Table("Measured noise", columns, rows, (note,))


def _zero_excluded(session: Session, metric: str) -> bool:
    logs = ratios({metric: list(session.pairs[metric])}, metric)
    return not st.constant(logs) and st.paired_t(logs).excludes_zero


def _blocks_differ(session: Session, metric: str) -> bool:
    """Whether the trials that ran first differ from those that ran later."""
    order = []
    for (a, b), first in zip(session.pairs[metric], session.baseline_first, strict=True):
        order += [a, b] if first else [b, a]
    logs = np.log(order)
    return st.welch(logs[: len(logs) // 2], logs[len(logs) // 2 :]).p < 0.05


def _off_by(a: float, b: float, limit: float) -> bool:
    return max(a, b) / min(a, b) - 1 > limit
