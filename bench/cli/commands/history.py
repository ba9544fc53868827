"""`bench history`: what sessions measured over commits. It proposes, and never gates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.options import format_option, out_option
from bench.cli.speak import columns, complain, count, print_json, print_text
from bench.units import UnitError, parse_share

if TYPE_CHECKING:
    from bench.history.lines import Line
    from bench.history.store import History

file_option = click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("results/history.jsonl"),
    show_default=True,
    help="The history: JSON lines that are only ever added to.",
)


def _delta(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    try:
        return None if text is None else parse_share(text)
    except UnitError as failure:
        raise click.BadParameter(f"{failure.what}; {failure.hint}") from failure


choose_options = (
    click.option("--metric", metavar="NAME", help="Only this metric: p95, throughput, ..."),
    click.option("--server", metavar="NAME", help="Only this server."),
    click.option("--delta", callback=_delta, metavar="SHARE", help="Least step that matters; default: the metric's."),
)


@click.group("history", no_args_is_help=True, context_settings={"max_content_width": 100})
def history() -> None:
    """Keep what sessions measured and draw it over commits.

    Where a line seems to step, the commits are named with the `bench ab` command that would decide. Nothing here fails.
    """


@history.command("add")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@file_option
@click.option("--commit", default="", metavar="ID", help="Commit of a run that does not know its own.")
@click.option("--committed-at", default="", metavar="TIME", help="When that commit was made, ISO 8601.")
def add(*, runs: tuple[Path, ...], file: Path, commit: str, committed_at: str) -> int:
    """Add stored runs; what is there already is not added again."""
    from bench.history.collect import append_session

    for run in runs:
        added = append_session(run, file, commit=commit, committed_at=committed_at)
        print_text(f"{run}: {count(added, 'row') if added else 'nothing new'}")
    return 0


@history.command("show")
@file_option
@click.option("--all", "everything", is_flag=True, help="Every line, also those without a suspect.")
@format_option
def show(
    *, file: Path, everything: bool, form: str, metric: str | None, server: str | None, delta: float | None
) -> int:
    """Print the suspected steps and the commands that would decide."""
    kept, lines = _chosen(file, metric, server, delta)
    if form == "json":
        print_json(_document(kept, lines))
        return 0
    for warning in kept.warnings:
        complain(warning)
    _say(file, lines, everything=everything)
    return 0


@history.command("chart")
@file_option
@out_option("Default: beside the file.")
def chart(*, file: Path, out: Path | None, metric: str | None, server: str | None, delta: float | None) -> int:
    """Draw every metric over commits, as a page, SVG and PNG."""
    from bench.errors import NothingMeasuredError
    from bench.history.page import write_charts

    kept, lines = _chosen(file, metric, server, delta)
    for warning in kept.warnings:
        complain(warning)
    if not lines:
        raise NothingMeasuredError("there is nothing to draw", where=str(file), hint="bench history add RUN")
    page = write_charts(lines, out or file.parent / "history", kept.warnings)
    print_text(f"history: {page}")
    return 0


@history.command("label")
@click.argument("suspect", metavar="ID")
@click.argument("label", type=click.Choice(["true", "noise", "infra"]))
@click.option("--note", default="", metavar="TEXT", help="Why.")
@file_option
def label(*, suspect: str, label: str, note: str, file: Path) -> int:
    """Say what a suspect turned out to be.

    `true` is a change of the server, `noise` is chance, `infra` is the machine's doing.
    """
    from bench.history.label import judge

    print_text(judge(file, suspect, label, note))
    return 0


for _option in choose_options:
    show, chart = _option(show), _option(chart)


def _chosen(
    file: Path, metric: str | None, server: str | None, delta: float | None
) -> tuple[History, tuple[Line, ...]]:
    from bench.compare.cells import COMPARED
    from bench.errors import UsageError
    from bench.history.lines import lines_of
    from bench.history.store import read_history
    from bench.names import did_you_mean

    if metric is not None and metric not in COMPARED:
        raise UsageError(f"unknown metric {metric!r}", where="--metric", hint=did_you_mean(metric, COMPARED, "metrics"))
    kept = read_history(file)
    servers = list(dict.fromkeys(row.server for row in kept.rows))
    if server is not None and kept.rows and server not in servers:
        raise UsageError(
            f"no server {server!r} in {file}", where="--server", hint=did_you_mean(server, servers, "servers")
        )
    rows = [row for row in kept.rows if metric in (None, row.metric) and server in (None, row.server)]
    return kept, lines_of(rows, kept.judgements, delta)


def _say(file: Path, lines: tuple[Line, ...], *, everything: bool) -> None:
    from bench.history.chart import change_text, text_of
    from bench.history.page import between, precision_text, suspects_of, where

    sessions = len({row.session for line in lines for row in line.rows})
    if not lines:
        print_text(f"{file}: no sessions; add one with: bench history add RUN")
        return
    print_text(f"{file}: {count(sessions, 'session')}, {count(len(lines), 'line')}")
    if everything:
        table = [("server", "load", "metric", "sessions", "newest", "suspects")]
        for line in lines:
            key, newest = line.key, text_of(line.key.metric)(line.rows[-1].value)
            said = str(len(line.suspects)) if not line.search.why_not else line.search.why_not
            table.append((key.server, key.load or "-", key.metric, str(len(line.rows)), newest, said))
        print_text("\n".join(["", *columns(table)]))
    for one in suspects_of(lines):
        p = "" if one.step.p is None else f", p {one.step.p:.1g}"
        said = f"  [{one.label}{f': {one.said}' if one.said else ''}]" if one.label else ""
        print_text(f"\n{one.id}  {where(one)}: {change_text(one)} ({'worse' if one.worse else 'better'}{p}){said}")
        print_text(f"  between {between(one)}, {one.last_good.machine}")
        print_text(f"  decide: {one.command}" if one.command else f"  no command: {one.why_no_command}")
    if not suspects_of(lines):
        print_text("no step is suspected")
    if precision_text(lines):
        print_text(f"\n{precision_text(lines)}")


def _document(kept: History, lines: tuple[Line, ...]) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "schema": 1,
        "file": str(kept.path),
        "warnings": list(kept.warnings),
        "lines": [
            {
                **asdict(line.key),
                "sessions": len(line.rows),
                "autocorrelation": line.search.autocorrelation,
                "why_not": line.search.why_not,
                "points": [asdict(row) for row in line.rows],
                "suspects": [
                    {
                        "id": one.id,
                        "last_good": one.last_good.commit,
                        "first_bad": one.first_bad.commit,
                        "change": one.change,
                        "worse": one.worse,
                        "p": one.step.p,
                        "label": one.label,
                        "note": one.said,
                        "command": one.command,
                        "why_no_command": one.why_no_command,
                    }
                    for one in line.suspects
                ],
            }
            for line in lines
        ],
    }
