from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from bench.compare.staged import judge_session
from bench.compare.verdict import Verdict
from bench.report.charts.verdict import verdict_charts
from bench.report.sheet import svg_bytes
from bench.report.text import columns
from bench.report.verdict_files import append_step_summary, verdict_json
from bench.report.verdict_junit import verdict_junit
from bench.report.verdict_markdown import verdict_markdown
from bench.report.verdict_text import verdict_text
from bench.results.pairing import Contender, Side
from tests.paired import Recorded, write_session

HOSTILE = "<script>alert(1)</script> | `x` ]]>\x00\u202e@team"


@pytest.fixture(scope="module")
def regressed(tmp_path_factory: pytest.TempPathFactory) -> Verdict:
    how = Recorded(slower=1.2, confirmed=True, price=0.1, failed={(2, Side.BASELINE): HOSTILE})
    return judge_session(write_session(tmp_path_factory.mktemp("session") / "run", how))


@pytest.fixture
def hostile(regressed: Verdict) -> Verdict:
    contender = Contender(HOSTILE, HOSTILE, HOSTILE)
    return replace(regressed, name=HOSTILE, candidate=contender, warnings=(HOSTILE,))


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_no_line_is_wider_than_the_terminal(regressed: Verdict, hostile: Verdict, width: int) -> None:
    for verdict in (regressed, hostile):
        assert max(columns(line) for line in verdict_text(verdict, width).splitlines()) <= max(80, width)


def test_the_table_says_word_interval_delta_and_pairs(regressed: Verdict) -> None:
    text = verdict_text(regressed)
    row = next(line for line in text.splitlines() if line.startswith("p95 "))
    assert "▲ regressed, confirmed" in row
    assert " 5 % " in row
    assert "+2" in row
    assert text.index("p95") < text.index("informational, never fails a session") < text.index("start-up")


def test_markdown_escapes_what_comes_from_outside(hostile: Verdict) -> None:
    text = verdict_markdown(hostile)
    assert "<script>" not in text
    assert "\x00" not in text
    assert "@team" not in text


def test_markdown_folds_what_never_fails_a_session(regressed: Verdict) -> None:
    text = verdict_markdown(regressed)
    assert text.index("**REGRESSED**") < text.index("<details>") < text.index("start-up")


def test_junit_has_a_failure_for_what_regressed_and_can_be_parsed_whatever_names_hold(hostile: Verdict) -> None:
    suite = ET.fromstring(verdict_junit(hostile)).find("testsuite")
    assert suite is not None
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    (failure,) = cases["poisson-400 p95"].iter("failure")
    assert failure.get("type") == "regressed"
    assert suite.get("failures") == "1"


_JENKINS = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
    "testcase": {"name", "time", "classname"},
    **{tag: {"type", "message"} for tag in ("failure", "error", "skipped")},
}
"""Elements and attributes that Jenkins' schema of JUnit reports (junit-10.xsd) has, which is the strictest reader."""


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "how",
    [
        Recorded(pairs=6),
        Recorded(pairs=6, spread=0.2),
        Recorded(pairs=2),
        Recorded(pairs=6, finished=False),
        Recorded(pairs=6, stopped="new: exited with code 1"),
    ],
    ids=["no change", "inconclusive", "not comparable", "cut short", "nothing measured"],
)
def test_junit_is_what_jenkins_reads_its_sums_are_right_and_only_a_pass_is_green(
    tmp_path: Path, how: Recorded, strict: bool
) -> None:
    verdict = judge_session(write_session(tmp_path / "run", how))
    root = ET.fromstring(verdict_junit(verdict, strict=strict))
    for element in root.iter():
        assert set(element.attrib) <= _JENKINS[element.tag]
    (suite,) = root
    counts = {tag: len(list(suite.iter(tag))) for tag in ("testcase", "failure", "error", "skipped")}
    assert [int(suite.attrib[key]) for key in ("tests", "failures", "errors", "skipped")] == list(counts.values())
    assert (counts["failure"] + counts["error"] > 0) == (verdict.code(strict=strict) != 0)


@pytest.mark.parametrize(("strict", "tag"), [(False, "skipped"), (True, "failure")])
def test_junit_skips_what_is_inconclusive_unless_strict(tmp_path: Path, strict: bool, tag: str) -> None:
    verdict = judge_session(write_session(tmp_path / "run", Recorded(pairs=6, spread=0.2)))
    case = next(
        case for case in ET.fromstring(verdict_junit(verdict, strict=strict)).iter("testcase")
        if case.get("name") == "poisson-400 p95"
    )  # fmt: skip
    assert case.find(tag) is not None


def test_junit_has_an_error_for_what_is_not_comparable_and_for_the_session(tmp_path: Path) -> None:
    verdict = judge_session(write_session(tmp_path / "run", Recorded(pairs=2)))
    suite = ET.fromstring(verdict_junit(verdict)).find("testsuite")
    assert suite is not None
    assert suite.get("errors") == "3"


def test_json_holds_every_cell_and_both_exit_codes(regressed: Verdict) -> None:
    data = json.loads(verdict_json(regressed))
    assert data["exit_code"] == data["exit_code_strict"] == 10
    assert {"p50", "p95", "p99", "error_rate", "cost", "startup"} <= {line["cell"]["metric"] for line in data["lines"]}


def test_a_github_summary_is_added_to_and_nothing_is_written_without_one(
    regressed: Verdict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    append_step_summary(regressed)
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    append_step_summary(regressed)
    assert summary.read_text().startswith("before\n### paired")


def test_charts_are_drawn_the_same_every_time_whatever_names_hold(hostile: Verdict) -> None:
    first, again = ([svg_bytes(chart.paper.figure) for chart in verdict_charts(hostile)] for _ in range(2))
    assert first == again
    assert len(first) == 2


def test_a_chart_needs_no_figures(tmp_path: Path) -> None:
    verdict = judge_session(write_session(tmp_path / "run", Recorded(pairs=2)))
    (forest,) = verdict_charts(verdict)
    assert "not comparable" in forest.description


def test_every_key_of_the_verdict_is_in_the_docs(regressed: Verdict) -> None:
    page = (Path(__file__).parents[2] / "docs" / "regression-checks.md").read_text()
    said = set(re.findall(r"`(\w+)`", page.partition("| key of `verdict.json` |")[2].partition("\n\n")[0]))
    document = json.loads(verdict_json(regressed))
    line = document["lines"][0]
    keys = {*document, *document["baseline"], *line, *line["cell"], *document["values"][0], *document["shifts"][0]}
    assert keys - said == set()
