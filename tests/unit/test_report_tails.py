"""Charts of how times spread, where they go, and what each rung gave: what is not known is drawn as unknown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.report import charts, sheet, view
from bench.report.charts import Chart, breakdown, ladder, tails
from bench.report.charts.breakdown import COMPUTE, DECODE, HANDLER, LAG, QUEUE, SERVICE, WIRE, shares_of
from bench.results import Outcome
from bench.rungs import Rung
from bench.summary import Summary, Verdict
from bench.summary.spread import ranked
from tests import report_cases as cases

COUNTED = {
    "request_seconds": 10.0, "request_count": 100.0, "run_seconds": 8.0, "run_count": 100.0, "queue_seconds": 2.0,
    "queue_count": 100.0,
}  # fmt: skip


def _drawn(name: str, summary: Summary) -> Chart:
    with sheet.house_style():
        return getattr(charts, name)(summary)  # type: ignore[no-any-return]


def _failing() -> Summary:
    """A server of whose 400 requests 100 got no correct reply."""
    row = cases.row("half", cases.POINTS[3])
    assert row.spread is not None
    times = np.linspace(0.1, 0.5, 300)
    row = replace(row, ok=300, failed=100, spread=replace(row.spread, good=300, ranked=ranked(times, 40)))
    return cases.summary([row], [cases.server("half")])


def test_failures_keep_the_curve_of_all_requests_below_one() -> None:
    chart = _drawn("ecdf", _failing())
    (line, *_) = chart.paper.figure.axes[0].lines
    assert float(np.max(np.asarray(line.get_ydata()))) == pytest.approx(0.75)
    assert chart.rows[0][3] == "75 %"


def test_the_percentile_curve_is_of_values_that_were_measured() -> None:
    summary = cases.summary([cases.row("a", cases.POINTS[3])], [cases.server("a")])
    row = summary.rows[0]
    assert row.spread is not None
    chart = _drawn("percentile_curve", summary)
    shown = {float(y) for line in chart.paper.figure.axes[0].lines[:2] for y in np.asarray(line.get_ydata())}
    assert shown == set(row.spread.ranked.times)


def test_both_curves_show_the_load_point_of_the_choice() -> None:
    chosen = next(iter(view.best_rows(cases.typical())))
    found = tails.telling_point(cases.typical())
    assert found is not None
    assert found[0].label == chosen.label
    assert {each.one.name for each in found[1]} == {"flask", "gunicorn", "tfserving", "tfserving-grpc", "triton"}


def test_without_counters_of_the_server_its_time_is_one_unknown_part() -> None:
    shares = shares_of(cases.row("a", cases.POINTS[3]))
    assert shares is not None
    assert [part for length, part in shares.lengths() if length] == [LAG, SERVICE]
    assert "unknown" in breakdown(cases.typical()).rows[0]


def test_the_parts_that_a_server_tells_add_up_to_the_mean_service_time() -> None:
    row = replace(cases.row("a", cases.POINTS[3], 0.15), inside=COUNTED)
    shares = shares_of(row)
    assert shares is not None
    parts = {part: length for length, part in shares.lengths()}
    assert parts[QUEUE] == pytest.approx(0.02)
    assert parts[COMPUTE] == pytest.approx(0.06)
    assert parts[HANDLER] == pytest.approx(0.02)
    assert row.service_time is not None
    assert parts[WIRE] + 0.1 == pytest.approx(row.service_time.mean)


def test_counters_that_say_more_than_the_request_took_are_not_believed() -> None:
    row = replace(cases.row("a", cases.POINTS[3], 0.05), inside=COUNTED)
    shares = shares_of(row)
    assert shares is not None
    assert shares.compute is None


def test_reading_the_reply_is_drawn_as_unknown() -> None:
    chart = _drawn("breakdown", cases.typical())
    said = "\n".join(text.get_text() for text in chart.paper.figure.texts)
    assert DECODE.title in said
    assert all(row[-2] == "unknown" for row in chart.rows if row[1] == "poisson-4")


def _rungs() -> Summary:
    rungs: dict[str, Rung] = {"naive": "naive", "wsgi": "web server", "tfs": "model server"}
    servers = [replace(cases.server(name), rung=rung) for name, rung in rungs.items()]
    gpu = replace(cases.server("gpu", Outcome.SKIPPED, "no GPU"), rung="GPU")
    rows = [
        cases.row(name, p, s) for name, s in (("naive", 0.2), ("wsgi", 0.1), ("tfs", 0.05)) for p in cases.POINTS[:2]
    ]
    return cases.summary([*rows, *cases.absent("gpu", Outcome.SKIPPED, "no GPU")], [*servers, gpu])


def test_a_rung_is_compared_with_the_naive_server_at_the_same_load() -> None:
    chart = _drawn("ladder", _rungs())
    gains = {(row[0], row[1]): (row[2], row[6], row[7]) for row in chart.rows if len(row) > 6}
    assert gains["naive", "closed-1"] == ("naive", "1.00x", "-")
    assert gains["wsgi", "closed-1"] == ("web server", "2.00x", "1.79x to 2.23x")
    assert gains["tfs", "closed-1"][1] == "4.00x"
    assert gains["tfs", "closed-8"] == ("model server", "4.00x", "-")
    assert any(row[0] == "gpu" and "no GPU" in row[1] for row in chart.rows)


def test_without_a_naive_server_there_is_no_ladder_and_the_chart_says_so() -> None:
    servers = [replace(cases.server("a"), kind="triton", rung="")]
    chart = ladder(cases.summary([cases.row("a", cases.POINTS[0])], servers))
    assert not chart.paper.figure.axes
    assert "no naive server" in "\n".join(text.get_text() for text in chart.paper.figure.texts)


def test_an_invalid_rung_is_hollow() -> None:
    summary = _rungs()
    rows = [replace(row, verdict=Verdict.INVALID) if row.server == "tfs" else row for row in summary.rows]
    chart = _drawn("ladder", replace(summary, rows=tuple(rows)))
    faces = [
        line.get_markerfacecolor() for axes in chart.paper.figure.axes for line in axes.lines if line.get_zorder() == 5
    ]
    assert faces.count("#ffffff") == 2


def test_what_the_start_went_into_is_shown_where_the_server_told() -> None:
    told = replace(cases.server("a"), startup_parts={"loading": 4.0})
    summary = cases.summary([cases.row("a", cases.POINTS[0])], [told])
    assert _drawn("startup", summary).rows[0][:4] == ("a", "6.20 s", "4.00 s", "2.20 s")
    assert _drawn("model_size", summary).rows[0][:3] == ("a", "369 MB", "h5")
