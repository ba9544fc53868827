from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import ScenarioError
from bench.profiles.recording import read_recording


def _file(folder: Path, text: str) -> Path:
    path = folder / "trace.txt"
    path.write_bytes(text.encode("latin-1"))
    return path


def test_times_are_seconds_since_the_first_request_whatever_the_origin(tmp_path: Path) -> None:
    since_1970 = read_recording(_file(tmp_path, "1700000000.0000001\n1700000000.0000002\n1700000001.5000001\n"))
    assert since_1970.times.tolist() == [0.0, 1e-7, 1.5]
    before = read_recording(_file(tmp_path, "-1\n-0.5\n2e0\n"))
    assert before.times.tolist() == [0.0, 0.5, 3.0]
    assert (before.span, before.mean_gap, before.longest_gap) == (3.0, 1.5, 2.5)
    assert before.digest != since_1970.digest


def test_comments_empty_lines_and_requests_at_the_same_time_are_allowed(tmp_path: Path) -> None:
    recording = read_recording(_file(tmp_path, "# a comment\n\n 3 # the first\r\n3\n4\n"))
    assert recording.times.tolist() == [0.0, 0.0, 1.0]


def test_a_single_request_has_no_distances(tmp_path: Path) -> None:
    recording = read_recording(_file(tmp_path, "7\n"))
    assert (recording.span, recording.mean_gap, recording.longest_gap) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "holds no timestamp"),
        ("# nothing\n\n", 1, "holds no timestamp"),
        ("timestamp\n1\n", 1, "not a number: 'timestamp'"),
        ("1\n2,3\n", 2, "not a number: '2,3'"),
        ("1\n\n\xff\n", 3, "not a number"),
        ("1\n2\nnan\n", 3, "not a time in seconds: 'nan'"),
        ("1\n1e999\n", 2, "not a time in seconds: '1e999'"),
        ("1\n# later\n3\n2.5\n", 4, "2.5 comes after 3, which is later"),
    ],
)
def test_what_is_wrong_with_a_recording_is_said_with_its_line(text: str, line: int, what: str, tmp_path: Path) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(ScenarioError) as failure:
        read_recording(path)
    assert failure.value.where == f"{path}:{line}"
    assert what in failure.value.what
    assert "one timestamp in seconds per line" in failure.value.hint
