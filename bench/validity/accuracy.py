"""Accuracy of servers that round on purpose: whether enough of their answers agree, and that they do other work."""

from __future__ import annotations

from bench.results import AnswerCheck
from bench.samples import Samples
from bench.units import percent_text
from bench.validity.evidence import Evidence, Reason, Verdict, check


@check("below-agreement")
def below_agreement(evidence: Evidence, _: Samples) -> Reason | None:
    """Fewer answers than the scenario asks for have the reference's first class."""
    found = _of_other_work(evidence)
    least = found[0].least_agreement if found else None
    agreement = _agreement(found)
    if least is None or agreement is None or agreement >= least:
        return None
    return Reason(
        "below-agreement",
        Verdict.INVALID,
        f"{percent_text(agreement)} of the answers have the reference's first class, and {percent_text(least)} are "
        f"asked for ({found[0].other_work})",
        "quantise with more or better photos, keep some layers in float32, or ask for less under 'accuracy'",
        {"agreement": agreement, "least": least},
    )


@check("other-work")
def other_work(evidence: Evidence, _: Samples) -> Reason | None:
    """The server rounds on purpose, so its speed is bought with accuracy; says how much of it."""
    found = _of_other_work(evidence)
    if not found:
        return None
    differences = [it.largest_difference for it in found if it.largest_difference is not None]
    apart = f", and probabilities differ by up to {max(differences):.2g}" if differences else ""
    if found[0].least_agreement is None:
        return Reason(
            "other-work",
            Verdict.VALID,
            f"other work than the reference's ({found[0].other_work}), held to the same answers{apart}",
            "say how much agreement would do: accuracy: {top1_agreement: 99%}",
        )
    agreement = _agreement(found)
    share = (
        "none was checked" if agreement is None else f"{percent_text(agreement)} of the answers have its first class"
    )
    return Reason(
        "other-work",
        Verdict.VALID,
        f"other work than the reference's ({found[0].other_work}): {share}{apart}",
        "compare it with servers of the same precision, or say that this agreement is enough",
        {} if agreement is None else {"agreement": agreement},
    )


def _of_other_work(evidence: Evidence) -> list[AnswerCheck]:
    return [trial.answers for trial in evidence.trials if trial.answers is not None and trial.answers.other_work]


def _agreement(found: list[AnswerCheck]) -> float | None:
    checked = sum(it.checked for it in found)
    return None if not checked else max(0.0, 1 - sum(max(it.other_top, it.wrong) for it in found) / checked)
