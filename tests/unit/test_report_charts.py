from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from bench.cost import Traffic
from bench.measures.timeline import Timeline
from bench.report import charts, look, sheet, view
from bench.report.charts import Chart
from bench.results import Outcome
from bench.summary import Row, Summary, Verdict
from bench.summary.costs import costs_again
from tests import report_cases as cases

CASES = {name: getattr(cases, name)() for name in ("typical", "lone", "dozen", "nothing", "hostile")}
DRAWN: dict[str, tuple[Chart, ...]] = {}


def _drawn(name: str) -> tuple[Chart, ...]:
    if name not in DRAWN:
        DRAWN[name] = charts.all_charts(CASES[name])
    return DRAWN[name]


def _typical(slug: str) -> Chart:
    return next(chart for chart in _drawn("typical") if chart.slug == slug)


def _texts(chart: Chart) -> list[Text]:
    found = chart.paper.figure.findobj(Text)
    return [text for text in found if text.get_text() and text.get_visible()]


def _said(chart: Chart) -> str:
    return "\n".join(text.get_text() for text in _texts(chart))


@pytest.mark.parametrize("name", CASES)
def test_no_text_is_cut_off_and_no_two_texts_overlap(name: str) -> None:
    for chart in _drawn(name):
        figure = chart.paper.figure
        with sheet.house_style():
            figure.draw_without_rendering()
            boxes = [(text.get_text(), text.get_window_extent()) for text in _texts(chart)]
        page = figure.bbox
        for text, box in boxes:
            assert page.x0 <= box.x0, (chart.slug, text)
            assert box.x1 <= page.x1, (chart.slug, text)
            assert page.y0 <= box.y0, (chart.slug, text)
            assert box.y1 <= page.y1, (chart.slug, text)
        for (one, first), (other, second) in itertools.combinations(boxes, 2):
            wide = min(first.x1, second.x1) - max(first.x0, second.x0)
            high = min(first.y1, second.y1) - max(first.y0, second.y0)
            assert wide <= 1 or high <= 3, (chart.slug, one, other)


@pytest.mark.parametrize("name", CASES)
def test_no_text_is_smaller_than_eleven_pixels(name: str) -> None:
    assert all(float(text.get_fontsize()) >= look.SMALL_PT for chart in _drawn(name) for text in _texts(chart))


@pytest.mark.parametrize("name", ["typical", "nothing"])
def test_absent_servers_are_in_every_chart_with_their_reason(name: str) -> None:
    for chart in _drawn(name):
        for server in CASES[name].servers:
            if server.reason:
                assert server.server in _said(chart), chart.slug
                assert f"{server.outcome.value}: {server.reason}" in _said(chart), chart.slug
                assert any(row[0] == server.server and server.reason in row[1] for row in chart.rows)


def test_a_reason_too_long_for_its_row_is_said_in_full_below() -> None:
    reason = "x" * 60 + " and " + "y" * 60
    broken = cases.server("broken", Outcome.FAILED, reason)
    rows = [*CASES["typical"].rows, *cases.absent("broken", Outcome.FAILED, reason)]
    summary = replace(CASES["typical"], rows=tuple(rows), servers=(*CASES["typical"].servers, broken))
    for chart in charts.all_charts(summary):
        assert "x" * 60 in _said(chart)
        assert "y" * 60 in _said(chart)


def test_a_percentile_with_too_few_requests_is_said_not_drawn() -> None:
    summary = cases.summary([cases.row("few", cases.POINTS[0], n=90)], [cases.server("few")])
    latency, _, curve, *_ = charts.all_charts(summary)
    assert "n too small" in _said(latency)
    assert "90 of 130" in _said(latency)
    assert not curve.paper.figure.axes
    assert "No load point has enough requests for p95." in _said(curve)


def test_nothing_measured_is_a_sentence_instead_of_an_empty_axis() -> None:
    for chart in _drawn("nothing"):
        assert not chart.paper.figure.axes
        assert "No " in _said(chart)


