"""Comparing text with a file of tests/golden: a difference writes NAME.got beside it; BENCH_UPDATE_GOLDEN=1 accepts."""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


def check_golden(name: str, text: str) -> None:
    """Fail unless the file holds exactly this text."""
    path = GOLDEN / name
    if os.environ.get("BENCH_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    expected = path.read_text(encoding="utf-8") if path.exists() else ""
    if text != expected:
        got = path.with_name(f"{path.name}.got")
        got.write_text(text, encoding="utf-8")
        raise AssertionError(f"differs from {path.name}: compare it with {got}, accept with BENCH_UPDATE_GOLDEN=1")
