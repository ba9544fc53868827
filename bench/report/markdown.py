"""Summary -> report.md, fit to be pasted into a pull request: answer, table, doubts, charts beside it as PNG."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.report import view
from bench.report.aligned import figure_columns
from bench.report.apart import ACCURACY_HEAD, APART_NOTE, APART_TITLE, accuracy_cells, apart_table
from bench.report.cores import TRIED_HEAD, cores_texts, tried_rows, tuning_texts
from bench.report.forms import FORMS_HEAD, FORMS_NOTE, FORMS_TITLE, forms_rows
from bench.report.inside import INSIDE_HEAD, INSIDE_NOTE, inside
from bench.report.swaps import SWAP_HEAD, SWAP_NOTE, swaps
from bench.report.used import USED_TITLE, hardware_texts, lacks, used_note, used_table
from bench.report.view import Cell, Line, Standing
from bench.summary import Summary


def report_markdown(summary: Summary, charts: Sequence[tuple[str, str]]) -> str:
    """The report as GitHub-flavoured Markdown; `charts` are (title, path relative to the file)."""
    lines = [line for line in view.comparison(summary) if not line.accuracy]
    parts = [f"## {escaped(summary.question or summary.name)}", f"**{escaped(summary.answer)}**"]
    if limit := view.slo_text(summary):
        parts.append(f"SLO: {limit}.")
    if summary.flips:
        parts.append(f"What would flip it: {escaped('; '.join(summary.flips))}.")
    parts.append(comparison_markdown(summary))
    parts.append(_cost(summary))
    parts.append("### Every load point\n\n" + _table(summary, lines))
    parts.append(_apart(summary))
    parts += [escaped(text) for text in cores_texts(summary)]
    if capacities := view.capacities(summary):
        parts.append(escaped(capacities))
    parts.append(_forms(summary))
    if used := _used(summary):
        parts.append(used)
    if tried := tried_rows(summary):
        said = "\n".join(f"- {escaped(text)}" for text in tuning_texts(summary))
        parts.append(f"### What was tried\n\n{said}\n\n{_plain_table(TRIED_HEAD, tried)}")
    if doubts := _doubts(summary):
        parts.append("### In doubt\n\n" + "\n".join(f"- {doubt}" for doubt in doubts))
    if notes := view.notes(summary):
        parts.append("### Good to know\n\n" + "\n".join(f"- {escaped(note.sentence())}" for note in notes))
    if lines_inside := inside(summary):
        parts.append("### Inside the servers\n\n" + _plain_table(INSIDE_HEAD, lines_inside) + f"\n\n{INSIDE_NOTE}")
    if lines_swap := swaps(summary):
        table = _plain_table(SWAP_HEAD, lines_swap)
        parts.append(f"### A new version while it serves\n\n{table}\n\n{SWAP_NOTE}")
    if warnings := _warnings(summary):
        parts.append("### Warnings\n\n" + "\n".join(f"- {warning}" for warning in warnings))
    if charts:
        parts.append("### Charts\n\n" + "\n\n".join(f"![{escaped(title)}]({path})" for title, path in charts))
    parts += [escaped(text) for text in view.calibration_texts(summary)]
    parts.append(escaped(view.basis_text(summary)) + " Full report: [report.html](report.html).")
    return "\n\n".join(part for part in parts if part) + "\n"


def comparison_markdown(summary: Summary) -> str:
    """One line per server, the choice first; the best figure of a column is bold and has a star.

    Those that do other work than the model are ranked in a table of their own, with how far from it they are.
    """
    standings = view.standings(summary)
    apart = [each for each in standings if each.apart and not each.absent]
    own = [each for each in standings if each not in apart]
    starred = any(cell.best for each in standings for cell in each.cells)
    parts = [_standings(summary, own)]
    if apart:
        parts += [f"**{APART_TITLE}**", _standings(summary, apart), escaped(APART_NOTE)]
    return "\n\n".join([*parts, *(["★ best of the servers that are ranked."] if starred else [])])


def _standings(summary: Summary, standings: Sequence[Standing]) -> str:
    """One group of servers that are ranked among themselves."""
    columns, apart = view.columns(summary), any(each.apart and not each.absent for each in standings)
    far = ACCURACY_HEAD if apart else ()
    rule = "".join("--:|" if column.number else ":--|" for column in columns[:-1]) + "--:|" * len(far) + ":--|"
    titles = [*(column.title for column in columns[:-1]), *far, columns[-1].title]
    rows = ["| server | " + " | ".join(map(escaped, titles)) + " |", f"|:--|{rule}"]
    for each in standings:
        cells = [_cell(cell) for cell in each.cells]
        if each.absent or each.why:
            cells[-1] = f"{cells[-1]} ({escaped(each.absent or each.why)})" if each.why else escaped(each.absent)
        name = f"**{escaped(each.name)}**" if each.chosen else escaped(each.name)
        accuracy = map(escaped, accuracy_cells(each)) if apart else ()
        rows.append("| " + " | ".join([name, *cells[:-1], *accuracy, cells[-1]]) + " |")
    return "\n".join(rows)


def _cell(cell: Cell) -> str:
    text = escaped(cell.text) + (f" ({escaped(cell.note)})" if cell.note else "")
    return f"**{text} ★**" if cell.best else text


def _cost(summary: Summary) -> str:
    """The bill of every server, what it stands on, and what is said about it; empty without a price."""
    if not view.priced(summary):
        return ""
    bills = view.bills(summary)
    shown = view.bill_columns(bills)
    rows = [
        (
            bill.server,
            *([bill.absent, *["-"] * (len(shown) - 2)] if bill.absent else [bill.cells[at] for at in shown[1:]]),
        )
        for bill in bills
    ]
    head = [view.BILL_HEAD[at] for at in shown]
    parts = ["### Cost", _plain_table(head, rows), escaped(view.BILL_NOTE)]
    said = [*view.money_texts(summary), *view.network_bases(summary), *view.money_doubts(summary)]
    parts.append("\n".join(f"- {escaped(text)}" for text in said))
    parts.append(_plain_table(view.BASIS_HEAD, [bill.basis for bill in bills]))
    return "\n\n".join(part for part in parts if part)


def _table(summary: Summary, lines: Sequence[Line]) -> str:
    head = ("server", "load", "n", "ok", "p50", view.tail_text(summary), "throughput", "goodput", "$/million", "SLO")
    rows = ["| " + " | ".join((*head, "verdict")) + " |", "|:--|:--|" + "--:|" * 7 + ":--|:--|"]
    for line in lines:
        if line.absent:
            cells = [escaped(line.server), escaped(line.load), *["-"] * 8, escaped(line.absent)]
        else:
            best = "**" if line.chosen else ""
            figures = [line.n, line.ok, line.p50, line.tail, line.throughput, line.goodput, line.cost]
            cells = [
                f"{best}{escaped(line.server)}{best}",
                escaped(line.load),
                *map(escaped, figures),
                line.slo,
                line.verdict,
            ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _apart(summary: Summary) -> str:
    """Every load point of those that do other work than the model; empty where nothing does."""
    head, rows = apart_table(summary)
    return f"**{APART_TITLE}**, every load point\n\n{_plain_table(head, rows)}" if rows else ""


def _forms(summary: Summary) -> str:
    """The model's forms; empty where a run served none but its own build's."""
    rows = forms_rows(summary)
    return f"### {FORMS_TITLE}\n\n{_plain_table(FORMS_HEAD, rows)}\n\n{FORMS_NOTE}" if rows else ""


def _used(summary: Summary) -> str:
    head, rows = used_table(summary)
    said = [
        f"- {escaped(text)}" for text in (*hardware_texts(summary), *(f"Not known here: {it}" for it in lacks(summary)))
    ]
    table = f"### {USED_TITLE}\n\n{_plain_table(head, rows)}\n\n{used_note(head)}"
    return "\n\n".join([table, "\n".join(said)]).rstrip() if rows else ""


def _plain_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = "".join("--:|" if right else ":--|" for right in figure_columns(head, rows))
    lines = ["| " + " | ".join(head) + " |", f"|{rule}"]
    return "\n".join([*lines, *("| " + " | ".join(map(escaped, row)) + " |" for row in rows)])


def _doubts(summary: Summary) -> list[str]:
    return [f"**{doubt.verdict.value}** {escaped(doubt.sentence())}" for doubt in view.doubts(summary)]


def _warnings(summary: Summary) -> list[str]:
    held = [f"`fail_if` held: {escaped(check)}" for check in summary.failed_checks]
    unfinished = [] if summary.complete else ["the run did not finish; this is what was measured until then"]
    return held + [escaped(warning) for warning in summary.warnings] + unfinished


def escaped(text: str) -> str:
    """The text on one line with everything escaped that Markdown, its HTML or GitHub's mentions would act on."""
    flat = view.one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", flat).replace("@", "@\N{ZERO WIDTH SPACE}")