def _markers(chart: Chart) -> list[tuple[object, object]]:
    lines = [line for axes in chart.paper.figure.axes for line in axes.lines if line.get_marker() in look.MARKERS]
    return [(line.get_markerfacecolor(), line.get_zorder()) for line in lines if line.get_zorder() == 5]


def test_an_invalid_row_is_drawn_hollow() -> None:
    rows = [cases.row("a", cases.POINTS[0], verdict=Verdict.INVALID, reasons=[cases.WRONG])]
    latency, bars, curve, *_ = charts.all_charts(cases.summary(rows, [cases.server("a")]))
    assert {face for face, _ in _markers(latency) + _markers(curve)} == {look.PAPER}
    patches = [patch for axes in bars.paper.figure.axes for patch in axes.patches if isinstance(patch, Rectangle)]
    faces = [patch.get_facecolor() for patch in patches]
    assert faces == [(0.0, 0.0, 0.0, 0.0)]


def test_a_valid_row_is_drawn_full() -> None:
    latency, _, curve, *_ = charts.all_charts(CASES["lone"])
    assert {face for face, _ in _markers(latency) + _markers(curve)} == {look.PALETTE[0]}


def test_bars_begin_at_zero() -> None:
    for axes in _drawn("typical")[1].paper.figure.axes:
        if axes.xaxis.get_visible() and axes.axison:
            assert axes.get_xlim()[0] == 0


def test_a_logarithmic_axis_says_so() -> None:
    drawn = {chart.slug: chart for chart in _drawn("typical")}
    assert "response time (log)" in _said(drawn["latency"])
    assert "(log)" in drawn["latency-throughput"].paper.reading
    assert "dollars per million requests (log)" in _said(drawn["cost"])
    assert "within the SLO (log)" in _said(drawn["latency-cost"])
    assert "Response time (log)" in drawn["over-time"].paper.reading


def test_the_slo_is_labelled_in_place() -> None:
    assert _said(_drawn("typical")[0]).count("SLO 1 s") == 5


def test_an_unpriced_server_is_listed_as_such() -> None:
    assert "not priced: the scenario gives no price" in _said(_typical("cost"))


def test_the_price_and_its_day_stand_below_the_cost() -> None:
    assert "a1.4xlarge at $0.408/h (aws us-east-1, 2026-07-20)" in _said(_typical("cost"))


def test_dollar_signs_in_a_name_are_not_mathematics() -> None:
    assert "$x_1$" in _said(_drawn("hostile")[0])
    assert not any(text.get_parse_math() for text in _texts(_drawn("hostile")[0]))


def test_a_glyph_that_the_font_lacks_is_a_white_square() -> None:
    assert sheet.drawable("模型-a 🚀\x1b") == "□□-a □□"


def test_names_that_look_alike_when_shortened_are_still_told_apart() -> None:
    names = ["模型", "服务"]
    rows = [cases.row(name, cases.POINTS[0]) for name in names]
    chart = charts.latency(cases.summary(rows, [cases.server(name) for name in names]))
    assert "□□ #2" in _said(chart)


@pytest.mark.parametrize("name", ["typical", "nothing", "hostile"])
def test_every_chart_is_well_formed_and_the_same_each_time(name: str) -> None:
    for chart, again in zip(_drawn(name), charts.all_charts(CASES[name]), strict=True):
        svg = sheet.svg_bytes(chart.paper.figure)
        ET.fromstring(svg)
        assert svg == sheet.svg_bytes(again.paper.figure)


def test_a_png_has_the_width_that_was_decided() -> None:
    png = sheet.png_bytes(_drawn("lone")[0].paper.figure)
    wide, _ = struct.unpack(">II", png[16:24])
    assert wide == int((look.WIDTH_IN + 2 * look.MARGIN_IN) * look.PNG_DPI)


