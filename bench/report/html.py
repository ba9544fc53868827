"""Summary, its runs' manifests and the drawn charts -> report.html: one file that needs no network and no script.

Everything that comes from outside is escaped by Jinja2; only the charts' SVG, which bench drew, goes in as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench import units
from bench.capacity import capacity_text
from bench.report import view
from bench.report.inside import BODIES_HEAD, INSIDE_HEAD, INSIDE_NOTE, bodies, inside
from bench.report.view import Line, ServerView
from bench.results import AnswerCheck, Manifest
from bench.summary import PublishedFigure, Row, ServerSummary, Summary, Verdict


@dataclass(frozen=True, slots=True)
class Picture:
    """One chart as the page shows it; `svg` is markup made by bench, all else is text."""

    slug: str
    title: str
    reading: str
    svg: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Where one run came from: its manifest, and its scenario as the person wrote it."""

    manifest: Manifest
    scenario: str


@dataclass(frozen=True, slots=True)
class _Group:
    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class _ServerFacts:
    name: str
    title: str
    version: str
    model: str
    startup: str
    memory: str
    connections: str
    capacity: str
    answers: str
    lag: str
    absent: str
    fix: str


@dataclass(frozen=True, slots=True)
class _Published:
    server: str
    metric: str
    published: str
    measured: str
    ratio: str
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class _Origin:
    run_id: str
    command: str
    seed: str
    started: str
    took: str
    versions: tuple[tuple[str, str], ...]
    environment: tuple[tuple[str, str], ...]
    scenario: str


def report_html(summary: Summary, pictures: Sequence[Picture], sources: Sequence[Source]) -> str:
    """The page."""
    views = view.servers(summary)
    lines = view.comparison(summary)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=view.one_line(summary.question or summary.name),
            name=view.one_line(summary.name),
            answer=view.one_line(summary.answer),
            slo=view.slo_text(summary),
            tail=view.tail_text(summary),
            run_ids=[view.one_line(run) for run in summary.run_ids],
            started=", ".join(source.manifest.started_at for source in sources),
            complete=summary.complete,
            failed_checks=summary.failed_checks,
            groups=[_Group(title, tuple(group)) for title, group in groupby(lines, lambda line: line.load_title)],
            pictures=[(picture, Markup(picture.svg)) for picture in pictures],  # noqa: S704 -- drawn and escaped by bench
            references=[_published(figure) for figure in summary.references],
            verdict_counts=_verdict_counts(views),
            doubts=view.doubts(summary),
            notes=view.notes(summary),
            errors=_errors(views),
            inside=(INSIDE_HEAD, inside(summary)),
            inside_note=INSIDE_NOTE,
            bodies=(BODIES_HEAD, bodies(summary)),
            warnings=[view.one_line(warning) for warning in summary.warnings],
            servers=[_facts(one) for one in views],
            prices=view.price_notes(summary),
            origins=[_origin(source) for source in sources],
            basis=view.basis_text(summary),
            calibrations=view.calibration_texts(summary),
            method=summary.method_version,
        )
    )


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _verdict_counts(views: Sequence[ServerView]) -> str:
    """`12 VALID, 3 SUSPECT, 1 INVALID`."""
    words = [row.verdict for one in views for row in one.measured if row.verdict is not None]
    counts = ((word, words.count(word)) for word in Verdict)
    return ", ".join(f"{units.count_text(count)} {word.value}" for word, count in counts if count)


def _errors(views: Sequence[ServerView]) -> list[tuple[str, str, str, str]]:
    """(server, load, error, how often), most frequent first within a row."""
    return [
        (view.one_line(one.name), row.label, view.one_line(error), units.count_text(count))
        for one in views
        for row in one.measured
        for error, count in sorted(row.errors.items(), key=lambda item: -item[1])
    ]


