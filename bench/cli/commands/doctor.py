"""`bench doctor`: what can run here."""

from __future__ import annotations

import click

from bench.cli.options import format_option
from bench.cli.speak import columns, print_json, print_text


@click.command("doctor")
@format_option
def doctor(*, form: str) -> int:
    """Say what can run here and, if not, why and what helps."""
    from dataclasses import asdict

    from bench.doctor import examine

    findings = examine()
    if form == "json":
        print_json([asdict(finding) for finding in findings])
        return 0
    rows = [(f.area, f.name, "ok" if f.ok else "missing", f.text) for f in findings]
    for finding, line in zip(findings, columns(rows), strict=True):
        print_text(line)
        if finding.fix and not finding.ok:
            print_text(f"  fix: {finding.fix}")
    return 0
