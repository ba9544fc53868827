"""Verdict -> JUnit XML, which every CI shows: one test case per gated cell.

Regressed is a failure, inconclusive is skipped with its reason, not comparable is an error.
"""

from __future__ import annotations

import re

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from bench.compare.cells import CellVerdict
from bench.compare.conclude import change_text, delta_text
from bench.compare.verdict import INCONCLUSIVE, PASSED, REGRESSED, Line, Verdict, Word
from bench.report.verdict_text import name

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def verdict_junit(verdict: Verdict, *, strict: bool = False) -> str:
    """The gated cells as a test suite, and the session as a whole where no cell tells what is wrong with it."""
    suite = TestSuite(_xml(f"bench: {verdict.name}"))
    for line in verdict.gated:
        suite.add_testcase(_case(verdict, line, strict=strict))
    code = verdict.code(strict=strict)
    if code not in (PASSED, REGRESSED, INCONCLUSIVE) or verdict.word in (Word.VOID, Word.NOTHING_MEASURED):
        whole = TestCase("session", classname=_xml(verdict.name))
        whole.result = [Error(_xml(verdict.sentence), "bench")] if code else []
        suite.add_testcase(whole)
    if verdict.seconds is not None:
        suite.time = round(verdict.seconds, 1)
    xml = JUnitXml()
    xml.add_testsuite(suite)
    text = bytes(xml.tostring()).decode()  # type: ignore[no-untyped-call]  # junitparser leaves this one out
    return f"{text}\n"


def _case(verdict: Verdict, line: Line, *, strict: bool) -> TestCase:
    cell = line.cell
    case = TestCase(_xml(name(line)), classname=_xml(f"{verdict.name}.{verdict.candidate.label}"))
    said = _xml(
        f"{cell.verdict}: {change_text(cell)}, delta {delta_text(cell)}" + (f"; {cell.note}" if cell.note else "")
    )
    blocked = not cell.can_gate and cell.verdict is not CellVerdict.NOT_COMPARABLE
    if cell.verdict is CellVerdict.REGRESSED and not blocked:
        case.result = [Failure(said, "regressed")]
    elif cell.verdict is CellVerdict.NOT_COMPARABLE:
        case.result = [Error(said, "not comparable")]
    elif cell.verdict is CellVerdict.INCONCLUSIVE or blocked:
        case.result = [Failure(said, "inconclusive")] if strict else [Skipped(said)]
    return case


def _xml(text: str) -> str:
    """The text without characters that XML cannot hold; escaping is the writer's."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