def test_the_description_has_the_figures() -> None:
    assert "closed-1, n 400, p50 50.0 ms, p95 75.0 ms" in _drawn("lone")[0].description


@pytest.mark.parametrize("values", [[0.1], [0.1, 0.11], [1e-6, 1e6], [0.3, 45.0]])
def test_a_log_axis_has_ticks_inside_it_that_do_not_touch(values: list[float]) -> None:
    axis = sheet.log_axis(values, 2.5, lambda value: f"{value:g} ms")
    assert axis.low < min(values)
    assert max(values) < axis.high
    assert len(axis.ticks) >= 1
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)


@pytest.mark.parametrize("values", [[0.302, 0.601], [12.0, 23.0], [0.1]])
def test_a_short_log_axis_has_three_ticks_and_more(values: list[float]) -> None:
    assert len(sheet.log_axis(values, 7.0, lambda value: f"${value:g}").ticks) >= 3


@pytest.mark.parametrize("highest", [0.0381, 0.04, 0.0476, 0.95, 9.5])
def test_a_low_strip_has_a_tick_above_its_zero(highest: float) -> None:
    ticks = sheet.zero_axis(highest, 3).ticks
    assert 2 <= len(ticks) <= 3
    assert 0.4 * highest < ticks[-1] < 1.06 * highest


def test_a_run_without_a_naive_server_and_without_models_has_no_ladder_and_no_sizes() -> None:
    servers = [replace(cases.server("a"), kind="echo", rung="", model_bytes=None)]
    slugs = [chart.slug for chart in charts.all_charts(cases.summary([cases.row("a", cases.POINTS[0])], servers))]
    assert "startup" in slugs
    assert not {"ladder", "model-size"} & set(slugs)


def test_the_name_of_a_curve_lies_on_no_mark_of_another() -> None:
    """Two servers end almost at one point: their names stand on both sides of it."""
    rows = [
        replace(cases.row(name, cases.POINTS[-1]), throughput=rate) for name, rate in (("left", 10.0), ("right", 10.4))
    ]
    servers = [cases.server("left"), cases.server("right")]
    with sheet.house_style():
        chart = charts.latency_against_throughput(cases.summary(rows, servers))
    at = {text.get_text(): text.get_position()[0] for text in _texts(chart) if text.get_text() in ("left", "right")}
    assert at["left"] + sheet.width("left") < at["right"] - 0.12


@pytest.mark.parametrize("highest", [0.0, 0.003, 1.0, 7.3, 16_500.0])
def test_a_linear_axis_begins_at_zero_and_ends_above_the_highest_value(highest: float) -> None:
    axis = sheet.zero_axis(highest, 5)
    assert axis.low == 0
    assert axis.high > highest
    assert 2 <= len(axis.ticks) <= 6


def test_a_shortened_name_keeps_its_end_and_fits() -> None:
    name = "tensorflow-serving-with-a-very-long-name-gpu-2"
    shown = sheet.fit(name, 1.5)
    assert shown.endswith("gpu-2")
    assert sheet.width(shown) <= 1.5


def test_zero_throughput_can_be_drawn() -> None:
    summary: Summary = cases.summary(
        [cases.row("dead", cases.POINTS[0], throughput=0.0, goodput=0.0, response_time=None, cost_per_million=None)],
        [cases.server("dead")],
    )
    assert "0/s" in _said(charts.throughput(summary))


def _course(*timelines: Timeline, rows: Sequence[Row] = ()) -> Chart:
    shown = rows or [cases.row("a", cases.POINTS[3])]
    named = [cases.server(name) for name in dict.fromkeys(row.server for row in shown)]
    return charts.over_time(replace(cases.summary(shown, named), timelines=timelines))


def test_the_course_shows_the_load_point_of_the_choice() -> None:
    chosen = next(iter(view.best_rows(CASES["typical"])))
    point = next(point for point in view.load_points(CASES["typical"]) if point.label == chosen.label)
    course = next(chart for chart in _drawn("typical") if chart.slug == "over-time")
    assert point.title in course.paper.reading.lower()


