"""Verdict -> files: verdict.json, which is the contract, and verdict.md, which renders from the same values."""

from __future__ import annotations

import os
from pathlib import Path

from bench.compare.verdict import Verdict
from bench.files import disk_errors, write_text
from bench.names import json_text
from bench.report.verdict_markdown import verdict_markdown
from bench.results import plain

VERDICT_JSON, VERDICT_MARKDOWN = "verdict.json", "verdict.md"
SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"


def verdict_json(verdict: Verdict) -> str:
    """The verdict as JSON text; what could not be computed is null, NaN and infinity never appear."""
    return json_text(plain(verdict)) + "\n"


def write_verdict(verdict: Verdict, folder: Path) -> None:
    """Write both files into a folder.   Raises: ResultsError."""
    write_text(folder / VERDICT_JSON, verdict_json(verdict))
    write_text(folder / VERDICT_MARKDOWN, verdict_markdown(verdict))


def append_step_summary(verdict: Verdict) -> None:
    """Add the verdict to the summary of a GitHub job, where there is one.   Raises: ResultsError."""
    given = os.environ.get(SUMMARY_VARIABLE)
    if not given:
        return
    path = Path(given)
    with disk_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(verdict_markdown(verdict) + "\n")
