"""What the page's controls compute from: the rows' counts and percentiles as one JSON text, safe inside a page.

Exact at every limit of `limits_for`, where a row's replies within the limit were counted; for no other limit, so the
control offers no other. Looks of a capacity search stay those that were made for the scenario's own limit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bench import units
from bench.cost.figures import Costs
from bench.cost.words import price_in
from bench.measures.agreement import agreement_text
from bench.measures.capacity import LAPSE, NEAR, NOISES, SLOPES
from bench.measures.stats import values_needed
from bench.report import look, view
from bench.report.view.standing import accuracy_text, alone
from bench.results import Outcome, plain
from bench.summary import Row, Summary
from bench.summary.answer import EVEN
from bench.summary.looking import OURS
from bench.summary.spread import limits_for
from bench.validity import Verdict, verdict_of


def live_json(summary: Summary) -> str | None:
    """The data of the controls; None where they have nothing to compute: no SLO, or no row with counts.

    Nothing in it can end the `<script>` that it stands in, whatever servers are called.
    """
    own = summary.slo.get("response_time")
    if own is None or summary.costs is None or not any(row.spread for row in summary.rows):
        return None
    text = json.dumps(_data(summary, own, summary.costs), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _data(summary: Summary, own: float, costs: Costs) -> dict[str, Any]:
    percentile = summary.slo.get("percentile", 95.0)
    places = {(one.summary.server, one.summary.run_id): i for i, one in enumerate(view.servers(summary))}
    return {
        "percentile": percentile,
        "error_limit": summary.slo.get("error_rate", 0.0),
        "limit": own,
        "limits": limits_for(own),
        "needs": values_needed(percentile / 100),
        "ours": sorted(OURS),
        "edge": {"slopes": list(SLOPES.items()), "noises": NOISES, "lapse": LAPSE, "near": NEAR},
        "traffic": plain(costs.traffic),
        "even": EVEN,
        "servers": [_server(one, costs) for one in view.servers(summary)],
        "rows": [_row(row, places, summary) for row in summary.rows],
        "looks": [_row(row, places, summary) for row in summary.looks],
    }


def _server(one: view.ServerView, costs: Costs) -> dict[str, Any]:
    style = look.styles(one.number + 1)[-1]
    single = alone(one)
    quiet = view.percentile(single.response_time, "p50") if single else None
    bill = costs.of(one.summary.server, one.summary.run_id)
    return {
        "name": one.name,
        "server": one.summary.server,
        "kind": one.summary.kind,
        "absent": one.absent,
        "per_hour": price_in(one.summary.price),
        "colour": style.colour,
        "dash": style.dash[1] or (),
        "cost_name": bill.name if bill else one.name,
        "cost_absent": bill.absent if bill else "",
        "cost_verdict": verdict_of(bill.reasons).value if bill else None,
        "cost_reason": bill.reasons[0].what if bill and bill.reasons else "",
        "series": look.PALETTE.index(style.colour) + 1,
        "alone": quiet,
        "other": one.other_work,
        "accuracy": accuracy_text(one),
        "trusted": any(row.verdict is not Verdict.INVALID for row in one.measured),
    }


def _row(row: Row, places: Mapping[tuple[str, str], int], summary: Summary) -> dict[str, Any]:
    """One row, its words ready where no control changes them."""
    name, spread = view.tail(summary), row.spread
    tail = view.percentile(row.response_time, name)
    band = row.p95_interval if name == "p95" else None
    known = band is not None and band.low is not None and band.high is not None
    found = {
        "at": places.get((row.server, row.run_id), -1),
        "profile": row.profile,
        "label": row.label,
        "ok": row.outcome is Outcome.OK,
        "users": row.users,
        "rate": row.arrival_rate,
        "n": row.n,
        "trials": row.trials,
        "verdict": row.verdict.value if row.verdict else None,
        "met": row.slo_met,
        "goodput": row.goodput,
        "errors": row.error_rate,
        "tail": tail,
        "tail_text": view.percentile_text(row, name),
        "tail_band": [units.duration_text(band.low), units.duration_text(band.high)] if known and band else None,
        "nearest": _of_slo(row, summary),
        "reason": row.reasons[0].what if row.reasons else "",
        "reasons": {reason.id: reason.what for reason in row.reasons} if row.look else {},
        "look": None if row.look is None else {"result": row.look.result.value, "ratio": row.look.ratio},
    }
    if row.other_work:
        found |= {"other": row.other_work, "agreement": agreement_text(row.answers)}
    if spread is not None:
        found |= {
            "judged": spread.judged,
            "once_sent": spread.once_sent,
            "within": spread.within,
            "seconds": spread.seconds,
        }
        if spread.due and not row.look:  # the looks of a search are at rates of their own and never tie
            band = spread.judged_interval
            found |= {"due": spread.due, "judged_band": None if band is None else [band.low, band.high]}
    return found


def _of_slo(row: Row, summary: Summary) -> float | None:
    """The percentile of the SLO where rows have it, which the answer names."""
    name = f"p{summary.slo.get('percentile', 95.0):g}".replace(".", "")
    return view.percentile(row.response_time, name) if name in ("p50", "p90", "p95", "p99", "p999") else None