def test_the_warm_up_is_shaded_and_the_cut_drawn_where_the_server_became_steady() -> None:
    row = cases.row("a", cases.POINTS[3])
    chart = _course(cases.course(row, warm=5.0, steady_from=12.0))
    latency = chart.paper.figure.axes[0]
    shade = latency.patches[0].get_window_extent()
    assert shade.x0 == pytest.approx(latency.transData.transform((0, 1))[0])
    assert shade.x1 == pytest.approx(latency.transData.transform((5, 1))[0])
    upright = [line.get_xdata() for line in latency.lines if np.array_equal(np.asarray(line.get_ydata()), [0, 1])]
    assert [np.asarray(x).tolist() for x in upright] == [[12.0, 12.0]]
    assert "steady from 12 s" in _said(chart)
    assert any(row[4] == "12.0 s" for row in chart.rows)


def test_a_server_that_was_steady_from_the_first_request_has_no_cut() -> None:
    chart = _course(cases.course(cases.row("a", cases.POINTS[3])))
    assert "steady from" not in _said(chart)
    assert "Dashed" not in chart.paper.reading
    assert chart.rows[0][4] == "the first request"


def test_a_strip_without_errors_is_a_sentence() -> None:
    clean = _course(cases.course(cases.row("a", cases.POINTS[3])))
    assert "errors/s" not in _said(clean)
    assert "Not one request failed in the trials shown." in _said(clean)
    failed = replace(cases.row("a", cases.POINTS[3]), failed=1)
    assert "errors/s" in _said(_course(cases.course(failed)))


def test_a_time_without_a_value_is_a_gap() -> None:
    line = cases.course(cases.row("a", cases.POINTS[3]))
    gappy = replace(line, p50=(None, *line.p50[1:]))
    drawn = max(_course(gappy).paper.figure.axes[0].lines, key=lambda one: one.get_zorder())
    assert np.isnan(np.asarray(drawn.get_ydata(), dtype=np.float64)[:2]).all()
    assert not np.isnan(np.asarray(drawn.get_ydata(), dtype=np.float64)[2:]).any()


def test_of_several_trials_the_first_is_shown_and_said_to_be() -> None:
    row = replace(cases.row("a", cases.POINTS[3]), trials=3)
    chart = _course(*[cases.course(row, warm=warm) for warm in (5.0, 6.0, 7.0)], rows=[row])
    assert chart.rows[0][3] == "5.00 s to 40.0 s"
    assert "the first of 3 trials" in _said(chart)


def _chart(summary: Summary, slug: str) -> Chart:
    with sheet.house_style():
        return {"staircase": charts.staircase, "latency-cost": charts.frontier}[slug](summary)


def _two_prices(rate: float | None = None) -> Summary:
    """Two servers whose staircases cross: a small cheap one and a large dear one."""
    rows = [cases.row("small", cases.POINTS[3], 0.1), cases.row("large", cases.POINTS[4], 0.1, goodput=400.0)]
    servers = [
        replace(cases.server(name), price={**cases.PRICE, "per_hour": dollars})
        for name, dollars in (("small", 0.1), ("large", 0.9))
    ]
    made = cases.summary(rows, servers)
    return replace(made, costs=costs_again(made, Traffic(rate=rate, headroom=0.0, spare_replicas=0)))


def test_the_staircase_rises_by_whole_replicas_and_its_table_says_so() -> None:
    chart = _chart(_two_prices(20.0), "staircase")
    assert chart.rows[0] == ("small", "above 0/s to 2.50/s", "1", "$73.0")
    assert chart.rows[1] == ("small", "above 2.50/s to 5.00/s", "2", "$146")
    small, large = (line for line in chart.paper.figure.axes[0].lines[:2])
    assert np.asarray(small.get_ydata())[:4].tolist() == pytest.approx([73.0, 73.0, 146.0, 146.0])
    assert np.asarray(large.get_ydata())[0] == pytest.approx(657.0)
    assert "traffic 20/s" in _said(chart)
    assert "Break-even: Cheapest: small up to 22.5/s; large above 20/s." in _said(chart)


