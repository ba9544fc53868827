"""Reasons to doubt rows, those that many rows share said once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.report.view.server import servers
from bench.report.view.words import one_line
from bench.summary import Summary, Verdict

_CASES = 2


@dataclass(frozen=True, slots=True)
class Doubt:
    """One way in which rows are in doubt: what to do about it, and (what, at which rows) for each way it was said."""

    verdict: Verdict
    advice: str
    cases: tuple[tuple[str, str], ...]

    def sentence(self) -> str:
        """The first few cases in one line; the page has all of them."""
        said = "; ".join(f"{what} ({where})" for what, where in self.cases[:_CASES])
        more = len(self.cases) - _CASES
        return f"{said}; {more} more like it in report.html" if more > 0 else said


def doubts(summary: Summary) -> tuple[Doubt, ...]:
    """Every reason to doubt a row, INVALID first; a reason that many rows share is one entry."""
    made = [doubt for doubt in _reasons(summary) if doubt.verdict is not Verdict.VALID]
    return tuple(sorted(made, key=lambda doubt: doubt.verdict is not Verdict.INVALID))


def notes(summary: Summary) -> tuple[Doubt, ...]:
    """What a reader has to know of rows whose numbers are right."""
    return tuple(doubt for doubt in _reasons(summary) if doubt.verdict is Verdict.VALID)


def _reasons(summary: Summary) -> list[Doubt]:
    found: dict[tuple[Verdict, str], dict[str, list[tuple[str, str]]]] = {}
    advice: dict[tuple[Verdict, str], str] = {}
    for one in servers(summary):
        for row in one.measured:
            for reason in row.reasons:
                key = (reason.verdict, reason.id)
                advice.setdefault(key, one_line(reason.advice))
                found.setdefault(key, {}).setdefault(one_line(reason.what), []).append((one_line(one.name), row.label))
    return [
        Doubt(key[0], advice[key], tuple((what, _places(places)) for what, places in cases.items()))
        for key, cases in found.items()
    ]


def _places(places: Iterable[tuple[str, str]]) -> str:
    """`flask at closed-1, closed-8; gunicorn at closed-1`."""
    labels: dict[str, list[str]] = {}
    for name, label in places:
        labels.setdefault(name, []).append(label)
    return "; ".join(f"{name} at {', '.join(where)}" for name, where in labels.items())
