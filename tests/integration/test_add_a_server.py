"""docs/add-a-server.md is true: its files and commands lead from nothing to a chart."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add-a-server.md").read_text()
FILE = re.compile(r"`(my-[\w./-]+)`:\n\n```(?:python|yaml)\n(.*?)```", re.DOTALL)
COMMANDS = re.compile(r"```sh\n(.*?)```", re.DOTALL)
SHOWN = re.compile(r"```text\n(.*?)```", re.DOTALL)
SHORTER = " ".join(
    f"--set {key}={value}"
    for key, value in {
        "load.0.duration": "500ms",
        "load.1.duration": "500ms",
        "warmup.duration": "100ms",
        "warmup.at_most": "100ms",
    }.items()
)
"""The page's own run takes half a minute; how long it measures is not what is tested."""
HEAD = re.compile(r"^(?:ok    |failed)  [^:]+", re.MULTILINE)


def pieces() -> list[tuple[str, str]]:
    """(`write`, file and text) and (`run`, command) in the order of the page."""
    found = [(match.start(), "write", f"{match[1]}\n{match[2]}") for match in FILE.finditer(PAGE)]
    for match in COMMANDS.finditer(PAGE):
        found += [(match.start() + n, "run", line) for n, line in enumerate(match[1].strip().splitlines())]
    return [(kind, text) for _, kind, text in sorted(found)]


def test_a_newcomer_gets_from_nothing_to_a_chart(tmp_path: Path) -> None:
    (tmp_path / "servers").symlink_to(ROOT / "servers")
    bench = tmp_path / "bin" / "bench"
    bench.parent.mkdir()
    bench.write_text(f'#!/bin/sh\nexec {sys.executable} -m bench "$@"\n')
    bench.chmod(0o755)
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    environment = {
        **os.environ,
        "PATH": f"{bench.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(scratch),  # others use the machine's meanwhile
    }
    printed = []
    for kind, text in pieces():
        if kind == "write":
            name, _, content = text.partition("\n")
            (tmp_path / name).write_text(content)
            continue
        done = subprocess.run(
            f"{text} {SHORTER}" if text.startswith("bench run") else text,
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        printed.append(done.stdout)
    assert len(printed) == 5, "every command of the page"
    (shown,) = SHOWN.findall(PAGE)
    assert HEAD.findall(printed[1]) == HEAD.findall(shown)
    assert HEAD.findall(printed[2]) == HEAD.findall(shown)
    report = Path(printed[-1].strip().splitlines()[-1].removeprefix("report: "))
    assert "<svg" in (tmp_path / report).read_text()
    assert (tmp_path / report).parent.joinpath("summary.csv").read_text().count("mine") >= 2
