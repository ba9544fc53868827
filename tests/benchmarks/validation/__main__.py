"""`python -m tests.benchmarks.validation [PART...] [--sessions N] [--minutes M] [--store DIR] [--merge DIR...]`.

Every session is kept when it ends, so the command can be stopped and started again: it goes on where it was, and
prints what all sessions so far say. `--merge` first adds what was kept in other stores, `--show` only prints, and
`--write` puts what is printed into docs/validation.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.page import show
from tests.benchmarks.validation.parts import PARTS, Part
from tests.benchmarks.validation.record import append, measure, merge, sessions_of
from tests.benchmarks.validation.tables import page
from tests.driving import ROOT

STORE = ROOT / "tests" / "data" / "validation"
PAGE = ROOT / "docs" / "validation.md"
PRINTED = "<!-- everything below is printed by python -m tests.benchmarks.validation --show -->\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is still wanted, then print the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.validation", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--sessions", type=int, help="so many of every part, instead of each part's own number")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no session later than this")
    parser.add_argument("--store", type=Path, default=STORE, help="where sessions are kept")
    parser.add_argument("--merge", type=Path, nargs="+", default=(), metavar="DIR", help="add these stores' sessions")
    parser.add_argument("--show", action="store_true", help="measure nothing, print what is there")
    parser.add_argument("--write", action="store_true", help=f"put what is printed into {PAGE.relative_to(ROOT)}")
    asked = parser.parse_args(argv)
    unknown = [name for name in asked.parts if name not in PARTS]
    if unknown:
        parser.error(f"unknown part {unknown[0]!r}; known: {', '.join(PARTS)}")
    missing = [str(folder) for folder in asked.merge if not folder.is_dir()]
    if missing:
        parser.error(f"no such store: {missing[0]}")
    if asked.merge:
        print(f"{merge(asked.store, asked.merge)} sessions added", file=sys.stderr)  # noqa: T201
    parts = [PARTS[name] for name in asked.parts or PARTS]
    ends_at = time.monotonic() + 60 * asked.minutes
    while not asked.show and time.monotonic() < ends_at:
        part = _next(parts, asked.store, asked.sessions)
        if part is None:
            break
        session = measure(part)
        if not session.first_stage:  # no server ran: that says nothing of the gate, and the next would not run either
            print(f"{part.name}: {session.sentence}", file=sys.stderr)  # noqa: T201
            return 13
        append(asked.store, session)
        said = f"{part.name}: {session.sentence} ({session.seconds:.0f} s, others {100 * session.others:.0f} %)"
        print(said, file=sys.stderr, flush=True)  # noqa: T201
    printed = page(asked.store)
    if asked.write:
        said, _, _ = PAGE.read_text(encoding="utf-8").partition(PRINTED)
        PAGE.write_text(f"{said}{PRINTED}\n{printed.rstrip()}\n", encoding="utf-8")
    show(printed)
    return 0


def _next(parts: Sequence[Part], store: Path, sessions: int | None) -> Part | None:
    """The part that is farthest from what is wanted of it; None once all have it."""
    kept = sessions_of(store)
    done = {part.name: len(kept[part.name]) / max(1, sessions or part.wanted) for part in parts}
    part = min(parts, key=lambda each: done[each.name])
    return part if done[part.name] < 1 else None


if __name__ == "__main__":
    sys.exit(main())
