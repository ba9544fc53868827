"""`bench report`: stored runs, shown again."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.options import format_option, out_option
from bench.cli.speak import print_text


@click.command("report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@out_option("Where the report goes; default: the run.")
@format_option
def report(*, runs: tuple[Path, ...], out: Path | None, form: str) -> int:
    """Write the report of stored runs again.

    Several RUNs become one comparison, for example those of a CPU and a GPU machine.
    """
    from bench.report import write_report

    folder = write_report(runs, out)
    if form == "json":
        print_text((folder / "summary.json").read_text(encoding="utf-8").rstrip("\n"))
    else:
        print_text(f"report: {folder / 'report.html'}")
    return 0
