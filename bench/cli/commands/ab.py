"""`bench ab`: did it change? Two servers measured in pairs, and a verdict."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.options import checked_scenario, format_option, out_option, set_option, verdict_options
from bench.cli.speak import complain, print_text
from bench.cli.verdict import say_verdict

if TYPE_CHECKING:
    from bench.paired.ab import SessionPlan

_MODES = ("smoke", "default", "release")


@click.command("ab")
@click.argument("scenario")
@click.option("--baseline", required=True, metavar="NAME[@REV]", help="A server, or its folder at a git revision.")
@click.option("--candidate", required=True, metavar="NAME[@REV]", help="What is compared with it.")
@click.option("--baseline-set", multiple=True, metavar="KEY=VALUE", help="One key of the baseline's server or model.")
@click.option("--candidate-set", multiple=True, metavar="KEY=VALUE", help="The same for the candidate: workers=4.")
@click.option("--mode", type=click.Choice(_MODES), help="6, 10 or 20 pairs; default: 10.")
@click.option("--pairs", type=int, metavar="N", help="So many pairs, 6 or more.")
@click.option("--sequential", is_flag=True, help="Look after 6, 12 and 20 pairs, and stop once it is decided.")
@click.option("--gap", default="3s", show_default=True, metavar="DURATION", help="Idle time before each start.")
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Of order and arrivals; default: the scenario's.")
@set_option
@out_option("Where results go; default: results.")
@click.option("--dry-run", is_flag=True, help="Say what would be measured and what it could see, and stop.")
@verdict_options
@format_option
def ab(
    *,
    scenario: str,
    baseline: str,
    candidate: str,
    baseline_set: tuple[str, ...],
    candidate_set: tuple[str, ...],
    mode: str | None,
    pairs: int | None,
    sequential: bool,
    gap: str,
    seed: int | None,
    assignments: tuple[str, ...],
    out: Path | None,
    dry_run: bool,
    strict: bool,
    junit: Path | None,
    markdown: Path | None,
    form: str,
) -> int:
    """Compare two servers in pairs; fail if one regressed.

    Both are servers of SCENARIO; the same one twice is an A/A session. Exit codes: 0 nothing regressed, 10 regressed,
    11 inconclusive (with --strict), 12 not comparable, 13 nothing measured.
    """
    from bench.errors import UsageError

    if sum((mode is not None, pairs is not None, sequential)) > 1:
        raise UsageError("give one of --mode, --pairs and --sequential")
    seconds = _gap_seconds(gap)
    checked = checked_scenario(scenario, assignments)
    from bench.paired.ab import planned, run_session
    from bench.report import write_report
    from bench.running.progress import make_progress

    with planned(
        checked,
        baseline=baseline,
        candidate=candidate,
        mode="sequential" if sequential else mode or "default",
        pairs=pairs,
        gap=seconds,
        baseline_set=baseline_set,
        candidate_set=candidate_set,
        seed=seed,
    ) as plan:
        if dry_run:
            print_text("\n".join(_plan_lines(plan)))
            return 0
        for line in _plan_lines(plan):
            complain(line)
        progress = make_progress(sys.stderr, plan.seconds)
        try:
            result = run_session(plan, report=False, out=out, progress=progress)
        finally:
            progress.finished()
    say_verdict(result.verdict, form=form, strict=strict, junit=junit, markdown=markdown)
    sys.stdout.flush()  # charts take seconds, and are no reason to wait for the verdict
    write_report([result.folder])
    complain(f"report: {result.folder / 'report.html'}\nagain: bench compare {result.folder}")
    if not result.interrupted:
        complain(_kept(result.folder))
    return result.exit_code(strict=strict)


def _kept(folder: Path) -> str:
    """Adds the session to the history beside its results; a history that cannot be written changes no verdict."""
    from bench.errors import BenchError
    from bench.history.collect import append_session

    file = folder.parents[1] / "history.jsonl"
    try:
        append_session(folder, file)
    except BenchError as failure:
        return f"not added to the history: {failure}"
    return f"history: bench history show --file {shlex.quote(str(file))}"


def _gap_seconds(text: str) -> float:
    from bench.errors import UsageError
    from bench.units import UnitError, parse_duration

    try:
        return parse_duration(text)
    except UnitError as failure:
        raise UsageError(failure.what, where="--gap", hint=failure.hint) from failure


def _plan_lines(plan: SessionPlan) -> list[str]:
    """Pairs, minutes, and the smallest change it will be able to see."""
    from bench.report.verdict_text import contender_text
    from bench.units import duration_text

    pairing = plan.session.pairing
    looks = f", looked at after {', '.join(map(str, pairing.looks))}" if len(pairing.looks) > 1 else ""
    lines = [
        f"baseline   {contender_text(pairing.baseline)}",
        f"candidate  {contender_text(pairing.candidate)}",
        *(["A/A: both sides are the same thing; a change would be this machine's doing"] if pairing.same else []),
        f"{plan.pairs} pairs{looks}, about {duration_text(plan.seconds)}; "
        f"at most {duration_text(plan.confirm_seconds)} more if something has to be confirmed",
    ]
    for seen in plan.visible:
        basis = (
            f"from {seen.aa_pairs} A/A pairs on this machine"
            if seen.aa_pairs
            else "typical, as no A/A session of this was made on this machine"
        )
        lines.append(f"will see a change of {seen.key} from about {100 * seen.change:.2g} % up ({basis})")
    return lines
