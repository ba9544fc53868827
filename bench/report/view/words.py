"""Rows and SLOs as words: the texts that every output shares, each number through bench.units."""

from __future__ import annotations

import re

from bench import units
from bench.profiles import Capacity
from bench.results import Outcome
from bench.summary import Distribution, Row, Summary
from bench.summary.answer import EVEN

_TAILS = {90.0: "p90", 95.0: "p95", 99.0: "p99", 99.9: "p999"}
AT_CAPACITY = "open loop, each at its own capacity"


def tail(summary: Summary) -> str:
    """Field of a Distribution that the report shows beside p50: the SLO's own percentile, p95 unless it is another."""
    return _TAILS.get(summary.slo.get("percentile", 95.0), "p95")


def tail_text(summary: Summary) -> str:
    """`p95`, `p99.9`."""
    return "p99.9" if tail(summary) == "p999" else tail(summary)


def slo_limit(summary: Summary) -> float | None:
    """Seconds of response time that the SLO allows; None where there is no SLO or its percentile is not shown."""
    shown = summary.slo.get("percentile", 95.0) in _TAILS
    return summary.slo.get("response_time") if shown else None


def slo_text(summary: Summary) -> str:
    """`p95 response time at most 1 s, errors at most 0.1 %`; empty where there is no SLO."""
    parts = []
    if (limit := summary.slo.get("response_time")) is not None:
        percentile = f"{summary.slo.get('percentile', 95.0):g}"
        parts.append(f"p{percentile} response time at most {units.short(units.duration_text(limit))}")
    if (errors := summary.slo.get("error_rate")) is not None:
        parts.append(f"errors at most {units.percent_text(errors)}")
    return ", ".join(parts)


def one_line(text: str) -> str:
    """The text on one line, its control characters (a terminal would obey them) made visible or dropped."""
    spaced = re.sub(r"\s+", " ", text).strip()
    return "".join(c if c.isprintable() or c == " " else f"\\x{ord(c):02x}" for c in spaced)


def parted(answer: str) -> tuple[str, str]:
    """The answer's first sentence, which is written large, and the rest of it."""
    first, stop, rest = answer.partition(". ")
    return first + stop.strip(), rest


def plainly(reason: str) -> str:
    """A failure as a person reads it in a table: without the path of its log, its hint behind a semicolon."""
    return re.sub(r"\s*\n\s*hint: ", "; ", re.sub(r"(?m)^(failed: )?\S*/server\.log: ", r"\1", reason))


def absence(outcome: Outcome, reason: str) -> str:
    """`skipped: no GPU`: how it ended and why, on one line."""
    first = one_line(plainly(reason))
    return f"{outcome.value}: {first}" if first else outcome.value


def lost(row: Row) -> str:
    """`2 failed, 1 timed out`: the requests without a correct reply, three counts that are never one."""
    counts = (("failed", row.failed), ("timed out", row.timed_out), ("unsent", row.unsent))
    return ", ".join(f"{units.count_text(count)} {word}" for word, count in counts if count)


def slo_word(row: Row) -> str:
    """`met`, `missed`, or `-` where it could not be judged."""
    return "-" if row.slo_met is None else "met" if row.slo_met else "missed"


def is_open(row: Row) -> bool:
    """Whether arrivals ignored the replies."""
    return row.users is None


def load_title(row: Row) -> str:
    """`closed loop, 8 users`, `open loop, 2.5/s arriving`."""
    if row.users is not None:
        return f"closed loop, {units.count_text(row.users)} {'user' if row.users == 1 else 'users'}"
    if row.profile == Capacity.name:
        return AT_CAPACITY
    if row.arrival_rate is not None:
        rate = units.short(units.rate_text(row.arrival_rate))
        return f"open loop, {rate} arriving" if row.profile in EVEN else f"open loop, {row.profile}, {rate} on average"
    return row.label


def percentile(times: Distribution | None, name: str) -> float | None:
    """One percentile of a distribution by its field name."""
    value: float | None = getattr(times, name) if times is not None else None
    return value


def needed(row: Row, name: str) -> int | None:
    """How many requests a missing percentile would take; None if it is there or would not come with more."""
    return None if row.response_time is None else row.response_time.needs.get(name)


def percentile_text(row: Row, name: str) -> str:
    """`188 ms`, or `n < 130` where too few requests were answered."""
    value = percentile(row.response_time, name)
    needs = needed(row, name)
    return f"n < {units.count_text(needs)}" if value is None and needs else units.duration_text(value)


def ok_share(row: Row) -> float | None:
    """Share of the scheduled requests that got a correct reply."""
    return row.ok / row.n if row.n else None


def cost(row: Row) -> float | None:
    """Dollars per million requests at this row's goodput; None where unpriced or where nothing was good."""
    return row.cost_per_million.value if row.cost_per_million is not None else None


def plural(word: str, count: int) -> str:
    """The word, with an s unless it is one."""
    return word if count == 1 else f"{word}s"
