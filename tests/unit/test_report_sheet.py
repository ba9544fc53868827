"""Lines of text on a sheet: as wide as they were measured, and none of their words lost."""

from __future__ import annotations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from bench.report import look
from bench.report.sheet import house_style, width, wrap

RUNS = ", ".join(f"gunicorn (20261123T04320{digit}Z)" for digit in range(9))


def test_a_line_of_a_picture_is_as_wide_as_it_was_measured() -> None:
    with house_style():
        renderer = FigureCanvasAgg(Figure(dpi=look.PNG_DPI)).get_renderer()  # type: ignore[no-untyped-call]
        font = FontProperties(size=look.SMALL_PT)
        drawn = renderer.get_text_width_height_descent(RUNS, font, ismath=False)[0] / look.PNG_DPI
    assert drawn == pytest.approx(width(RUNS, look.SMALL_PT), rel=0.005)


@pytest.mark.parametrize("text", [RUNS, "WWWW " * 90, "i" * 900, "short", "a " + "W" * 300 + " b", ""])
def test_text_is_wrapped_into_lines_that_fit_and_loses_nothing(text: str) -> None:
    lines = wrap(text, 6.0)
    assert all(width(line, look.SMALL_PT) <= 6.0 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert lines


def test_a_hyphen_is_no_place_to_break() -> None:
    assert any("us-east-1" in line for line in wrap("aws us-east-1 " * 40, 6.0))
    assert not any(line.endswith("us-") for line in wrap("aws us-east-1 " * 40, 6.0))
