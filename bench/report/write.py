"""Run folders -> summary.json, summary.csv, report.html, report.md and charts, each file whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import ResultsError, UsageError
from bench.files import disk_errors, replacing, write_text
from bench.results import SCENARIO, Run, load_run
from bench.summary import Summary, summarise, summary_csv, summary_json

if TYPE_CHECKING:
    from bench.report.charts import Chart
    from bench.report.html import Picture
    from bench.report.session import SessionView


def write_report(runs: Sequence[Path], out: Path | None = None) -> Path:
    """Write the report of one run, or of several as one comparison; the folder it was written to.

    `out` is the run's own folder by default; several runs need one of their own, created if it is not there.
    Raises: UsageError without runs or without `out` for several; ResultsError if something cannot be read or written.
    """
    if not runs:
        raise UsageError("no run to report on", hint="give a folder results/<scenario>/<run-id>")
    if out is None and len(runs) > 1:
        raise UsageError("several runs make one new report", hint="say where it goes with --out DIR")
    loaded = [load_run(folder) for folder in runs]
    return write_report_from(summarise(loaded), loaded, out or loaded[0].folder)


def write_report_from(summary: Summary, runs: Sequence[Run], out: Path) -> Path:
    """Write the report of a summary whose runs are at hand; reads no rows.   Raises: ResultsError."""
    # Matplotlib takes a second to import; the terminal table must not wait for it.
    from bench.report.html import Source, report_html
    from bench.report.markdown import report_markdown

    with disk_errors(out):
        (out / "charts").mkdir(parents=True, exist_ok=True)
    write_text(out / "summary.json", summary_json(summary))
    write_text(out / "summary.csv", summary_csv(summary))
    pictures = _draw(summary, out / "charts")
    named = [(picture.title, f"charts/{picture.slug}.png") for picture in pictures]
    write_text(out / "report.md", report_markdown(summary, named))
    sources = [Source(run.manifest, _scenario_text(run)) for run in runs]
    session = _session(runs, out / "charts")
    write_text(out / "report.html", report_html(summary, pictures, sources, session))
    return out


def _draw(summary: Summary, folder: Path) -> list[Picture]:
    """Draw every chart as SVG and PNG; each as the page shows it."""
    from bench.report.charts import all_charts

    return _pictures(all_charts(summary), folder)


def _session(runs: Sequence[Run], folder: Path) -> SessionView | None:
    """The verdict of a paired session with its charts; None where several runs are shown, or one that is none."""
    if len(runs) != 1 or runs[0].manifest.pairing is None:
        return None
    from bench.compare.staged import judge_session
    from bench.report.charts.verdict import verdict_charts
    from bench.report.session import SessionView

    verdict = judge_session(runs[0])
    return SessionView(verdict, tuple(_pictures(verdict_charts(verdict), folder)))


def _pictures(charts: Iterable[Chart], folder: Path) -> list[Picture]:
    from bench.report.html import Picture
    from bench.report.sheet import inline, png_bytes, svg_bytes

    pictures = []
    for chart in charts:
        paper = chart.paper
        svg = svg_bytes(paper.figure)
        for name, data in ((f"{chart.slug}.svg", svg), (f"{chart.slug}.png", png_bytes(paper.figure))):
            with replacing(folder / name) as partial:
                partial.write_bytes(data)
        shown = inline(svg.decode(), f"chart-{chart.slug}", chart.title, chart.description, paper.top, paper.foot)
        pictures.append(
            Picture(chart.slug, chart.title, paper.reading, shown, chart.columns, chart.rows, notes=paper.notes)
        )
    return pictures


def _scenario_text(run: Run) -> str:
    """The scenario verbatim; a run whose copy is gone still gets its report."""
    path = run.folder / SCENARIO
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as failure:
        raise ResultsError(f"cannot be read: {failure.strerror or failure}", where=str(path)) from failure
