"""`bench forms`: the model in every form, with what each costs, what it answers and how fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bench.cli.options import checked_scenario, format_option, set_option
from bench.cli.speak import columns, complain, count, print_json, print_text

if TYPE_CHECKING:
    from bench.running.form_turns import FormsInTurn, FormSpeed

_HEAD = ("form", "p50", "95 %", "same class", "differs by", "on disk", "zipped", "memory", "loaded in", "built in")


@click.command("forms")
@click.argument("scenario")
@set_option
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Rounds in which every form answers one photo three times.",
)
@format_option
def forms(*, scenario: str, assignments: tuple[str, ...], rounds: int, form: str) -> int:
    """Build the model of SCENARIO in every form and compare them.

    No server is started: a process holds each form, all at the same time (some GB of memory), and they are asked in
    turn. The first time everything is built, which takes minutes.
    """
    checked = checked_scenario(scenario, assignments)
    from dataclasses import asdict

    from bench.running.form_turns import forms_in_turn

    found = forms_in_turn(checked, rounds=rounds, say=complain)
    if form == "json":
        print_json(asdict(found))
    else:
        for line in (*columns([_HEAD, *map(_row, found.forms)]), "", *_notes(found)):
            print_text(line)
    return 0


def _row(speed: FormSpeed) -> tuple[str, ...]:
    from bench.units import bytes_text, duration_text

    it, p50 = speed.figures, speed.p50
    if it.failure:
        return (it.name, *("-",) * (len(_HEAD) - 1))
    return (
        it.name,
        duration_text(None if p50 is None else p50.value),
        "-" if p50 is None or p50.low is None else f"{duration_text(p50.low)} to {duration_text(p50.high)}",
        "-" if it.same_top is None else f"{it.same_top} of {it.photos}",
        "-" if it.largest_difference is None else f"{it.largest_difference:.2g}",
        bytes_text(it.size_bytes),
        bytes_text(it.compressed_bytes),
        bytes_text(it.memory_bytes),
        duration_text(it.load_seconds),
        duration_text(it.build_seconds),
    )


def _notes(found: FormsInTurn) -> list[str]:
    threads = count(found.threads, "thread")
    return [
        *(f"{it.figures.name} is not there: {it.figures.failure}" for it in found.forms if it.figures.failure),
        f"{found.model}, one photo at a time with {threads}, asked in turn in {count(found.rounds, 'round')} of a "
        f"seeded order; the load average was {found.load_average:.1f} before.",
        f"same class, differs by: beside what {found.answered_by} answers with the model as it was given, for the "
        "payload's photos; the largest difference of two probabilities.",
        "memory: by how much the process grew from its runtime alone until the form had answered once (resident).",
    ]
