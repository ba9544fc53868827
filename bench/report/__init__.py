"""Values -> text, Markdown, SVG, PNG and HTML. No clock, no network; drawing is imported only when needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def write_report(runs: Sequence[Path], out: Path | None = None) -> Path:
    """See `bench.report.write.write_report`, which is imported here so that `bench.report.text` stays light."""
    from bench.report.write import write_report as write

    return write(runs, out)
