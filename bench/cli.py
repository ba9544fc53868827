"""argv -> one library call -> print -> exit code. The only module that prints results, and that knows exit codes.

Nothing but click is imported until a command runs, so `bench --help` answers at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.errors import BenchError, LaunchError

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.scenario import Scenario

INTERRUPTED = 130
BUG = 1
WRONG_USAGE = 2


_LOOK_SECONDS = 0.2
"""How often `bench serve` looks whether its server still runs."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    with _signals_interrupt():
        try:
            code = _bench.main(args=arguments, prog_name="bench", standalone_mode=False)
            sys.stdout.flush()
            return code if isinstance(code, int) else 0
        except click.ClickException as failure:
            return _say_usage(failure)
        except BenchError as failure:
            _complain(str(failure))
            return failure.exit_code
        except (KeyboardInterrupt, click.Abort):
            _complain("interrupted")
            return INTERRUPTED
        except SystemExit:  # click's answer to a closed pipe: whoever read our output has seen enough
            return 0
        except BrokenPipeError:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 -- for the interpreter's own last flush
            return 0
        except Exception as failure:
            return _say_bug(failure, show="--debug" in arguments)


class _InOrder(click.Group):
    """Commands in the order in which a person meets them, not in that of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return list(self.commands)


@click.group(
    cls=_InOrder,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="serving-bench", prog_name="bench")
@click.option("--debug", is_flag=True, help="Show what modules log, and the traceback of a bug.")
def _bench(*, debug: bool) -> None:
    """Measure and compare ways of serving a TensorFlow model: latency, throughput and cost per request.

    Begin with `bench run smoke`, then `bench run scenarios/efficientnet.yaml`.
    """
    if debug:
        import logging

        logging.basicConfig(stream=sys.stderr, level=logging.DEBUG, format="%(name)s: %(message)s")


_set = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one key of the scenario, for example load.0.duration=5s; list items count from 0.",
)
_format = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="Text to read, or one JSON document."
)


@_bench.command("run")
@click.argument("scenario")
@click.option("--server", "servers", multiple=True, metavar="NAME", help="Only this server; may be repeated.")
@_set
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where results go; default: results.")
@click.option("--dry-run", is_flag=True, help="Print the plan with its estimated time and stop.")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help="Have the load sent by workers of other machines, which join here (bench worker); servers listen there too.",
)
@click.option(
    "--workers-expected",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="With --listen: how many workers to wait for; default: 1.",
)
@_format
def _run(
    *,
    scenario: str,
    servers: tuple[str, ...],
    assignments: tuple[str, ...],
    out: Path | None,
    dry_run: bool,
    listen: str | None,
    workers_expected: int | None,
    form: str,
) -> int:
    """Measure every server of SCENARIO and write the report.

    SCENARIO is a file, or the name of one that comes with bench.
    """
    checked = _checked(scenario, assignments)
    from bench.progress import make_progress
    from bench.run import plan_run, run

    plan = plan_run(checked, server=servers)
    if dry_run:
        _print_json(_plan_dict(plan)) if form == "json" else _print(_plan_text(checked, plan))
        return 0
    progress = make_progress(sys.stderr, plan.estimated_seconds)
    try:
        result = run(
            checked, server=servers, out=out, listen=listen, workers_expected=workers_expected, progress=progress
        )
    finally:
        progress.finished()
    if form == "json":
        from bench.summary import summary_json

        _print(summary_json(result.summary))
    else:
        from bench.report.text import summary_text

        _print(summary_text(result.summary, width=_width()))
        _print(f"\nreport: {result.folder / 'report.html'}")
    return result.exit_code


@_bench.command("check")
@click.argument("scenario")
@_set
def _check(*, scenario: str, assignments: tuple[str, ...]) -> int:
    """Check SCENARIO and the files it names; start nothing."""
    checked = _checked(scenario, assignments)
    from bench.plan import make_plan
    from bench.units import duration_text

    plan = make_plan(checked)
    _print(f"{checked.path}: ok")
    counts = (_count(len(checked.servers), "server"), _count(len(checked.points), "load point"))
    trials = _count(sum(len(launch.trials) for launch in plan.launches), "trial")
    _print(f"  {', '.join(counts)}: {trials}, about {duration_text(plan.estimated_seconds)}")
    skipped = [skip for skip in plan.skips if skip.trial is None]
    for line in _columns([(f"  skipped: {skip.server}", skip.reason) for skip in skipped]):
        _print(line)
    return 0


@_bench.command("report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where the report goes; default: the run.")
@_format
def _report(*, runs: tuple[Path, ...], out: Path | None, form: str) -> int:
    """Write the report of stored runs again.

    Several RUNs become one comparison, for example those of a CPU and a GPU machine.
    """
    from bench.report import write_report

    folder = write_report(runs, out)
    if form == "json":
        _print((folder / "summary.json").read_text(encoding="utf-8").rstrip("\n"))
    else:
        _print(f"report: {folder / 'report.html'}")
    return 0


@_bench.command("serve")
@click.argument("scenario")
@click.argument("name")
@_set
def _serve(*, scenario: str, name: str, assignments: tuple[str, ...]) -> int:
    """Start one server as a trial would and print a curl line.

    NAME is a server of SCENARIO; Ctrl-C stops it.
    """
    checked = _checked(scenario, assignments)
    from bench.run import serve

    with serve(checked, name, _complain) as served:
        _print(f"{name} answers at {served.url}, its log is {served.log}\n\n{served.curl}\n")
        sys.stdout.flush()
        _complain("Ctrl-C stops it")
        with contextlib.suppress(KeyboardInterrupt):  # the way it is meant to end
            while served.alive():
                time.sleep(_LOOK_SECONDS)
            from bench.launch import log_tail

            raise LaunchError("the server ended by itself", where=name, hint=log_tail(served.log))
    return 0


@_bench.command("worker")
@click.option("--connect", required=True, metavar="HOST:PORT", help="Where `bench run --listen` waits for workers.")
@click.option("--wait", default="60s", show_default=True, metavar="DURATION", help="How long to look for it.")
def _worker(*, connect: str, wait: str) -> int:
    """Send part of the load that a run on another machine asks for.

    Ends when that run does.
    """
    from bench.errors import UsageError
    from bench.units import UnitError, parse_duration
    from bench.worker import parse_connect, work

    try:
        seconds = parse_duration(wait)
    except UnitError as failure:
        raise UsageError(failure.what, where="--wait", hint=failure.hint) from failure
    work(parse_connect(connect), wait=seconds, say=_complain)
    return 0


@_bench.command("list")
@click.argument("what", type=click.Choice(["servers", "scenarios", "profiles", "metrics", "prices"]))
@_format
def _list(*, what: str, form: str) -> int:
    """List what there is, one line each."""
    from bench.catalogue import CATALOGUES

    items = CATALOGUES[what]()
    if form == "json":
        _print_json([{"name": item.name, "text": item.text} for item in items])
    else:
        for line in _columns([(item.name, item.text) for item in items]):
            _print(line)
    return 0


@_bench.command("doctor")
@_format
def _doctor(*, form: str) -> int:
    """Say what can run here and, if not, why and what helps."""
    from dataclasses import asdict

    from bench.doctor import examine

    findings = examine()
    if form == "json":
        _print_json([asdict(finding) for finding in findings])
        return 0
    rows = [(f.area, f.name, "ok" if f.ok else "missing", f.text) for f in findings]
    for finding, line in zip(findings, _columns(rows), strict=True):
        _print(line)
        if finding.fix and not finding.ok:
            _print(f"  fix: {finding.fix}")
    return 0


@_bench.command("install")
@click.argument("kind")
@click.option("--version", metavar="X.Y.Z", help="Which version; default: the newest, or the one that is there.")
@click.option("--repository", metavar="URL", help="Where from, for example a mirror; default: the maker's own.")
@click.option(
    "--timeout",
    default="30s",
    show_default=True,
    metavar="DURATION",
    help="How long to wait for an answer, or for its next bytes.",
)
def _install(*, kind: str, version: str | None, repository: str | None, timeout: str) -> int:
    """Fetch the program of a KIND of server into the cache, once.

    Needs no root and no Docker. Prints where the program lies.
    """
    from bench.errors import UsageError
    from bench.server import Order, find_kind, load_kind
    from bench.units import UnitError, parse_duration

    try:
        seconds = parse_duration(f"{timeout}s" if timeout.replace(".", "", 1).isdigit() else timeout)
        if not seconds > 0:
            raise UnitError("a time-out has to be longer than nothing", "for example 30s")
    except UnitError as failure:
        raise UsageError(failure.what, where="--timeout", hint=failure.hint) from failure
    folder = find_kind(kind, Path.cwd())
    server = load_kind(folder)
    place = server.install(Order(version, repository, seconds), _complain)
    if place is None and server.requirements is not None:
        from bench.environments import environment

        place = environment(folder.name, folder / server.requirements, _complain)
    if place is None:
        raise UsageError(f"there is nothing to install for {kind}", hint="everything it needs comes with bench")
    _print(str(place))
    return 0


@_bench.command("calibrate")
@click.option(
    "--seconds",
    type=click.IntRange(min=5, max=600),
    default=40,
    metavar="N",
    help="About how long it takes, 5 to 600; default: 40.",
)
@_format
def _calibrate(*, seconds: int, form: str) -> int:
    """Measure what the load generator itself can do on this machine.

    The figures are kept for later runs; do it while nothing else runs.
    """
    from bench.calibrate import calibrate
    from bench.calibration import as_mapping, store_calibration, table

    measured = calibrate(seconds=seconds, say=_complain)
    if form == "json":
        _print_json(as_mapping(measured))
    else:
        for line in _columns(table(measured)):
            _print(line)
        _print(f"\n{measured.sentence}")
    _complain(f"kept in {store_calibration(measured)}")
    return 0


def _checked(name: str, assignments: Sequence[str]) -> Scenario:
    """The scenario that a person means, with what it points at looked at too."""
    from bench.catalogue import find_scenario
    from bench.scenario import check_files, load_scenario

    scenario = load_scenario(find_scenario(name), set=assignments)
    check_files(scenario)
    return scenario


def _plan_text(scenario: Scenario, plan: Plan) -> str:
    from bench.units import duration_text

    lines = [scenario.question or scenario.name, ""]
    rows = [("#", "server", "repetition", "load point", "warm-up", "window")]
    rows += [
        (
            str(trial.number),
            trial.server,
            f"{trial.repetition} of {scenario.trials}",
            trial.point.label,
            duration_text(trial.warmup),
            _window_text(trial.point),
        )
        for launch in plan.launches
        for trial in launch.trials
    ]
    lines += _columns(rows)
    if plan.skips:
        lines += ["", "skipped"]
        lines += _columns([(f"  {skip.server}", skip.reason) for skip in plan.skips])
        lines += _fixes(plan)
    starts = _count(len(plan.launches), "server start")
    most = (
        [f"at most about {duration_text(plan.most_seconds)}, if every warm-up and every look lasts as long as it may"]
        if any(hasattr(trial.point, "most_looks") for launch in plan.launches for trial in launch.trials)
        else []
    )
    lines += [
        "",
        f"about {duration_text(plan.estimated_seconds)}: {duration_text(plan.load_seconds)} of load and {starts}; "
        "a model that is not in the cache yet is built first",
        *most,
    ]
    return "\n".join(lines)


def _window_text(point: Any) -> str:
    """How long a load point's window is; of a search how many looks it may take, and how long each may get."""
    from bench.units import duration_text

    seconds = duration_text(point.duration)
    looks = getattr(point, "most_looks", None)
    return seconds if looks is None else f"up to {looks} looks of {seconds}, {point.longest:g} times that at low rates"


