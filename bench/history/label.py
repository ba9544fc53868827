"""What people say of suspects, kept beside the rows: how often the search was right is counted from it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from bench.errors import UsageError
from bench.history.lines import find_suspect, lines_of
from bench.history.rows import Judgement, Label
from bench.history.store import append, read_history
from bench.names import did_you_mean


def judge(file: Path, suspect: str, label: str, said: str = "") -> str:
    """Keep a label of a suspect; the sentence that says so.   Raises: UsageError if there is no such suspect."""
    history = read_history(file)
    lines = lines_of(history.rows, history.judgements)
    found = find_suspect(lines, suspect)
    if found is None:
        known = [one.id for line in lines for one in line.suspects]
        raise UsageError(f"no suspect {suspect!r} in {file}", hint=did_you_mean(suspect, known, "suspects"))
    if not found.at.commit:
        raise UsageError(f"suspect {suspect} begins at a session without a commit", hint="add runs with --commit")
    at = datetime.now(UTC).isoformat(timespec="seconds")
    append(file, [Judgement(**asdict(found.key), commit=found.at.commit, label=cast("Label", label), at=at, said=said)])
    return f"{suspect}: {label}"
