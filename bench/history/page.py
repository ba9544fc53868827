"""A history written for people: one page with every chart, and the charts as SVG and PNG beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench.files import disk_errors, replacing, write_text
from bench.history.chart import change_text, draw, grouped
from bench.history.lines import SHORT, Line, Suspect, precision
from bench.report.aligned import figure_columns
from bench.report.charts.parts import Chart
from bench.report.sheet import house_style, inline, png_bytes, svg_bytes

_TEMPLATES = Path(__file__).parents[1] / "report" / "templates"


def write_charts(lines: Sequence[Line], out: Path, warnings: Sequence[str] = ()) -> Path:
    """Write `history.html` and `charts/*.svg`, `*.png` into a folder; the page's path.   Raises: ResultsError."""
    with disk_errors(out):
        (out / "charts").mkdir(parents=True, exist_ok=True)
    with house_style():
        charts = [draw(group, number) for number, group in enumerate(grouped(lines), start=1)]
    pictures = []
    for chart in charts:
        svg = svg_bytes(chart.paper.figure)
        for name, data in ((f"{chart.slug}.svg", svg), (f"{chart.slug}.png", png_bytes(chart.paper.figure))):
            with replacing(out / "charts" / name) as partial:
                partial.write_bytes(data)
        pictures.append((chart, _shown(chart, svg)))
    write_text(out / "history.html", _html(lines, pictures, warnings))
    return out / "history.html"


def suspects_of(lines: Sequence[Line]) -> list[Suspect]:
    """All suspects: those that nobody labelled first, worse before better, larger before smaller."""
    found = [suspect for line in lines for suspect in line.suspects]
    return sorted(found, key=lambda one: (one.label is not None, not one.worse, -abs(one.change)))


def where(suspect: Suspect) -> str:
    """`poisson-300 p95 of echo`."""
    return f"{suspect.key.load} {suspect.key.metric} of {suspect.key.server}".strip()


def between(suspect: Suspect) -> str:
    """`1a2b3c4d5e..6f7a8b9c0d`, by sessions where commits are not known."""
    ends = (suspect.last_good, suspect.first_bad)
    return "..".join(row.commit[:SHORT] if row.commit else row.session for row in ends)


def precision_text(lines: Sequence[Line]) -> str:
    """`3 of 5 labelled suspects were true`, or nothing."""
    true, labelled = precision(lines)
    return f"{true} of {labelled} labelled suspects {'was' if labelled == 1 else 'were'} true" if labelled else ""


def _shown(chart: Chart, svg: bytes) -> Markup:
    text = inline(svg.decode(), f"chart-{chart.slug}", chart.title, chart.description, chart.paper.top)
    return Markup(text)  # noqa: S704 -- drawn by us, its words escaped where it was drawn


def _html(lines: Sequence[Line], pictures: Sequence[tuple[Chart, Markup]], warnings: Sequence[str]) -> str:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["figure_columns"] = figure_columns
    return environment.get_template("history.html.j2").render(
        pictures=pictures,
        suspects=[(one, where(one), between(one), change_text(one)) for one in suspects_of(lines)],
        precision=precision_text(lines),
        sessions=len({row.session for line in lines for row in line.rows}),
        machines=list(dict.fromkeys(line.rows[0].machine for line in lines)),
        warnings=warnings,
    )
