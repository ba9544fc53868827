from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from bench.protocols import Request
from bench.serving.asking import curl_line
from bench.serving.standing import without_secrets


def test_a_curl_line_names_a_secret_and_a_shell_fills_it_in() -> None:
    headers = (("Authorization", "Bearer ${BENCH_A}"), ("X-Odd", "it's $(date) `id`"))
    line = curl_line("https://h", Request("/p?k=${BENCH_A}&l=1", b"", headers, "PUT"), Path("/tmp/a b"))
    assert "s3cr3t" not in line
    done = subprocess.run(
        ["sh", "-c", line.replace("curl", "printf '%s\\n'", 1)],
        env={"PATH": "/usr/bin:/bin", "BENCH_A": "s3cr3t"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "-sS",
        "-X",
        "PUT",
        "-H",
        "Authorization: Bearer s3cr3t",
        "-H",
        "X-Odd: it's $(date) `id`",
        "--data-binary",
        "@/tmp/a b",
        "https://h/p?k=s3cr3t&l=1",
    ]


def test_a_curl_line_without_secrets_is_plain() -> None:
    line = curl_line("http://h:1", Request("/p", b"", (("A", "b c"),)), Path("/tmp/x"))
    assert shlex.split(line) == ["curl", "-sS", "-H", "A: b c", "--data-binary", "@/tmp/x", "http://h:1/p"]


def test_a_url_is_shown_without_what_nobody_should_see() -> None:
    assert without_secrets("https://u:p@h:1/a?key=1#x") == "https://h:1/a?..."
    assert without_secrets("/login") == "/login"
    assert without_secrets("http://[") == "somewhere that is no URL"
    assert without_secrets("") == "nowhere"
