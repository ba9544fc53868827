"""What rounds on purpose is ranked among its like, wins nothing else, and shows no speed without its accuracy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.measures.agreement import agreement_text, differs_text, same_class_text
from bench.report import view
from bench.report.apart import apart_table
from bench.report.charts import all_charts, ladder
from bench.report.html import report_html
from bench.report.markdown import report_markdown
from bench.report.sheet import house_style
from bench.report.text import summary_text
from bench.results import AnswerCheck
from bench.summary import Summary
from bench.summary.answer import answer
from bench.summary.costs import costs_of
from bench.summary.flips import flips
from bench.summary.ranking import ranking
from tests import report_cases as cases

FAR = "same class for 2 of 3 inputs, off by up to 0.24"


def said(summary: Summary) -> str:
    """The answer for the rows of a summary."""
    return answer(summary.rows, summary.servers, summary.slo, summary.costs)


def test_the_fastest_is_not_chosen_if_it_does_other_work() -> None:
    made = cases.rounded()
    assert [row.server for row in ranking(made.rows, made.slo, made.costs)] == ["plain", "naive"]
    assert [row.server for row in ranking(made.rows, made.slo, made.costs, other_work=True)] == ["int8", "bf16"]
    assert said(made).startswith("Choose plain, the cheapest")
    assert "Of those that do other work than the model, int8 is the cheapest" in said(made)
    assert f"(int8 weights; {FAR})" in said(made)


def test_a_rounded_server_is_no_contender_for_the_traffic_and_has_a_bill() -> None:
    made = cases.rounded()
    assert made.costs is not None
    assert made.costs.chosen is not None
    assert made.costs.chosen[0] == "plain"
    bill = made.costs.of("int8", made.run_ids[0])
    assert bill is not None
    assert bill.apart
    assert not bill.contends
    assert bill.per_million is not None
    assert not any("int8" in flip for flip in flips(made))


def test_where_nothing_does_the_models_own_work_there_is_no_choice_and_still_a_best() -> None:
    made = cases.rounded()
    alone = replace(
        made,
        rows=tuple(row for row in made.rows if row.other_work),
        servers=tuple(server for server in made.servers if server.other_work),
    )
    alone = replace(alone, costs=costs_of(alone, [cases.manifest()]))
    assert said(alone).startswith("Nothing that does the model's own work was measured")
    assert "int8 is the cheapest" in said(alone)
    assert not any(line.chosen for line in view.standings(alone))
    assert summary_text(alone)
    assert "best of its group" in report_html(alone, [], [])


def test_one_that_is_wrong_is_the_best_of_no_group() -> None:
    made = cases.rounded()
    wrong = replace(made, rows=tuple(row for row in made.rows if not row.other_work or row.server == "wrong"))
    assert "Of those that do other work than the model none is ranked: wrong." in said(wrong)


def test_each_group_has_its_own_places_and_its_own_best_figures() -> None:
    lines = view.standings(cases.rounded())
    assert [(line.name, line.place, line.apart) for line in lines] == [
        ("plain", 1, False),
        ("naive", 2, False),
        ("int8 ≈", 1, True),
        ("bf16 ≈", 2, True),
        ("wrong ≈", 0, True),
    ]
    assert [line.name for line in lines if line.chosen] == ["plain"]
    assert [line.remark for line in lines][2] == "best of its group"
    cost = [column.slug for column in view.columns(cases.rounded())].index("cost")
    assert [line.name for line in lines if line.cells[cost].best] == ["plain", "int8 ≈"]


@pytest.mark.parametrize("outputs", ["text", "markdown", "page"])
def test_speed_of_other_work_is_shown_with_its_accuracy(outputs: str) -> None:
    made = replace(cases.rounded(), answer="")
    if outputs == "page":
        page = report_html(made, [], [])
        assert page.count("same class for 2 of 3") >= 3 * (1 + len(cases.POINTS))
        return
    text = summary_text(made) if outputs == "text" else report_markdown(made, [])
    shown = [line for line in text.splitlines() if "≈" in line and ("ms" in line or " s " in line)]
    assert len(shown) >= 3 * (1 + len(cases.POINTS))
    assert all("2 of 3" in line and "0.24" in line for line in shown)


def test_every_load_point_of_other_work_stands_in_a_table_of_its_own() -> None:
    head, rows = apart_table(cases.rounded())
    assert {"same class", "off by"} <= set(head)
    assert len(rows) == 3 * len(cases.POINTS)
    assert apart_table(cases.typical())[1] == []


def test_every_chart_says_what_the_mark_behind_a_name_means() -> None:
    for chart in all_charts(cases.rounded()):
        assert chart.columns[-2:] == ("same class", "off by"), chart.slug
        assert all(len(row) == len(chart.columns) for row in chart.rows), chart.slug
        assert FAR in chart.description
        assert FAR in " ".join(text.get_text() for text in chart.paper.figure.texts), chart.slug


def test_without_other_work_no_chart_has_columns_of_accuracy() -> None:
    assert not any("same class" in chart.columns for chart in all_charts(cases.typical()))


def test_other_work_stands_below_the_ladder_of_the_models_own() -> None:
    with house_style():
        chart = ladder(cases.rounded())
    assert list(dict.fromkeys(row[0] for row in chart.rows)) == ["naive", "plain", "int8 ≈", "bf16 ≈", "wrong ≈"]


def test_what_is_on_the_frontier_of_other_work_beats_nothing_else() -> None:
    chart = next(chart for chart in all_charts(cases.rounded()) if chart.slug == "latency-cost")
    on = {row[0]: row[4] for row in chart.rows if row[4] != "no"}
    assert on == {"plain": "yes", "int8 ≈": "yes, of its group"}


def test_agreement_is_told_in_inputs_in_answers_or_not_at_all() -> None:
    counted = AnswerCheck(3, 400, 0, 0, 0.24, 1e-4, 0.05, other_top=130, inputs=3, inputs_same_top=2)
    assert agreement_text(counted) == FAR
    assert same_class_text(replace(counted, inputs=0)) == "67.5 %"
    assert agreement_text(None) == "its answers were not compared"
    assert differs_text(replace(counted, largest_difference=None)) == "-"
