"""What the model's form is worth: size, accuracy and speed of each."""

from __future__ import annotations

from collections.abc import Mapping

from bench.report.forms import FORMS_HEAD, FORMS_NOTE, FORMS_TITLE, forms_rows
from bench.report.page import Page, Section


def _values(page: Page) -> Mapping[str, object] | None:
    rows = forms_rows(page.summary)
    return {"table": (FORMS_HEAD, rows), "note": FORMS_NOTE} if rows else None


SECTION = Section("forms", FORMS_TITLE, _values)
