"""`bench compare`: stored runs judged again."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.options import format_option, verdict_options
from bench.cli.verdict import say_verdict


@click.command("compare")
@click.argument("baseline", type=click.Path(path_type=Path), metavar="RUN")
@click.argument("candidate", type=click.Path(path_type=Path), metavar="[RUN]", required=False)
@click.option("--server", metavar="NAME", help="Of two runs: whose trials to compare.")
@click.option(
    "--gate-unpaired",
    is_flag=True,
    help="Of two runs: let a verdict stand. Compared in blocks like this, servers that did not differ were called "
    "different in 6 to 38 of 100 simulated sessions.",
)
@click.option("--allow-env-mismatch", is_flag=True, help="Of two runs: compare other machines or loads, as advice.")
@verdict_options
@format_option
def compare(
    *,
    baseline: Path,
    candidate: Path | None,
    server: str | None,
    gate_unpaired: bool,
    allow_env_mismatch: bool,
    strict: bool,
    junit: Path | None,
    markdown: Path | None,
    form: str,
) -> int:
    """Judge a stored session again, or compare two runs.

    One RUN of `bench ab` gives its verdict again. Two runs of different times are advice: inconclusive at most, and
    exit code 12 if they differ in what decides their figures.
    """
    from bench.compare.reading import compare

    verdict = compare(
        baseline,
        candidate,
        server=server,
        gate_unpaired=gate_unpaired,
        allow_env_mismatch=allow_env_mismatch,
    )
    say_verdict(verdict, form=form, strict=strict, junit=junit, markdown=markdown)
    return verdict.code(strict=strict)
