"""The data of the page's controls: safe inside a page, and only where there is something to compute."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from bench.report.live import live_json
from bench.summary import Summary
from bench.summary.costs import costs_of
from bench.summary.spread import Ranked, Spread, limits_for
from tests import report_cases as cases

HOSTILE = "</script><script>alert(1)</script><!--"


def with_spreads(summary: Summary) -> Summary:
    """The rows with a spread of the size that real ones have."""
    rows = tuple(replace(row, spread=spread(row.n)) if row.ok else row for row in summary.rows)
    made = replace(summary, rows=rows)
    return replace(made, costs=costs_of(made, [cases.manifest()]))


def spread(n: int) -> Spread:
    times = tuple(np.linspace(0.1, 0.9, 200).tolist())
    ranks = tuple(np.linspace(1, max(n, 200), 200).astype(int).tolist())
    return Spread(n, n, Ranked(ranks, times), (), 0.7, 0.7, (n,) * len(limits_for(1.0)), 30.0, None)


def test_names_cannot_end_the_script_that_holds_the_data() -> None:
    made = cases.summary([cases.row(HOSTILE, cases.POINTS[3])], [cases.server(HOSTILE)])
    text = live_json(with_spreads(made))
    assert text is not None
    assert not set("<>&") & set(text)
    assert json.loads(text)["servers"][0]["name"] == HOSTILE


def test_without_an_slo_or_without_counts_there_is_nothing_to_control() -> None:
    assert live_json(cases.typical()) is None
    assert live_json(replace(with_spreads(cases.typical()), slo={})) is None
    assert live_json(with_spreads(cases.nothing())) is None


@pytest.mark.parametrize("made", [cases.typical(), cases.dozen(), cases.hostile()])
def test_every_row_belongs_to_a_server(made: Summary) -> None:
    text = live_json(with_spreads(made))
    assert text is not None
    data = json.loads(text)
    assert all(0 <= row["at"] < len(data["servers"]) for row in data["rows"])
    assert len(data["rows"]) == len(made.rows)
