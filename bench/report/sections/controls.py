"""The live controls: other limits, traffic, prices and headroom, computed in the browser from data inside the file."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from bench.report.live import live_json
from bench.report.page import Page, Section
from bench.report.view import plural


def _values(page: Page) -> Mapping[str, object] | None:
    costs, data = page.summary.costs, live_json(page.summary)
    if costs is None or data is None or page.session is not None:
        return None
    traffic = costs.traffic
    return {
        "data": Markup(data),  # noqa: S704 -- JSON whose <, > and & are escaped
        "percentile": page.summary.slo.get("percentile", 95.0),
        "spare": f"{traffic.spare_replicas} spare {plural('replica', traffic.spare_replicas)}",
        "hours": f"{traffic.hours_per_month:g}",
    }


SECTION = Section("controls", "What if?", _values)
