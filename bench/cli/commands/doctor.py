"""`bench doctor`: what can run here."""

from __future__ import annotations

import click

from bench.cli.options import format_option
from bench.cli.speak import columns, complain, print_json, print_text


@click.command("doctor")
@click.option("--peak", is_flag=True, help="Measure this machine's peak in matrix multiplication first; takes 10 s.")
@format_option
def doctor(*, form: str, peak: bool) -> int:
    """Say what can run here and, if not, why and what helps."""
    from dataclasses import asdict

    from bench.doctor import examine, servers_cores

    if peak:
        from bench.machine.peak import keep_peak, measure_peak

        complain("multiplying matrices; best while nothing else runs")
        keep_peak(measure_peak(servers_cores()))
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
