"""`python -m tests.benchmarks`: every benchmark in turn, each in a process of its own; half an hour or more."""

from __future__ import annotations

import subprocess
import sys

from tests.driving import ROOT

BENCHMARKS = ("commands", "clients", "truth", "reading", "rendering")


def main() -> int:
    """Highest exit code of all."""
    return max(
        subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], cwd=ROOT).returncode for name in BENCHMARKS
    )


if __name__ == "__main__":
    sys.exit(main())
