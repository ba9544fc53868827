"""What is left to read of a child process that ended."""

from __future__ import annotations

from pathlib import Path

from bench.child import last_lines


def test_the_last_lines_leave_out_the_empty_ones(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("one\n\ntwo  \n\nthree\n\n")
    assert last_lines(tmp_path / "log", 2) == "two\nthree"
    assert last_lines(tmp_path / "absent") == ""
