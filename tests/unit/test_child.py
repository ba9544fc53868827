"""What is left to read of a child process that ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.child import ended_text, last_lines


def test_the_last_lines_leave_out_the_empty_ones(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("one\n\ntwo  \n\nthree\n\n")
    assert last_lines(tmp_path / "log", 2) == "two\nthree"
    assert last_lines(tmp_path / "absent") == ""


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (3, "exit code 3"),
        (-11, "killed by SIGSEGV"),
        (-9, "killed by SIGKILL, the machine may have run out of memory"),
    ],
)
def test_how_a_child_ended_is_said_in_words(code: int, text: str) -> None:
    assert ended_text(code) == text
