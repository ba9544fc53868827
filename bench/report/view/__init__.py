"""Summary -> what the report says about it, in words and in table cells; the same for text, Markdown, HTML and charts.

Every number becomes text through bench.units. Nothing is escaped here: each output escapes in its own way.
"""

from __future__ import annotations

from bench.report.view.basis import basis_text, calibration_texts, capacities, price_notes, price_text
from bench.report.view.doubt import Doubt, doubts, notes
from bench.report.view.loads import Line, comparison
from bench.report.view.money import (
    BASIS_HEAD,
    BILL_HEAD,
    BILL_NOTE,
    Bill,
    bill_columns,
    bills,
    money_doubts,
    money_texts,
    network_bases,
    priced,
)
from bench.report.view.server import LoadPoint, ServerView, best_rows, groups, load_points, servers
from bench.report.view.standing import Cell, Column, Standing, columns, standings
from bench.report.view.words import (
    AT_CAPACITY,
    absence,
    cost,
    is_open,
    load_title,
    lost,
    needed,
    ok_share,
    one_line,
    parted,
    percentile,
    percentile_text,
    plural,
    slo_limit,
    slo_text,
    slo_word,
    tail,
    tail_text,
)
from bench.units import short

__all__ = [
    "AT_CAPACITY",
    "BASIS_HEAD",
    "BILL_HEAD",
    "BILL_NOTE",
    "Bill",
    "Cell",
    "Column",
    "Doubt",
    "Line",
    "LoadPoint",
    "ServerView",
    "Standing",
    "absence",
    "basis_text",
    "best_rows",
    "bill_columns",
    "bills",
    "calibration_texts",
    "capacities",
    "columns",
    "comparison",
    "cost",
    "doubts",
    "groups",
    "is_open",
    "load_points",
    "load_title",
    "lost",
    "money_doubts",
    "money_texts",
    "needed",
    "network_bases",
    "notes",
    "ok_share",
    "one_line",
    "parted",
    "percentile",
    "percentile_text",
    "plural",
    "price_notes",
    "price_text",
    "priced",
    "servers",
    "short",
    "slo_limit",
    "slo_text",
    "slo_word",
    "standings",
    "tail",
    "tail_text",
]