def test_the_bar_below_the_staircase_changes_colour_where_the_choice_does() -> None:
    chart = _chart(_two_prices(20.0), "staircase")
    bar = chart.paper.figure.axes[-1]
    paths = [path for part in bar.collections for path in part.get_paths()]
    assert [float(np.asarray(path.vertices)[:, 0].max()) for path in paths] == pytest.approx([20.0, 22.5, 22.5, 40.0])


def test_staircases_that_are_one_are_drawn_in_turns_so_that_none_hides_another() -> None:
    chart = _chart(CASES["typical"], "staircase")
    lines = chart.paper.figure.axes[0].lines
    assert len({line.get_color() for line in lines}) == 3
    patterns = {str(line._unscaled_dash_pattern) for line in lines}  # type: ignore[attr-defined]
    assert len(patterns) == 3


def test_the_frontier_joins_what_no_other_beats() -> None:
    chart = _chart(CASES["typical"], "latency-cost")
    on = [row[:2] for row in chart.rows if row[4] == "yes"]
    assert on == [("tfserving", "poisson-2.5"), ("tfserving", "poisson-4")]
    assert not any(row[0] == "triton" and row[4] == "yes" for row in chart.rows)  # INVALID
    assert "tfserving-grpc - not drawn: no price" in _said(chart)


def test_without_prices_there_is_a_sentence_instead_of_a_staircase() -> None:
    made = cases.summary([cases.row("a", cases.POINTS[3], priced=False)], [cases.server("a", priced=False)])
    chart = _chart(made, "staircase")
    assert not chart.paper.figure.axes
    assert "No staircase: no server that meets the SLO has a price that can be compared." in _said(chart)
    assert ("a", "no price in the scenario", "-", "-") in chart.rows


def test_a_price_of_another_kind_of_machine_is_hollow_and_on_no_frontier() -> None:
    gpu = {**cases.PRICE, "instance": "g4dn.xlarge", "accelerator": "NVIDIA T4", "accelerators": 1.0}
    rows = [cases.row("a", cases.POINTS[3], 0.1), cases.row("gpu", cases.POINTS[4], 0.05)]
    made = cases.summary(rows, [cases.server("a"), replace(cases.server("gpu"), price=gpu)])
    chart = _chart(made, "latency-cost")
    assert [row[4:] for row in chart.rows] == [("yes", "VALID"), ("no", "INVALID")]
    assert "INVALID cost: priced as g4dn.xlarge with NVIDIA T4, measured on a machine without a GPU" in _said(chart)
    with sheet.house_style():
        assert "INVALID: priced as g4dn" in _said(charts.cost(made))


def test_where_nothing_has_a_price_no_chart_is_about_money() -> None:
    free = cases.summary([cases.row("a", cases.POINTS[4], priced=False)], [cases.server("a", priced=False)])
    assert not {"cost", "latency-cost", "staircase"} & {chart.slug for chart in charts.all_charts(free)}
    assert {"cost", "latency-cost", "staircase"} < {chart.slug for chart in charts.all_charts(cases.typical())}


def test_the_dotted_line_stands_where_requests_were_due_not_at_the_mean_that_was_asked_for() -> None:
    made = cases.summary([cases.row("a", cases.POINTS[4], n=184, seconds=40.0)], [cases.server("a")])
    chart = next(chart for chart in charts.all_charts(made) if chart.slug == "throughput")
    dotted = [
        np.asarray(line.get_xdata()).tolist()[0]
        for axes in chart.paper.figure.axes
        for line in axes.lines
        if line.get_zorder() == 4
    ]
    assert dotted == [pytest.approx(4.6)]
