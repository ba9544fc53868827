"""Summary -> the table at the end of `bench run`: plain text that fits a terminal, answer first."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence

from bench.report import view
from bench.report.apart import ACCURACY_HEAD, APART_NOTE, APART_TITLE, accuracy_cells, apart_table
from bench.report.cores import TRIED_HEAD, cores_texts, tried_rows, tuning_texts
from bench.report.used import USED_TITLE, hardware_texts, used_table
from bench.report.view import Cell, Line, Standing
from bench.summary import Summary

_RIGHT = (False, False, True, True, True, True, True, True, False)


def summary_text(summary: Summary, width: int = 100) -> str:
    """Answer, one line per server and load point, absent servers with their reason, doubts and warnings.

    Shape: no line is wider than `width` columns (80 at least), control characters are made visible.
    """
    width = max(80, width)
    said = view.tail_text(summary)
    lines = [line for line in view.comparison(summary) if not line.accuracy]
    head = ("server", "load", "n", "ok", "p50", said, "throughput", "$/million", "verdict")
    measured = [_cells(line) for line in lines if not line.absent]
    parts = [_wrapped(summary.answer, width)]
    if summary.flips:
        parts.append(_wrapped(f"What would flip it: {'; '.join(summary.flips)}.", width))
    if limit := view.slo_text(summary):
        parts.append(_wrapped(f"SLO: {limit}", width))
    parts.append(_servers(summary, width))
    parts.append(_bills(summary, width))
    parts.append(_table(head, measured, lines, width))
    parts.append(_apart(summary, width))
    parts += [_wrapped(text, width, "  ") for text in cores_texts(summary)]
    parts.append(_wrapped(view.capacities(summary), width, "  "))
    parts.append(_used(summary, width))
    parts.append(_tried(summary, width))
    parts += [_notes(summary, width), _warnings(summary, width)]
    parts += [_wrapped(text, width, "  ") for text in view.calibration_texts(summary, brief=True)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _apart(summary: Summary, width: int) -> str:
    """Every load point of those that do other work, with how far from the model they are."""
    head, rows = apart_table(summary)
    return f"{APART_TITLE}:\n{_fitted([head, *rows], width)}" if rows else ""


def _used(summary: Summary, width: int) -> str:
    """What a request uses, in the columns that a terminal has room for; the report has the others and the reasons."""
    head, lines = used_table(summary, brief=True)
    if not lines:
        return ""
    rows = [list(line) for line in (head, *lines)]
    widths = _widths(rows)
    widths[0] -= min(max(0, sum(widths) + 2 * (len(widths) - 1) - width), max(0, widths[0] - 10))
    shown = [
        "  ".join(
            _padded(_cut(cell, wide), wide, right=place > 1)
            for place, (cell, wide) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    shown.insert(1, "  ".join("-" * wide for wide in widths))
    table = "\n".join(_cut(line.rstrip(), width) for line in shown)
    said = [_wrapped(text, width, "  ") for text in hardware_texts(summary)]
    return "\n".join([f"{USED_TITLE}:", table, *said])


_SHOWN = ("load", "n", "alone", "tail", "goodput", "capacity", "cost")
"""Columns of the comparison that a terminal has room for, beside the names and the verdict."""
_GIVING_WAY = ("alone", "goodput", "n", "load")
"""Which of them are left out first where it has not."""


def _servers(summary: Summary, width: int) -> str:
    """One line per server, the choice first; those that do other work in a table of their own below."""
    standings = [each for each in view.standings(summary) if not each.absent]
    same, apart = ([each for each in standings if each.apart is group] for group in (False, True))
    return "\n\n".join(part for part in (_standing(summary, same, width), _standing(summary, apart, width)) if part)


def _standing(summary: Summary, standings: Sequence[Standing], width: int) -> str:
    """One group of servers that are ranked among themselves; the best figure of a column has a star."""
    if not standings:
        return ""
    shown = [slug for slug in _SHOWN if any(_cell(summary, each, slug).text != "-" for each in standings)]
    if not any(each.one.summary.capacity for each in standings) and "capacity" in shown:
        shown.remove("capacity")  # without a search it is that of the bill, which stands right below
    rows = _server_rows(summary, standings, shown)
    for slug in _GIVING_WAY:
        if sum(_widths(rows)) + 2 * (len(rows[0]) - 1) <= width:
            break
        shown = [one for one in shown if one != slug]
        rows = _server_rows(summary, standings, shown)
    widths = _widths(rows)
    excess = sum(widths) + 2 * (len(widths) - 1) - width
    widths[0] -= min(max(0, excess), max(0, widths[0] - 10))
    rows.insert(1, ["-" * wide for wide in widths])
    title = f"{APART_TITLE}:" if standings[0].apart else ""
    table = "\n".join(_server_row(row, widths).rstrip() for row in rows)
    starred = any(_cell(summary, each, slug).best for each in standings for slug in shown)
    legend = "* best of the servers that are ranked" if starred else ""
    why = _unranked(standings)
    unranked = _wrapped(f"Not ranked: {', '.join(why)}.", width, "  ") if why else ""
    note = _wrapped(APART_NOTE, width, "  ") if standings[0].apart else ""
    return "\n".join(part for part in (title, table, legend, note, unranked) if part)


def _unranked(standings: Sequence[Standing]) -> list[str]:
    """`a (why)`; servers that share a reason stand together and it is said once."""
    of_reason: dict[str, list[str]] = {}
    for each in standings:
        if each.why:
            of_reason.setdefault(each.why, []).append(each.name)
    return [
        f"{names[0]} ({why})" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} (each: {why})"
        for why, names in of_reason.items()
    ]


def _server_rows(summary: Summary, standings: Sequence[Standing], shown: Sequence[str]) -> list[list[str]]:
    titles = {column.slug: column.title for column in view.columns(summary)}
    accuracy = ACCURACY_HEAD if standings[0].apart else ()
    rows = [["server", *(_TITLES.get(slug, titles[slug]) for slug in shown), *accuracy, "verdict"]]
    for each in standings:
        figures = [_cell(summary, each, slug) for slug in shown]
        word = each.cells[-1].text + (" <- choice" if each.chosen else "")
        far = accuracy_cells(each) if accuracy else ()
        rows.append([each.name, *(cell.text + ("*" if cell.best else " ") for cell in figures), *far, word])
    return rows


def _cell(summary: Summary, each: Standing, slug: str) -> Cell:
    return each.cells[[column.slug for column in view.columns(summary)].index(slug)]


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(columns(row[i]) for row in rows) for i in range(len(rows[0]))]


_TITLES = {"goodput": "served", "cost": "$/million"}


def _server_row(cells: Sequence[str], widths: Sequence[int]) -> str:
    last = len(cells) - 1
    fitted = [_cut(cell, wide) for cell, wide in zip(cells, widths, strict=True)]
    return "  ".join(
        _padded(cell, wide, right=0 < place < last)
        for place, (cell, wide) in enumerate(zip(fitted, widths, strict=True))
    )


def _tried(summary: Summary, width: int) -> str:
    """What was tried of tuned servers, the widest columns giving way until it fits, and what came of it."""
    tried = tried_rows(summary)
    if not tried:
        return ""
    rows = [TRIED_HEAD, *tried]
    widths = _widths(rows)
    excess = sum(widths) + 2 * (len(widths) - 1) - width
    widths[-1] -= min(max(0, excess), max(0, widths[-1] - len("default")))  # of the note only what it begins with stays
    while sum(widths) + 2 * (len(widths) - 1) > width:
        widths[widths.index(max(widths))] -= 1
    right = [cell in _FIGURES for cell in TRIED_HEAD]
    lines = [
        "  ".join(_padded(_cut(c, w), w, right=r) for c, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in (rows[0], tuple("-" * wide for wide in widths), *(_brief(row, widths[-1]) for row in tried))
    ]
    said = [_wrapped(text, width, "  ") for text in tuning_texts(summary)]
    return "\n".join(["What was tried", *lines, *said])


def _brief(row: Sequence[str], room: int) -> Sequence[str]:
    """The line with as many whole words of its note as there is room for, if any; a reason why it failed is cut."""
    note = row[-1]
    if columns(note) <= room or ":" in note:
        return row
    words = note.split(", ")
    while words and columns(", ".join(words)) > room:
        words.pop()
    return [*row[:-1], ", ".join(words)]


_FIGURES = ("n", "within the SLO", "throughput", "p50", "p95")


_BILL = ("server", "capacity", "replicas", "$/month", "$/million, sized", "saturated", "network/month")
"""Of a bill, what a terminal has room for; the last one gives way first."""


def _bills(summary: Summary, width: int) -> str:
    """One line per server that has a bill, the sentences about it, and the doubts."""
    made = view.bills(summary)
    if not view.priced(summary):
        return ""
    shown = [bill for bill in made if not bill.absent]
    rows = [
        [bill.server, bill.capacity, bill.replicas, *(_alone(it) for it in (bill.month, bill.million, bill.saturation)),
         bill.network, "<- choice" if bill.chosen else "INVALID" if bill.verdict == "INVALID" else ""]
        for bill in shown
    ]  # fmt: skip
    parts = []
    if rows:
        table = [[*_BILL, ""], *rows]
        known = [at for at in range(len(table[0])) if at == len(_BILL) or any(row[at] != "-" for row in rows)]
        table = [[row[at] for at in known] for row in table]
        while sum(_widths(table)) + 2 * (len(table[0]) - 1) > width and len(table[0]) > len(_BILL) - 2:
            table = [[*row[:-2], row[-1]] for row in table]
        parts.append(_fitted(table, width))
    absent = [f"{bill.server} ({bill.absent})" for bill in made if bill.absent]
    texts = [text for text in view.money_texts(summary) if not _told(text, summary)]
    said = [*texts, *([f"Without a bill: {', '.join(absent)}."] if absent else [])]
    said += view.money_doubts(summary)
    return "\n".join([*parts, *(_wrapped(text, width, "  ") for text in said)])


def _alone(figure: str) -> str:
    """A figure without its interval or its load."""
    return figure.partition(" (")[0]


def _told(text: str, summary: Summary) -> bool:
    """Whether the answer has said it already."""
    costs = summary.costs
    return (
        costs is not None
        and bool(costs.break_even)
        and costs.break_even in summary.answer
        and text.startswith("Break-even")
    )


def _fitted(rows: Sequence[Sequence[str]], width: int) -> str:
    """A table with a rule below its head; the widest columns give way until it fits."""
    widths = _widths(rows)
    while sum(widths) + 2 * (len(widths) - 1) > width:
        widths[widths.index(max(widths))] -= 1
    ruled = [rows[0], ["-" * wide for wide in widths], *rows[1:]]
    return "\n".join(_server_row(row, widths).rstrip() for row in ruled)


def _cells(line: Line) -> tuple[str, ...]:
    word = line.verdict + (", SLO missed" if line.slo == "missed" else "") + (" <- choice" if line.chosen else "")
    return (line.server, line.load, line.n, line.ok, line.p50, line.tail, line.throughput, line.cost, word)


def _table(head: Sequence[str], measured: Sequence[Sequence[str]], lines: Sequence[Line], width: int) -> str:
    widths = [max(columns(row[i]) for row in (head, *measured)) for i in range(len(head))]
    widths[0] = max([widths[0], *(columns(line.server) for line in lines)])
    excess = sum(widths) + 2 * (len(head) - 1) - width
    for column, least in ((0, 10), (1, 8), (8, 7)):  # names give way first, then the load, then the verdict's remark
        give = min(max(0, excess), max(0, widths[column] - least))
        widths[column] -= give
        excess -= give
    gap = " " if excess > 0 else "  "
    rows = iter(measured)
    out = [_row(head, widths, gap), _row(["-" * w for w in widths], widths, gap)]
    for before, line in zip((None, *lines), lines, strict=False):
        if before is not None and before.load_title != line.load_title:
            out.append("")
        if line.absent:
            out.append(_absent_row(line, widths, width))
        else:
            out.append(_row(next(rows), widths, gap))
    return "\n".join(text.rstrip() for text in out)


def _absent_row(line: Line, widths: Sequence[int], width: int) -> str:
    cells = [_padded(_cut(line.server, widths[0]), widths[0])]
    if line.load != "-":
        cells.append(_padded(_cut(line.load, widths[1]), widths[1]))
    room = width - sum(columns(cell) + 2 for cell in cells)
    return "  ".join([*cells, _cut(line.absent, room)])


def _row(cells: Sequence[str], widths: Sequence[int], gap: str) -> str:
    fitted = [_cut(cell, w) for cell, w in zip(cells, widths, strict=True)]
    return gap.join(_padded(c, w, right=r) for c, w, r in zip(fitted, widths, _RIGHT, strict=True))


def _cut(text: str, width: int) -> str:
    """The text shortened in its middle, where names differ least, to at most that many columns."""
    kept = len(text)
    shown = text
    while columns(shown) > width and kept > 0:
        kept -= 1
        tail = kept // 2
        shown = text[: kept - tail] + "…" + (text[-tail:] if tail else "")
    return shown


def columns(text: str) -> int:
    """How many columns of a terminal the text takes: two for a wide East Asian character or an emoji."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _padded(text: str, width: int, *, right: bool = False) -> str:
    blank = " " * max(0, width - columns(text))
    return blank + text if right else text + blank


def _notes(summary: Summary, width: int) -> str:
    """What is in doubt, each reason with the rows that it is about."""
    texts = [f"{doubt.verdict.value}: {doubt.sentence()}" for doubt in view.doubts(summary)]
    texts += [f"note: {note.sentence()}" for note in view.notes(summary)]
    return "\n".join(_wrapped(text, width, "  ") for text in texts)


def _warnings(summary: Summary, width: int) -> str:
    texts = [f"fail_if held: {check}" for check in summary.failed_checks]
    texts += [f"warning: {warning}" for warning in summary.warnings]
    if not summary.complete:
        texts.append("warning: the run did not finish; this is what was measured until then")
    return "\n".join(_wrapped(text, width, "  ") for text in texts)


def _wrapped(text: str, width: int, hang: str = "") -> str:
    """The text as lines of at most so many columns; wide characters take two, which textwrap does not know."""
    for room in range(width, 20, -2):
        lines = textwrap.wrap(view.one_line(text), room, subsequent_indent=hang, break_on_hyphens=False)
        if all(columns(line) <= width for line in lines):
            break
    return "\n".join(lines)
