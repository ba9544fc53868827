"""The parts of the page in reading order; a new part is a module and a template of its name, and a line here."""

from __future__ import annotations

from bench.report.page import Section
from bench.report.sections import (
    charts,
    comparison,
    controls,
    forms,
    money,
    published,
    reproduce,
    resources,
    swap,
    trust,
    tuning,
    verdict,
)

SECTIONS: tuple[Section, ...] = (
    verdict.SECTION,
    comparison.SECTION,
    forms.SECTION,
    money.SECTION,
    controls.SECTION,
    swap.SECTION,
    charts.SECTION,
    resources.SECTION,
    tuning.SECTION,
    published.SECTION,
    trust.SECTION,
    reproduce.SECTION,
)
