"""Values -> text, Markdown, SVG, PNG and HTML. No clock, no network; drawing is imported only when needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from bench.errors import UnwritableError


def write_report(runs: Sequence[Path], out: Path | None = None) -> Path:
    """See `bench.report.write.write_report`, which is imported here so that `bench.report.text` stays light."""
    from bench.report.write import write_report as write

    try:
        return write(runs, out)
    except UnwritableError as failure:
        if out is not None:
            raise
        hint = f"everything measured is kept, for a report elsewhere: bench report {quote(str(runs[0]))} --out DIR"
        raise UnwritableError(failure.what, where=failure.where, hint=hint) from failure
