"""How far answers lie from the model's own, in words: how many inputs keep their first class, how much they differ.

Said beside the speed of whatever does other work than the model on purpose: that is what the speed was bought with.
"""

from __future__ import annotations

from bench import units
from bench.results import AnswerCheck


def same_class_text(answers: AnswerCheck | None) -> str:
    """`2 of 3` inputs, or `66.7 %` of the answers in runs that did not count inputs; `-` where none was checked."""
    if answers is None or not answers.checked:
        return "-"
    if answers.inputs:
        return f"{units.count_text(answers.inputs_same_top)} of {units.count_text(answers.inputs)}"
    return units.percent_text(max(0.0, 1 - max(answers.other_top, answers.wrong) / answers.checked))


def differs_text(answers: AnswerCheck | None) -> str:
    """`0.43`: the largest difference of two probabilities; `-` where none is known."""
    return "-" if answers is None or answers.largest_difference is None else f"{answers.largest_difference:.2g}"


def agreement_text(answers: AnswerCheck | None) -> str:
    """`same class for 2 of 3 inputs, off by up to 0.43`; says so where nothing was compared."""
    same = same_class_text(answers)
    if answers is None or same == "-":
        return "its answers were not compared"
    of = "inputs" if answers.inputs else "of the answers"
    far = differs_text(answers)
    return f"same class for {same} {of}" + ("" if far == "-" else f", off by up to {far}")