def _facts(one: ServerView) -> _ServerFacts:
    known = one.summary
    size = f"{known.model_form}, {units.bytes_text(known.model_bytes)}" if known.model_form else "-"
    memory = max((row.rss_peak_bytes for row in one.measured if row.rss_peak_bytes is not None), default=None)
    return _ServerFacts(
        name=view.one_line(one.name),
        title=view.one_line(known.title),
        version=view.one_line(known.version) or "-",
        model=view.one_line(size),
        startup=_startup(known),
        memory=units.bytes_text(memory),
        connections=_connections(one.measured),
        capacity=capacity_text(known.capacity),
        answers=_agreement(one),
        lag=_lag(one.measured),
        absent=view.one_line(one.absent),
        fix=view.one_line(known.fix),
    )


def _startup(known: ServerSummary) -> str:
    """Seconds from exec to the first answer, and what they went into where the server told."""
    parts = ", ".join(f"{name} {units.duration_text(seconds)}" for name, seconds in known.startup_parts.items())
    return units.duration_text(known.startup_seconds) + (f" ({view.one_line(parts)})" if parts else "")


def _connections(rows: Sequence[Row]) -> str:
    """Connections opened per request, the range over the load points: 1 is a server that closes every one."""
    shares = [row.connections_per_request for row in rows if row.connections_per_request is not None]
    if not shares:
        return "-"
    low, high = f"{min(shares):.2g}", f"{max(shares):.2g}"
    return low if low == high else f"{low} to {high}"


def _agreement(one: ServerView) -> str:
    """How the answers compare with the reference, in a sentence."""
    checks: list[AnswerCheck] = [row.answers for row in one.measured if row.answers is not None]
    if not checks:
        return "not checked"
    checked, wrong = sum(check.checked for check in checks), sum(check.wrong for check in checks)
    unchecked = sum(check.unchecked for check in checks)
    said = f"{units.percent_text(one.summary.agreement)} of {units.count_text(checked)} checked answers agree"
    said += f", {units.count_text(wrong)} are wrong" if wrong else ""
    said += f", {units.count_text(unchecked)} unchecked" if unchecked else ""
    differences = [(c.largest_difference, c.tolerance) for c in checks if c.tolerance > 0]
    worst = max((difference / least for difference, least in differences if difference is not None), default=None)
    return said + (f"; largest difference {units.ratio_text(worst)} the tolerance" if worst is not None else "")


def _lag(rows: Sequence[Row]) -> str:
    """The worst lateness of the load generator over a server's load points."""
    lags = [(row.send_lag.max, row.label) for row in rows if row.send_lag is not None and row.send_lag.max is not None]
    if not lags:
        return "-"
    worst, where = max(lags)
    return f"at most {units.duration_text(worst)} ({where})"


def _published(figure: PublishedFigure) -> _Published:
    return _Published(
        server=view.one_line(figure.server),
        metric=view.one_line(figure.metric.replace("_", " ")),
        published=units.duration_text(figure.published),
        measured=units.duration_text(figure.measured),
        ratio=units.ratio_text(figure.ratio),
        source=view.one_line(figure.source),
        note=view.one_line(figure.note),
    )


def _origin(source: Source) -> _Origin:
    manifest = source.manifest
    took = units.duration_text(manifest.wall_seconds)
    if manifest.overhead_seconds is not None:
        took += f", {units.duration_text(manifest.overhead_seconds)} of it neither load nor start-up nor building"
    return _Origin(
        run_id=view.one_line(manifest.run_id),
        command=view.one_line(manifest.command),
        seed=str(manifest.seed),
        started=view.one_line(manifest.started_at),
        took=took,
        versions=tuple(_flat({"bench": manifest.bench_version, **manifest.versions})),
        environment=tuple(_flat(manifest.environment)),
        scenario=source.scenario,
    )


def _flat(facts: Mapping[str, object], before: str = "") -> Iterator[tuple[str, str]]:
    """(name, text) of every fact, nested ones as `cpu model`; sizes and durations with their unit."""
    for key, value in facts.items():
        name = f"{before}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key} ")
        elif isinstance(value, int | float) and not isinstance(value, bool) and name.endswith((" bytes", " seconds")):
            text = units.bytes_text(value) if name.endswith(" bytes") else units.duration_text(value)
            yield view.one_line(name.rsplit(" ", 1)[0]), text
        else:
            yield view.one_line(name), _said(value)


def _said(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_said(item) for item in value) or "none"
    return view.one_line(str(value)) or "-"
