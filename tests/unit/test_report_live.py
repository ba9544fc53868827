"""The data of the page's controls: safe inside a page, and only where there is something to compute."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bench.report.live import live_json
from bench.summary import Summary
from bench.summary.spread import limits_for
from tests import report_cases as cases

HOSTILE = "</script><script>alert(1)</script><!--"


def test_names_cannot_end_the_script_that_holds_the_data() -> None:
    made = cases.summary([cases.row(HOSTILE, cases.POINTS[3])], [cases.server(HOSTILE)])
    text = live_json(made)
    assert text is not None
    assert not set("<>&") & set(text)
    assert json.loads(text)["servers"][0]["name"] == HOSTILE


def test_without_an_slo_or_without_counts_there_is_nothing_to_control() -> None:
    bare = tuple(replace(row, spread=None) for row in cases.typical().rows)
    assert live_json(replace(cases.typical(), rows=bare)) is None
    assert live_json(replace(cases.typical(), slo={})) is None
    assert live_json(cases.nothing()) is None


@pytest.mark.parametrize("made", [cases.typical(), cases.dozen(), cases.hostile()])
def test_every_row_belongs_to_a_server_and_has_a_count_for_every_limit(made: Summary) -> None:
    text = live_json(made)
    assert text is not None
    data = json.loads(text)
    assert data["limits"] == list(limits_for(1.0))
    assert all(0 <= row["at"] < len(data["servers"]) for row in data["rows"])
    assert all(len(row["within"]) == len(data["limits"]) for row in data["rows"] if row["ok"])
    assert len(data["rows"]) == len(made.rows)
