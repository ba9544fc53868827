"""What does other work than the model, in a table of its own: every load point with speed and accuracy side by side."""

from __future__ import annotations

from bench.measures.agreement import differs_text, same_class_text
from bench.report import view
from bench.report.view import Standing
from bench.summary import Summary

APART_TITLE = "Other work than the model's"
APART_NOTE = (
    f"{view.OTHER} rounds or leaves out on purpose, so it is ranked among its like only. Same class: for how many "
    "inputs it has the model's first class. Off by: the largest difference of two probabilities."
)
ACCURACY_HEAD = ("same class", "off by")


def accuracy_cells(each: Standing) -> tuple[str, str]:
    """As `ACCURACY_HEAD` has them."""
    answers = each.one.summary.answers
    return same_class_text(answers), differs_text(answers)


def apart_table(summary: Summary) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Heading and one row per load point of those that do other work; no row where nothing does.

    A column that says nothing of any of them is left out.
    """
    head: tuple[str, ...] = (
        "server",
        "load",
        "n",
        "p50",
        view.tail_text(summary),
        "throughput",
        "$/million",
        *ACCURACY_HEAD,
        "verdict",
    )
    rows: list[tuple[str, ...]] = [
        (
            line.server, line.load, line.n, line.p50, line.tail, line.throughput, line.cost, line.same_class,
            line.differs, line.verdict + (", late" if line.slo == "missed" else ""),
        )
        for line in view.comparison(summary)
        if line.accuracy
    ]  # fmt: skip
    told = [at for at in range(len(head)) if any(row[at] != "-" for row in rows)]
    return tuple(head[at] for at in told), [tuple(row[at] for at in told) for row in rows]
