"""The cores that everybody had, and what was tried of the servers that were tuned."""

from __future__ import annotations

from collections.abc import Mapping

from bench.report.cores import (
    CORES_HEAD,
    CORES_NOTE,
    TRIED_HEAD,
    cores_rows,
    cores_texts,
    tried_rows,
    tuning_texts,
)
from bench.report.page import Page, Section


def _values(page: Page) -> Mapping[str, object] | None:
    cores, tried = cores_rows(page.summary), tried_rows(page.summary)
    if not cores and not tried:
        return None
    return {
        "said": cores_texts(page.summary),
        "cores": (CORES_HEAD, cores),
        "note": CORES_NOTE,
        "sentences": tuning_texts(page.summary),
        "tried": (TRIED_HEAD, tried),
    }


SECTION = Section("tuning", "Equal cores", _values)