def _plan_dict(plan: Plan) -> dict[str, Any]:
    def trial_dict(trial: Any) -> dict[str, Any]:
        return {
            "number": trial.number,
            "id": trial.id,
            "server": trial.server,
            "repetition": trial.repetition,
            "profile": trial.point.name,
            "label": trial.point.label,
            "warmup": trial.warmup,
            "duration": trial.point.duration,
            "seed": trial.seed,
        }

    return {
        "estimated_seconds": plan.estimated_seconds,
        "most_seconds": plan.most_seconds,
        "load_seconds": plan.load_seconds,
        "launches": [
            {"server": it.server, "repetition": it.repetition, "trials": [trial_dict(trial) for trial in it.trials]}
            for it in plan.launches
        ],
        "skips": [
            {
                "server": skip.server,
                "reason": skip.reason,
                "fix": skip.fix,
                "trial": None if skip.trial is None else trial_dict(skip.trial),
            }
            for skip in plan.skips
        ],
    }


def _fixes(plan: Plan) -> list[str]:
    """Each fix once, with the servers that it would bring back."""
    by_fix: dict[str, list[str]] = {}
    for skip in plan.skips:
        if skip.fix:
            by_fix.setdefault(skip.fix, []).append(skip.server)
    return ["", *(f"to run {', '.join(names)}: {fix}" for fix, names in by_fix.items())] if by_fix else []


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The rows with their columns aligned, by the cells that a terminal needs for them; nothing is cut."""
    from rich.cells import cell_len

    from bench.names import printable

    if not rows:
        return []
    shown = [tuple(printable(cell).replace("\n", " ") for cell in row) for row in rows]
    widths = [max(cell_len(row[column]) for row in shown) for column in range(len(shown[0]))]
    return [
        "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    ]


def _width() -> int:
    """Columns of the terminal; 100 where there is none, and at least 80."""
    import shutil

    return max(80, shutil.get_terminal_size((100, 24)).columns) if sys.stdout.isatty() else 100


def _print(text: str) -> None:
    from bench.names import printable

    click.echo(printable(text))


def _print_json(document: Any) -> None:
    import json

    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _complain(text: str) -> None:
    """To stderr: what a person should know that is no result."""
    from bench.names import printable

    click.echo(printable(text), err=True)


def _say_usage(failure: click.ClickException) -> int:
    if isinstance(failure, click.exceptions.NoArgsIsHelpError):
        click.echo(failure.format_message())
        return WRONG_USAGE
    context = getattr(failure, "ctx", None)
    command = context.command_path if context is not None else "bench"
    if isinstance(failure, click.NoSuchOption):
        message, near = f"no such option: {failure.option_name}", failure.possibilities or ()
        hint = f"did you mean {near[0]}? {command} --help" if near else f"{command} --help"
    else:
        message, hint = failure.format_message(), f"{command} --help"
    _complain(f"{command}: {message[:1].lower()}{message[1:].rstrip('.')}\n  hint: {hint}")
    return WRONG_USAGE


def _say_bug(failure: Exception, *, show: bool) -> int:
    """Keeps the traceback in a file, so that a person sees one line and a maintainer gets everything."""
    import tempfile
    import traceback

    trace = "".join(traceback.format_exception(failure))
    if show:
        _complain(trace)
    what = f"bug in bench: {type(failure).__name__}: {failure}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", prefix="bench-traceback-", suffix=".txt", delete=False
        ) as file:
            file.write(trace)
    except OSError:
        _complain(f"{what}\n  hint: run it again with `bench --debug ...` and report the traceback")
    else:
        _complain(f"{what}\n  hint: the traceback is in {file.name}; please report it")
    return BUG


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP end a command the way Ctrl-C does: servers are stopped, what was measured is kept."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
