"""How a verdict leaves: text or JSON to stdout, Markdown and JUnit XML to files, the job summary of a CI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.speak import print_text, terminal_width

if TYPE_CHECKING:
    from bench.compare.verdict import Verdict


def say_verdict(verdict: Verdict, *, form: str, strict: bool, junit: Path | None, markdown: Path | None) -> None:
    """Print the verdict and write what was asked for.   Raises: ResultsError for a file that cannot be written."""
    from bench.files import write_text
    from bench.report.verdict_files import append_step_summary, verdict_json

    if form == "json":
        print_text(verdict_json(verdict).rstrip("\n"))
    else:
        from bench.report.verdict_text import verdict_text

        print_text(verdict_text(verdict, width=terminal_width()))
    if markdown is not None:
        from bench.report.verdict_markdown import verdict_markdown

        write_text(markdown, verdict_markdown(verdict))
    if junit is not None:
        from bench.report.verdict_junit import verdict_junit

        write_text(junit, verdict_junit(verdict, strict=strict))
    append_step_summary(verdict)
