"""`bench` without its charts: `python -m tests.doubles.without_charts run short.yaml`.

Drawing takes seconds of each run, the same each time; tests of what was measured, and of what is said of it, need none.
All else is the real program: summary, page and Markdown are written as ever.
"""

from __future__ import annotations

import sys

from bench.cli import main
from bench.report import write


def nothing(*_: object) -> list[object]:
    """No pictures."""
    return []


if __name__ == "__main__":
    vars(write)["_draw"] = nothing
    sys.exit(main())
