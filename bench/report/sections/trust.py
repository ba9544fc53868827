"""Can I trust this? Verdicts with their reasons, the servers, the machine, what the load generator itself can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import units
from bench.report import view
from bench.report.inside import BODIES_HEAD, INSIDE_HEAD, INSIDE_NOTE, bodies, inside
from bench.report.origins import differences, origin
from bench.report.page import Page, Section
from bench.report.view import ServerView
from bench.results import AnswerCheck
from bench.summary import Row, ServerSummary, Verdict


@dataclass(frozen=True, slots=True)
class _ServerFacts:
    name: str
    title: str
    version: str
    model: str
    startup: str
    connections: str
    answers: str
    lag: str
    absent: str
    fix: str


def _values(page: Page) -> Mapping[str, object]:
    summary, origins = page.summary, [origin(source) for source in page.sources]
    return {
        "verdict_counts": _verdict_counts(page.views),
        "doubts": view.doubts(summary),
        "notes": view.notes(summary),
        "errors": _errors(page.views),
        "inside": (INSIDE_HEAD, inside(summary)),
        "inside_note": INSIDE_NOTE,
        "bodies": (BODIES_HEAD, bodies(summary)),
        "warnings": [view.one_line(warning) for warning in summary.warnings],
        "servers": [_facts(one) for one in page.views],
        "prices": view.price_notes(summary),
        "origins": origins,
        "differences": (("fact", *(one.run_id for one in origins)), differences(origins)),
        "basis": view.basis_text(summary),
        "calibrations": view.calibration_texts(summary),
    }


def _verdict_counts(views: Sequence[ServerView]) -> str:
    """`12 VALID, 3 SUSPECT, 1 INVALID`."""
    words = [row.verdict for one in views for row in one.measured if row.verdict is not None]
    counts = ((word, words.count(word)) for word in Verdict)
    return ", ".join(f"{units.count_text(count)} {word.value}" for word, count in counts if count)


def _errors(views: Sequence[ServerView]) -> list[tuple[str, str, str, str]]:
    """(server, load, error, how often), most frequent first within a row."""
    return [
        (view.one_line(one.name), row.label, view.one_line(error), units.count_text(count))
        for one in views
        for row in one.measured
        for error, count in sorted(row.errors.items(), key=lambda item: -item[1])
    ]


def _facts(one: ServerView) -> _ServerFacts:
    known = one.summary
    size = f"{known.model_form}, {units.bytes_text(known.model_bytes)}" if known.model_form else "-"
    return _ServerFacts(
        name=view.one_line(one.name),
        title=view.one_line(known.title),
        version=view.one_line(known.version) or "-",
        model=view.one_line(size),
        startup=_startup(known),
        connections=_connections(one.measured),
        answers=_agreement(one),
        lag=_lag(one.measured),
        absent=view.one_line(one.absent),
        fix=view.one_line(known.fix),
    )


def _startup(known: ServerSummary) -> str:
    """Seconds from exec to the first answer, and what they went into where the server told."""
    parts = ", ".join(f"{name} {units.duration_text(seconds)}" for name, seconds in known.startup_parts.items())
    return units.duration_text(known.startup_seconds) + (f" ({view.one_line(parts)})" if parts else "")


def _connections(rows: Sequence[Row]) -> str:
    """Connections opened per request, the range over the load points: 1 is a server that closes every one."""
    shares = [row.connections_per_request for row in rows if row.connections_per_request is not None]
    if not shares:
        return "-"
    low, high = f"{min(shares):.2g}", f"{max(shares):.2g}"
    return low if low == high else f"{low} to {high}"


def _agreement(one: ServerView) -> str:
    """How the answers compare with the reference, in a sentence."""
    checks: list[AnswerCheck] = [row.answers for row in one.measured if row.answers is not None]
    if not checks:
        return "not checked"
    checked, wrong = sum(check.checked for check in checks), sum(check.wrong for check in checks)
    unchecked = sum(check.unchecked for check in checks)
    said = f"{units.percent_text(one.summary.agreement)} of {units.count_text(checked)} checked answers agree"
    said += f", {units.count_text(wrong)} are wrong" if wrong else ""
    said += f", {units.count_text(unchecked)} unchecked" if unchecked else ""
    differences = [(c.largest_difference, c.tolerance) for c in checks if c.tolerance > 0]
    worst = max((difference / least for difference, least in differences if difference is not None), default=None)
    return said + (f"; largest difference {units.ratio_text(worst)} the tolerance" if worst is not None else "")


def _lag(rows: Sequence[Row]) -> str:
    """The worst lateness of the load generator over a server's load points."""
    lags = [(row.send_lag.max, row.label) for row in rows if row.send_lag is not None and row.send_lag.max is not None]
    if not lags:
        return "-"
    worst, where = max(lags)
    return f"at most {units.duration_text(worst)} ({where})"


SECTION = Section("trust", "Can I trust this?", _values)
