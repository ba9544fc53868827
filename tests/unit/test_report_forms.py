"""The model's forms in the report: the fastest first, each beside its accuracy, whatever its name holds."""

from __future__ import annotations

from dataclasses import replace

from bench.report.forms import FORMS_HEAD, forms_rows
from bench.report.markdown import report_markdown
from bench.report.sections.forms import SECTION
from bench.results import Outcome
from bench.summary import Distribution, Row, ServerSummary, Summary
from bench.summary.figures import EMPTY

BF16 = {"name": "openvino-bf16", "form": "openvino", "size_bytes": 21_000_000, "build_seconds": 6.5, "photos": 3,
        "same_top": 2, "largest_difference": 0.074, "failure": "", "run_id": "r"}  # fmt: skip
F32 = {**BF16, "name": "openvino-f32", "same_top": 3, "largest_difference": 2e-6}
KERAS = {**BF16, "name": "h5", "form": "h5", "build_seconds": None, "photos": None, "same_top": None,
         "largest_difference": None}  # fmt: skip
BROKEN = {**KERAS, "name": "onnx", "form": "onnx", "failure": "no such operator: <b>Frobnicate</b>"}


def _server(name: str, form: str, precision: str = "f32") -> ServerSummary:
    return ServerSummary(
        name,
        "fastapi",
        "t",
        Outcome.OK,
        "",
        "",
        "",
        {"precision": precision},
        None,
        1.0,
        form,
        1,
        2.0,
        None,
        run_id="r",
    )


def _row(server: str, users: int, p50: float) -> Row:
    times = Distribution(100, p50, p50, p50, p50, None, None, p50)
    label = f"closed-{users}"
    return replace(EMPTY, server=server, label=label, users=users, outcome=Outcome.OK, service_time=times, run_id="r")


def _summary(*forms: dict[str, object]) -> Summary:
    servers = (_server("naive", "h5"), _server("whole", "openvino"), _server("half", "openvino", "bf16"))
    rows = (_row("naive", 1, 0.05), _row("whole", 8, 0.04), _row("whole", 1, 0.007), _row("half", 1, 0.005))
    return Summary("n", "", "a", ("r",), {}, rows, servers, (), (), (), True, 1, 1, forms=forms)


def test_the_fastest_form_comes_first_at_its_lowest_load() -> None:
    rows = forms_rows(_summary(KERAS, F32, BF16))
    assert [(row[0], row[1], row[2]) for row in rows] == [
        ("openvino-bf16", "half", "5.00 ms"),
        ("openvino-f32", "whole", "7.00 ms"),
        ("h5", "naive", "50.0 ms"),
    ]


def test_accuracy_stands_beside_speed() -> None:
    (half, *_) = forms_rows(_summary(BF16))
    cells = dict(zip(FORMS_HEAD, half, strict=True))
    assert (cells["same class"], cells["differs by"]) == ("2 of 3", "0.074")


def test_what_a_form_takes_in_memory_is_told_apart_from_its_servers() -> None:
    cells = dict(zip(FORMS_HEAD, forms_rows(_summary({**BF16, "memory_bytes": 123_000_000}))[0], strict=True))
    assert (cells["in memory"], cells["server's memory"]) == ("123 MB", "-")


def test_a_form_that_could_not_be_made_says_why_without_becoming_markup() -> None:
    text = report_markdown(_summary(BROKEN), ())
    assert "Frobnicate" in text
    assert "<b>" not in text


def test_a_run_that_served_no_other_form_has_no_such_part() -> None:
    assert forms_rows(_summary()) == ()
    assert "forms" not in report_markdown(_summary(), ())
    assert SECTION.slug == "forms"
